"""Published measurements of training runs, each with its recipe, what is predicted for it, and by how much that is off.

The check of the decomposition against the world. The logits' high end and three more ends of ranges (fp32 embeddings under
QLoRA, the fp32 gradient of mixed precision, what a compiled model keeps) were added because rows of this table showed that
programs do so. What a publication does not say (the length of its texts, its checkpointing) is told in `remark`.
Source: the README files of Qwen, PEFT and torchtune, and the QLoRA paper, as named in each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.base.fields import Value
from engine.memory.training.cost import GB, Item, TrainingCost, training_cost
from engine.memory.training.recipe import recipe_of
from engine.memory.training.shape import ModelShape, shape_of_values

GIB = 2**30
_OUTSIDE_THE_ALLOCATOR = (Item.CONTEXT, Item.FRAGMENTATION)


@dataclass(frozen=True, slots=True)
class Published:
    """A run that somebody measured.

    Attributes:
        model, setup: what was trained and how, in words.
        shape: the model.
        values: the recipe, by Field.
        measured_bytes: as published, over `n_summed` devices.
        source: where it stands.
        n_summed: devices whose memory is added up in the figure.
        is_allocated: the figure is the allocator's peak, without the context and the allocator's own loss.
        is_bound: the figure is only said to be enough.
        remark: what the publication leaves open.
    """

    model: str
    setup: str
    shape: ModelShape
    values: Mapping[str, Value]
    measured_bytes: int
    source: str
    n_summed: int = 1
    is_allocated: bool = False
    is_bound: bool = False
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A published run beside the prediction, in bytes."""

    run: Published
    cost: TrainingCost
    low: int
    high: int

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    @property
    def error(self) -> float:
        """The middle of the prediction against the measurement, as a share of it: 0.05 is 5 % too much."""
        return self.middle / self.run.measured_bytes - 1

    @property
    def missed_by(self) -> float:
        """How far the measurement is from the predicted range, as a share of it; 0 inside it."""
        measured = self.run.measured_bytes
        if self.run.is_bound:
            return max(0.0, self.low / measured - 1)
        if measured < self.low:
            return self.low / measured - 1
        return min(0.0, self.high / measured - 1)

    @property
    def rule_error(self) -> float | None:
        """The rule of thumb against the measurement; None where adapters are trained, which it does not speak of."""
        if self.cost.recipe.is_adapter or self.run.is_bound:
            return None
        return self.cost.rule.total_bytes / self.run.measured_bytes - 1


def checked(run: Published) -> Checked:
    """Predict a published run."""
    cost = training_cost(run.shape, recipe_of(run.values))
    left_out = _OUTSIDE_THE_ALLOCATOR if run.is_allocated else ()
    lines = [each for each in cost.device.lines if each.item not in left_out]
    low, high = sum(each.low for each in lines), sum(each.high for each in lines)
    return Checked(run, cost, low * run.n_summed, high * run.n_summed)


def all_checked() -> tuple[Checked, ...]:
    """Every published run with its prediction."""
    return tuple(checked(each) for each in (*_qwen(), *_torchtune(), *_peft(), *_qlora()))


def _shape(name: str, n_params: int = 0, **values: Value) -> ModelShape:
    return shape_of_values({"n_params": n_params, **values}, name)


def _qwen() -> Sequence[Published]:
    source = "Qwen, README, “Profiling of Memory and Speed”"
    remark = "gradient checkpointing as in its scripts; GB as printed"
    lora: dict[str, Value] = {"finetuning_type": "lora", "lora_rank": 64, "lora_target": "qkv,o,gate,up"}
    qlora: dict[str, Value] = {**lora, "finetuning_type": "qlora"}
    zero3: dict[str, Value] = {"n_devices": 2, "sharding": "zero3"}
    small = _shape("Qwen-1.8B", n_layer=24, n_embd=2048, n_head=16, n_ff=5504, n_vocab=151_936)
    seven = _shape("Qwen-7B", n_layer=32, n_embd=4096, n_head=32, n_ff=11_008, n_vocab=151_936)
    fourteen = _shape("Qwen-14B", n_layer=40, n_embd=5120, n_head=40, n_ff=13_696, n_vocab=152_064)
    large = _shape("Qwen-72B", n_layer=80, n_embd=8192, n_head=64, n_ff=24_576, n_vocab=152_064)
    rows: list[tuple[ModelShape, str, dict[str, Value], int, float, int]] = [
        (small, "full", {}, 256, 43.5, 1),
        (seven, "full, ZeRO-3, 2 × A100", zero3, 256, 139.2, 2),
        (seven, "full, ZeRO-3, 2 × A100", zero3, 512, 148.0, 2),
        (seven, "full, ZeRO-3, 2 × A100", zero3, 1024, 162.0, 2),
        *((seven, "LoRA", lora, seq, size, 1) for seq, size in zip(_LENGTHS, _LORA_7B, strict=True)),
        *((seven, "QLoRA, int4", qlora, seq, size, 1) for seq, size in zip(_LENGTHS, _QLORA_7B, strict=True)),
        (fourteen, "LoRA", lora, 256, 34.6, 1),
        (fourteen, "QLoRA, int4", qlora, 256, 18.7, 1),
        (large, "QLoRA, int4", qlora, 256, 61.4, 1),
        (large, "QLoRA, int4", qlora, 8192, 75.6, 1),
    ]
    return [
        Published(
            shape.name, f"{setup}, {seq:,} tokens", shape, {**values, "seq_length": seq}, round(size * GB), source,
            n_summed=n, remark=remark,
        )
        for shape, setup, values, seq, size, n in rows
    ]  # fmt: skip


_LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
_LORA_7B = (20.1, 20.4, 21.5, 23.8, 29.7, 36.6)
_QLORA_7B = (11.5, 11.5, 12.3, 13.9, 16.9, 23.5)


def _torchtune() -> Sequence[Published]:
    source = "torchtune, README, “Memory and training speed”"
    shape = _shape("Llama-3.1-8B", n_layer=32, n_embd=4096, n_head=32, n_head_kv=8, n_ff=14_336, n_vocab=128_256)
    base: dict[str, Value] = {
        "micro_batch_size": 2, "seq_length": 2048, "master_weights": "none", "chunked_loss": True,
    }  # fmt: skip
    full: dict[str, Value] = {**base, "optimizer": "adamw_8bit", "optimizer_in_backward": True}
    lora: dict[str, Value] = {
        **base, "finetuning_type": "lora", "lora_rank": 8, "lora_target": "q,v,o,gate,up,down",
    }  # fmt: skip
    paged = "paged 8-bit Adam, step in backward"
    rows: list[tuple[str, dict[str, Value], float, str]] = [
        (f"full, {paged}, paged out, RTX 4090", {**full, "offload": "optimizer"}, 18.9, ""),
        (f"full, {paged}, A6000", full, 37.4, "states stay on a card with room for them"),
        ("LoRA, RTX 4090", lora, 16.2, "texts are at most so long"),
        ("LoRA, A6000", {**lora, "recompute_granularity": "none"}, 30.3, "taken to be without checkpointing"),
        ("QLoRA, RTX 4090", {**lora, "finetuning_type": "qlora"}, 7.4, ""),
    ]
    return [
        Published(
            shape.name, f"{setup}, 2 × 2,048 tokens", shape, values, round(size * GIB), source, is_allocated=True,
            remark=remark,
        )
        for setup, values, size, remark in rows
    ]  # fmt: skip


def _peft() -> Sequence[Published]:
    source = "PEFT, README, “Use cases”"
    remark = "batch 8; length of the texts not said, 64 tokens taken; the script counts in binary units"
    base: dict[str, Value] = {
        "precision": "fp32", "micro_batch_size": 8, "seq_length": 64, "recompute_granularity": "none",
        "attn_implementation": "eager",
    }  # fmt: skip
    lora: dict[str, Value] = {**base, "finetuning_type": "lora", "lora_rank": 8, "lora_target": "q,v"}
    t0 = _shape("T0_3B", 2_849_757_184, n_layer=48, n_embd=2048, n_head=32, n_ff=5120, n_vocab=32_128)
    mt0 = _shape("mt0-xxl", 12_921_057_280, n_layer=48, n_embd=4096, n_head=64, n_ff=10_240, n_vocab=250_112)
    bloomz = _shape(
        "bloomz-7b1", n_layer=30, n_embd=4096, n_head=32, n_ff=16_384, n_vocab=250_880, tie_word_embeddings=True,
        gated_mlp=False,
    )  # fmt: skip
    rows: list[tuple[ModelShape, str, dict[str, Value], float]] = [
        (t0, "full, fp32", base, 47.14),
        (t0, "LoRA, fp32", lora, 14.4),
        (bloomz, "LoRA, fp32", {**lora, "lora_target": "qkv"}, 32.0),
        (mt0, "LoRA, fp32", lora, 56.0),
    ]
    return [
        Published(shape.name, setup, shape, values, round(size * GIB), source, is_allocated=True, remark=remark)
        for shape, setup, values, size in rows
    ]


def _qlora() -> Sequence[Published]:
    shape = _shape("Llama 65B", n_layer=80, n_embd=8192, n_head=64, n_ff=22_016, n_vocab=32_000)
    values: dict[str, Value] = {
        "finetuning_type": "qlora", "lora_rank": 64, "seq_length": 512, "offload": "optimizer",
    }  # fmt: skip
    return [
        Published(
            shape.name, "QLoRA, paged optimizer, 512 tokens", shape, values, 48 * GB, "QLoRA, arXiv 2305.14314",
            is_bound=True, remark="said to fit in 48 GB",
        )
    ]  # fmt: skip

"""Every byte of a training step by part and device, each with the formula it comes from and its numbers in it.

Static parts follow the definitions to the byte; the rest is a range. What is divided by how many devices follows ZeRO:
stage 1 the optimizer and master copies, 2 the gradients too, 3 (and FSDP) the weights too.
Source: Rajbhandari et al. 2019, arXiv 1910.02054, section 3 (2P + 2P + KP, K = 12 with Adam); DeepSpeed's
estimate_zero3_model_states_mem_needs for gathered layers and the 1.5 of RAM; bitsandbytes for 8-bit states.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass

from engine.base.errors import KnownError
from engine.memory.training.activations import activation_span, logit_span
from engine.memory.training.recipe import Recipe
from engine.memory.training.shape import ModelShape, n_lora_params, targeted

GB = 10**9
CONTEXT = (GB * 3 // 10, GB)
COLLECTIVES = (GB * 2 // 10, GB)
FRAGMENTATION = 0.1
RAM_SLACK = 1.5
NF4_BITS, NF4_DOUBLE_BITS = 4.5, 4.127
EIGHT_BIT_SCALES = 4 / 256
"""Bytes a state for the fp32 scale of each block of 256 8-bit numbers (bitsandbytes)."""

RULE_WEIGHT_BYTES, RULE_FACTOR = 4, 6

_ZERO = "ZeRO arXiv 1910.02054"
_ACTIVATIONS = "Korthikanti et al. arXiv 2205.05198"


class TrainPart(enum.Enum):
    """What training memory is used for, as the commands name it."""

    WEIGHTS = "weights"
    GRADIENTS = "gradients"
    OPTIMIZER = "optimizer"
    MASTER = "master"
    ACTIVATIONS = "activations"
    LOGITS = "logits"
    OVERHEAD = "overhead"


class Item(enum.Enum):
    """One line of the decomposition, and the part that it counts to."""

    WEIGHTS = "weights"
    ADAPTERS = "adapters"
    GRADIENTS = "gradients"
    OPTIMIZER = "optimizer"
    MASTER = "master"
    ACTIVATIONS = "activations"
    LOGITS = "logits"
    GATHERED = "gathered"
    BUCKETS = "buckets"
    DEQUANTIZED = "dequantized"
    CONTEXT = "context"
    FRAGMENTATION = "fragmentation"

    @property
    def part(self) -> TrainPart:
        """The part of the ledger."""
        match self:
            case Item.ADAPTERS:
                return TrainPart.WEIGHTS
            case Item.GATHERED | Item.BUCKETS | Item.DEQUANTIZED | Item.CONTEXT | Item.FRAGMENTATION:
                return TrainPart.OVERHEAD
            case _:
                return TrainPart(self.value)


class Place(enum.Enum):
    """Where it is: on each training device, or in the computer's RAM for all of them."""

    DEVICE = "device"
    RAM = "ram"


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line: `low`..`high` bytes, the formula with its numbers, and where the formula is from."""

    item: Item
    low: int
    high: int
    how: str
    source: str


@dataclass(frozen=True, slots=True)
class DeviceCost:
    """One kind of memory. `count` is how many devices need as much each; RAM is counted once for all of them."""

    place: Place
    count: int
    lines: tuple[CostLine, ...]

    @property
    def low(self) -> int:
        return sum(each.low for each in self.lines)

    @property
    def high(self) -> int:
        return sum(each.high for each in self.lines)

    def span_of(self, part: TrainPart) -> tuple[int, int] | None:
        """The bytes of one part, low and high; None when it is not there."""
        found = [each for each in self.lines if each.item.part is part]
        return (sum(each.low for each in found), sum(each.high for each in found)) if found else None


@dataclass(frozen=True, slots=True)
class RuleOfThumb:
    """The course's rule: 4 bytes a parameter for the weights, six times that to train, whatever the recipe is."""

    n_params: int

    @property
    def bytes_per_parameter(self) -> int:
        return RULE_WEIGHT_BYTES * RULE_FACTOR

    @property
    def weights_bytes(self) -> int:
        return RULE_WEIGHT_BYTES * self.n_params

    @property
    def total_bytes(self) -> int:
        return self.bytes_per_parameter * self.n_params


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """What a recipe takes with a model.

    Attributes:
        shape, recipe: what was asked.
        n_trainable: weights that are trained.
        devices: each training device, then RAM where something is kept there.
        rule: the rule of thumb beside it.
    """

    shape: ModelShape
    recipe: Recipe
    n_trainable: int
    devices: tuple[DeviceCost, ...]
    rule: RuleOfThumb

    @property
    def device(self) -> DeviceCost:
        """One training device."""
        return self.devices[0]

    @property
    def total_low(self) -> int:
        """Over all devices and RAM."""
        return sum(each.low * each.count for each in self.devices)

    @property
    def total_high(self) -> int:
        return sum(each.high * each.count for each in self.devices)


def training_cost(shape: ModelShape, recipe: Recipe) -> TrainingCost:
    """Decompose a recipe. Errors: `KnownError` when LoRA finds nothing to adapt in the model."""
    n_trainable = shape.n_params
    if recipe.is_adapter:
        n_trainable = n_lora_params(shape, recipe.lora_rank, recipe.targets)
        if not n_trainable:
            raise KnownError(
                "The model has none of these modules",
                value=",".join(recipe.targets),
                next_step="name others, or all-linear",
            )
    return _Counting(shape, recipe, n_trainable).cost()


@dataclass(frozen=True, slots=True)
class _Bytes:
    """Bytes for each trained weight: the weight, its gradient, the optimizer's states (from..to), the master copy."""

    weight: int
    gradient: int
    states: tuple[float, float]
    master: int


@dataclass(frozen=True, slots=True)
class _Counting:
    """One decomposition on its way."""

    shape: ModelShape
    recipe: Recipe
    n_trainable: int

    def cost(self) -> TrainingCost:
        each = self._bytes()
        lines = [
            *self._weights(each),
            *self._trained(each),
            *self._moving(),
            *self._buffers(each),
        ]
        low, high = sum(line.low for line in lines), sum(line.high for line in lines)
        lines.append(
            CostLine(
                Item.FRAGMENTATION, 0, round(FRAGMENTATION * high), f"0 to {FRAGMENTATION:.0%} of all the above",
                "PyTorch's caching allocator, in published runs",
            )
        )  # fmt: skip
        assert low <= high
        devices = [DeviceCost(Place.DEVICE, self.recipe.n_devices, tuple(line for line in lines if line.high))]
        in_ram = tuple(self._in_ram(each))
        if in_ram:
            devices.append(DeviceCost(Place.RAM, 1, in_ram))
        return TrainingCost(self.shape, self.recipe, self.n_trainable, tuple(devices), RuleOfThumb(self.shape.n_params))

    # ---- how much a weight takes

    def _bytes(self) -> _Bytes:
        recipe = self.recipe
        c = recipe.n_bytes
        gradient = 4 if recipe.master == "amp" else c
        master = 0 if recipe.master == "none" else 4
        state = 4 if master or recipe.optimizer_precision == "fp32" else c
        match recipe.optimizer:
            case "adamw":
                states = (2.0 * state, 2.0 * state)
            case "adamw_8bit":
                states = (2.0, 2 + 2 * EIGHT_BIT_SCALES)
            case "adafactor":
                factored = 4 * self._n_factored() / self.n_trainable
                states = (factored, factored)
            case "sgd_momentum":
                states = (float(state), float(state))
            case _:
                states = (0.0, 0.0)
        return _Bytes(c, gradient, states, master)

    def _n_factored(self) -> float:
        """Numbers that Adafactor keeps: a row and a column of each trained matrix, all of what is no matrix."""
        shape, recipe = self.shape, self.recipe
        if recipe.is_adapter:
            sums = [
                (each.n_in + 2 * recipe.lora_rank + each.n_out) * each.count for each in targeted(shape, recipe.targets)
            ]
            return min(self.n_trainable, sum(sums) * shape.n_layer)
        matrices = list(shape.matrices.values())
        in_blocks = sum((each.n_in + each.n_out) * each.count for each in matrices) * shape.n_layer
        tables = (shape.n_vocab + shape.n_embd) * (1 if shape.is_tied else 2)
        vectors = max(0.0, shape.n_blocks - sum(each.n_params for each in matrices) * shape.n_layer)
        return min(float(shape.n_params), in_blocks + tables + vectors)

    # ---- the parts on a device

    def _weights(self, each: _Bytes) -> Iterable[CostLine]:
        recipe, shape = self.recipe, self.shape
        if not recipe.is_adapter:
            yield self._kept(Item.WEIGHTS, each.weight * shape.n_params, f"{each.weight} B × {shape.n_params:,} parameters",
                             self._weight_shares(), moved=recipe.offload == "all")  # fmt: skip
            return
        low, high, how = self._frozen()
        yield self._kept(Item.WEIGHTS, low, how, self._weight_shares(), high=high, moved=recipe.offload == "all",
                         source="LoRA arXiv 2106.09685" if recipe.method == "lora" else "QLoRA arXiv 2305.14314; PEFT")  # fmt: skip
        yield self._kept(
            Item.ADAPTERS,
            each.weight * self.n_trainable,
            f"{each.weight} B × {self.n_trainable:,} adapter weights of rank {recipe.lora_rank}",
            self._weight_shares(),
            source="LoRA arXiv 2106.09685",
            moved=recipe.offload == "all",
        )

    def _frozen(self) -> tuple[float, float, str]:
        """The weights that LoRA leaves alone, all of them on one device: low, high, and how."""
        recipe, shape = self.recipe, self.shape
        c = recipe.n_bytes
        if recipe.method == "lora":
            return c * shape.n_params, c * shape.n_params, f"{c} B × {shape.n_params:,} frozen parameters"
        bits = NF4_DOUBLE_BITS if recipe.double_quant else NF4_BITS
        blocks = bits / 8 * shape.n_blocks
        # PEFT's prepare_model_for_kbit_training casts what is not quantized to fp32; others leave it.
        wide = f"{c}" if c == 4 else f"{c} to 4"
        how = f"{bits:g} bits × {shape.n_blocks:,} in blocks, {wide} B × {shape.n_embedding:,} of embeddings"
        return blocks + c * shape.n_embedding, blocks + 4 * shape.n_embedding, how

    def _trained(self, each: _Bytes) -> Iterable[CostLine]:
        recipe, n = self.recipe, self.n_trainable
        keeps_gradients = not (recipe.offload != "none" and self._shares(2) > 0 and recipe.sharding in _STAGE_2)
        of = f"{n:,} trained parameters"
        if recipe.steps_in_backward or not keeps_gradients:
            t = recipe.tensor_parallel
            unit = min(n, self.shape.largest_unit)
            matrix = min(n, self.shape.largest_matrix) if keeps_gradients else 0
            yield CostLine(
                Item.GRADIENTS,
                round(each.gradient * matrix / t),
                round(each.gradient * unit / t),
                f"{each.gradient} B × the largest matrix or layer, {matrix:,} to {unit:,}",
                "LOMO arXiv 2306.09782" if keeps_gradients else "ZeRO-Offload arXiv 2101.06840",
            )
        else:
            low, high = each.gradient, each.gradient + (4 if recipe.master == "copy" else 0)
            width = f"{low}" if low == high else f"{low} to {high}"
            why = " with an fp32 copy for the step" if low != high else ""
            yield self._kept(Item.GRADIENTS, low * n, f"{width} B{why} × {of}", self._shares(2), high=high * n,
                             source=_ZERO if low == high else f"{_ZERO}; DeepSpeed, fp32 gradients")  # fmt: skip
        moved = recipe.offload != "none"
        low_states, high_states = each.states
        states = f"{low_states:g}" if low_states == high_states else f"{low_states:g} to {high_states:g}"
        if recipe.optimizer == "adafactor":
            how = f"4 B × {self._n_factored():,.0f} rows and columns"
        else:
            how = f"{states} B × {of}"
        yield self._kept(Item.OPTIMIZER, low_states * n, how, self._shares(1), high=high_states * n, moved=moved,
                         source=_OPTIMIZERS[recipe.optimizer])  # fmt: skip
        yield self._kept(Item.MASTER, each.master * n, f"{each.master} B, fp32, × {of}", self._shares(1), moved=moved)

    def _moving(self) -> Iterable[CostLine]:
        for item, span in (
            (Item.ACTIVATIONS, activation_span(self.shape, self.recipe)),
            (Item.LOGITS, logit_span(self.shape, self.recipe)),
        ):
            yield CostLine(item, round(span.low), round(span.high), span.how, _ACTIVATIONS)

    def _buffers(self, each: _Bytes) -> Iterable[CostLine]:
        recipe, shape = self.recipe, self.shape
        c, t = recipe.n_bytes, recipe.tensor_parallel
        if recipe.sharding in _STAGE_3 and (recipe.data_parallel > 1 or recipe.offload == "all"):
            unit = shape.largest_unit / t
            how = f"{c} to {2 * c} B × the largest layer or table, {unit:,.0f} parameters"
            yield CostLine(
                Item.GATHERED, round(c * unit), round(2 * c * unit), how, "DeepSpeed, estimate_zero3: 4 × Lmax"
            )
        if recipe.sharding == "ddp" and recipe.data_parallel > 1:
            copy = round(each.gradient * self.n_trainable / t)
            yield CostLine(
                Item.BUCKETS, 0, copy, "none, or one more copy of the gradients (gradient_as_bucket_view)",
                "torch.nn.parallel.DistributedDataParallel",
            )  # fmt: skip
        if recipe.method == "qlora":
            size = c * shape.largest_matrix / t
            how = f"{c} to {2 * c} B × {shape.largest_matrix:,}: the largest matrix, unpacked to be multiplied"
            yield CostLine(Item.DEQUANTIZED, round(size), round(2 * size), how, "bitsandbytes, MatMul4Bit")
        low, high = CONTEXT
        how = "0.3 to 1 GB: the framework itself, on a GPU CUDA's context"
        if recipe.n_devices > 1:
            low, high = low + COLLECTIVES[0], high + COLLECTIVES[1]
            how += ", 0.2 to 1 GB for exchange between devices"
        yield CostLine(Item.CONTEXT, low, high, how, "published runs; NCCL")

    # ---- the parts in RAM

    def _in_ram(self, each: _Bytes) -> Iterable[CostLine]:
        recipe, n = self.recipe, self.n_trainable
        if recipe.offload == "none":
            return
        offloads_gradients = recipe.sharding in _STAGE_2 and not recipe.steps_in_backward
        of = f"{n:,} trained parameters"
        moved: list[tuple[Item, float, float, int, str]] = []
        if recipe.offload == "all":
            low, high, how = self._frozen() if recipe.is_adapter else (0.0, 0.0, "")
            how = f"{how}, {each.weight} B × {of}" if how else f"{each.weight} B × {of}"
            moved.append((Item.WEIGHTS, low + each.weight * n, high + each.weight * n, self._weight_shares(), how))
        if offloads_gradients:
            g, wide = each.gradient, each.gradient + (4 if recipe.master == "copy" else 0)
            width = f"{g}" if g == wide else f"{g} to {wide}"
            moved.append((Item.GRADIENTS, g * n, wide * n, self._shares(2), f"{width} B × {of}"))
        least_states, most_states = each.states
        how = f"{least_states:.3g} B × {of}"
        moved.append((Item.OPTIMIZER, least_states * n, most_states * n, self._shares(1), how))
        moved.append((Item.MASTER, each.master * n, each.master * n, self._shares(1), f"{each.master} B × {of}"))
        for item, least, most, shares, how in moved:
            copies = recipe.data_parallel // shares
            if most:
                times = f" × {copies} copies" if copies > 1 else ""
                yield CostLine(
                    item,
                    round(least * copies),
                    round(most * copies * RAM_SLACK),
                    f"{how}{times}, 1 to {RAM_SLACK:g} times",
                    "DeepSpeed, estimate_zero3: buffer factor 1.5",
                )

    # ---- shares

    def _shares(self, stage: int) -> int:
        """Over how many data-parallel devices something is spread that ZeRO divides from this stage on."""
        return self.recipe.data_parallel if self.recipe.sharding in _STAGES[stage] else 1

    def _weight_shares(self) -> int:
        return self._shares(3)

    def _kept(
        self,
        item: Item,
        low: float,
        how: str,
        shares: int,
        *,
        high: float | None = None,
        moved: bool = False,
        source: str = _ZERO,
    ) -> CostLine:
        """A static part: divided by its shares, and by tensor parallel; nothing when it is kept in RAM."""
        parts = shares * self.recipe.tensor_parallel
        text = how + (f" ÷ {parts} devices" if parts > 1 else "")
        factor = 0 if moved else 1
        top = low if high is None else high
        return CostLine(item, math.ceil(low / parts) * factor, math.ceil(top / parts) * factor, text, source)


_STAGE_3 = ("zero3", "fsdp")
_STAGE_2 = ("zero2", *_STAGE_3)
_STAGES = {1: ("zero1", *_STAGE_2), 2: _STAGE_2, 3: _STAGE_3}
_OPTIMIZERS = {
    "adamw": "Adam arXiv 1412.6980",
    "adamw_8bit": "8-bit optimizers arXiv 2110.02861",
    "adafactor": "Adafactor arXiv 1804.04235",
    "sgd": "no state",
    "sgd_momentum": "one velocity a weight",
}

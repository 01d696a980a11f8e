"""The decomposition against figures worked out by hand and printed in papers, and what must always hold of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import KnownError
from engine.base.fields import FieldError, Value
from engine.memory.training.activations import activation_span, layer_bytes_per_token
from engine.memory.training.cost import Item, Place, TrainingCost, TrainPart, training_cost
from engine.memory.training.recipe import RECIPE, recipe_of
from engine.memory.training.shape import ModelShape, n_lora_params, shape_of_values

LLAMA_8B = shape_of_values(
    {"n_params": 0, "n_layer": 32, "n_embd": 4096, "n_head": 32, "n_head_kv": 8, "n_ff": 14_336, "n_vocab": 128_256},
    "Llama-3.1-8B",
)
GPT3 = shape_of_values(
    {"n_params": 175_000_000_000, "n_layer": 96, "n_embd": 12_288, "n_head": 96, "n_ff": 49_152, "n_vocab": 51_200,
     "gated_mlp": False},
    "GPT-3",
)  # fmt: skip
STATIC = (TrainPart.WEIGHTS, TrainPart.GRADIENTS, TrainPart.OPTIMIZER, TrainPart.MASTER)


def cost(shape: ModelShape = LLAMA_8B, **values: Value) -> TrainingCost:
    return training_cost(shape, recipe_of(values))


def static(found: TrainingCost) -> int:
    """The low end of what is kept for the weights, on one device."""
    return sum((found.device.span_of(part) or (0, 0))[0] for part in STATIC)


def line(found: TrainingCost, item: Item) -> tuple[int, int]:
    return next((each.low, each.high) for each in found.device.lines if each.item is item)


def test_llama_8b_is_counted_to_the_parameter() -> None:
    assert LLAMA_8B.n_params == 8_030_261_248  # its own model card


@pytest.mark.parametrize(
    ("values", "bytes_each"),
    [
        ({"precision": "fp32"}, 16),
        ({"precision": "bf16"}, 16),
        ({"precision": "fp16"}, 16),
        ({"master_weights": "amp"}, 18),
        ({"master_weights": "none", "optimizer_precision": "fp32"}, 12),
        ({"master_weights": "none"}, 8),
        ({"master_weights": "none", "optimizer": "adamw_8bit"}, 6),
        ({"optimizer": "adamw_8bit"}, 10),
        ({"precision": "fp32", "optimizer": "sgd"}, 8),
        ({"precision": "fp32", "optimizer": "sgd_momentum"}, 12),
    ],
)
def test_each_recipe_takes_its_bytes_for_each_parameter(values: dict[str, Value], bytes_each: int) -> None:
    assert static(cost(**values)) == bytes_each * LLAMA_8B.n_params


@pytest.mark.parametrize(
    ("sharding", "gigabytes"), [("ddp", 120.0), ("zero1", 31.4), ("zero2", 16.6), ("zero3", 1.88), ("fsdp", 1.88)]
)
def test_zero_divides_as_in_its_paper(sharding: str, gigabytes: float) -> None:
    """Table 1 of the paper: 7.5 billion parameters on 64 devices."""
    shape = shape_of_values({"n_params": 7_500_000_000})
    assert static(cost(shape, n_devices=64, sharding=sharding)) / 1e9 == pytest.approx(gigabytes, abs=0.05)


@pytest.mark.parametrize(
    ("values", "gigabytes"),
    [
        ({"recompute_granularity": "none", "attn_implementation": "eager"}, 275.4),
        ({"recompute_granularity": "selective", "attn_implementation": "flash"}, 82.1),
    ],
)
def test_activations_of_gpt_3_are_those_of_the_paper(values: dict[str, Value], gigabytes: float) -> None:
    """s·b·h·L·(34 + 5·a·s/h) with s = 2048, b = 1, as Korthikanti et al. count them, dropout included."""
    assert activation_span(GPT3, recipe_of(values)).high / 1e9 == pytest.approx(gigabytes, abs=0.1)


def test_full_recomputation_keeps_the_input_of_each_layer_and_one_layer() -> None:
    span = activation_span(GPT3, recipe_of({"recompute_granularity": "full"}))
    inputs, one_layer = 2 * 2048 * 12_288 * 96, 34 * 2048 * 12_288
    assert inputs / 1e9 == pytest.approx(4.8, abs=0.05)
    assert span.high == inputs + one_layer


@pytest.mark.parametrize("t", [2, 8])
def test_tensor_parallel_splits_24_of_34_and_sequence_parallel_all(t: int) -> None:
    values = {"n_devices": t, "tensor_parallel": t}
    per_width = layer_bytes_per_token(GPT3, recipe_of(values))[1] / GPT3.n_embd
    assert per_width == pytest.approx(10 + 24 / t)
    both = layer_bytes_per_token(GPT3, recipe_of({**values, "sequence_parallel": True}))[1] / GPT3.n_embd
    assert both == pytest.approx(34 / t)


def test_a_modern_block_keeps_41_bytes_a_token_and_width() -> None:
    """12 + 4·8/32 + 8·14336/4096, and 16 where the norms upcast."""
    assert layer_bytes_per_token(LLAMA_8B, recipe_of({}))[1] / 4096 == pytest.approx(41 + 16)


def test_adapters_are_rank_times_in_plus_out() -> None:
    assert n_lora_params(LLAMA_8B, 16, ("q", "k", "v", "o", "gate", "up", "down")) == 41_943_040  # PEFT prints this
    assert n_lora_params(LLAMA_8B, 8, ("q", "v")) == 8 * 32 * ((4096 + 4096) + (4096 + 1024))
    assert n_lora_params(LLAMA_8B, 8, ("qkv",)) == 8 * 32 * (4096 + 4096 + 2 * 1024)


def test_lora_freezes_the_weights_and_trains_the_adapters() -> None:
    found = cost(finetuning_type="lora")
    assert line(found, Item.WEIGHTS) == (2 * 8_030_261_248, 2 * 8_030_261_248)
    assert line(found, Item.OPTIMIZER)[0] == 8 * 41_943_040
    assert static(found) == 2 * 8_030_261_248 + 16 * 41_943_040


def test_qlora_keeps_blocks_in_four_bits_and_embeddings_as_they_are() -> None:
    low, high = line(cost(finetuning_type="qlora"), Item.WEIGHTS)
    in_blocks, tables = 8_030_261_248 - 2 * 128_256 * 4096, 2 * 128_256 * 4096
    assert low == pytest.approx(4.127 / 8 * in_blocks + 2 * tables, abs=1)
    assert low / 2**30 == pytest.approx(5.31, abs=0.01)  # torchtune's NF4 model
    assert high - low == pytest.approx(2 * tables, abs=1)  # cast to fp32 by PEFT
    plain = line(cost(finetuning_type="qlora", bnb_4bit_use_double_quant=False), Item.WEIGHTS)[0]
    assert plain - low == pytest.approx((4.5 - 4.127) / 8 * in_blocks, abs=1)


def test_adafactor_keeps_a_row_and_a_column_of_each_matrix() -> None:
    shape = shape_of_values(
        {"n_params": 0, "n_layer": 1, "n_embd": 8, "n_head": 1, "n_ff": 32, "n_vocab": 100, "tie_word_embeddings": True}
    )
    rows_and_columns = 4 * (8 + 8) + 3 * (8 + 32) + (100 + 8)
    vectors = 3 * 8  # two norms of the block and the last one
    assert line(cost(shape, optimizer="adafactor"), Item.OPTIMIZER)[0] == 4 * (rows_and_columns + vectors)


def test_logits_are_counted_for_every_place_and_word() -> None:
    found = cost(micro_batch_size=2, seq_length=100)
    assert line(found, Item.LOGITS) == (4 * 200 * 128_256, 12 * 200 * 128_256)
    assert line(cost(micro_batch_size=2, seq_length=100, chunked_loss=True), Item.LOGITS)[0] == 200 * 128_256 // 2


def test_deepspeeds_estimator_is_met_where_weights_are_offloaded() -> None:
    """t5-small, 60.5M parameters, largest layer 16M: 0.06 GiB on the device, 1.52 GiB of RAM at most."""
    shape = replace(LLAMA_8B, n_params=60_506_624, n_layer=12, n_embd=512, n_vocab=32_128, is_tied=True, n_ff=2048.0)
    found = cost(shape, sharding="zero3", offload="all", n_devices=1)
    gathered = line(found, Item.GATHERED)
    assert gathered[1] == 4 * 32_128 * 512
    assert gathered[1] / 2**30 == pytest.approx(0.06, abs=0.005)
    ram = found.devices[1]
    assert ram.place is Place.RAM
    assert ram.low == 16 * shape.n_params
    assert static(found) == 0
    assert ram.high >= 18 * shape.n_params * 1.5


def test_offloaded_states_are_in_ram_once_for_all_devices() -> None:
    found = cost(n_devices=4, sharding="zero2", offload="optimizer")
    ram = found.devices[1]
    assert ram.span_of(TrainPart.OPTIMIZER)[0] == pytest.approx(8 * LLAMA_8B.n_params, rel=1e-9)
    assert ram.span_of(TrainPart.WEIGHTS) is None
    assert found.device.span_of(TrainPart.WEIGHTS)[0] == 2 * LLAMA_8B.n_params
    assert found.device.span_of(TrainPart.OPTIMIZER) is None


def test_the_rule_of_thumb_is_24_bytes_a_parameter_whatever_the_recipe() -> None:
    assert cost().rule.total_bytes == cost(finetuning_type="qlora").rule.total_bytes == 24 * LLAMA_8B.n_params
    assert cost().rule.weights_bytes == 4 * LLAMA_8B.n_params


def test_every_line_says_how_it_comes_about_and_where_from() -> None:
    for method in ("full", "lora", "qlora"):
        found = cost(finetuning_type=method, n_devices=2, sharding="zero3", offload="all")
        assert all(each.how and each.source for device in found.devices for each in device.lines)


def test_what_no_program_does_is_refused_with_the_way_out() -> None:
    with pytest.raises(KnownError, match="multiple of tensor parallel"):
        recipe_of({"n_devices": 6, "tensor_parallel": 4})
    with pytest.raises(KnownError, match="zero3 or fsdp"):
        recipe_of({"offload": "all"})
    with pytest.raises(FieldError, match="commas between"):
        recipe_of({"lora_target": "q,w"})
    with pytest.raises(KnownError, match="none of these modules"):
        cost(GPT3, finetuning_type="lora", lora_target="gate")


_CHOICES = {each.key: st.sampled_from(each.choices) for each in RECIPE if each.choices}
_RECIPES = st.fixed_dictionaries(
    {
        **_CHOICES,
        "micro_batch_size": st.integers(1, 32),
        "seq_length": st.integers(1, 8192),
        "lora_rank": st.integers(1, 128),
        "n_devices": st.sampled_from((1, 2, 4, 8, 64)),
        "optimizer_in_backward": st.booleans(),
        "chunked_loss": st.booleans(),
        "sequence_parallel": st.booleans(),
    }
).filter(lambda values: values["offload"] != "all" or values["sharding"] in ("zero3", "fsdp"))


@given(_RECIPES)
def test_every_cost_is_a_range_whose_parts_sum_to_it(values: dict[str, Value]) -> None:
    found = cost(**values)
    for device in found.devices:
        assert all(0 <= each.low <= each.high for each in device.lines)
        spans = [span for part in TrainPart if (span := device.span_of(part)) is not None]
        assert (device.low, device.high) == (sum(each[0] for each in spans), sum(each[1] for each in spans))


@given(_RECIPES, st.sampled_from(("micro_batch_size", "seq_length", "lora_rank")))
def test_more_of_anything_never_takes_less(values: dict[str, Value], key: str) -> None:
    less, more = cost(**values), cost(**{**values, key: int(str(values[key])) * 2})
    assert (less.device.low, less.device.high) <= (more.device.low, more.device.high)
    assert less.device.high <= more.device.high


@given(_RECIPES)
def test_more_devices_never_take_more_on_each_once_there_are_two(values: dict[str, Value]) -> None:
    two, four = cost(**{**values, "n_devices": 2}), cost(**{**values, "n_devices": 4})
    assert four.device.low <= two.device.low
    assert four.device.high <= two.device.high


@given(_RECIPES)
def test_recomputing_more_never_keeps_more(values: dict[str, Value]) -> None:
    order = [
        activation_span(LLAMA_8B, recipe_of({**values, "recompute_granularity": each}))
        for each in ("none", "selective", "full")
    ]
    assert order[0].low >= order[1].low >= order[2].low
    assert order[0].high >= order[1].high >= order[2].high


@given(_RECIPES)
def test_each_stage_of_sharding_takes_no_more_of_the_static_parts(values: dict[str, Value]) -> None:
    plain = {**values, "offload": "none"}
    sizes = [static(cost(**{**plain, "sharding": each})) for each in ("ddp", "zero1", "zero2", "zero3")]
    assert sizes == sorted(sizes, reverse=True)

"""What the formula promises whatever the numbers: published sizes, sums, and how memory grows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.errors import KnownError
from engine.base.fields import Value
from engine.gguf.header import Header, TensorInfo
from engine.gguf.reader import read_header
from engine.gguf.types import TensorType, tensor_bytes
from engine.memory.formula.architecture import FormulaUnknown, architecture_of
from engine.memory.formula.compute_buffer import LEAST_OFFLOADED
from engine.memory.formula.context import context_of
from engine.memory.formula.kv_cache import layer_cache_bytes
from engine.memory.formula.placement import CPU, Machine, Placement, machine_of, place, repacked_types
from engine.memory.formula.prediction import Formula
from engine.memory.formula.recurrent_state import layer_state_bytes
from engine.memory.ledger import Part, ledger_of
from engine.wire.load_options import KV_TYPES, LOAD_OPTIONS
from engine.wire.messages import DeviceInfo, DeviceKind, MemoryUse
from tests.support.architectures import PUBLISHED

MIB, GIB = 2**20, 2**30
NO_GPU = Machine((), repacked_types(["avx2"]))


def published(name: str, *tensors: TensorInfo, **metadata: object) -> Header:
    """A published model's header: its metadata, changed where a test wants it."""
    model = PUBLISHED[name]
    arch = model.architecture
    found: dict[str, object] = {"general.architecture": arch, f"{arch}.context_length": 131_072}
    for key, value in {**model.metadata, **metadata}.items():
        found[f"{arch}.{key}"] = tuple(value) if isinstance(value, list) else value
    return Header(3, 32, MappingProxyType(found), tensors, 0, 0)  # type: ignore[arg-type]


def tensor(name: str, *shape: int, kind: TensorType = TensorType.F16) -> TensorInfo:
    return TensorInfo(name, shape, kind, 0, tensor_bytes(kind, shape))


def one_after_another(tensors: Iterable[TensorInfo]) -> list[TensorInfo]:
    """The tensors as a file has them."""
    found: list[TensorInfo] = []
    end = 0
    for each in tensors:
        found.append(replace(each, offset=end))
        end += -(-each.size_bytes // 32) * 32
    return found


def cache(header: Header, n_seq_max: int = 1, kv_unified: bool = False, **options: Value) -> int:
    """Keys, values and states of all layers, bytes."""
    architecture = architecture_of(header)
    context = context_of(
        architecture, LOAD_OPTIONS.checked({**options, "n_seq_max": n_seq_max, "kv_unified": kv_unified})
    )
    states = layer_state_bytes(architecture.state, n_seq_max) * sum(architecture.is_recurrent)
    return states + sum(layer_cache_bytes(architecture, context, each) for each in range(architecture.n_layer_all))


@pytest.mark.parametrize(
    ("name", "options", "mib"),
    [
        ("Llama-3.1-8B", {}, 1024),
        ("Llama-3.1-8B", {"type_k": "q8_0", "type_v": "q8_0"}, 544),
        ("Llama-3.1-8B", {"type_k": "q4_0", "type_v": "q4_0"}, 288),
        ("Llama-3.1-8B", {"n_ctx": 131_072}, 16384),
        ("gpt-oss-20b", {"swa_full": True}, 384),
        ("gpt-oss-20b", {}, 210),
        ("Gemma-3-27B", {"swa_full": True}, 3968),
        ("Gemma-3-27B", {}, 1264),
        ("DeepSeek-V2-Lite", {}, 243),
        ("DeepSeek-V3", {"n_ctx": 32_768}, 2196),
        ("Gemma-3n-E4B", {"swa_full": True}, 320),
        ("Gemma-3n-E4B", {}, 96),
        ("Qwen3-Next-80B", {}, 192 + 75.375),
        ("LFM2-1.2B", {}, 96 + 0.15625),
        ("Mamba-2.8B", {}, 23.75),
        ("RWKV-7-2.9B", {}, 20.625),
    ],
)
def test_caches_of_published_models_have_their_published_size(name: str, options: dict[str, Value], mib: float) -> None:
    assert cache(published(name), **{"n_ctx": 8192, **options}) == mib * MIB


def test_a_deepseek_without_the_compressed_row_takes_seventy_times_the_cache() -> None:
    old = published("DeepSeek-V3", **{"attention.key_length_mla": 0, "attention.value_length_mla": 0})
    plain = {"attention.head_count_kv": 128, "attention.key_length": 192, "attention.value_length": 128}
    old = published("DeepSeek-V3", **plain, **{"attention.key_length_mla": 0, "attention.value_length_mla": 0})
    assert cache(old, n_ctx=8192) / 8192 == 4_997_120
    assert cache(published("DeepSeek-V3"), n_ctx=8192) / 8192 == 70_272


@pytest.mark.parametrize(
    ("n_seq_max", "kv_unified", "n_ctx", "size"),
    [(3, False, 1000, 35_389_440), (1, False, 1000, 23_592_960), (3, True, 1000, 23_592_960)],
)
def test_sequences_each_have_their_own_padded_cache_or_share_one(
    smollm2: Path, n_seq_max: int, kv_unified: bool, n_ctx: int, size: int
) -> None:
    assert cache(read_header(smollm2), n_seq_max, kv_unified, n_ctx=n_ctx) == size


@pytest.mark.parametrize(("kv_unified", "size"), [(False, 75_497_472), (True, 51_904_512)])
def test_a_window_is_as_wide_as_all_sequences_that_share_it(gemma3: Path, kv_unified: bool, size: int) -> None:
    assert cache(read_header(gemma3), 4, kv_unified, n_ctx=4096, swa_full=False) == size


def test_states_are_there_for_every_sequence_and_not_for_every_token() -> None:
    next_80b, mamba = published("Qwen3-Next-80B"), published("Mamba-2.8B")
    assert cache(next_80b, 4, n_ctx=8192 * 4) - cache(next_80b, 1, n_ctx=8192 * 4) == 3 * 75.375 * MIB
    assert cache(mamba, 4) == 95 * MIB
    assert cache(mamba, n_ctx=131_072) == cache(mamba, n_ctx=256)


def test_values_of_unlike_width_are_all_as_wide_as_the_widest_without_flash_attention() -> None:
    header = published("Llama-3.1-8B", **{"attention.head_count_kv": [8] * 16 + [2] * 16})
    width, cells = 128 * 2, 4096
    assert cache(header, flash_attn="on") == cells * width * 2 * (8 + 2) * 16
    assert cache(header, flash_attn="off") == cells * width * ((8 + 2) * 16 + 8 * 32)


def test_layers_that_guess_further_tokens_take_neither_cache_nor_weights() -> None:
    own, further = tensor("blk.45.attn_q.weight", 64, 64), tensor("blk.46.attn_q.weight", 64, 64)
    with_both = Formula([published("GLM-4.5-Air", own, further)])
    use = with_both.predict(LOAD_OPTIONS.defaults(), NO_GPU).use
    assert sum(each.model_bytes for each in use.buffers) == own.size_bytes
    per_layer = 4096 * 2 * 8 * 128 * 2
    assert sum(each.context_bytes for each in use.buffers) == 46 * per_layer


@pytest.mark.parametrize("name", ["deepseek4", "glm-dsa", "t5", ""])
def test_what_it_does_not_know_it_refuses(name: str) -> None:
    header = published("Llama-3.1-8B")
    with pytest.raises(FormulaUnknown, match="does not know"):
        Formula([replace(header, metadata=MappingProxyType({**header.metadata, "general.architecture": name}))])


def test_a_number_that_is_missing_is_named() -> None:
    header = published("Llama-3.1-8B")
    metadata = {key: value for key, value in header.metadata.items() if not key.endswith("block_count")}
    with pytest.raises(FormulaUnknown, match=r"llama\.block_count"):
        Formula([replace(header, metadata=MappingProxyType(metadata))])


CARDS = (
    DeviceInfo("CUDA0", "a card", DeviceKind.GPU, 24 * GIB, 20 * GIB),
    DeviceInfo("CUDA1", "a card", DeviceKind.GPU, 24 * GIB, 10 * GIB),
)


def placed(n_gpu_layers: int, devices: Sequence[DeviceInfo], **options: Value) -> Placement:
    return place(32, LOAD_OPTIONS.checked({**options, "n_gpu_layers": n_gpu_layers}), devices)


def test_the_output_layer_goes_to_the_gpu_first_then_the_last_layers() -> None:
    assert placed(0, CARDS[:1]).accelerators == ()
    one = placed(1, CARDS[:1])
    assert (one.output, set(one.layers)) == ("CUDA0", {CPU})
    some = placed(5, CARDS[:1])
    assert [at for at, each in enumerate(some.layers) if each == "CUDA0"] == [28, 29, 30, 31]
    assert placed(-1, CARDS[:1]) == placed(99, CARDS[:1])
    assert set(placed(-1, CARDS[:1]).layers) == {"CUDA0"}


def test_two_gpus_share_the_layers_as_they_share_the_free_memory() -> None:
    split = placed(-1, CARDS)
    assert [split.layers.count(each.name) for each in CARDS] == [22, 10]
    assert split.output == "CUDA1"


def test_shares_that_are_given_take_the_place_of_what_is_free() -> None:
    split = placed(-1, CARDS, tensor_split="1,2")
    assert [split.layers.count(each.name) for each in CARDS] == [11, 21]
    assert set(placed(-1, CARDS, tensor_split="0,1").layers) == {"CUDA1"}
    assert set(placed(-1, CARDS, tensor_split="1").layers) == {"CUDA0"}
    assert placed(-1, CARDS[:1], tensor_split="0,1") == placed(-1, CARDS[:1])


def test_nothing_is_split_where_one_device_takes_everything() -> None:
    assert placed(-1, CARDS, split_mode="none", main_gpu=1).accelerators == ("CUDA1",)
    with pytest.raises(KnownError, match="no such device"):
        placed(-1, CARDS, split_mode="none", main_gpu=2)
    with pytest.raises(FormulaUnknown, match="rows"):
        placed(-1, CARDS, split_mode="row")


def test_tensors_placed_by_name_leave_their_layer() -> None:
    names = [f"blk.{layer}.{kind}" for layer in range(32) for kind in ("attn_q.weight", "ffn_up_exps.weight")]
    header = published("Llama-3.1-8B", *one_after_another(tensor(each, 64, 32) for each in names))
    one = header.tensors[0].size_bytes
    machine = machine_of(CARDS, ["avx2"])

    def by_buffer(**options: Value) -> dict[str, int]:
        use = Formula([header]).predict(LOAD_OPTIONS.checked(options), machine).use
        return {each.buffer: each.model_bytes // one for each in use.buffers if each.model_bytes}

    assert by_buffer() == {"CUDA0": 44, "CUDA1": 20}
    assert by_buffer(n_cpu_moe=3) == {"CPU": 3, "CUDA0": 41, "CUDA1": 20}
    assert by_buffer(n_cpu_moe=512) == {"CPU": 32, "CUDA0": 22, "CUDA1": 10}
    by_name = (r"blk\.0\.=CUDA1", r"attn_q=CPU")
    assert by_buffer(override_tensor=by_name) == {"CPU": 31, "CUDA0": 21, "CUDA1": 12}
    with pytest.raises(KnownError, match="CUDA2"):
        by_buffer(override_tensor=("attn_q=CUDA2",))
    with pytest.raises(KnownError, match="regular expression"):
        by_buffer(override_tensor=(r"(?P<a>x)=CPU",))


def test_a_tied_embedding_is_held_twice_where_the_output_is_on_a_gpu() -> None:
    embedding = tensor("token_embd.weight", 4096, 1024)
    formula = Formula([published("Llama-3.1-8B", embedding, tensor("output_norm.weight", 4096, kind=TensorType.F32))])
    machine = machine_of(CARDS[:1], ["avx2"])
    by_layers = {
        n: {
            each.buffer: each.model_bytes
            for each in formula.predict({**LOAD_OPTIONS.defaults(), "n_gpu_layers": n}, machine).use.buffers
        }
        for n in (0, 1)
    }
    assert by_layers[0][CPU] == embedding.size_bytes + 4 * 4096
    assert by_layers[1][CPU] == embedding.size_bytes
    assert by_layers[1]["CUDA0"] == embedding.size_bytes + 4 * 4096


def test_cuda_pads_a_quantized_row_and_everything_else_to_its_alignment() -> None:
    odd = tensor("blk.31.attn_q.weight", 576, 8, kind=TensorType.Q4_0)
    formula = Formula([published("Llama-3.1-8B", odd)])
    use = formula.predict(LOAD_OPTIONS.defaults(), machine_of(CARDS[:1], ())).use
    # 576 = 512 + 64: the last row grows by 448 elements, 14 blocks of 18 bytes; then to 128 bytes.
    assert (
        next(each.model_bytes for each in use.buffers if each.buffer == "CUDA0")
        == -(-(odd.size_bytes + 14 * 18) // 128) * 128
    )


def test_weights_that_are_rearranged_stay_in_the_mapped_file_between_others() -> None:
    embedding, output = tensor("token_embd.weight", 512, 64), tensor("output.weight", 512, 64)
    quantized = tensor("blk.0.ffn_up.weight", 512, 64, kind=TensorType.Q4_0)

    def predicted(*order: TensorInfo, **options: Value) -> MemoryUse:
        formula = Formula([published("Llama-3.1-8B", *one_after_another(order))])
        return formula.predict({**LOAD_OPTIONS.defaults(), **options}, NO_GPU).use

    between = predicted(embedding, quantized, output)
    assert {each.buffer: each.model_bytes for each in between.buffers} == {
        CPU: embedding.size_bytes + output.size_bytes,
        "CPU_REPACK": quantized.size_bytes,
    }
    assert between.mapped_bytes == quantized.size_bytes
    assert predicted(embedding, quantized, output, mmap=False).mapped_bytes == 0
    assert predicted(embedding, quantized, output, use_extra_bufts=False).mapped_bytes == 0
    assert predicted(embedding, output, quantized).mapped_bytes == 0  # the file's end is let go


def test_each_part_of_a_split_model_is_mapped_by_itself() -> None:
    size = tensor("token_embd.weight", 512, 64).size_bytes
    files = [
        one_after_another(tensor(name, 512, 64) for name in names)
        for names in (
            ("token_embd.weight", "blk.0.attn_q.weight", "blk.31.attn_q.weight"),
            ("blk.31.attn_k.weight", "blk.0.attn_k.weight", "blk.31.attn_v.weight", "blk.0.attn_v.weight"),
        )
    ]
    formula = Formula([published("Llama-3.1-8B", *each) for each in files])
    # On the card are the output and layers 1 to 31: of layer 31, one tensor lies between two of layer 0.
    use = formula.predict({**LOAD_OPTIONS.defaults(), "n_gpu_layers": 32}, machine_of(CARDS[:1], ())).use
    assert use.mapped_bytes == size


def total(use: MemoryUse) -> int:
    return sum(each.model_bytes + each.context_bytes + each.compute_bytes for each in use.buffers)


OPTION_SETS = st.fixed_dictionaries(
    {
        "type_k": st.sampled_from(KV_TYPES),
        "n_gpu_layers": st.integers(-1, 70),
        "n_ubatch": st.integers(1, 2048),
        "n_batch": st.integers(1, 2048),
        "n_outputs_max": st.integers(1, 64),
        "swa_full": st.booleans(),
        "offload_kqv": st.booleans(),
        "op_offload": st.booleans(),
        "mmap": st.booleans(),
    }
).map(lambda found: {**LOAD_OPTIONS.defaults(), **found, "type_v": found["type_k"]})
MODELS = st.sampled_from(sorted(PUBLISHED))
MACHINES = st.sampled_from([NO_GPU, machine_of(CARDS[:1], ["avx2"]), machine_of(CARDS, ["avx2"])])
WEIGHTS = (
    tensor("token_embd.weight", 1024, 512, kind=TensorType.Q6_K),
    *(tensor(f"blk.{at}.ffn_up.weight", 1024, 256, kind=TensorType.Q4_K) for at in range(8)),
)


@given(name=MODELS, options=OPTION_SETS, machine=MACHINES, n_ctx=st.integers(1, 200_000), more=st.integers(1, 100_000))
@settings(max_examples=150, deadline=None)
def test_more_context_never_takes_less(
    name: str, options: Mapping[str, Value], machine: Machine, n_ctx: int, more: int
) -> None:
    formula = Formula([published(name, *WEIGHTS)])
    shorter = formula.predict({**options, "n_ctx": n_ctx}, machine).use
    longer = formula.predict({**options, "n_ctx": n_ctx + more}, machine).use
    lower = {each.buffer: each for each in shorter.buffers}
    if n_ctx >= LEAST_OFFLOADED or not machine.devices:  # from there on the processor leaves large batches to a GPU
        assert total(longer) >= total(shorter)
    assert lower.keys() <= {each.buffer for each in longer.buffers}
    for each in longer.buffers:
        if each.buffer not in lower:  # a GPU that has no layer
            assert (each.model_bytes, each.context_bytes) == (0, 0)
            continue
        assert each.context_bytes >= lower[each.buffer].context_bytes
        assert each.model_bytes == lower[each.buffer].model_bytes


@given(name=MODELS, n_ctx=st.integers(1, 200_000), swa_full=st.booleans())
@settings(max_examples=60, deadline=None)
def test_half_the_bits_are_half_the_cache(name: str, n_ctx: int, swa_full: bool) -> None:
    header = published(name)
    states = layer_state_bytes(architecture_of(header).state, 1) * sum(architecture_of(header).is_recurrent)
    sizes = {
        kind: cache(header, n_ctx=n_ctx, swa_full=swa_full, type_k=kind, type_v=kind) - states
        for kind in ("f32", "f16", "q8_0", "q4_0")
    }
    assert sizes["f32"] == 2 * sizes["f16"]
    assert sizes["q8_0"] * 32 == sizes["f16"] // 2 * 34
    assert sizes["q4_0"] * 32 == sizes["f16"] // 2 * 18


@given(name=MODELS, options=OPTION_SETS, machine=MACHINES)
@settings(max_examples=100, deadline=None)
def test_every_byte_of_the_formula_stands_once_in_the_ledger(
    name: str, options: Mapping[str, Value], machine: Machine
) -> None:
    use = Formula([published(name, *WEIGHTS)]).predict(options, machine).use
    ledger = ledger_of(use, machine.devices, ram_total_bytes=None, ram_free_bytes=None)
    beside = use.output_bytes + use.mapped_bytes + use.base_rss_bytes + (use.vocab_bytes or 0) + use.work_bytes
    assert ledger.sum_bytes == total(use) + beside
    alone = sum(each.size_bytes for each in WEIGHTS)
    assert alone <= sum(each.model_bytes for each in use.buffers) <= 2 * alone
    assert ledger.size_of(Part.OUTPUT) == use.output_bytes


VALUES = st.one_of(
    st.integers(0, 64),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(-5, 600), min_size=1, max_size=70),
    st.text(max_size=3),
)


@given(
    name=MODELS,
    key=st.sampled_from(sorted({each for model in PUBLISHED.values() for each in model.metadata})),
    value=VALUES,
    options=OPTION_SETS,
)
@settings(max_examples=400, deadline=None)
def test_a_header_that_lies_is_answered_or_refused(
    name: str, key: str, value: object, options: Mapping[str, Value]
) -> None:
    header = published(name, *WEIGHTS, **{key: value})
    found: int | str
    try:
        found = total(Formula([header]).predict(options, machine_of(CARDS, ["avx2"])).use)
    except KnownError as error:
        found = error.trouble.next_step
    assert found != ""

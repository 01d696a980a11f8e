"""Formula and dry run against what llama.cpp allocated: recorded figures, so that neither can drift with the other.

Recorded from the engine's dry runs with llama-cpp-python 0.3.36 (llama.cpp 0c1e57098) on a processor with AVX2; that a real
load takes the same is tested elsewhere. What other programs' logs printed stands below, each with its source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from engine.base.fields import Value
from engine.gguf.header import Header, TensorInfo
from engine.gguf.splits import read_model
from engine.gguf.types import TensorType
from engine.memory.formula.placement import Machine, machine_of, repacked_types
from engine.memory.formula.prediction import Formula, Predicted
from engine.memory.placement import CONTEXT_BYTES
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import DeviceInfo, DeviceKind, MemoryUse
from tests.engine.memory.formula.test_formula import cache, one_after_another, published, tensor
from tests.support.dry_runs import DryRuns

MIB, GIB = 2**20, 2**30
AVX2 = Machine((), repacked_types(["avx2"]))
ROUGH = 0.15
ALL: dict[str, Value] = {"n_outputs_max": 512}  # logits of a whole micro-batch, as llama.cpp reserves them by itself
FA_OFF: dict[str, Value] = {"flash_attn": "off"}
FULL: dict[str, Value] = {"swa_full": True}
Q8: dict[str, Value] = {"type_k": "q8_0", "type_v": "q8_0"}

REAL: list[tuple[str, dict[str, Value], int, int]] = [
    ("smollm2", ALL, 94_371_840, 103_024_640),
    ("smollm2", {**ALL, **FA_OFF}, 94_371_840, 104_204_288),
    ("smollm2", FA_OFF, 94_371_840, 90_578_976),
    ("smollm2", {}, 94_371_840, 18_362_400),
    ("smollm2", {**ALL, "n_ubatch": 128}, 94_371_840, 25_756_160),
    ("smollm2", {**ALL, **Q8}, 50_135_040, 104_204_288),
    ("smollm2", {**ALL, "type_k": "q4_0", "type_v": "q4_0"}, 26_542_080, 104_204_288),
    ("smollm2", {**ALL, "type_k": "f32", "type_v": "f32"}, 188_743_680, 103_024_640),
    ("smollm2", {**ALL, "type_k": "q8_0"}, 72_253_440, 103_024_640),
    ("smollm2", {**ALL, "n_ctx": 1000, "n_seq_max": 3}, 35_389_440, 103_026_976),
    ("smollm2", {**ALL, **FA_OFF, "n_ctx": 32_768}, 754_974_720, 677_783_552),
    ("smollm2", {"n_ctx": 512, "n_batch": 256, "n_ubatch": 256}, 11_796_480, 7_346_208),
    ("gemma3", {**ALL, **FULL}, 75_497_472, 539_494_400),
    ("gemma3", {}, 28_311_552, 23_875_616),
    ("gemma3", {"n_seq_max": 4}, 75_497_472, 20_729_888),
    ("gemma3", {"n_seq_max": 4, "kv_unified": True}, 51_904_512, 25_448_480),
    ("gemma3", FULL, 75_497_472, 27_021_344),
    ("gemma3", {**FULL, **FA_OFF}, 75_497_472, 60_567_584),
    ("gemma3", {**FULL, **FA_OFF, "n_ctx": 32_768}, 603_979_776, 412_889_120),
]
WEIGHTS = {"smollm2": 96_576_768, "gemma3": 246_587_904}


def predicted(headers: list[Header], options: Mapping[str, Value], machine: Machine = AVX2) -> Predicted:
    return Formula(headers).predict({**LOAD_OPTIONS.defaults(), **options}, machine)


def sums(use: MemoryUse) -> tuple[int, int]:
    """Weights and caches over all buffers, bytes."""
    return sum(each.model_bytes for each in use.buffers), sum(each.context_bytes for each in use.buffers)


def compute(use: MemoryUse) -> int:
    return sum(each.compute_bytes for each in use.buffers)


@pytest.fixture(scope="module")
def engine() -> Iterator[DryRuns]:
    """One worker for all questions."""
    with DryRuns() as runs:
        yield runs


@pytest.mark.parametrize(("model", "options", "cached", "graph"), REAL, ids=str)
def test_the_real_models_take_what_was_recorded(
    model: str, options: dict[str, Value], cached: int, graph: int, engine: DryRuns, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(model)
    planned, found = engine.memory(path, options), predicted(list(read_model(path)), options)
    assert sums(planned) == sums(found.use) == (WEIGHTS[model], cached)
    assert compute(planned) == graph
    assert compute(found.use) == (graph if found.is_compute_exact else pytest.approx(graph, rel=ROUGH))


def test_a_micro_batch_of_2048_tokens_with_all_its_logits(smollm2: Path) -> None:
    """More outputs than a load may ask for here, as llama.cpp reserves them for n_batch = n_ubatch = 2,048."""
    found = predicted(list(read_model(smollm2)), {"n_batch": 2048, "n_ubatch": 2048, "n_outputs_max": 2048})
    assert (compute(found.use), found.is_compute_exact) == (412_098_560, True)


def test_what_avx2_rearranges_of_gemma_has_a_second_copy_in_the_mapped_file(gemma3: Path) -> None:
    use = predicted(list(read_model(gemma3)), {}).use
    weights = {each.buffer: each.model_bytes for each in use.buffers}
    assert weights == {"CPU": 233_316_864, "CPU_REPACK": 13_271_040}
    assert weights["CPU"] + use.mapped_bytes == 246_587_904  # llama.cpp's CPU_Mapped: the whole span


@pytest.mark.parametrize(
    ("name", "options", "mib"),
    [
        ("Llama-3.1-8B", {}, 266.502),
        ("Llama-3.1-8B", {"n_outputs_max": 1}, 124.012),
        ("Llama-3.1-8B", {"n_ctx": 131_072}, 266.502),
        ("Llama-3.1-8B", {"n_ctx": 131_072, **FA_OFF}, 8492.010),
        ("gpt-oss-20b", {}, 420.021),
        ("Gemma-3-27B", {}, 543.502),
        ("Gemma-3-27B", {"n_outputs_max": 1, **FULL}, 181.5),
        ("DeepSeek-V2-Lite", {}, 240.377),
        ("DeepSeek-V3", {"n_ctx": 32_768}, 440.010),
        ("DeepSeek-V3", {"n_ctx": 32_768, **FA_OFF}, 8648.010),
        ("Gemma-3n-E4B", {}, 524.002),
        ("Qwen3-Next-80B", {}, 308.752),
        ("LFM2-1.2B", {}, 136.002),
        ("Mamba-2.8B", {}, 113.207),
        ("RWKV-7-2.9B", {}, 143.004),
    ],
)
def test_graphs_of_published_models_take_what_was_recorded(name: str, options: dict[str, Value], mib: float) -> None:
    found = predicted([published(name)], {"n_ctx": 8192, **ALL, **options})
    # The figures have three decimals; where the formula does not vouch for the byte, it is within its tolerance.
    assert compute(found.use) / MIB == pytest.approx(mib, abs=0.001 if found.is_compute_exact else ROUGH * mib)


def on_a_card(header: Header, options: Mapping[str, Value], name: str = "CUDA0") -> dict[str, tuple[int, int, int]]:
    """Weights, cache and graph of each buffer, bytes, with every layer on a card that has room."""
    card = DeviceInfo(name, "a card", DeviceKind.GPU, 192 * GIB, 190 * GIB)
    use = predicted([header], options, machine_of([card], ["avx2"])).use
    return {each.buffer: (each.model_bytes, each.context_bytes, each.compute_bytes) for each in use.buffers}


def mistral_small_22b() -> Header:
    """56 layers in Q6_K; embedding and output in Q8_0 (the file that people call Q6_K_L)."""
    width, ff = 6144, 16_384
    matrices = {
        "attn_q": (width, width), "attn_k": (width, 1024), "attn_v": (width, 1024), "attn_output": (width, width),
        "ffn_gate": (width, ff), "ffn_up": (width, ff), "ffn_down": (ff, width),
    }  # fmt: skip
    tensors: list[TensorInfo] = [
        tensor("token_embd.weight", width, 32_768, kind=TensorType.Q8_0),
        tensor("output.weight", width, 32_768, kind=TensorType.Q8_0),
        tensor("output_norm.weight", width, kind=TensorType.F32),
    ]
    for layer in range(56):
        for norm in ("attn_norm", "ffn_norm"):
            tensors.append(tensor(f"blk.{layer}.{norm}.weight", width, kind=TensorType.F32))
        for name, shape in matrices.items():
            tensors.append(tensor(f"blk.{layer}.{name}.weight", *shape, kind=TensorType.Q6_K))
    sizes = {"block_count": 56, "embedding_length": width, "feed_forward_length": ff, "vocab_size": 32_768}
    heads = {"attention.head_count": 48, "attention.head_count_kv": 8}
    return published("Llama-3.1-8B", *one_after_another(tensors), **sizes, **heads)


def test_mistral_small_on_a_card_is_what_ollama_logged() -> None:
    """ollama issue 6160: 17295.40 MiB of weights, 5712.00 of cache on the card, 204.00 in RAM, 23,508 by nvidia-smi."""
    found = on_a_card(mistral_small_22b(), {"n_ctx": 49_152, **Q8})
    weights, cached, _graph = found["CUDA0"]
    assert round(weights / MIB, 2) == 17_295.40
    assert cached / MIB == 5712
    assert found["CPU"][0] / MIB == 204
    logged_graph = 192 * MIB
    beside = 23_508 * MIB - weights - cached - logged_graph
    assert 0.5 * CONTEXT_BYTES < beside < CONTEXT_BYTES  # 309 MiB: what is set aside for the driver is enough


def test_qwen_on_a_card_has_the_graph_that_llamasharp_logged() -> None:
    """LLamaSharp issue 1099: Qwen2.5-3B at 4,096 tokens, 300.75 MiB on CUDA0 and 144 of cache."""
    _weights, cached, graph = on_a_card(published("Qwen2.5-3B"), {"n_ctx": 4096, **ALL})["CUDA0"]
    assert (cached / MIB, graph / MIB) == (144, 300.75)


def test_qwen_3_6_has_the_states_that_were_logged() -> None:
    """LM Studio bug-tracker issue 1862: 262,144 cells of 16 layers and 4 sequences, KV 16384.00 and RS 598.50 MiB."""
    sizes = {"block_count": 64, "embedding_length": 5120, "ssm.inner_size": 6144, "ssm.time_step_rank": 48}
    header = published("Qwen3-Next-80B", **sizes, **{"attention.head_count_kv": 4})
    states = 48 * (3 * (6144 + 2 * 16 * 128) + 128 * 6144) * 4 * 4
    assert states / MIB == 598.5
    assert cache(header, 4, n_ctx=262_144) - states == 16_384 * MIB


@pytest.mark.parametrize(
    ("name", "values", "experts", "partly", "wholly"),
    [
        ("Qwen3-1.7B", {"block_count": 28, "embedding_length": 1024, "feed_forward_length": 3072}, 0, 41.64, 32.09),
        ("Qwen3-30B-A3B", {"block_count": 16, "feed_forward_length": 1024, "expert_count": 64, "vocab_size": 50_304,
          "expert_feed_forward_length": 1024, "attention.head_count": 16, "attention.head_count_kv": 16}, 64, 172.37, 64.09),
    ],
    ids=["Qwen3-0.6B", "OLMoE-1B-7B"],
)  # fmt: skip
def test_layers_in_ram_make_the_graph_on_a_card_larger(
    name: str, values: dict[str, object], experts: int, partly: float, wholly: float
) -> None:
    """gguf-parser-go issue 45, MI300X, 4,096 tokens, K and V in q8_0: the same at 1, 2 and 4 layers, and less with all.

    The formula is below both, by up to a quarter, and says that it is an estimate. The types of the weights are not stated
    there and are taken to be Q6_K.
    """
    n_ff, width, n_layer = (int(str(values.get(key, 2048))) for key in
                            ("feed_forward_length", "embedding_length", "block_count"))  # fmt: skip
    shape = (n_ff, width, experts) if experts else (n_ff, width)
    suffix = "_exps" if experts else ""
    downs = [tensor(f"blk.{at}.ffn_down{suffix}.weight", *shape, kind=TensorType.Q6_K) for at in range(n_layer)]
    header = published(name, *one_after_another(downs), **values)
    graphs = {
        n: on_a_card(header, {"n_batch": 2048, "n_gpu_layers": n, **Q8}, "ROCm0")["ROCm0"][2] / MIB
        for n in (1, 2, 4, -1)
    }
    assert graphs[1] == graphs[2] == graphs[4] > graphs[-1]
    assert graphs[4] == pytest.approx(partly, rel=1 / 3)
    assert graphs[-1] == pytest.approx(wholly, rel=1 / 3)

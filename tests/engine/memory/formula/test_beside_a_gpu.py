"""The formula beside a GPU, against what the engine said on Mesa's software Vulkan device.

Recorded with llama-cpp-python 0.3.36 and Mesa 22.3.6 at a context of 4,096 tokens; `make gpu-test` asks the engine anew.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.base.fields import Value
from engine.gguf.splits import read_model
from engine.memory.formula.placement import CPU, machine_of
from engine.memory.formula.prediction import Formula
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import DeviceInfo, DeviceKind, MemoryUse

GPU = "Vulkan0"
LLVMPIPE = DeviceInfo(GPU, "llvmpipe", DeviceKind.GPU, 2 << 30, 2 << 30, largest_tensor_bytes=128 << 20)
ALIGNMENT = 64  # of pinned buffers there, and more than the device's
ROUGH = 0.2  # a GPU that computes with weights in RAM: the gaps between what is copied there


@dataclass(frozen=True)
class Recorded:
    """What the engine's dry run said, in bytes: weights, caches and graphs on the device and in RAM, and what stays mapped."""

    weights: tuple[int, int]
    cache: tuple[int, int]
    graph: tuple[int, int]
    mapped: int = 0


RECORDED = {
    ("smollm2", 0): Recorded((0, 96_576_768), (0, 94_371_840), (18_559_488, 6_565_952)),
    ("smollm2", 10): Recorded((50_031_360, 76_626_432), (28_311_552, 66_060_288), (18_559_488, 6_565_952), 19_948_032),
    ("smollm2", -1): Recorded((96_576_768, 30_081_024), (94_371_840, 0), (16_001_040, 6_565_952)),
    ("gemma3", 0): Recorded((0, 246_587_904), (0, 28_311_552), (27_192_320, 7_884_864)),
    ("gemma3", 10): Recorded((34_365_952, 212_221_952), (15_728_640, 12_582_912), (27_192_320, 7_884_864)),
    ("gemma3", -1): Recorded((68_329_984, 178_257_920), (28_311_552, 0), (22_562_832, 7_884_864)),
}


def predicted(path: Path, device: DeviceInfo = LLVMPIPE, **options: Value) -> MemoryUse:
    """By the formula, on a processor that rearranges weights where it may."""
    wanted = LOAD_OPTIONS.checked({"n_ctx": 4096, **options})
    return Formula(read_model(path)).predict(wanted, machine_of([device], ["avx2"])).use


def by_place(use: MemoryUse) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Weights, caches and graphs, each on the device and in RAM."""
    sums: dict[tuple[str, bool], int] = defaultdict(int)
    for each in use.buffers:
        sums["weights", each.device == GPU] += each.model_bytes
        sums["cache", each.device == GPU] += each.context_bytes
        sums["graph", each.device == GPU] += each.compute_bytes
    weights, cache, graph = ((sums[part, True], sums[part, False]) for part in ("weights", "cache", "graph"))
    return weights, cache, graph


@pytest.mark.parametrize(("model", "n_gpu_layers"), RECORDED)
def test_it_says_what_the_engine_said(model: str, n_gpu_layers: int, request: pytest.FixtureRequest) -> None:
    recorded = RECORDED[model, n_gpu_layers]
    use = predicted(request.getfixturevalue(model), n_gpu_layers=n_gpu_layers)
    weights, cache, (on_device, in_ram) = by_place(use)
    assert (weights, cache, use.mapped_bytes) == (recorded.weights, recorded.cache, recorded.mapped)
    assert in_ram == pytest.approx(recorded.graph[1], abs=ALIGNMENT)
    tolerance = {"abs": ALIGNMENT} if n_gpu_layers < 0 else {"rel": ROUGH}
    assert on_device == pytest.approx(recorded.graph[0], **tolerance)


def test_without_offloading_operations_the_processor_computes_its_layers_itself(smollm2: Path) -> None:
    recorded = {0: (0, 18_362_432), 15: (16_001_040, 18_362_432), -1: (16_001_040, 6_565_952)}
    for n_gpu_layers, graph in recorded.items():
        found = by_place(predicted(smollm2, n_gpu_layers=n_gpu_layers, op_offload=False))[2]
        assert found == pytest.approx(graph, abs=ALIGNMENT)


def test_small_batches_stay_with_the_processor(smollm2: Path) -> None:
    on_device, in_ram = by_place(predicted(smollm2, n_gpu_layers=0, n_ubatch=31))[2]
    assert (on_device, in_ram > 0) == (0, True)
    assert by_place(predicted(smollm2, n_gpu_layers=0, n_ubatch=32))[2][0] > 0


def test_a_device_without_a_limit_takes_the_output_that_a_limited_one_leaves_in_ram(gemma3: Path) -> None:
    unlimited = DeviceInfo(GPU, "a card", DeviceKind.GPU, 24 << 30, 24 << 30)
    (on_card, in_ram), *_ = by_place(predicted(gemma3, unlimited, n_gpu_layers=-1))
    embedding = 178_257_920  # token_embd.weight, which is the output too
    assert (on_card, in_ram) == (68_329_984 + embedding, embedding)
    assert CPU in {each.device for each in predicted(gemma3, unlimited, n_gpu_layers=-1).buffers}

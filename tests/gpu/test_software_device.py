"""Placement on a GPU: formula, dry run and real load agree, on a Vulkan device that the processor plays (Mesa's llvmpipe).

The device is slow and of no use for speed. Where it puts bytes it tells the truth: the engine goes the whole way of a GPU.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.gguf.splits import read_model
from engine.hardware import open_recorder
from engine.hardware.processor import processor_flags
from engine.hardware.snapshot import Quantity
from engine.memory.formula.placement import machine_of
from engine.memory.formula.prediction import Formula
from engine.memory.ledger import RAM, Ledger, Part
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import DeviceKind, MemoryUse
from engine.workbench.by_formula import ModelFormula
from tests.support.answers import ask
from tests.support.architectures import PUBLISHED
from tests.support.benches import Driver, open_bench
from tests.support.dry_runs import DryRuns

ROOT = Path(__file__).parents[2]
GPU = "Vulkan0"
LAYERS = [0, 10, -1]
# A real buffer in pinned RAM has so many bytes more, whatever its size (ggml-vulkan.cpp, host_buffer_type_alloc_buffer).
PINNED_MORE = 32

# Models of which the formula says something else there, and why; each stands in docs/memory.md.
OTHERWISE = {
    "Mamba-2.8B",  # Vulkan has no scan for the first Mamba's states, so their weights stay in RAM
    "Granite-4-tiny",  # looks its embedding up in pinned RAM and multiplies with a copy in plain RAM, for want of room in a shader
    "Gemma-4-E2B",  # has tensors of a few bytes, which each device pads in its own way
    "Falcon-H1-1.5B",  # the same
}
DENSE = {"Llama-3.1-8B", "Llama-3.1-70B", "Llama-3.2-1B", "Qwen3-1.7B", "Qwen3-8B", "Qwen2.5-3B", "Gemma-3-27B"}
FULL, PARTLY = 0.06, 0.25


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Driver]:
    with open_bench(tmp_path) as driver:
        yield driver


def sizes(ledger: Ledger, *parts: Part) -> dict[tuple[str, Part], int]:
    """The bytes of these parts on each device; what is not there is left out."""
    return {
        (device.name, part): size
        for device in ledger.devices
        for part in parts
        if (size := device.size_of(part)) is not None
    }


def by_formula(driver: Driver, path: Path, options: dict[str, object]) -> Ledger:
    """The ledger by the formula alone."""
    found: list[ModelFormula] = []
    troubles: list[object] = []
    driver.workbench.formulas.read(path, found.append, troubles.append)
    driver.until(lambda: found or troubles)
    assert not troubles
    return driver.workbench.formulas.ledger(found[0], LOAD_OPTIONS.checked(options))  # type: ignore[arg-type]


def test_the_engine_tells_the_device_with_its_memory_and_its_limit(bench: Driver) -> None:
    bench.until(lambda: bench.workbench.state.devices)
    gpu, cpu = bench.workbench.state.devices
    assert (gpu.name, gpu.kind, cpu.kind) == (GPU, DeviceKind.GPU, DeviceKind.CPU)
    assert "llvmpipe" in gpu.description
    assert gpu.total_bytes is not None
    assert gpu.free_bytes is not None
    assert 0 < gpu.free_bytes <= gpu.total_bytes
    # Vulkan's limits are for buffers of a shader, and a matrix is one.
    assert gpu.largest_tensor_bytes is not None
    assert 128 << 20 <= gpu.largest_tensor_bytes <= gpu.total_bytes


@pytest.mark.parametrize("n_gpu_layers", LAYERS)
@pytest.mark.parametrize("model", ["smollm2", "gemma3"])
@pytest.mark.parametrize("mmap", [True, False])
def test_formula_dry_run_and_real_load_agree_on_every_device(
    bench: Driver, request: pytest.FixtureRequest, model: str, n_gpu_layers: int, mmap: bool
) -> None:
    path: Path = request.getfixturevalue(model)
    options = {"n_gpu_layers": n_gpu_layers, "n_ctx": 4096, "mmap": mmap}
    bench.load(path, planned=True, **options)
    bench.until(lambda: bench.workbench.measured is not None)
    predicted, measured = bench.workbench.predicted, bench.workbench.measured
    assert predicted is not None
    assert measured is not None

    counted = (Part.WEIGHTS, Part.KV, Part.OUTPUT, Part.MAPPED)
    assert sizes(by_formula(bench, path, options), *counted) == sizes(predicted, *counted)

    dry, real = sizes(predicted, *counted, Part.COMPUTE), sizes(measured, *counted, Part.COMPUTE)
    apart = {key: real.get(key, 0) - dry.get(key, 0) for key in dry | real}
    pinned = {(RAM, Part.COMPUTE)} | ({(RAM, Part.WEIGHTS)} if not mmap else set())
    assert {key for key, more in apart.items() if more} <= pinned
    assert {more for more in apart.values() if more} == {PINNED_MORE}

    # Only what was asked for is on the device, beside the graph, which is always there.
    assert (GPU, Part.COMPUTE) in real
    assert ((GPU, Part.WEIGHTS) in real) == ((GPU, Part.KV) in real) == (n_gpu_layers != 0)


@pytest.fixture(scope="module")
def engine() -> Iterator[DryRuns]:
    """One worker for all questions."""
    with DryRuns() as runs:
        yield runs


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name not in OTHERWISE])
def test_published_models_are_placed_as_the_formula_says(
    name: str, engine: DryRuns, bench: Driver, tmp_path: Path
) -> None:
    path = PUBLISHED[name].write(tmp_path / f"{name}.gguf")
    bench.until(lambda: bench.workbench.state.devices)
    machine = machine_of(bench.workbench.state.devices, processor_flags())
    formula = Formula(read_model(path))
    n_layer = formula.architecture.n_layer_all
    for n_gpu_layers in (0, n_layer // 2, n_layer, -1):
        for more in ({}, {"n_ubatch": 128}, {"type_k": "q8_0", "type_v": "q8_0"}):
            options = LOAD_OPTIONS.checked({"n_ctx": 4096, "n_gpu_layers": n_gpu_layers, **more})
            dry, found = engine.memory(path, options), formula.predict(options, machine).use
            told, said = by_place(dry), by_place(found)
            assert (said["weights"], said["cache"]) == (told["weights"], told["cache"]), options
            assert found.mapped_bytes == dry.mapped_bytes, options
            if name in DENSE:
                rough = FULL if n_gpu_layers < 0 else PARTLY
                assert said["graph"] == pytest.approx(told["graph"], rel=rough), options


def by_place(use: MemoryUse) -> dict[str, tuple[int, int]]:
    """Weights, caches and graphs, each in RAM and on the device, bytes."""
    ram = [each for each in use.buffers if each.device != GPU or each.is_host]
    gpu = [each for each in use.buffers if each.device == GPU and not each.is_host]
    return {
        "weights": (sum(each.model_bytes for each in ram), sum(each.model_bytes for each in gpu)),
        "cache": (sum(each.context_bytes for each in ram), sum(each.context_bytes for each in gpu)),
        "graph": (sum(each.compute_bytes for each in ram), sum(each.compute_bytes for each in gpu)),
    }


@pytest.mark.parametrize("n_gpu_layers", LAYERS)
@pytest.mark.parametrize("override", ["ffn_.*=CPU", "ffn_down=Vulkan0", r"blk\.[0-4]\.=CPU"])
@pytest.mark.parametrize("model", ["smollm2", "gemma3"])
def test_tensors_that_are_placed_by_name_are_where_the_formula_says(
    engine: DryRuns, bench: Driver, request: pytest.FixtureRequest, model: str, override: str, n_gpu_layers: int
) -> None:
    path: Path = request.getfixturevalue(model)
    bench.until(lambda: bench.workbench.state.devices)
    machine = machine_of(bench.workbench.state.devices, processor_flags())
    options = LOAD_OPTIONS.checked({"n_ctx": 4096, "n_gpu_layers": n_gpu_layers, "override_tensor": (override,)})
    dry, found = engine.memory(path, options), Formula(read_model(path)).predict(options, machine).use
    told, said = by_place(dry), by_place(found)
    assert (said["weights"], said["cache"]) == (told["weights"], told["cache"])
    assert found.mapped_bytes == dry.mapped_bytes
    assert said["graph"] == pytest.approx(told["graph"], rel=PARTLY)


def test_a_device_that_cannot_split_a_matrix_says_so_with_the_way_out(engine: DryRuns, smollm2: Path) -> None:
    with pytest.raises(KnownError, match="split the model by layers"):
        engine.memory(smollm2, {"n_gpu_layers": -1, "split_mode": "row"})


def test_a_command_that_only_asks_knows_what_is_free_on_the_device(tmp_path: Path, smollm2: Path) -> None:
    asked = ["size", str(smollm2), "--n-gpu-layers", "10", "--method", "both", "--json", "--data-dir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *asked], capture_output=True, text=True, check=True, timeout=120
    )
    found = json.loads(done.stdout)
    gpu = next(each for each in found["devices"] if each["name"] == GPU)
    assert gpu["free"] > 0
    assert found["fits"] == "yes"
    assert (found["difference"]["weights"], found["difference"]["kv"], found["difference"]["mapped"]) == (0, 0, 0)


def test_some_tokens_are_written_with_layers_on_both_sides(bench: Driver, smollm2: Path) -> None:
    bench.load(smollm2, n_gpu_layers=10, n_ctx=512)
    answer = ask(bench, "One two", max_tokens=3, ignore_eos=True)
    assert answer.stats.n_completion == 3
    assert answer.text


def test_the_hardware_is_read_while_the_device_is_in_use(bench: Driver, smollm2: Path) -> None:
    bench.load(smollm2, n_gpu_layers=-1, n_ctx=512)
    recorder = open_recorder()
    try:
        recorder.watch("worker", bench.worker().pid)
        found = {(each.source, each.quantity): each.value for each in recorder.sample().readings}
        # It is no card, so no probe has readings of it; and none falls over.
        assert not [reason for reason in recorder.absences().values() if "after an error" in reason]
        assert (found["worker", Quantity.PROCESS_RSS] or 0) > smollm2.stat().st_size
    finally:
        recorder.close()

"""The formula beside the engine's dry run, for one model of each kind: caches and weights to the byte, graphs within 15 %.

The files are headers with a hole for the weights, which a dry run does not read, so these are the models at full size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.base.fields import Value
from engine.gguf.splits import read_model
from engine.hardware.processor import processor_flags
from engine.memory.formula.placement import machine_of
from engine.memory.formula.prediction import Formula, Predicted
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import MemoryUse
from tests.support.architectures import PUBLISHED
from tests.support.dry_runs import DryRuns
from tests.support.made_models import random_llama, random_mamba

ROUGH = 0.15
EXACT = {"Llama-3.1-70B", "Llama-3.1-8B", "Llama-3.2-1B", "Qwen3-1.7B", "Qwen3-8B", "Qwen2.5-3B"}

OPTIONS: list[dict[str, Value]] = [
    {"n_ctx": 8192},
    {"n_ctx": 8192, "swa_full": True, "use_extra_bufts": False},
    {"n_ctx": 1000, "n_batch": 256, "n_ubatch": 128, "mmap": False},
    {"n_ctx": 4096, "flash_attn": "off"},
    {"n_ctx": 4096, "type_k": "q8_0", "type_v": "q8_0"},
    {"n_ctx": 32768, "n_outputs_max": 8},
    {"n_ctx": 4096, "n_seq_max": 3},
    {"n_ctx": 8192, "n_outputs_max": 512},
    {"n_ctx": 1000, "n_outputs_max": 512, "n_seq_max": 3},
]


@pytest.fixture(scope="module")
def engine() -> Iterator[DryRuns]:
    """One worker for all questions."""
    with DryRuns() as runs:
        yield runs


def by_formula(path: Path, options: Mapping[str, Value]) -> Predicted:
    """What the formula says on this machine's processor."""
    return Formula(read_model(path)).predict(LOAD_OPTIONS.checked(options), machine_of((), processor_flags()))


def buffers(use: MemoryUse) -> dict[str, tuple[int, int, int]]:
    """Weights, cache with states, and states alone of each buffer, bytes."""
    return {
        each.buffer: (each.model_bytes, each.context_bytes, each.recurrent_bytes)
        for each in use.buffers
        if each.model_bytes or each.context_bytes
    }


def compute(use: MemoryUse) -> int:
    """The compute buffers, bytes."""
    return sum(each.compute_bytes for each in use.buffers)


def mismatches(found: Predicted, engine: MemoryUse) -> dict[str, tuple[object, object]]:
    """What the two say where they are apart: all but the graph to the byte, the graph as the formula promises."""
    use = found.use
    pairs: dict[str, tuple[object, object]] = {
        "weights and caches": (buffers(use), buffers(engine)),
        "context": (use.n_ctx, engine.n_ctx),
        "output": (use.output_bytes, engine.output_bytes),
        "mapped": (use.mapped_bytes, engine.mapped_bytes),
        "compute": (
            compute(use),
            compute(engine) if found.is_compute_exact else pytest.approx(compute(engine), rel=ROUGH),
        ),
    }
    return {what: pair for what, pair in pairs.items() if pair[0] != pair[1]}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_take_what_the_formula_says(name: str, engine: DryRuns, tmp_path: Path) -> None:
    path = PUBLISHED[name].write(tmp_path / f"{name}.gguf")
    for options in OPTIONS:
        assert not mismatches(by_formula(path, options), engine.memory(path, options)), options
    assert by_formula(path, OPTIONS[0]).is_compute_exact == (name in EXACT)


@pytest.mark.parametrize("options", [{}, {"flash_attn": "off"}, {"flash_attn": "off", "type_v": "f32"}], ids=str)
def test_so_is_the_processors_work_buffer(
    smollm2: Path, gemma3: Path, options: dict[str, Value], engine: DryRuns
) -> None:
    for path, n_heads in ((smollm2, 9), (gemma3, 4)):
        found = by_formula(path, {**options, "n_ctx": 1024}).use.work_bytes
        assert found == engine.memory(path, {**options, "n_ctx": 1024}).work_bytes
        assert found == (2 * 512 * n_heads * 1024 if options == {"flash_attn": "off"} else 0)


@pytest.mark.parametrize("model", ["smollm2", "gemma3"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"flash_attn": "off"},
        {"type_k": "q8_0"},
        {"type_k": "q4_0", "type_v": "q4_0"},
        {"type_k": "f32", "type_v": "f32"},
        {"n_ctx": 1000},
        {"n_ctx": 100},
        {"n_ctx": 0},
        {"n_ctx": 512, "n_batch": 256, "n_ubatch": 256},
        {"n_batch": 2048, "n_ubatch": 2048},
        {"n_ubatch": 33},
        {"n_ctx": 32768, "flash_attn": "off"},
        {"swa_full": True},
        {"n_ctx": 1000, "n_seq_max": 3},
        {"n_seq_max": 4, "kv_unified": True},
        {"n_seq_max": 2, "n_outputs_max": 8, "type_k": "q8_0", "type_v": "q8_0"},
        {"mmap": False, "use_extra_bufts": False},
    ],
    ids=str,
)
def test_the_real_models_take_what_the_formula_says(
    model: str, options: dict[str, Value], engine: DryRuns, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(model)
    found = by_formula(path, options)
    assert found.is_compute_exact == (model == "smollm2" and "n_seq_max" not in options)
    assert not mismatches(found, engine.memory(path, options))


def test_the_random_models_of_the_tests_take_what_the_formula_says(
    smollm2: Path, engine: DryRuns, tmp_path: Path
) -> None:
    for path in (
        random_llama(tmp_path / "llama.gguf", smollm2),
        random_llama(tmp_path / "wide.gguf", smollm2, n_embd=256),
        random_mamba(tmp_path / "mamba.gguf", smollm2),
    ):
        for options in ({}, {"n_ctx": 512, "n_outputs_max": 4}, {"flash_attn": "off"}):
            assert not mismatches(by_formula(path, options), engine.memory(path, options)), (path.stem, options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Llama-3.1-8B", {"type_v": "q8_0", "flash_attn": "off"}),
        ("DeepSeek-V2-Lite", {"type_k": "q8_0"}),
    ],
)
def test_what_the_engine_refuses_the_formula_refuses(
    name: str, options: dict[str, Value], engine: DryRuns, tmp_path: Path
) -> None:
    path = PUBLISHED[name].write(tmp_path / "model.gguf")
    for ask in (by_formula, engine.memory):
        with pytest.raises(KnownError):
            ask(path, options)

"""docs/peers.md: what peers say a load takes beside what it takes; our column is computed here, and the page must say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.base.fields import Value
from engine.gguf.header import Header
from engine.gguf.splits import read_model
from engine.memory.formula.placement import machine_of
from engine.memory.formula.prediction import Formula
from engine.wire.load_options import LOAD_OPTIONS
from tests.engine.memory.formula.test_formula import cache, published

PAGE = Path(__file__).parents[4] / "docs" / "peers.md"
MIB = 1 << 20


@dataclass(frozen=True)
class Published:
    """A cache whose size the engine printed, MiB."""

    model: str
    header: Callable[[], Header]
    options: Mapping[str, Value]
    real_mib: float
    n_seq_max: int = 1


def _qwen3_6_27b() -> Header:
    """64 layers, each fourth with attention of 4 heads of 256, the others with a gated delta rule of 48 heads of 128."""
    return published(
        "Qwen3-Next-80B",
        block_count=64,
        embedding_length=5120,
        **{"attention.head_count_kv": 4, "ssm.inner_size": 6144, "ssm.time_step_rank": 48},
    )


def _dense(n_layer: int, n_embd: int, n_head: int, n_kv: int) -> Header:
    sizes = {"block_count": n_layer, "embedding_length": n_embd}
    return published("Llama-3.1-8B", **sizes, **{"attention.head_count": n_head, "attention.head_count_kv": n_kv})


Q8 = {"type_k": "q8_0", "type_v": "q8_0"}
CASES = (
    Published("gpt-oss-20b, 8,192", lambda: published("gpt-oss-20b"), {"n_ctx": 8192}, 210),
    Published("Gemma 3n E4B, 8,192", lambda: published("Gemma-3n-E4B"), {"n_ctx": 8192}, 96),
    Published("Qwen3.6-27B, 4 × 65,536", _qwen3_6_27b, {"n_ctx": 262_144}, 16_384 + 598.5, n_seq_max=4),
    Published("LFM2-1.2B, 8,192", lambda: published("LFM2-1.2B"), {"n_ctx": 8192}, 96.15625),
    Published("DeepSeek-V2-Lite, 8,192", lambda: published("DeepSeek-V2-Lite"), {"n_ctx": 8192}, 243),
    Published("Mistral-Small-22B, 49,152, q8_0", lambda: _dense(56, 6144, 48, 8), {"n_ctx": 49_152, **Q8}, 5712),
    Published("Qwen2.5-3B, 4,096", lambda: published("Qwen2.5-3B"), {"n_ctx": 4096}, 144),
    Published("Command-R 35B, 4,096", lambda: _dense(40, 8192, 64, 64), {"n_ctx": 4096}, 5120),
)

# What peers compute, as their sources have it.
RULES: Mapping[str, Callable[[int, int], float]] = {
    "Jan: file × (1 + 0.1 × context / 4,096)": lambda file, n_ctx: file * (1 + 0.1 * n_ctx / 4096),
    "llama.cpp's own UI: file × 1.05": lambda file, _n_ctx: file * 1.05,
}


def rows(first: str) -> list[list[str]]:
    """The table whose header begins with this word, without header and rule."""
    lines = PAGE.read_text("utf-8").split(f"| {first} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.model)
def test_the_formula_has_the_caches_that_the_engine_printed(case: Published) -> None:
    assert cache(case.header(), case.n_seq_max, **case.options) == case.real_mib * MIB


def test_the_page_says_what_the_formula_says() -> None:
    said = {row[0]: (row[1], row[2]) for row in rows("model and context")}
    assert said == {
        case.model: (f"{case.real_mib:,.1f}", f"{cache(case.header(), case.n_seq_max, **case.options) / MIB:,.1f}")
        for case in CASES
    }


def test_the_page_says_what_rules_of_thumb_give_for_models_that_are_here(smollm2: Path, gemma3: Path) -> None:
    expected = []
    for name, path in (("SmolLM2-135M Q4_1", smollm2), ("Gemma-3-270m Q4_K_M", gemma3)):
        for n_ctx in (4096, 32_768):
            options = {**LOAD_OPTIONS.defaults(), "n_ctx": n_ctx}
            use = Formula(read_model(path)).predict(options, machine_of((), ())).use
            ours = use.output_bytes + sum(
                each.model_bytes + each.context_bytes + each.compute_bytes for each in use.buffers
            )
            rules = [rule(path.stat().st_size, n_ctx) for rule in RULES.values()]
            off = [f"{each / MIB:,.0f} ({100 * (each / ours - 1):+.0f} %)" for each in rules]
            expected.append([f"{name}, {n_ctx:,}", f"{ours / MIB:,.1f}", *off])
    assert rows("model and tokens") == expected

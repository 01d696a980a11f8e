"""Resident memory of the engine's process after a full context, over what was predicted before the load.

A context that is read and written to its last token has touched every page that it will ever touch. Files that are mapped are
read once before, so that all of their pages are there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.memory.ledger import Part
from tests.benchmarks.report import Row
from tests.support.answers import ask
from tests.support.benches import open_bench

MOST_PERCENT = 5.0
N_WRITTEN = 24
SETTINGS: tuple[dict[str, object], ...] = (
    {"n_ctx": 1024},
    {"n_ctx": 4096},
    {"n_ctx": 2048, "type_k": "q8_0", "type_v": "q8_0"},
    {"n_ctx": 2048, "type_k": "q4_0", "type_v": "q4_0", "n_batch": 256, "n_ubatch": 128},
    {"n_ctx": 1024, "flash_attn": "off"},
    {"n_ctx": 2048, "mmap": False},
    {"n_ctx": 2048, "swa_full": True, "use_extra_bufts": False},
    {"n_ctx": 1024, "n_outputs_max": 16, "n_batch": 1024, "n_ubatch": 1024},
)


def memory_rows(models: tuple[Callable[[], Path], ...]) -> Iterator[Row]:
    """By how much, in percent of the prediction, each model at each setting is off."""
    for model in models:
        for options in SETTINGS:
            resident, predicted = full_context(model(), options)
            off = 100 * (resident / predicted - 1)
            text = ", ".join(f"{key} {value}" for key, value in options.items())
            note = f"{resident / 2**20:.1f} of {predicted / 2**20:.1f} MiB, {off:+.2f} %"
            yield Row(f"{model().stem[:8]}: {text}"[:63], abs(off), f"≤ {MOST_PERCENT:g}", "%", note)


def full_context(path: Path, options: dict[str, object]) -> tuple[int, int]:
    """Bytes resident after the last token that the context takes, and bytes predicted to be."""
    with tempfile.TemporaryDirectory() as folder, open_bench(Path(folder), start=False) as driver:
        driver.load(path, planned=True, **options)
        driver.until(lambda: driver.workbench.measured is not None)
        predicted = driver.workbench.predicted
        facts = driver.workbench.state.facts
        assert predicted is not None
        assert facts is not None
        answer = ask(driver, "word " * (facts.n_ctx - N_WRITTEN), max_tokens=N_WRITTEN + 8, ignore_eos=True)
        n_tokens = answer.stats.n_prompt + answer.stats.n_completion
        assert n_tokens >= facts.n_ctx, n_tokens
        assert predicted.size_of(Part.KV)
        return driver.worker().memory_info().rss, predicted.sum_bytes

"""What was predicted before a load is what the engine says after it, and what the process really takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.memory.ledger import Part
from engine.wire.load_options import LOAD_OPTIONS
from tests.support.answers import ask
from tests.support.benches import open_bench
from tests.support.made_models import random_mamba

N_UBATCH = int(str(LOAD_OPTIONS.defaults()["n_ubatch"]))
SETTINGS = [
    ("smollm2", {}),
    ("smollm2", {"n_ctx": 2048, "type_k": "q8_0", "type_v": "q8_0"}),
    ("smollm2", {"mmap": False, "n_ctx": 1024}),
    ("smollm2", {"n_ctx": 512, "n_outputs_max": 16}),
    ("smollm2", {"n_ctx": 2048, "n_seq_max": 2}),
    ("smollm2", {"n_ctx": 1024, "n_seq_max": 4, "kv_unified": True, "override_tensor": ("ffn_.*=CPU",)}),
    ("gemma3", {"n_ctx": 1024}),
    ("gemma3", {"n_ctx": 2048, "swa_full": True, "mmap": False}),
]


@pytest.mark.parametrize(("model", "options"), SETTINGS, ids=str)
def test_predicted_and_measured_agree_to_the_byte_and_the_process_stays_below(
    tmp_path: Path, request: pytest.FixtureRequest, model: str, options: dict[str, object]
) -> None:
    path: Path = request.getfixturevalue(model)
    with open_bench(tmp_path, start=False) as driver:
        driver.load(path, planned=True, **options)
        driver.until(lambda: driver.workbench.measured is not None)
        predicted, measured = driver.workbench.predicted, driver.workbench.measured
        assert predicted is not None
        assert measured is not None
        for part in (Part.WEIGHTS, Part.KV, Part.COMPUTE, Part.OUTPUT, Part.MAPPED):
            assert predicted.size_of(part) == measured.size_of(part), part
        # The cache is written as it is made, the buffers by a whole micro-batch: more tokens would touch nothing new.
        n_tokens = min(driver.workbench.state.facts.n_ctx, N_UBATCH + 60)  # type: ignore[union-attr]
        answer = ask(driver, "word " * (n_tokens - 40), max_tokens=40, ignore_eos=True)
        assert n_tokens - 5 <= answer.stats.n_prompt + answer.stats.n_completion <= n_tokens + 5
        assert driver.worker().memory_info().rss <= predicted.sum_bytes * 1.05


def test_a_recurrent_model_has_a_state_and_no_cache_before_and_after_the_load(tmp_path: Path, smollm2: Path) -> None:
    path = random_mamba(tmp_path / "mamba.gguf", smollm2)
    with open_bench(tmp_path / "bench", start=False) as driver:
        driver.load(path, planned=True, n_ctx=512)
        driver.until(lambda: driver.workbench.measured is not None)
        predicted, measured = driver.workbench.predicted, driver.workbench.measured
        assert predicted is not None
        assert measured is not None
        assert predicted.size_of(Part.KV) is measured.size_of(Part.KV) is None
        assert predicted.size_of(Part.RECURRENT) == measured.size_of(Part.RECURRENT)
        assert predicted.size_of(Part.RECURRENT)

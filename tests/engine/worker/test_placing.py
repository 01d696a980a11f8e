"""Where tensors are put: what the engine would not take is refused with what it would, and the process lives."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.errors import KnownError
from tests.support.answers import ask
from tests.support.benches import open_bench
from tests.support.dry_runs import DryRuns


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"override_tensor": ("ffn=NOWHERE",)}, "no such buffer.*use one of CPU"),
        ({"override_tensor": ("(=CPU",)}, "not a regular expression"),
        ({"override_tensor": (r"(?<=a)b=CPU",)}, "not a regular expression"),
        ({"override_tensor": ("no buffer",)}, "pattern=buffer"),
        ({"tensor_split": "0,0"}, "must get a share"),
        ({"tensor_split": "one,two"}, "commas between them"),
    ],
    ids=str,
)
def test_what_the_engine_would_not_take_is_refused_in_words(
    smollm2: Path, options: dict[str, object], said: str
) -> None:
    with DryRuns() as engine:
        with pytest.raises(KnownError, match=said):
            engine.memory(smollm2, options)  # type: ignore[arg-type]
        assert engine.memory(smollm2, {}).buffers


def test_each_sequence_has_its_share_of_the_context_and_a_chat_only_one(tmp_path: Path, smollm2: Path) -> None:
    with open_bench(tmp_path, start=False) as driver:
        driver.load(smollm2, n_ctx=1024, n_seq_max=2)
        facts, memory = driver.workbench.state.facts, driver.workbench.state.memory
        assert facts is not None
        assert memory is not None
        assert (facts.n_ctx, memory.n_ctx) == (512, 1024)
        answer = ask(driver, "word " * 450, max_tokens=100, ignore_eos=True)
        assert answer.stats.n_prompt + answer.stats.n_completion <= 513
        refused = ask(driver, "word " * 600, max_tokens=1)
        assert refused.trouble is not None
        assert "512" in refused.trouble.sentence()

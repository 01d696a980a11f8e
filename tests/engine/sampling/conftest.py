"""Real logits of both models, decoded once: one prompt with an obvious next token, one that is open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.worker.binding import Vocabulary
from tests.support.native_samplers import logits_after, open_vocabulary

PROMPTS = {
    "obvious": "The capital of France is Paris. The capital of France is",
    "open": "Once upon a time there was a",
}


@dataclass(frozen=True)
class RealLogits:
    """The logits of the position after a prompt, and the prompt's tokens."""

    name: str
    logits_v: NDArray[np.float32]
    prompt_tokens: list[int]
    vocab: Vocabulary

    @property
    def n_vocab(self) -> int:
        return len(self.logits_v)


@pytest.fixture(scope="session")
def vocabularies(smollm2: Path, gemma3: Path) -> Iterator[dict[str, Vocabulary]]:
    with open_vocabulary(smollm2) as small, open_vocabulary(gemma3) as large:
        yield {"smollm2": small, "gemma3": large}


@pytest.fixture(scope="session")
def small_vocab(smollm2: Path) -> Iterator[Vocabulary]:
    with open_vocabulary(smollm2) as found:
        yield found


@pytest.fixture(scope="session")
def all_real_logits(smollm2: Path, gemma3: Path, vocabularies: dict[str, Vocabulary]) -> dict[str, RealLogits]:
    found = {}
    for model, file in (("smollm2", smollm2), ("gemma3", gemma3)):
        for kind, (logits_v, tokens) in zip(PROMPTS, logits_after(file, tuple(PROMPTS.values())), strict=True):
            logits_v.setflags(write=False)
            found[f"{model}-{kind}"] = RealLogits(f"{model}-{kind}", logits_v, tokens, vocabularies[model])
    return found


@pytest.fixture(params=["smollm2-obvious", "smollm2-open", "gemma3-obvious", "gemma3-open"])
def real(request: pytest.FixtureRequest, all_real_logits: dict[str, RealLogits]) -> RealLogits:
    """One of the four real distributions."""
    return all_real_logits[request.param]


@pytest.fixture
def small(all_real_logits: dict[str, RealLogits]) -> RealLogits:
    """The one for tests that need only one: SmolLM2 with an open continuation."""
    return all_real_logits["smollm2-open"]

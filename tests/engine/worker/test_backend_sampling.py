"""The chain inside the graph: the same tokens as outside, and a plain run where the engine cannot do the chain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.sampling.chain import Chain
from engine.wire.messages import Prompt
from tests.support.answers import GREEDY, ask, listen
from tests.support.benches import Driver, open_bench
from tests.support.chi_square import chance_of_one_source

STORY = "Once upon a time, a llama crossed the mountains."
WARM = Chain.default().with_value("temperature", 1.3)
PENALTIES = WARM.with_value("repeat_penalty", 1.2)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Driver]:
    """SmolLM2 with a context of 256 tokens and one thread."""
    with open_bench(tmp_path_factory.mktemp("inside"), start=False) as driver:
        driver.load(smollm2, n_ctx=256, n_threads=1)
        yield driver


def test_a_greedy_text_is_the_same(loaded: Driver) -> None:
    plain = ask(loaded, STORY, max_tokens=20)
    inside = ask(loaded, STORY, max_tokens=20, backend_sampling=True)
    assert inside.raw == plain.raw
    assert inside.stats.no_shortcut == ""


@pytest.mark.parametrize("chain", [WARM, PENALTIES], ids=["plain", "penalties"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_draws_the_same_text(loaded: Driver, chain: Chain, seed: int) -> None:
    plain = ask(loaded, STORY, chain=chain, max_tokens=20, seed=seed)
    inside = ask(loaded, STORY, chain=chain, max_tokens=20, seed=seed, backend_sampling=True)
    assert inside.raw == plain.raw
    assert inside.stats.no_shortcut == ""


def test_tokens_that_are_never_to_be_drawn_are_not(loaded: Driver) -> None:
    answer = ask(loaded, [("user", "Say yes.")], max_tokens=40, ignore_eos=True, backend_sampling=True)
    assert answer.stats.n_completion == 40


def test_the_next_run_is_a_plain_one_again(loaded: Driver) -> None:
    before = ask(loaded, STORY, chain=WARM, max_tokens=15, seed=9)
    ask(loaded, STORY, chain=GREEDY, max_tokens=5, backend_sampling=True)
    assert ask(loaded, STORY, chain=WARM, max_tokens=15, seed=9).raw == before.raw


def test_a_new_chain_goes_into_the_graph_in_the_middle_of_a_run(loaded: Driver) -> None:
    runs = listen(loaded)
    options = {"max_tokens": 40, "seed": 3, "ignore_eos": True, "backend_sampling": True}
    loaded.workbench.generate(Prompt(text=STORY), chain=WARM, options=options)  # type: ignore[arg-type]
    loaded.until(lambda: runs and runs[0].frames)
    loaded.workbench.set_chain(GREEDY)
    loaded.until(lambda: runs[0].ended)
    loaded.workbench.set_chain(Chain.default())
    assert runs[0].stats.n_completion == 40
    assert runs[0].raw != ask(loaded, STORY, chain=WARM, max_tokens=40, seed=3, ignore_eos=True).raw


def test_what_is_drawn_in_the_graph_is_drawn_as_often_as_outside(loaded: Driver) -> None:
    """The second token is the first that is drawn in the graph.

    The graph's top-k keeps the tokens in no order, so one seed may draw another of the three than it does outside.
    """
    chain = Chain.default().with_value("top_k", 3).with_value("top_p", 1.0).with_value("min_p", 0.0)
    inside, outside = (
        Counter(
            ask(loaded, "1 2 3 1 2", chain=chain, max_tokens=2, seed=seed, backend_sampling=where).raw
            for seed in range(40)
        )
        for where in (True, False)
    )
    assert len(inside) > 1
    assert chance_of_one_source(inside, outside) > 0.001

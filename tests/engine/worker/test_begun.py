"""Answers that begin with chosen tokens: sent first, counted, known to the chain, ended where they end an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.sampling.chain import Chain
from engine.wire.messages import FinishReason, Generate, Prompt, Tokenize, Tokenized
from engine.workbench.dialogue import wire_chain
from tests.support.answers import GREEDY, Answer, ask, listen
from tests.support.benches import Driver, open_bench

PROMPT = "The three primary colours are"


@pytest.fixture(scope="module")
def one_thread(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Driver]:
    with open_bench(tmp_path_factory.mktemp("bench"), start=False) as driver:
        driver.load(smollm2, n_ctx=256, n_threads=1, n_threads_batch=1)
        yield driver


def begin(
    driver: Driver, begun: tuple[int, ...], prompt: Prompt | None = None, chain: Chain = GREEDY, **options: object
) -> Answer:
    """An answer that begins with these tokens."""
    runs = listen(driver)
    asked = prompt or Prompt(text=PROMPT)
    driver.workbench.supervisor.write(
        lambda n: Generate(n, asked, wire_chain(chain), options, begun)  # type: ignore[arg-type]
    )
    driver.until(lambda: runs and runs[0].ended)
    return runs[0]


def ids(driver: Driver, text: str) -> tuple[int, ...]:
    return tuple(each.id for each in _tokenized(driver, text))


def spelled(driver: Driver, tokens: tuple[int, ...]) -> bytes:
    return b"".join(each.piece for each in _tokenized(driver, "", tokens))


def _tokenized(driver: Driver, text: str, tokens: tuple[int, ...] = ()) -> tuple[object, ...]:
    found: list[Tokenized] = []
    driver.workbench.supervisor.request(lambda n: Tokenize(n, text, False, True, tokens), found.append, found.append)
    driver.until(lambda: found)
    return found[0].tokens


def test_a_run_tells_its_prompt_and_its_answer_as_tokens(one_thread: Driver) -> None:
    answer = ask(one_thread, PROMPT, max_tokens=8, ignore_eos=True)
    assert answer.started is not None
    assert answer.done is not None
    assert spelled(one_thread, answer.started.prompt_tokens).decode().endswith(PROMPT)
    assert len(answer.started.prompt_tokens) == answer.stats.n_prompt
    assert spelled(one_thread, answer.done.tokens) == answer.raw
    assert len(answer.done.tokens) == answer.stats.n_completion == 8


def test_the_token_that_ends_an_answer_is_told_and_not_counted(one_thread: Driver) -> None:
    answer = ask(one_thread, [("user", "Say hello.")], max_tokens=100)
    assert answer.reason is FinishReason.STOP
    assert answer.done is not None
    assert spelled(one_thread, answer.done.tokens[-1:]) == b"<|im_end|>"
    assert len(answer.done.tokens) == answer.stats.n_completion + 1


def test_the_same_tokens_as_a_prompt_give_the_same_answer(one_thread: Driver) -> None:
    first = ask(one_thread, [("user", "Name a colour.")], max_tokens=10)
    assert first.started is not None
    assert first.done is not None
    again = ask(one_thread, Prompt(tokens=first.started.prompt_tokens), max_tokens=10)
    assert again.done is not None
    assert again.done.tokens == first.done.tokens


def test_an_answer_goes_on_from_its_beginning_as_it_would_have(one_thread: Driver) -> None:
    whole = ask(one_thread, PROMPT, max_tokens=20, ignore_eos=True)
    assert whole.done is not None
    for n_begun in (1, 7, 19):
        answer = begin(one_thread, whole.done.tokens[:n_begun], max_tokens=20, ignore_eos=True)
        assert answer.done is not None
        assert answer.done.tokens == whole.done.tokens
        assert answer.raw == whole.raw
        assert answer.frames[0].piece == spelled(one_thread, whole.done.tokens[:n_begun])
        assert answer.frames[0].n_completion == n_begun
        assert (answer.stats.n_begun, answer.stats.n_completion) == (n_begun, 20)


def test_the_chain_knows_the_chosen_tokens(one_thread: Driver) -> None:
    """A penalty on what was said must see what was put into the answer's mouth."""
    penal = GREEDY.with_value("repeat_penalty", 2.0).with_value("penalty_last_n", 256)
    begun = ids(one_thread, " red, green and blue, red, green and blue, red, green and")
    free = begin(one_thread, begun, max_tokens=len(begun) + 1, ignore_eos=True)
    held = begin(one_thread, begun, chain=penal, max_tokens=len(begun) + 1, ignore_eos=True)
    assert free.done is not None
    assert held.done is not None
    assert free.done.tokens[-1] in begun
    assert held.done.tokens[-1] not in begun


def test_a_stop_text_in_the_chosen_tokens_ends_the_answer_before_itself(one_thread: Driver) -> None:
    begun = ids(one_thread, " red, green and blue")
    answer = begin(one_thread, begun, max_tokens=30, stop=(" green",))
    assert (answer.reason, answer.text) == (FinishReason.STOP, " red,")
    assert answer.done is not None
    assert begun[: len(answer.done.tokens)] == answer.done.tokens != begun


def test_a_stop_text_may_begin_in_the_chosen_tokens_and_end_after_them(one_thread: Driver) -> None:
    whole = ask(one_thread, PROMPT, max_tokens=8, ignore_eos=True)
    assert whole.done is not None
    place = len(spelled(one_thread, whole.done.tokens[:4]))
    stop = whole.text[place - 2 : place + 2]
    assert whole.text.index(stop) == place - 2
    answer = begin(one_thread, whole.done.tokens[:4], max_tokens=30, stop=(stop,))
    assert (answer.reason, answer.text) == (FinishReason.STOP, whole.text[: place - 2])


def test_the_end_of_generation_as_the_last_chosen_token_ends_the_answer(one_thread: Driver) -> None:
    begun = (*ids(one_thread, " red."), *ids(one_thread, "<|im_end|>"))
    answer = begin(one_thread, begun, max_tokens=30)
    assert (answer.reason, answer.text) == (FinishReason.STOP, " red.")
    assert answer.done is not None
    assert answer.done.tokens == begun
    assert begin(one_thread, begun, max_tokens=30, ignore_eos=True).stats.n_completion == 30


def test_a_limit_that_the_chosen_tokens_reach_ends_the_answer_with_them(one_thread: Driver) -> None:
    begun = ids(one_thread, " red, green and blue")
    answer = begin(one_thread, begun, max_tokens=len(begun))
    assert (answer.reason, answer.text) == (FinishReason.LENGTH, " red, green and blue")


def test_chosen_tokens_that_leave_no_room_are_refused_with_a_longer_context(one_thread: Driver) -> None:
    begun = ids(one_thread, " red" * 260)
    answer = begin(one_thread, begun)
    assert "does not fit" in answer.trouble.what
    assert any(each.argument.startswith("n_ctx=") for each in answer.trouble.remedies)


@pytest.mark.parametrize("stranger", [-1, 10**6])
def test_tokens_that_the_model_has_not_are_refused_wherever_they_stand(one_thread: Driver, stranger: int) -> None:
    assert str(stranger) in begin(one_thread, (stranger,)).trouble.value
    assert str(stranger) in ask(one_thread, Prompt(tokens=(1, stranger))).trouble.value


def test_a_full_context_ends_an_answer_of_tokens_too(one_thread: Driver) -> None:
    answer = begin(one_thread, ids(one_thread, " red" * 200), max_tokens=500, ignore_eos=True)
    assert answer.reason is FinishReason.CONTEXT
    assert answer.stats.n_prompt + answer.stats.n_completion == 256

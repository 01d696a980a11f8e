"""Guessed tokens: the text is that of the plain run to the last token, and the figures say how the guesses went."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import RemedyKind
from engine.sampling.chain import Chain
from engine.wire.messages import FinishReason, Prompt
from engine.worker.speculation import CPU_COST, GPU_COST, LONGEST_PAUSE, Pace, PromptLookup
from tests.support.answers import GREEDY, Answer, ask, listen
from tests.support.benches import Driver, open_bench

WORDS = ["apple", "pear", "plum", "cherry", "grape", "lemon"]
LIST = "".join(f"{number}. {word}\n" for number, word in enumerate(WORDS, 1))
REPEATS = f"The list:\n{LIST}\nThe list again:\n{LIST}\nThe list again:\n{LIST}\nThe list again:\n"
STORY = "Once upon a time, a llama crossed the mountains."
WARM = Chain.default().with_value("repeat_penalty", 1.1)
LOOKUP = {"speculate": "lookup", "ngram_min": 2}


@pytest.fixture(scope="module")
def guessing(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Driver]:
    """SmolLM2 with a context of 512 tokens and eight outputs a call."""
    with open_bench(tmp_path_factory.mktemp("guessing"), start=False) as driver:
        driver.load(smollm2, n_ctx=512, n_outputs_max=8, n_threads=1)
        yield driver


def both(driver: Driver, prompt: str, chain: Chain, **options: object) -> tuple[Answer, Answer]:
    """The same run plainly and with guesses, from the same cache: a prompt is rounded otherwise where it is read anew."""
    ask(driver, prompt, max_tokens=0)
    return ask(driver, prompt, chain=chain, **options), ask(driver, prompt, chain=chain, **options, **LOOKUP)


# ---- guesses as values


def test_lookup_continues_the_longest_and_latest_match() -> None:
    lookup = PromptLookup(2, 3)
    text = [1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3]
    assert lookup.kind(text) == 3
    assert list(lookup.draft(text, 2)) == [4, 9]
    text += [5, 7, 2, 3]
    assert lookup.kind(text) == 2
    assert list(lookup.draft(text, 2)) == [5, 7]


def test_lookup_has_no_guess_where_nothing_stood_before() -> None:
    lookup = PromptLookup(2, 4)
    assert lookup.kind([]) == 0
    assert lookup.kind([1]) == 0
    assert lookup.kind([1, 2, 3, 4]) == 0


def test_lookup_expects_what_repeats_to_go_on_with_its_period() -> None:
    lookup = PromptLookup(2, 4)
    text = [8, 1, 2, 3, 1, 2, 3]
    assert lookup.kind(text) == 3
    assert list(lookup.draft(text, 7)) == [1, 2, 3, 1, 2, 3, 1]


def test_lookup_sees_a_growing_text_as_it_sees_the_whole() -> None:
    text = [1, 2, 3, 1, 2, 4, 1, 2, 3, 3, 1, 2, 4, 1, 2]
    growing = PromptLookup(1, 3)
    for n_known in range(1, len(text) + 1):
        at_once = PromptLookup(1, 3)
        kind = growing.kind(text[:n_known])
        assert kind == at_once.kind(text[:n_known])
        if kind:
            assert growing.draft(text[:n_known], 4) == at_once.draft(text[:n_known], 4)


def test_guesses_grow_while_they_are_right() -> None:
    pace = Pace(1, 15, CPU_COST)
    lengths = []
    for _ in range(12):
        lengths.append(pace.length(3))
        pace.learn(3, lengths[-1], lengths[-1])
    assert lengths[0] == 3
    assert lengths == sorted(lengths)
    assert lengths[-1] > 3


def test_guesses_that_are_wrong_are_paused_for_longer_and_longer_but_not_for_ever() -> None:
    pace = Pace(1, 7, CPU_COST)
    pauses, pause = [], 0
    for _ in range(400):
        length = pace.length(3)
        if length:
            pauses.append(pause)
            pause = 0
            pace.learn(3, length, 0)
        else:
            pause += 1
    assert pauses[:6] == [0, 2, 4, 8, 16, 32]
    assert max(pauses) == LONGEST_PAUSE


def test_one_kind_of_guess_does_not_spoil_another() -> None:
    pace = Pace(1, 7, CPU_COST)
    for _ in range(5):
        if pace.length(2):
            pace.learn(2, 3, 0)
    assert pace.length(2) == 0
    assert pace.length(4) == 3


def test_where_guesses_cost_little_longer_ones_are_tried() -> None:
    assert Pace(1, 15, GPU_COST).length(3) > Pace(1, 15, CPU_COST).length(3)


def test_the_lengths_stay_within_what_was_asked_for() -> None:
    assert Pace(1, 2, CPU_COST).length(3) == 2
    assert Pace(5, 15, CPU_COST).length(3) == 7


# ---- with a real model


def test_a_greedy_text_is_the_same_and_the_guesses_of_a_repetition_are_right(guessing: Driver) -> None:
    plain, guessed = both(guessing, REPEATS, GREEDY, max_tokens=40)
    assert guessed.raw == plain.raw
    assert (plain.stats.n_drafted, plain.stats.n_accepted, plain.stats.acceptance_rate) == (None, None, None)
    assert guessed.stats.n_completion == 40
    rate = guessed.stats.acceptance_rate
    assert rate is not None
    assert rate > 0.8
    assert guessed.stats.n_accepted is not None
    assert 20 <= guessed.stats.n_accepted < 40


def test_drawn_texts_are_the_same_for_the_same_seeds_with_penalties_too(guessing: Driver) -> None:
    """Which text a seed gives depends on how the processor rounds; not every one repeats something."""
    n_drafted = 0
    for seed in range(1, 6):
        plain, guessed = both(guessing, REPEATS, WARM, max_tokens=30, seed=seed)
        assert guessed.raw == plain.raw
        assert guessed.stats.n_drafted is not None
        assert guessed.stats.n_accepted is not None
        assert guessed.stats.n_accepted <= guessed.stats.n_drafted
        n_drafted += guessed.stats.n_drafted
    assert n_drafted


def test_an_open_story_is_the_same_too(guessing: Driver) -> None:
    plain, guessed = both(guessing, STORY, WARM, max_tokens=50, seed=5)
    assert guessed.raw == plain.raw
    assert guessed.stats.n_drafted is not None


@pytest.mark.parametrize("n_tokens", [1, 2, 9, 10, 11, 12])
def test_the_length_limit_is_exact_inside_a_run_of_right_guesses(guessing: Driver, n_tokens: int) -> None:
    plain, guessed = both(guessing, REPEATS, GREEDY, max_tokens=n_tokens)
    assert guessed.reason is FinishReason.LENGTH
    assert guessed.stats.n_completion == n_tokens
    assert guessed.raw == plain.raw


@pytest.mark.parametrize("stop", ["pear", "plum\n4", "e\n6"])
def test_a_stop_text_inside_a_run_of_right_guesses_ends_the_answer_before_itself(guessing: Driver, stop: str) -> None:
    plain, guessed = both(guessing, REPEATS, GREEDY, max_tokens=60, stop=(stop,))
    assert guessed.reason is FinishReason.STOP
    assert guessed.text == plain.text
    assert guessed.stats.n_completion == plain.stats.n_completion
    assert guessed.done is not None
    assert guessed.done.stop_text == stop


def test_an_end_token_inside_a_run_of_right_guesses_ends_the_answer(guessing: Driver) -> None:
    turn = "<|im_start|>user\nSay it.<|im_end|>\n<|im_start|>assistant\nOne two three four.<|im_end|>\n"
    prompt = turn * 3 + "<|im_start|>user\nSay it.<|im_end|>\n<|im_start|>assistant\n"
    plain, guessed = both(guessing, prompt, GREEDY, max_tokens=30)
    assert plain.reason is FinishReason.STOP
    assert guessed.reason is FinishReason.STOP
    assert guessed.raw == plain.raw
    assert guessed.stats.n_completion == plain.stats.n_completion
    assert guessed.stats.n_accepted


def test_a_full_context_ends_the_answer_at_the_same_token(guessing: Driver) -> None:
    plain, guessed = both(guessing, "1 2 3 " * 82, GREEDY, max_tokens=-1, ignore_eos=True)
    assert guessed.reason is FinishReason.CONTEXT
    assert guessed.stats.n_prompt + guessed.stats.n_completion == 512
    assert guessed.raw == plain.raw


def test_what_was_guessed_last_does_not_stay_in_the_cache(guessing: Driver) -> None:
    fresh = ask(guessing, REPEATS + LIST, max_tokens=12)
    ask(guessing, STORY, max_tokens=2)
    ask(guessing, REPEATS, max_tokens=10, **LOOKUP)
    again = ask(guessing, REPEATS + LIST, max_tokens=12)
    assert again.stats.n_reused > again.stats.n_prompt - len(LIST)
    assert again.raw == fresh.raw


def test_stopping_ends_a_guessing_run_and_the_next_one_is_right(guessing: Driver) -> None:
    expected = ask(guessing, REPEATS, max_tokens=12, **LOOKUP).raw
    runs = listen(guessing)
    options = {"max_tokens": -1, "ignore_eos": True, **LOOKUP}
    guessing.workbench.generate(Prompt(text=REPEATS), chain=GREEDY, options=options)  # type: ignore[arg-type]
    guessing.until(lambda: runs and runs[0].frames)
    guessing.workbench.cancel()
    guessing.until(lambda: runs[0].ended)
    assert runs[0].reason is FinishReason.CANCELLED
    assert ask(guessing, REPEATS, max_tokens=12, **LOOKUP).raw == expected


def test_a_new_chain_applies_inside_a_run_of_right_guesses(guessing: Driver) -> None:
    runs = listen(guessing)
    wild = Chain.default().with_value("temperature", 5.0).with_enabled("top_k", False).with_enabled("top_p", False)
    wild = wild.with_enabled("min_p", False)
    options = {"max_tokens": 40, "seed": 3, "ignore_eos": True, **LOOKUP}
    guessing.workbench.generate(Prompt(text=REPEATS), chain=GREEDY, options=options)  # type: ignore[arg-type]
    guessing.until(lambda: runs and runs[0].frames)
    guessing.workbench.set_chain(wild)
    guessing.until(lambda: runs[0].ended)
    guessing.workbench.set_chain(Chain.default())
    calm = ask(guessing, REPEATS, max_tokens=40, ignore_eos=True)
    assert runs[0].raw != calm.raw
    assert runs[0].raw[:1] == calm.raw[:1]


def test_a_context_with_one_output_a_call_is_refused_with_the_option_to_change(loaded: Driver) -> None:
    trouble = ask(loaded, STORY, max_tokens=5, **LOOKUP).trouble
    assert "n_outputs_max" in trouble.next_step
    assert [(each.kind, each.argument) for each in trouble.remedies] == [(RemedyKind.SET_OPTION, "n_outputs_max=8")]


def test_a_sliding_window_that_moved_on_gives_wrong_guesses_back(tmp_path: Path, gemma3: Path) -> None:
    """Beyond window and micro-batch old keys are overwritten; a guess must not cost one that is still needed.

    Without repacking, and in calls of four tokens, this model's kernels round as they do for one.
    """
    options = {"n_ctx": 1024, "n_batch": 64, "n_ubatch": 64, "use_extra_bufts": False, "n_threads": 1}
    prompt = "The days of the week are Monday, Tuesday, Wednesday and so on. " * 54 + "The days of the week are"
    with open_bench(tmp_path, start=False) as driver:
        driver.load(gemma3, n_outputs_max=4, **options)
        hot = Chain.default().with_value("temperature", 2.0).with_enabled("top_p", False).with_enabled("min_p", False)
        n_wrong = 0
        for seed in range(1, 13):  # which of them brings a wrong guess is the processor's rounding
            plain, guessed = both(driver, prompt, hot, max_tokens=16, seed=seed)
            assert plain.stats.n_prompt > 768  # window and micro-batch, rounded up by the engine
            assert guessed.raw == plain.raw
            assert guessed.stats.n_drafted is not None
            assert guessed.stats.n_accepted is not None
            assert guessed.stats.no_shortcut == ""
            n_wrong += guessed.stats.n_drafted - guessed.stats.n_accepted
            if n_wrong:
                break
        assert n_wrong

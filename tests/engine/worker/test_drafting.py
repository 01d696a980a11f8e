"""A second model that guesses: the text is that of the plain run, whatever it guesses, and it costs what is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.base.errors import KnownError, RemedyKind, Trouble
from engine.memory.ledger import Part
from engine.runtime.dry_run import plan_load
from engine.runtime.supervisor import Phase
from engine.sampling.chain import Chain
from engine.wire.messages import FinishReason, Prompt
from engine.workbench.events import MemoryChanged, TroubleShown
from engine.workbench.workbench import parse_changes
from engine.worker.speculation import CPU_COST, Pace, SpeculativeSteps
from tests.support.answers import GREEDY, Answer, ask, listen
from tests.support.benches import Driver, open_bench
from tests.support.made_models import deeper, random_llama, random_mamba

STORY = "Once upon a time, a llama crossed the mountains."
WARM = Chain.default().with_value("repeat_penalty", 1.1)
HOT = WARM.with_value("temperature", 3.0).with_enabled("top_p", False).with_enabled("min_p", False)
DRAFT = {"speculate": "draft"}
N_LAYER = 120


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for models that are made."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def deep(models: Path, smollm2: Path) -> Path:
    """SmolLM2 with four times its layers: the same text, and SmolLM2 is a draft model that is always right."""
    return deeper(models / "deep.gguf", smollm2, N_LAYER)


@contextmanager
def loaded_with(
    folder: Path, model: Path, draft: Path, *, planned: bool = False, **options: object
) -> Iterator[Driver]:
    with open_bench(folder, start=False) as driver:
        wanted = {"n_ctx": 512, "n_outputs_max": 8, "n_threads": 1, **options}
        driver.load(model, planned=planned, model_draft=str(draft), **wanted)
        yield driver


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory, deep: Path, smollm2: Path) -> Iterator[Driver]:
    """A model and a draft model that is always right."""
    with loaded_with(tmp_path_factory.mktemp("right"), deep, smollm2, planned=True) as driver:
        yield driver


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory, models: Path, smollm2: Path) -> Iterator[Driver]:
    """SmolLM2 and a draft model of random weights, with some tokens more."""
    draft = random_llama(models / "random.gguf", smollm2, n_more=20)
    with loaded_with(tmp_path_factory.mktemp("wrong"), smollm2, draft) as driver:
        yield driver


def both(driver: Driver, prompt: str, chain: Chain, **options: object) -> tuple[Answer, Answer]:
    """The same run plainly and with guesses."""
    return ask(driver, prompt, chain=chain, **options), ask(driver, prompt, chain=chain, **options, **DRAFT)


# ---- the text


@pytest.mark.parametrize("chain", [GREEDY, WARM, HOT], ids=["greedy", "drawn", "hot"])
def test_the_text_is_the_same_with_a_draft_model_that_is_right(right: Driver, chain: Chain) -> None:
    plain, guessed = both(right, STORY, chain, max_tokens=40, seed=4, ignore_eos=True)
    assert guessed.raw == plain.raw
    assert plain.stats.n_drafted is None
    assert guessed.stats.n_drafted
    assert guessed.stats.no_shortcut == ""


@pytest.mark.parametrize("chain", [GREEDY, WARM, HOT], ids=["greedy", "drawn", "hot"])
def test_the_text_is_the_same_with_a_draft_model_that_is_wrong(wrong: Driver, chain: Chain) -> None:
    plain, guessed = both(wrong, STORY, chain, max_tokens=40, seed=4, ignore_eos=True)
    assert guessed.raw == plain.raw
    assert guessed.stats.n_drafted
    assert guessed.stats.n_accepted == 0


def test_greedy_guesses_of_the_same_model_are_right_and_save_calls(right: Driver) -> None:
    guessed = ask(right, STORY, max_tokens=64, ignore_eos=True, **DRAFT)
    assert guessed.stats.acceptance_rate is not None
    assert guessed.stats.acceptance_rate > 0.95
    assert guessed.stats.n_accepted is not None
    assert guessed.stats.n_accepted > 24  # so many tokens needed no call of their own


def test_a_draft_model_that_is_as_large_as_the_model_is_asked_seldom(tmp_path: Path, smollm2: Path) -> None:
    """It guesses right, and still each guess takes as long as a token: the pace must see that."""
    with loaded_with(tmp_path, smollm2, smollm2) as driver:
        plain, guessed = both(driver, STORY, GREEDY, max_tokens=60, ignore_eos=True)
        assert guessed.raw == plain.raw
        assert guessed.stats.acceptance_rate == 1.0
        assert guessed.stats.n_drafted is not None
        assert 0 < guessed.stats.n_drafted < 20


def test_unsure_guesses_are_not_made_where_a_probability_is_asked_for(wrong: Driver) -> None:
    plain, guessed = both(wrong, STORY, GREEDY, max_tokens=20, draft_p_min=0.9)
    assert guessed.raw == plain.raw
    assert (guessed.stats.n_drafted, guessed.stats.n_accepted) == (0, 0)


def test_a_chat_with_several_answers_stays_the_same(right: Driver) -> None:
    """The draft context goes from one prompt to the next, back to an older one, and on."""
    prompts = [STORY, f"{STORY} It was a long way", "The list: one, two,", f"{STORY} It was a long way home"]
    plain = [ask(right, each, max_tokens=12).raw for each in prompts]
    assert [ask(right, each, max_tokens=12, **DRAFT).raw for each in prompts] == plain


def test_a_text_beyond_the_draft_context_is_read_again_from_a_later_place(
    tmp_path: Path, deep: Path, smollm2: Path
) -> None:
    with loaded_with(tmp_path, deep, smollm2, n_ctx_draft=256) as driver:
        prompt = "The list:\n1. apple\n2. pear\n3. plum\n4. cherry\n5. grape\n\n" * 12
        ask(driver, prompt, max_tokens=0)  # read once, so that both runs begin with the same cache
        plain, guessed = both(driver, prompt, GREEDY, max_tokens=60, ignore_eos=True)
        assert plain.stats.n_prompt > 256
        assert guessed.raw == plain.raw
        assert guessed.stats.acceptance_rate is not None
        assert guessed.stats.acceptance_rate > 0.5  # a text that repeats can be guessed from its end


def test_tokens_that_the_draft_model_does_not_have_do_not_harm_it(tmp_path: Path, models: Path, smollm2: Path) -> None:
    draft = random_llama(models / "less.gguf", smollm2, n_more=-100)
    with loaded_with(tmp_path, smollm2, draft) as driver:
        last = Prompt(tokens=(1, 2, 3, 49_151, 49_150, 4))
        plain = ask(driver, last, max_tokens=12, ignore_eos=True)
        guessed = ask(driver, last, max_tokens=12, ignore_eos=True, **DRAFT)
        assert guessed.raw == plain.raw
        assert guessed.stats.n_drafted


def test_stopping_while_it_guesses_ends_the_run_and_the_next_one_is_right(right: Driver) -> None:
    expected = ask(right, STORY, max_tokens=12, **DRAFT).raw
    runs = listen(right)
    options = {"max_tokens": -1, "ignore_eos": True, **DRAFT}
    right.workbench.generate(Prompt(text=STORY), chain=GREEDY, options=options)  # type: ignore[arg-type]
    right.until(lambda: runs and runs[0].frames)
    right.workbench.cancel()
    right.until(lambda: runs[0].ended)
    assert runs[0].reason is FinishReason.CANCELLED
    assert ask(right, STORY, max_tokens=12, **DRAFT).raw == expected


def test_lookup_still_works_beside_a_draft_model(right: Driver) -> None:
    prompt = "apple, pear, plum, apple, pear, plum, apple, pear,"
    plain = ask(right, prompt, max_tokens=12)
    found = ask(right, prompt, max_tokens=12, speculate="lookup", ngram_min=2)
    assert found.raw == plain.raw
    assert found.stats.n_accepted


# ---- what is told


def test_sampling_on_the_device_gives_way_to_speculation_and_that_is_told(right: Driver) -> None:
    plain, guessed = both(right, STORY, GREEDY, max_tokens=12, backend_sampling=True)
    assert plain.stats.no_shortcut == ""
    assert guessed.raw == plain.raw
    assert "No backend sampling" in guessed.stats.no_shortcut
    assert guessed.stats.n_drafted


def test_drafting_without_a_draft_model_is_refused_with_the_place_to_choose_one(loaded: Driver) -> None:
    trouble = ask(loaded, STORY, max_tokens=5, **DRAFT).trouble
    assert "model_draft" in trouble.next_step
    assert "n_outputs_max 8" in trouble.next_step
    assert [(each.kind, each.argument) for each in trouble.remedies] == [(RemedyKind.OPEN_PAGE, "memory")]


def test_drafting_with_one_output_a_call_is_refused_with_the_option_to_change(tmp_path: Path, smollm2: Path) -> None:
    with loaded_with(tmp_path, smollm2, smollm2, n_outputs_max=1) as driver:
        trouble = ask(driver, STORY, max_tokens=5, **DRAFT).trouble
        assert [each.argument for each in trouble.remedies] == ["n_outputs_max=8"]


@pytest.mark.parametrize("is_main", [True, False], ids=["model", "draft model"])
def test_a_state_that_cannot_go_back_is_told_and_the_run_is_a_plain_one(
    tmp_path: Path, models: Path, smollm2: Path, is_main: bool
) -> None:
    mamba = random_mamba(models / "mamba.gguf", smollm2)
    pair = (mamba, smollm2) if is_main else (smollm2, mamba)
    with loaded_with(tmp_path, *pair) as driver:
        plain, guessed = both(driver, STORY, GREEDY, max_tokens=8, ignore_eos=True)
        assert guessed.raw == plain.raw
        assert guessed.stats.n_drafted is None
        assert ("this model's" if is_main else "the draft model's") in guessed.stats.no_shortcut


def test_the_facts_name_the_draft_model(right: Driver) -> None:
    facts = right.workbench.state.facts
    assert facts is not None
    assert facts.draft_name == "Smollm2 135M 8k Lc100K Mix1 Ep2"
    assert facts.n_layer == N_LAYER


# ---- what it takes


def test_the_draft_model_is_a_row_of_its_own_predicted_and_measured_alike(right: Driver) -> None:
    right.until(lambda: right.workbench.measured is not None)
    predicted, measured = right.workbench.predicted, right.workbench.measured
    assert predicted is not None
    assert measured is not None
    # Weights, the cache of 512 tokens, compute and one row of logits, as when it is the main model.
    alone, _hello = plan_load(right.workbench.load_options["model_draft"], {"n_ctx": 512})  # type: ignore[arg-type]
    (buffer,) = alone.memory.buffers
    expected = buffer.model_bytes + buffer.context_bytes + buffer.compute_bytes + alone.memory.output_bytes
    assert predicted.size_of(Part.DRAFT) == expected
    assert measured.size_of(Part.DRAFT) == expected
    assert predicted.size_of(Part.KV) == measured.size_of(Part.KV) == 512 * N_LAYER * 2 * 3 * 64 * 2


def test_the_draft_model_goes_with_the_other(tmp_path: Path, smollm2: Path) -> None:
    with loaded_with(tmp_path, smollm2, smollm2) as driver:
        first = driver.worker()
        ledgers = driver.collect(MemoryChanged)
        driver.load(smollm2, model_draft="")
        # The first load's own figures may still be on their way.
        driver.until(
            lambda: ledgers and (last := ledgers[-1].measured) is not None and last.size_of(Part.DRAFT) is None
        )
        assert not first.is_running() or first.pid != driver.worker().pid


# ---- what is no draft model


@pytest.fixture
def damaged(models: Path, smollm2: Path) -> Path:
    path = models / "damaged.gguf"
    path.write_bytes(smollm2.read_bytes()[:300_000])
    return path


REFUSED: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "missing": (lambda folder, _like: folder / "nothing-here.gguf", "not there"),
    "more tokens": (lambda folder, like: random_llama(folder / "more.gguf", like, n_more=129), "49,281 tokens"),
    "another token": (lambda folder, like: random_llama(folder / "other.gguf", like, renamed=30_000), "token 30,000"),
}


def refusal(model: Path, draft: Path) -> Trouble:
    with pytest.raises(KnownError) as caught:
        plan_load(str(model), {"n_ctx": 512, "model_draft": str(draft)})
    return caught.value.trouble


def is_told_with_the_way_out(trouble: Trouble, draft: Path) -> bool:
    (remedy,) = trouble.remedies
    assert remedy.kind is RemedyKind.SET_OPTION
    assert parse_changes(remedy.argument) == {"model_draft": ""}
    return trouble.what == "The draft model cannot be used" and trouble.value.startswith(draft.name)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_draft_is_refused_before_the_load(models: Path, smollm2: Path, case: str) -> None:
    make, reason = REFUSED[case]
    draft = make(models, smollm2)
    trouble = refusal(smollm2, draft)
    assert is_told_with_the_way_out(trouble, draft)
    assert reason in trouble.value


def test_a_damaged_draft_model_is_refused(smollm2: Path, damaged: Path) -> None:
    assert is_told_with_the_way_out(refusal(smollm2, damaged), damaged)


def test_a_model_with_another_tokenizer_is_refused(smollm2: Path, gemma3: Path) -> None:
    trouble = refusal(smollm2, gemma3)
    assert is_told_with_the_way_out(trouble, gemma3)
    assert "vocabulary" in trouble.value


def test_a_load_that_skips_the_plan_is_refused_as_well_and_nothing_stays_loaded(
    tmp_path: Path, smollm2: Path, gemma3: Path
) -> None:
    with open_bench(tmp_path, start=False) as driver:
        shown = driver.collect(TroubleShown)
        driver.workbench.open_model(smollm2, {"n_ctx": 512, "model_draft": str(gemma3)}, anyway=True)
        driver.until(lambda: shown)
        assert is_told_with_the_way_out(shown[0].trouble, gemma3)
        assert driver.workbench.state.phase is not Phase.READY
        assert driver.workbench.measured is None


def test_loading_can_be_stopped_while_the_draft_model_is_read(tmp_path: Path, deep: Path, smollm2: Path) -> None:
    """The draft model is the large one here, so half of the way is within it."""
    with open_bench(tmp_path, start=False) as driver:
        options = {"n_ctx": 512, "n_outputs_max": 8, "model_draft": str(deep), "mmap": False}
        driver.workbench.open_model(smollm2, options, anyway=True)
        driver.until(lambda: driver.workbench.state.load_fraction > 0.5)
        driver.workbench.cancel()
        driver.until(lambda: driver.workbench.state.phase in (Phase.EMPTY, Phase.LOST))
        assert driver.workbench.state.facts is None
        driver.load(smollm2, model_draft="", n_ctx=512)
        assert ask(driver, STORY, max_tokens=3).stats.n_completion == 3


# ---- a draft model that fails


class Cache:
    """As much of a session as steps need."""

    n_ctx = 100

    def __init__(self) -> None:
        self.cached: list[int] = []

    def keep_ahead(self, token: int) -> bool:
        return False

    def drop_ahead(self) -> bool:
        return True

    def decode_one(self, token: int) -> None:
        self.cached.append(token)


class Failing:
    """A drafter whose engine fails."""

    def __init__(self) -> None:
        self.n_asked = 0

    def kind(self, history: Sequence[int]) -> int:
        return 1

    def draft(self, history: Sequence[int], n_most: int) -> Sequence[int]:
        self.n_asked += 1
        raise KnownError("The engine could not compute the next token", next_step="try again")


def test_a_draft_model_that_fails_ends_the_guessing_and_not_the_answer() -> None:
    cache, drafter, history = Cache(), Failing(), [1, 2, 3]
    steps = SpeculativeSteps(cache, drafter, Pace(1, 3, CPU_COST), history, 50)  # type: ignore[arg-type]
    for token in (7, 8, 9):
        history.append(token)
        steps.advance(token)
    assert cache.cached == [7, 8, 9]
    assert drafter.n_asked == 1
    assert "Speculation ended: The engine could not compute" in steps.no_shortcut


# ---- the pace


def test_what_a_guess_costs_to_make_counts() -> None:
    def lengths(draft_cost: float) -> list[int]:
        pace = Pace(1, 15, CPU_COST, draft_cost)
        found = []
        for _ in range(60):
            found.append(pace.length(1))
            if found[-1]:
                pace.learn(1, found[-1], found[-1])
        return found

    assert sum(lengths(0.0)) > sum(lengths(0.1)) > sum(lengths(1.0))
    assert lengths(0.05)[-1] > 3
    assert lengths(1.0).count(0) > 50


def test_a_drafter_that_is_never_sure_is_asked_less_and_less() -> None:
    pace = Pace(1, 7, CPU_COST, 0.2)
    n_asked = 0
    for _ in range(200):
        if pace.length(1):
            n_asked += 1
            pace.learn(1, 0, 0)
    assert 5 < n_asked < 20


def test_a_drafter_that_is_seldom_sure_and_then_right_is_still_asked() -> None:
    pace = Pace(1, 7, CPU_COST, 0.05)
    asked = 0
    for chance in range(200):
        length = pace.length(1)
        if length:
            asked += 1
            n_sure = length if chance % 2 else 0
            pace.learn(1, n_sure, n_sure)
    assert asked > 150

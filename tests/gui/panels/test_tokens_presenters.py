"""The next-token view and the tokens of an answer without a window: what is asked, when, and what becomes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from engine.base.errors import KnownError, Trouble
from engine.runtime.supervisor import EngineState, Phase
from engine.sampling.chain import Chain
from engine.sampling.stages import STAGES
from engine.store.rows import MessageId, MessageState, Role
from engine.wire.messages import (
    FinishReason,
    NextTaken,
    Prompt,
    Scored,
    StageView,
    TokenChance,
    TokenOption,
    TokensScored,
    TokenTrace,
)
from engine.workbench.events import Figures, ThreadMessage
from gui.panels.inspector.presenter import next_token, tokens
from gui.panels.inspector.presenter.distribution import rows_at_temperature, rows_of, rows_of_trace, steps_of
from gui.panels.inspector.presenter.next_token import NextTokenPresenter, NextView, Place
from gui.panels.inspector.presenter.tokens import Part, TokensPresenter, TokensView, branches_of, sums_of
from tests.support.hand_clock import HandClock

N_VOCAB = 1000
FIRST_STAGE, SECOND_STAGE = STAGES[1].key, STAGES[2].key


def distribution(n: int = 12, ratio: float = 0.6) -> tuple[TokenChance, ...]:
    """The likeliest tokens of a geometric distribution: ids 100, 101 …; the rest of the vocabulary has the rest."""
    return tuple(
        TokenChance(100 + each, b" t%d" % each, (1 - ratio) * ratio**each, 10 + each * math.log(ratio))
        for each in range(n)
    )


def stage(key: str, n_left: int, n_top: int = 12) -> StageView:
    whole = distribution()[:n_left]
    mass = sum(each.p for each in whole)
    top = tuple(TokenChance(each.id, each.piece, each.p / mass) for each in whole[:n_top])
    return StageView(key, n_left, 1.5, mass, top)


def taken(*n_left: int, picked: int = 101) -> NextTaken:
    keys = [each.key for each in STAGES]
    stages = tuple(stage(keys[at], n) for at, n in enumerate(n_left))
    return NextTaken(1, distribution(), 2.0, stages, TokenChance(picked, b" t%d" % (picked - 100), 0.3))


# ---- rows


def test_survivors_stand_before_what_was_cut() -> None:
    rows = rows_of(taken(4), 1, 8, None)
    assert [row.token_id for row in rows] == list(range(100, 108))
    assert [row.is_cut for row in rows] == [False] * 4 + [True] * 4
    assert rows[0].p_chain == pytest.approx(0.4 / (1 - 0.6**4))
    assert rows[0].p == pytest.approx(0.4)
    assert (rows[5].p_chain, rows[5].rank) == (None, 6)


def test_where_more_survive_than_there_is_room_for_the_cut_can_still_be_seen() -> None:
    rows = rows_of(taken(10), 1, 8, None)
    assert [row.token_id for row in rows] == [100, 101, 102, 103, 104, None, 110, 111]
    assert rows[5].n_more == 5
    assert [row.is_cut for row in rows[6:]] == [True, True]


def test_where_it_cannot_be_known_what_was_cut_nothing_is_called_cut() -> None:
    answer = taken(12)
    many = NextTaken(1, answer.raw, 2.0, (StageView("top_k", 400, 3.0, 0.9, answer.stages[0].top[:6]),), answer.picked)
    rows = rows_of(many, 1, 8, None)
    assert [row.is_cut for row in rows] == [False] * 7
    assert rows[-1].n_more == 394


def test_the_token_that_stands_there_is_shown_however_unlikely() -> None:
    rows = rows_of(taken(10), 0, 8, 111)
    assert [row.token_id for row in rows] == [*range(100, 107), 111]
    assert [row.is_taken for row in rows] == [False] * 7 + [True]
    assert rows[-1].rank == 12
    rows = rows_of(taken(10), 1, 8, 108)
    assert [row.token_id for row in rows] == [100, 101, 102, 103, 108, None, 110, 111]


def test_the_steps_begin_with_the_model_itself() -> None:
    first, second = steps_of(taken(4), N_VOCAB)
    assert (first.label, first.survivors, first.mass_kept) == ("", N_VOCAB, 1.0)
    assert (second.label, second.survivors) == (STAGES[0].label, 4)


@pytest.mark.parametrize("temperature", [0.25, 0.5, 1.0, 2.0, 100.0])
def test_another_temperature_is_the_softmax_of_the_scores(temperature: float) -> None:
    """Against the whole vocabulary, of which only the top was sent; what was not is alike among itself here."""
    sent = distribution()
    rest = (1 - sum(each.p for each in sent)) / (N_VOCAB - len(sent))
    whole = [each.p ** (1 / temperature) for each in sent] + [rest ** (1 / temperature)] * (N_VOCAB - len(sent))
    rows = rows_at_temperature(taken(4), N_VOCAB, temperature, 8)
    assert [row.p_chain for row in rows[:7]] == pytest.approx([each / sum(whole) for each in whole[:7]])
    assert sum(row.p_chain or 0 for row in rows) == pytest.approx(1.0)
    assert rows[-1].n_more == N_VOCAB - 7


def test_at_temperature_nothing_the_likeliest_has_everything() -> None:
    rows = rows_at_temperature(taken(4), N_VOCAB, 0.0, 8)
    assert [row.p_chain for row in rows] == [1.0] + [0.0] * 7


def test_at_temperature_one_the_bars_are_the_models_own() -> None:
    for row in rows_at_temperature(taken(4), N_VOCAB, 1.0, 8)[:-1]:
        assert row.p_chain == pytest.approx(row.p)


# ---- a workbench whose engine answers when it is told to


@dataclass
class Question:
    prompt: Prompt
    then: Callable[[Any], None]
    failed: Callable[[Trouble], None]
    more: dict[str, Any]
    progress: Callable[[Any], None] | None = None


@dataclass
class HandLab:
    """Keeps what was asked; a test answers."""

    open: list[Question] = field(default_factory=list)
    n_asked: int = 0
    dropped: list[int] = field(default_factory=list)
    refuses: bool = False

    def look(self, prompt: Prompt, then: Any, failed: Any, **more: Any) -> int:
        return self._add(Question(prompt, then, failed, more))

    def peek(self, then: Any, failed: Any, **more: Any) -> int:
        return self._add(Question(Prompt(), then, failed, more))

    def score(self, prompt: Prompt, answer: Sequence[int], then: Any, failed: Any, progress: Any, **more: Any) -> int:
        return self._add(Question(prompt, then, failed, {"answer": tuple(answer), **more}, progress))

    def drop(self, request_id: int) -> None:
        self.dropped.append(request_id)

    def _add(self, question: Question) -> int:
        if self.refuses:
            raise KnownError("The engine is busy", next_step="wait")
        self.open.append(question)
        self.n_asked += 1
        return self.n_asked

    def answer(self, event: Any) -> None:
        self.open.pop(0).then(event)


def answer_message(message_id: str, parent: str = "q", **more: Any) -> ThreadMessage:
    figures = Figures("SmolLM2", None, 7, FinishReason.STOP)
    return replace(
        ThreadMessage(MessageId(message_id), MessageId(parent), Role.ASSISTANT, "Hi.", MessageState.COMPLETE),
        figures=figures,
        **more,
    )


QUESTION = ThreadMessage(MessageId("q"), None, Role.USER, "Say hello.", MessageState.COMPLETE)
FOUND = SimpleNamespace(
    run_id="run",
    prompt_tokens=(1, 2, 3),
    tokens=(100, 101, 2),
    chain=Chain.default(),
    seed=7,
    model_label="X",
    n_begun=0,
    changes=(),
    ignore_eos=False,
    is_loaded=True,
)


class HandWorkbench:
    """The parts of the façade that the two presenters use, with their state in the open."""

    def __init__(self) -> None:
        facts: Any = SimpleNamespace(n_vocab=N_VOCAB, fingerprint="one", devices=("CUDA0",), n_threads=2)
        self.state = EngineState(phase=Phase.READY, facts=facts)
        self.chain = Chain.default()
        self.run_options = {"seed": 7}
        self.lab = HandLab()
        self.dialogue = SimpleNamespace(
            messages=(QUESTION, answer_message("a")),
            is_writing=False,
            conversation_id="c",
            system_prompt="",
            draft="",
            show_message=lambda message_id: self.shown.append(message_id),
        )
        self.shown: list[str] = []
        self.forked: list[tuple[str, int, int]] = []
        self.found: Any = FOUND
        self.answers: tuple[Any, ...] = ()
        self.kept: list[tuple[str, float]] = []
        self.records = SimpleNamespace(keep_logprob=lambda run_id, logprob: self.kept.append((run_id, logprob)))
        self.waiting: list[Callable[[], None]] = []

    def answer_tokens(self, message_id: MessageId, then: Any, failed: Any) -> None:
        if self.found is None:
            self.waiting.append(lambda: failed(Trouble("The tokens of this answer were not kept")))
        else:
            self.waiting.append(lambda: then(self.found))

    def forks(self, message_id: MessageId, then: Any) -> None:
        then(SimpleNamespace(answers=self.answers))

    def fork_answer(self, message_id: MessageId, position: int, token_id: int) -> None:
        if self.dialogue.is_writing:
            raise KnownError("An answer is still being written", next_step="stop it first")
        self.forked.append((message_id, position, token_id))

    def tell(self) -> None:
        """The store answers."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each()

    def is_now(self, phase: Phase) -> EngineState:
        self.state = replace(self.state, phase=phase)
        return self.state


# ---- the next token


@dataclass
class Looking:
    workbench: HandWorkbench
    presenter: NextTokenPresenter
    clock: HandClock
    views: list[NextView]

    @property
    def lab(self) -> HandLab:
        return self.workbench.lab

    def after_answer(self) -> None:
        """An answer of this session is whole."""
        self.presenter.message_finished(self.workbench.dialogue.messages[-1])
        self.workbench.tell()


@pytest.fixture
def looking() -> Looking:
    workbench, clock, views = HandWorkbench(), HandClock(), list[NextView]()
    presenter = NextTokenPresenter(workbench, clock, views.append)  # type: ignore[arg-type]
    presenter.engine_changed(workbench.state)
    presenter.set_visible(True)
    return Looking(workbench, presenter, clock, views)


def test_an_old_chat_is_not_read_before_somebody_asks(looking: Looking) -> None:
    assert looking.views[-1].doing is next_token.Doing.WAITING
    assert looking.lab.n_asked == 0
    looking.presenter.look()
    looking.workbench.tell()
    assert looking.views[-1].doing is next_token.Doing.ASKING
    assert looking.lab.open[0].prompt.tokens == (1, 2, 3, 100, 101), "up to the token that ended the answer"
    looking.lab.answer(taken(4))
    view = looking.views[-1]
    assert (view.doing, view.place, view.step) == (next_token.Doing.SHOWN, Place.END, 1)


def test_after_an_answer_its_end_is_looked_at_by_itself(looking: Looking) -> None:
    looking.after_answer()
    assert looking.lab.n_asked == 1
    assert looking.lab.open[0].more["seed"] == 7


def test_nothing_is_asked_while_nobody_can_see_it(looking: Looking) -> None:
    looking.presenter.set_visible(False)
    looking.after_answer()
    looking.presenter.chain_changed()
    looking.workbench.dialogue.is_writing = True
    looking.presenter.text_came()
    assert looking.lab.n_asked == 0
    looking.workbench.dialogue.is_writing = False
    looking.presenter.set_visible(True)
    looking.workbench.tell()
    assert looking.lab.n_asked == 1


def test_of_many_changes_one_question_is_in_flight_and_the_last_one_wins(looking: Looking) -> None:
    looking.after_answer()
    looking.lab.answer(taken(4))
    for value in (0.1, 0.2, 0.3, 0.4):
        looking.workbench.chain = looking.workbench.chain.with_value("temperature", value)
        looking.presenter.chain_changed()
        assert len(looking.lab.open) == 1
    looking.lab.answer(taken(3))
    assert len(looking.views[-1].rows) >= 3, "the bars move with every answer"
    assert len(looking.lab.open) == 1
    looking.lab.answer(taken(2))
    assert (looking.lab.open, looking.lab.n_asked) == ([], 3)
    assert looking.views[-1].steps[-1].survivors == 2


def test_what_stands_in_the_composer_is_looked_at_when_somebody_asks_and_then_followed(looking: Looking) -> None:
    def type_text(text: str) -> None:
        looking.workbench.dialogue.draft = text
        looking.presenter.draft_changed()

    type_text("And in")
    assert looking.views[-1].has_draft
    assert looking.lab.n_asked == 0, "typing alone asks nothing"
    looking.presenter.look_at_draft()
    said = [(each.role, each.content) for each in looking.lab.open[0].prompt.messages]
    assert said == [("user", "Say hello."), ("assistant", "Hi."), ("user", "And in")]
    looking.lab.answer(taken(4))
    view = looking.views[-1]
    assert (view.doing, view.place, view.is_drawn) == (next_token.Doing.SHOWN, Place.DRAFT, True)
    type_text("And in Welsh")
    type_text("And in Welsh?")
    assert len(looking.lab.open) == 1, "one question at a time"
    assert looking.lab.dropped, "what was asked of the shorter text is dropped"
    looking.lab.open.pop(0).failed(Trouble("Stopped"))
    assert looking.lab.open[0].prompt.messages[-1].content == "And in Welsh?"
    looking.lab.answer(taken(3))
    assert looking.views[-1].place is Place.DRAFT
    type_text("")
    looking.workbench.tell()
    assert looking.views[-1].place is Place.END
    assert not looking.views[-1].has_draft


def test_an_answer_that_begins_takes_the_place_of_the_draft(looking: Looking) -> None:
    looking.workbench.dialogue.draft = "And in Welsh?"
    looking.presenter.draft_changed()
    looking.presenter.look_at_draft()
    looking.workbench.dialogue.is_writing = True
    looking.workbench.is_now(Phase.READING)
    looking.workbench.dialogue.messages = (*looking.workbench.dialogue.messages, QUESTION)
    looking.presenter.thread_changed()
    view = looking.views[-1]
    assert view.place is Place.LIVE
    assert not view.has_draft
    looking.presenter.look_at_draft()
    assert looking.views[-1].place is Place.LIVE


def test_in_an_empty_chat_the_draft_can_be_looked_at(looking: Looking) -> None:
    looking.workbench.dialogue.messages = ()
    looking.presenter.thread_changed()
    looking.workbench.dialogue.draft = "Once"
    looking.presenter.draft_changed()
    assert (looking.views[-1].doing, looking.views[-1].has_draft) == (next_token.Doing.NO_TEXT, True)
    looking.presenter.look_at_draft()
    looking.lab.answer(taken(4))
    assert (looking.views[-1].doing, looking.views[-1].place) == (next_token.Doing.SHOWN, Place.DRAFT)


def test_what_changes_nothing_of_the_draw_asks_nothing(looking: Looking) -> None:
    looking.after_answer()
    looking.lab.answer(taken(4))
    looking.presenter.chain_changed()
    assert looking.lab.n_asked == 1


def test_a_look_that_gave_way_is_asked_again_when_the_engine_has_time(looking: Looking) -> None:
    looking.after_answer()
    looking.workbench.is_now(Phase.WORKING)
    looking.lab.open.pop(0).failed(Trouble("Stopped"))
    assert looking.views[-1].trouble is None
    looking.presenter.engine_changed(looking.workbench.is_now(Phase.READY))
    assert len(looking.lab.open) == 1


def test_why_there_is_no_answer_is_said_in_place(looking: Looking) -> None:
    looking.after_answer()
    trouble = Trouble("Nothing is left to draw from", next_step="loosen a cut")
    looking.lab.open.pop(0).failed(trouble)
    assert looking.views[-1].trouble == trouble
    looking.presenter.look()
    looking.lab.answer(taken(4))
    assert looking.views[-1].trouble is None


def test_waiting_can_be_stopped(looking: Looking) -> None:
    looking.after_answer()
    looking.presenter.stop()
    assert looking.lab.dropped == [1]
    looking.lab.open.pop(0).failed(Trouble("Stopped"))
    view = looking.views[-1]
    assert (view.doing, view.trouble) == (next_token.Doing.WAITING, None)


def test_a_token_of_a_text_is_looked_at_and_the_way_back_leads_to_the_end(looking: Looking) -> None:
    looking.after_answer()
    looking.lab.answer(taken(4))
    looking.presenter.look_at((1, 2, 3, 100), 104, b" t4", 2)
    assert looking.lab.open[0].prompt.tokens == (1, 2, 3, 100)
    looking.lab.answer(taken(4))
    view = looking.views[-1]
    assert (view.place, view.position, view.taken, view.is_drawn) == (Place.TOKEN, 2, b" t4", False)
    assert [row.token_id for row in view.rows if row.is_taken] == [104]
    looking.presenter.look_at_end()
    looking.workbench.tell()
    assert looking.lab.open[0].prompt.tokens == (1, 2, 3, 100, 101)


def test_the_answer_about_a_place_that_was_left_is_not_shown(looking: Looking) -> None:
    looking.after_answer()
    looking.presenter.look_at((1, 2, 3), 100, b" t0", 1)
    assert looking.lab.dropped == [1]
    looking.lab.answer(taken(4))
    assert looking.views[-1].doing is next_token.Doing.ASKING
    looking.lab.answer(taken(2))
    assert looking.views[-1].place is Place.TOKEN
    assert looking.views[-1].steps[-1].survivors == 2


def test_while_an_answer_is_written_it_is_looked_at_once_a_second_at_most(looking: Looking) -> None:
    looking.workbench.dialogue.is_writing = True
    looking.workbench.is_now(Phase.WRITING)
    for _ in range(40):
        looking.presenter.text_came()
        if looking.lab.open:
            looking.lab.answer(taken(4))
        looking.clock.move(0.05)
    assert 2 <= looking.lab.n_asked <= 3
    assert looking.views[-1].place is Place.LIVE


def test_where_the_engine_takes_every_core_it_is_looked_at_half_as_often(looking: Looking) -> None:
    facts: Any = SimpleNamespace(n_vocab=N_VOCAB, fingerprint="crowded", devices=("CPU",), n_threads=100_000)
    looking.workbench.state = replace(looking.workbench.state, facts=facts)
    looking.presenter.engine_changed(looking.workbench.state)
    looking.workbench.dialogue.is_writing = True
    looking.workbench.is_now(Phase.WRITING)
    for _ in range(80):
        looking.presenter.text_came()
        if looking.lab.open:
            looking.lab.answer(taken(4))
        looking.clock.move(0.05)
    assert 2 <= looking.lab.n_asked <= 3, "in four seconds"


def test_an_answer_that_ended_before_it_could_be_looked_at_is_no_fault(looking: Looking) -> None:
    looking.workbench.dialogue.is_writing = True
    looking.workbench.is_now(Phase.WRITING)
    looking.presenter.text_came()
    looking.workbench.dialogue.is_writing = False
    looking.workbench.is_now(Phase.READY)
    looking.after_answer()
    looking.lab.open.pop(0).failed(Trouble("No answer is being written"))
    assert looking.views[-1].trouble is None
    assert len(looking.lab.open) == 1, "and its end is looked at"


def test_the_chosen_stage_stays_and_the_last_one_follows_a_longer_chain(looking: Looking) -> None:
    looking.after_answer()
    looking.lab.answer(taken(8, 4))
    assert looking.views[-1].step == 2
    looking.presenter.choose_step(1)
    assert looking.views[-1].step == 1
    looking.workbench.run_options = {"seed": 8}
    looking.presenter.chain_changed()
    looking.lab.answer(taken(8, 4, 2))
    assert looking.views[-1].step == 1
    looking.presenter.choose_step(3)
    looking.workbench.run_options = {"seed": 9}
    looking.presenter.chain_changed()
    looking.lab.answer(taken(8, 4, 3, 2))
    assert looking.views[-1].step == 4


def test_an_answer_whose_tokens_were_not_kept_is_looked_at_from_its_question(looking: Looking) -> None:
    looking.workbench.found = None
    looking.presenter.look()
    looking.workbench.tell()
    assert [each.content for each in looking.lab.open[0].prompt.messages] == ["Say hello."]


def test_an_answer_of_another_model_is_looked_at_from_its_question(looking: Looking) -> None:
    looking.workbench.found = SimpleNamespace(**{**vars(FOUND), "is_loaded": False})
    looking.presenter.look()
    looking.workbench.tell()
    assert [each.content for each in looking.lab.open[0].prompt.messages] == ["Say hello."]
    assert looking.lab.open[0].prompt.tokens == ()


def test_without_a_model_or_a_text_the_section_says_so(looking: Looking) -> None:
    looking.presenter.engine_changed(looking.workbench.is_now(Phase.EMPTY))
    assert looking.views[-1].doing is next_token.Doing.NO_MODEL
    looking.workbench.is_now(Phase.READY)
    looking.workbench.dialogue.messages = ()
    looking.presenter.thread_changed()
    assert looking.views[-1].doing is next_token.Doing.NO_TEXT


def test_another_model_makes_what_was_shown_worthless(looking: Looking) -> None:
    looking.after_answer()
    looking.lab.answer(taken(4))
    other: Any = SimpleNamespace(n_vocab=5, fingerprint="two", devices=("CUDA0",), n_threads=2)
    looking.workbench.state = replace(looking.workbench.state, facts=other)
    looking.presenter.engine_changed(looking.workbench.state)
    assert looking.views[-1].doing is next_token.Doing.WAITING


# ---- the tokens of an answer


def trace(token_id: int, p: float | None = 0.25, rank: int | None = 1) -> TokenTrace:
    top = (TokenOption(100, b" t0", 0.5, 0.6), TokenOption(101, b" t1", 0.25, 0.4), TokenOption(102, b" t2", 0.1, 0.0))
    return TokenTrace(token_id, b" t%d" % (token_id - 100), p, rank, 2.0, 0.4, top)


@dataclass
class Shown:
    """What the presenter told."""

    views: list[TokensView] = field(default_factory=list)
    strip: list[TokenTrace] = field(default_factory=list)
    looked: list[tuple[Any, ...]] = field(default_factory=list)

    def show_view(self, view: TokensView) -> None:
        self.views.append(view)

    def clear_tokens(self) -> None:
        self.strip = []

    def add_tokens(self, traces: Sequence[TokenTrace]) -> None:
        self.strip += traces

    def look_at(self, *place: Any) -> None:
        self.looked.append(place)


@dataclass
class Reading:
    workbench: HandWorkbench
    presenter: TokensPresenter
    shown: Shown

    @property
    def view(self) -> TokensView:
        return self.shown.views[-1]

    def read(self, *ids: int) -> None:
        self.presenter.read()
        self.workbench.tell()
        question = self.workbench.lab.open[0]
        assert question.progress is not None
        question.progress(TokensScored(1, tuple(trace(each) for each in ids), len(ids)))
        self.workbench.lab.answer(Scored(1, 3, -2.0))


@pytest.fixture
def reading() -> Reading:
    workbench, shown = HandWorkbench(), Shown()
    presenter = TokensPresenter(workbench, shown)  # type: ignore[arg-type]
    presenter.engine_changed(workbench.state)
    presenter.thread_changed()
    return Reading(workbench, presenter, shown)


def test_the_tokens_come_as_they_are_read(reading: Reading) -> None:
    assert reading.view.doing is tokens.Doing.WAITING
    assert reading.view.can_read
    reading.presenter.read()
    assert reading.view.doing is tokens.Doing.READING
    reading.workbench.tell()
    [question] = reading.workbench.lab.open
    assert question.prompt.tokens == (1, 2, 3)
    assert question.more["answer"] == (100, 101, 2)
    assert question.progress is not None
    question.progress(TokensScored(1, (trace(100), trace(101)), 3))
    assert (reading.view.n_read, reading.view.n_total) == (2, 3)
    assert [each.id for each in reading.shown.strip] == [100, 101]
    question.progress(TokensScored(1, (trace(102),), 3))
    question.then(Scored(1, 3, -4.0))
    assert reading.view.doing is tokens.Doing.READ
    assert reading.view.sums is not None
    assert reading.view.sums.n_tokens == 3
    assert reading.workbench.kept == [("run", -4.0)], "the tree tells it from now on"


def test_the_sums_are_of_the_tokens_that_something_stood_before() -> None:
    sums = sums_of([trace(1, None, None), trace(2, 0.5, 0), trace(3, 0.125, 2)])
    assert sums is not None
    assert sums.n_tokens == 2
    assert sums.logprob == pytest.approx(math.log(0.0625))
    assert sums.perplexity == pytest.approx(4.0)
    assert sums.mean_rank == pytest.approx(2.0)
    assert sums_of([trace(1, None, None)]) is None
    impossible = sums_of([trace(1, 0.0, 5)])
    assert impossible is not None
    assert math.isfinite(impossible.logprob)


def test_how_the_answer_was_written_is_said_and_where_its_chain_cannot_be_followed_is_shown(reading: Reading) -> None:
    reading.presenter.read()
    reading.workbench.tell()
    [question] = reading.workbench.lab.open
    assert {key: question.more[key] for key in ("seed", "n_begun", "changes", "ignore_eos")} == {
        "seed": FOUND.seed,
        "n_begun": FOUND.n_begun,
        "changes": FOUND.changes,
        "ignore_eos": FOUND.ignore_eos,
    }
    question.then(Scored(1, 3, -4.0, warnings=("Token 2 does not follow the grammar",)))
    assert reading.view.warnings == ("Token 2 does not follow the grammar",)
    reading.presenter.choose_part(Part.PROMPT)
    assert reading.view.warnings == ()


def test_the_prompt_is_read_with_nothing_behind_it(reading: Reading) -> None:
    reading.presenter.choose_part(Part.PROMPT)
    reading.read(100, 101, 102)
    assert reading.view.doing is tokens.Doing.READ
    reading.presenter.select(2)
    assert reading.shown.looked == [((1, 2), 102, b" t2", 3)]
    assert not reading.view.can_fork, "a prompt is no answer to go on with"


def test_a_selected_token_shows_what_else_might_have_stood_there(reading: Reading) -> None:
    reading.read(100, 101, 102)
    reading.presenter.select(1)
    assert [(row.token_id, row.is_cut, row.is_taken) for row in reading.view.rows] == [
        (100, False, False),
        (101, False, True),
        (102, True, False),
    ]
    assert reading.shown.looked == [((1, 2, 3, 100), 101, b" t1", 2)]


def test_a_token_that_is_not_among_the_likeliest_stands_with_its_rank() -> None:
    rows = rows_of_trace(trace(150, 0.001, 40))
    assert [row.token_id for row in rows] == [100, 101, 150, 102]
    assert (rows[2].rank, rows[2].is_taken) == (41, True)


def test_another_token_forks_there_and_the_new_answer_is_read_when_it_is_whole(reading: Reading) -> None:
    reading.read(100, 101, 102)
    reading.presenter.fork(1, 102)
    assert reading.workbench.forked == [("a", 1, 102)]
    reading.workbench.dialogue.is_writing = True
    reading.workbench.dialogue.messages = (QUESTION, answer_message("b", state=MessageState.WRITING))
    reading.presenter.thread_changed()
    assert reading.shown.strip == []
    reading.workbench.dialogue.is_writing = False
    reading.workbench.dialogue.messages = (QUESTION, answer_message("b"))
    reading.presenter.message_finished(reading.workbench.dialogue.messages[-1])
    reading.workbench.tell()
    assert len(reading.workbench.lab.open) == 1


def test_an_answer_to_another_question_is_not_read_by_itself(reading: Reading) -> None:
    reading.read(100)
    reading.presenter.fork(0, 102)
    other = answer_message("z", parent="another question")
    reading.workbench.dialogue.messages = (QUESTION, other)
    reading.presenter.message_finished(other)
    assert (reading.workbench.lab.open, reading.workbench.waiting) == ([], [])


def test_a_fork_that_cannot_be_made_is_explained(reading: Reading) -> None:
    reading.read(100, 101)
    reading.workbench.dialogue.is_writing = True
    reading.presenter.fork(1, 102)
    assert reading.view.trouble is not None
    assert "still being written" in reading.view.trouble.what


def test_an_answer_of_another_model_cannot_be_read(reading: Reading) -> None:
    reading.workbench.found = SimpleNamespace(**{**vars(FOUND), "is_loaded": False})
    reading.presenter.read()
    reading.workbench.tell()
    assert reading.workbench.lab.open == []
    assert reading.view.trouble is not None
    assert "another model" in reading.view.trouble.what


def test_tokens_that_were_not_kept_and_a_busy_engine_are_said(reading: Reading) -> None:
    reading.workbench.found = None
    reading.presenter.read()
    reading.workbench.tell()
    assert reading.view.trouble == Trouble("The tokens of this answer were not kept")
    reading.workbench.found = FOUND
    reading.workbench.lab.refuses = True
    reading.presenter.read()
    reading.workbench.tell()
    assert reading.view.trouble is not None
    assert reading.view.doing is tokens.Doing.WAITING


def test_reading_can_be_stopped_and_what_was_read_stays(reading: Reading) -> None:
    reading.presenter.read()
    reading.workbench.tell()
    question = reading.workbench.lab.open[0]
    assert question.progress is not None
    question.progress(TokensScored(1, (trace(100),), 3))
    reading.presenter.stop()
    assert reading.workbench.lab.dropped == [1]
    question.then(Scored(1, 3, -1.0))
    assert (reading.view.doing, len(reading.shown.strip)) == (tokens.Doing.READ, 1)
    assert reading.workbench.kept == [], "half an answer's probability is not the answer's"


def test_what_comes_of_a_text_that_was_left_is_thrown_away(reading: Reading) -> None:
    reading.presenter.read()
    reading.workbench.tell()
    question = reading.workbench.lab.open[0]
    reading.workbench.dialogue.messages = (QUESTION, answer_message("b"))
    reading.presenter.thread_changed()
    assert reading.workbench.lab.dropped == [1]
    assert question.progress is not None
    question.progress(TokensScored(1, (trace(100),), 3))
    question.failed(Trouble("Stopped"))
    assert reading.shown.strip == []
    assert reading.view.trouble is None


def forked(message_id: str, origin: str | None, index: int, **more: Any) -> Any:
    known = {"position": None, "token_text": "", "logprob": None, "text": "Hi.", "is_shown": False, **more}
    return SimpleNamespace(message_id=message_id, origin_id=origin, sibling_index=index, **known)


def test_the_tree_of_forks_stands_each_under_what_it_left() -> None:
    rows = branches_of(
        [
            forked("a", None, 0, logprob=-3.0),
            forked("b", None, 1),
            forked("c", "a", 2, position=4, token_text=" Lyon"),
            forked("d", "c", 3, position=9, token_text="."),
            forked("e", "gone", 4),
        ]
    )
    assert [(row.message_id, row.depth, row.number, row.position) for row in rows] == [
        ("a", 0, 1, None),
        ("c", 1, 3, 5),
        ("d", 2, 4, 10),
        ("b", 0, 2, None),
        ("e", 0, 5, None),
    ]


def test_a_branch_is_gone_to_and_read_like_the_one_before(reading: Reading) -> None:
    reading.workbench.answers = (forked("a", None, 0, is_shown=True), forked("b", "a", 1, position=1, token_text="x"))
    reading.read(100, 101)
    assert [row.message_id for row in reading.view.branches] == ["a", "b"]
    reading.presenter.go_to(MessageId("a"))
    assert reading.workbench.shown == []
    reading.presenter.go_to(MessageId("b"))
    assert reading.workbench.shown == ["b"]
    reading.workbench.dialogue.messages = (QUESTION, answer_message("b"))
    reading.presenter.thread_changed()
    reading.workbench.tell()
    assert len(reading.workbench.lab.open) == 1


def test_the_tokens_of_an_earlier_answer_can_be_wanted(reading: Reading) -> None:
    second = replace(QUESTION, id=MessageId("q2"), parent_id=MessageId("a"))
    last = answer_message("b", parent="q2")
    reading.workbench.dialogue.messages = (*reading.workbench.dialogue.messages, second, last)
    reading.presenter.message_finished(last)
    reading.read(100, 101)
    reading.presenter.show_tokens_of(MessageId("a"))
    reading.workbench.tell()
    assert len(reading.workbench.lab.open) == 1
    reading.workbench.lab.answer(Scored(1, 3, -2.0))
    reading.presenter.fork(0, 102)
    assert reading.workbench.forked == [("a", 0, 102)]


def test_one_answer_alone_is_no_tree(reading: Reading) -> None:
    reading.workbench.answers = (forked("a", None, 0, is_shown=True),)
    reading.read(100)
    assert reading.view.branches == ()

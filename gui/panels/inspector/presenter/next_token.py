"""Where the next token is looked at, and when: at the end of the thread, at a token of a text, or while one is written.

One question is in flight at most. What is asked meanwhile is asked again when it is answered, with the newest chain,
so a slider that is dragged is followed as fast as the engine is and no faster. A look gives way to everything else
(`Laboratory.look`), so it never stands between a person and an answer. At the end of the thread the engine is asked by
itself only after an answer of this session, as everything is computed then; an old chat is read when a button is pressed.
What stands in the composer is a place of its own, which somebody asks for and which then follows what is typed. Rejected: as
part of the end (each word typed would be a prompt to compute).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.base.clock import Clock
from engine.base.cores import cores, takes_every_core
from engine.base.errors import KnownError, Trouble
from engine.runtime.supervisor import EngineState, Phase
from engine.store.rows import MessageId, MessageState, Role
from engine.wire.messages import ChatMessage, FinishReason, NextTaken, Prompt
from engine.workbench import Workbench
from engine.workbench.branching import AnswerTokens
from engine.workbench.events import ThreadMessage
from gui.panels.inspector.presenter.distribution import StepRow, TokenRow, rows_at_temperature, rows_of, steps_of

N_TOP = 64  # tokens asked for: more than are shown, so that those that were cut are known too
N_ROWS, N_ROWS_AT_TEMPERATURE = 6, 8
PEEK_EVERY_S = 1.0  # while an answer is written each look takes a little of the processor that writes it
CROWDED_PEEK_EVERY_S = 2.0  # where the engine's threads take every core: a look costs as much as a token or two
N_TOP_LIVE = 16
WITH_MODEL = (Phase.READY, Phase.READING, Phase.WRITING, Phase.WORKING)


class Place(enum.Enum):
    """What is looked at."""

    END = "end"  # of the thread on screen
    TOKEN = "token"  # of a text: what might have stood there
    DRAFT = "draft"  # after what stands in the composer, as if it were said: where the answer would begin
    LIVE = "live"  # where an answer is being written


class Doing(enum.Enum):
    """What the section has to show."""

    NO_MODEL = "no model"
    NO_TEXT = "no text"  # an empty chat
    WAITING = "waiting"  # there is a place to look at, and nobody asked
    ASKING = "asking"  # the first answer of this place is computed
    SHOWN = "shown"


@dataclass(frozen=True, slots=True)
class NextView:
    """All that the section shows.

    Attributes:
        doing, place: see there.
        position: which token of the text, counted from 1; None where it is no token of a text.
        steps: the model's own distribution and what every stage left of it; `step` is the one that `rows` are of.
        taken: the bytes of the token that stands there, or was drawn; None where neither is.
        is_drawn: it was drawn for this view and stands nowhere; `seed` is what it was drawn with.
        has_draft: there is a text in the composer whose end can be looked at.
        trouble: why the last question had no answer.
    """

    doing: Doing = Doing.NO_MODEL
    place: Place = Place.END
    position: int | None = None
    steps: tuple[StepRow, ...] = ()
    step: int = 0
    rows: tuple[TokenRow, ...] = ()
    taken: bytes | None = None
    is_drawn: bool = False
    seed: int = 0
    has_draft: bool = False
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a text: the prompt that leads to it, and the token that stands there, where one does."""

    place: Place
    prompt: Prompt
    taken_id: int | None = None
    piece: bytes | None = None
    position: int | None = None


class NextTokenPresenter:
    """Asks, and tells `tell` a new view whenever there is one. Nothing is asked while `set_visible` is off."""

    def __init__(self, workbench: Workbench, clock: Clock, tell: Callable[[NextView], None]) -> None:
        self._workbench, self._clock, self._tell = workbench, clock, tell
        self._visible = False
        self._step: int | None = None  # None: after the whole chain
        self._spot: Spot | None = None
        self._finding: MessageId | None = None
        self._is_warm = False  # what the end of the thread needs is computed
        self._request: int | None = None
        self._again = False  # the answer on its way is of yesterday
        self._is_stopped = False
        self._asked_with: object = None
        self._peeked_s = float("-inf")
        self._peek_every_s = PEEK_EVERY_S
        self._taken: NextTaken | None = None
        self._taken_at: Spot | None = None
        self._trouble: Trouble | None = None
        self._end: tuple[object, ...] = ()
        self._model = ""

    # ---- what the view asks

    @property
    def view(self) -> NextView:
        """What is to be shown now."""
        spot, taken = self._spot, self._taken
        place = Place.LIVE if self._is_live else spot.place if spot is not None else Place.END
        view = NextView(place=place, position=spot.position if spot else None, trouble=self._trouble)
        if self._workbench.state.phase not in WITH_MODEL:
            return replace(view, trouble=None)
        view = replace(view, has_draft=bool(self._workbench.dialogue.draft.strip()) and not self._is_live)
        if taken is None:
            if not self._workbench.dialogue.messages and spot is None:
                return replace(view, doing=Doing.NO_TEXT)
            is_asked = self._is_live or self._again or self._request is not None or self._finding is not None
            return replace(view, doing=Doing.ASKING if is_asked else Doing.WAITING)
        steps = steps_of(taken, self._n_vocab)
        step = min(self._step if self._step is not None else len(steps) - 1, len(steps) - 1)
        stands = self._taken_at.taken_id if self._taken_at is not None else None
        marked = stands if stands is not None else None if place is Place.LIVE else taken.picked.id
        rows = rows_of(taken, step, N_ROWS, marked)
        piece = taken.picked.piece if stands is None else self._piece(taken, stands)
        return replace(
            view,
            doing=Doing.SHOWN,
            steps=steps,
            step=step,
            rows=rows,
            taken=None if place is Place.LIVE else piece,
            is_drawn=stands is None,
            seed=self._seed,
        )

    @property
    def is_settled(self) -> bool:
        """Whether nothing is asked and nothing is to be asked."""
        return self._request is None and self._finding is None and not self._again

    def at_temperature(self, temperature: float) -> tuple[TokenRow, ...]:
        """The model's own distribution at another temperature; empty before anything was looked at."""
        return (
            rows_at_temperature(self._taken, self._n_vocab, temperature, N_ROWS_AT_TEMPERATURE) if self._taken else ()
        )

    def set_visible(self, visible: bool) -> None:
        """Somebody sees the section, or nobody does."""
        was, self._visible = self._visible, visible
        if visible and not was:
            self.thread_changed()
            self.draft_changed()
            if self._taken is None and self._is_warm:
                self.look()
            self.chain_changed()

    def choose_step(self, step: int) -> None:
        """Show what is left after that stage; the last one is followed when the chain gets longer."""
        self._step = None if step >= len(self.view.steps) - 1 else step
        self._tell(self.view)

    def look(self) -> None:
        """Ask for the place that is shown; at the end of the thread, find out first what stands there."""
        self._trouble = None
        if self._is_live:
            self._peek(at_once=True)
        elif self._spot is not None:
            self._ask()
        else:
            self._find_end()
        self._tell(self.view)

    def look_at(self, before: tuple[int, ...], taken_id: int, piece: bytes, position: int) -> None:
        """Look at a token of a text: the tokens before it, the token itself, and its number from 1."""
        if self._is_live or not before:
            return
        self._go(Spot(Place.TOKEN, Prompt(tokens=before), taken_id, piece, position))
        if self._visible:
            self.look()

    def look_at_end(self) -> None:
        """Back to the end of the thread."""
        self._go(None)
        if self._visible:
            self.look()

    def look_at_draft(self) -> None:
        """Look at where the answer would begin if the text in the composer were said; nothing is said."""
        spot = self._draft_spot()
        if spot is None or self._is_live:
            return
        self._go(spot)
        if self._visible:
            self.look()

    def stop(self) -> None:
        """Do not wait for the answer any more."""
        self._again = False
        self._finding = None
        if self._request is not None:
            self._is_stopped = True
            self._workbench.lab.drop(self._request)
        self._tell(self.view)

    # ---- what the workbench says

    def thread_changed(self) -> None:
        """Another thread, branch or end may be shown."""
        messages = self._workbench.dialogue.messages
        last = messages[-1] if messages else None
        end = (self._workbench.dialogue.conversation_id, last.id if last else None, last.state if last else None)
        if end != self._end:
            self._end, self._is_warm = end, False
            self._go(None)
        self._tell(self.view)

    def draft_changed(self) -> None:
        """Another text stands in the composer: where its end is looked at, the new one is; without any, the chat's."""
        if self._visible and self._spot is not None and self._spot.place is Place.DRAFT:
            spot = self._draft_spot()
            if spot is None:
                self.look_at_end()
            elif spot.prompt != self._spot.prompt:
                self.look_at_draft()
        self._tell(self.view)

    def message_finished(self, message: ThreadMessage) -> None:
        """An answer is whole: what comes after it is known to the engine."""
        self.thread_changed()
        if self._workbench.dialogue.messages and self._workbench.dialogue.messages[-1].id == message.id:
            self._is_warm = message.state is not MessageState.FAILED
            if self._visible and self._is_warm:
                self.look()

    def text_came(self) -> None:
        """An answer is being written."""
        if self._visible and self._is_live:
            self._peek()

    def chain_changed(self) -> None:
        """The chain or the seed may be another one: what is shown is asked for again."""
        if self._visible and self._taken is not None and not self._is_live and self._settings != self._asked_with:
            self._ask()

    def engine_changed(self, state: EngineState) -> None:
        """The engine may have another model, or time for what waits."""
        model = state.facts.fingerprint if state.facts is not None and state.phase in WITH_MODEL else ""
        if model != self._model:
            self._model, self._is_warm = model, False
            facts = state.facts
            is_crowded = facts is not None and takes_every_core(facts.devices, facts.n_threads, cores())
            self._peek_every_s = CROWDED_PEEK_EVERY_S if is_crowded else PEEK_EVERY_S
            self._go(None)
            self._tell(self.view)
        elif self._again and state.phase is Phase.READY and self._request is None:
            self._ask()

    # ---- inside

    @property
    def _is_live(self) -> bool:
        return self._workbench.dialogue.is_writing

    @property
    def _settings(self) -> object:
        return self._workbench.chain, self._seed

    def _piece(self, taken: NextTaken, token_id: int) -> bytes | None:
        """The bytes of the token that stands here, None where it is not among those that were sent."""
        assert self._taken_at is not None
        if self._taken_at.piece is not None:
            return self._taken_at.piece
        return next((each.piece for each in taken.raw if each.id == token_id), None)

    @property
    def _n_vocab(self) -> int:
        facts = self._workbench.state.facts
        return facts.n_vocab if facts is not None else 0

    @property
    def _seed(self) -> int:
        """The chosen seed; where it is random any will do, but the same one, so that a drag changes only what it means."""
        seed = self._workbench.run_options["seed"]
        return seed if isinstance(seed, int) and seed >= 0 else 0

    def _go(self, spot: Spot | None) -> None:
        """Another place: what was found out about the old one is not shown there."""
        if self._request is not None:
            self._workbench.lab.drop(self._request)
        self._spot, self._finding, self._again = spot, None, False
        self._taken = self._taken_at = self._trouble = None

    def _find_end(self) -> None:
        """The prompt at the end of the thread: the exact tokens of its last answer, or its messages."""
        messages = self._workbench.dialogue.messages
        if not messages or self._workbench.state.phase not in WITH_MODEL:
            return
        last = messages[-1]
        if last.role is not Role.ASSISTANT or last.figures is None:
            self._go(Spot(Place.END, self._prompt_of(messages)))
            self._ask()
            return
        self._finding = last.id

        def go(spot: Spot) -> None:
            if self._finding == last.id:
                self._go(spot)
                self._ask()
                self._tell(self.view)

        def then(found: AnswerTokens) -> None:
            go(_end_of(last, found) if found.is_loaded else Spot(Place.END, self._prompt_of(messages)))

        def failed(_trouble: Trouble) -> None:  # an answer of before its tokens were kept
            go(Spot(Place.END, self._prompt_of(messages)))

        self._workbench.answer_tokens(last.id, then, failed)

    def _draft_spot(self) -> Spot | None:
        draft = self._workbench.dialogue.draft
        if not draft.strip():
            return None
        said = ChatMessage(Role.USER.value, draft.strip())
        return Spot(Place.DRAFT, self._prompt_with(self._workbench.dialogue.messages, said))

    def _prompt_of(self, messages: tuple[ThreadMessage, ...]) -> Prompt:
        """The question that an answer would be given to now: the thread up to its last question."""
        while messages and messages[-1].role is Role.ASSISTANT:
            messages = messages[:-1]
        return self._prompt_with(messages)

    def _prompt_with(self, messages: tuple[ThreadMessage, ...], *more: ChatMessage) -> Prompt:
        turns = [*(ChatMessage(each.role.value, each.text) for each in messages if each.text), *more]
        system_prompt = self._workbench.dialogue.system_prompt
        if system_prompt.strip():
            turns.insert(0, ChatMessage("system", system_prompt))
        return Prompt(messages=tuple(turns), drop_oldest=True)

    def _ask(self) -> None:
        """Ask about the place; where a question is on its way or the engine is at work, when that is over."""
        spot = self._spot
        if spot is None:
            return
        if self._request is not None or self._workbench.state.phase is not Phase.READY:
            self._again = True
            return
        self._again = False
        self._asked_with = self._settings
        self._request = self._tried(
            lambda: self._workbench.lab.look(
                spot.prompt,
                lambda taken: self._answered(spot, taken),
                lambda trouble: self._refused(spot, trouble),
                seed=self._seed,
                n_top=N_TOP,
            )
        )

    def _peek(self, *, at_once: bool = False) -> None:
        now = self._clock.now_s()
        if self._request is not None or (not at_once and now - self._peeked_s < self._peek_every_s):
            return
        self._peeked_s = now
        live = self._spot = Spot(Place.LIVE, Prompt())
        self._request = self._tried(
            lambda: self._workbench.lab.peek(
                lambda taken: self._answered(live, taken), lambda _trouble: self._refused(live, None), n_top=N_TOP_LIVE
            )
        )

    def _tried(self, ask: Callable[[], int]) -> int | None:
        try:
            return ask()
        except KnownError as error:
            self._trouble = None if self._is_live else error.trouble
            return None

    def _answered(self, spot: Spot, taken: NextTaken) -> None:
        self._request = None
        if spot is self._spot:
            self._taken, self._taken_at, self._trouble = taken, spot, None
        if self._again:
            self._ask()
        self._tell(self.view)

    def _refused(self, spot: Spot, trouble: Trouble | None) -> None:
        """No answer: the question was dropped, gave way to work that is going on now, or cannot be answered."""
        self._request = None
        if self._workbench.state.is_busy:
            self._again = self._again or (spot is self._spot and spot.place is not Place.LIVE)
        elif self._again:
            self._ask()
        elif spot is self._spot and not self._is_stopped:
            self._trouble = trouble
        self._is_stopped = False
        self._tell(self.view)


def _end_of(message: ThreadMessage, found: AnswerTokens) -> Spot:
    """Where an answer ended: at the token that ended it, or after its last one where something else did."""
    tokens = found.tokens
    ended = message.figures is not None and message.figures.reason is FinishReason.STOP and bool(tokens)
    before, taken_id = (tokens[:-1], tokens[-1]) if ended else (tokens, None)
    return Spot(Place.END, Prompt(tokens=(*found.prompt_tokens, *before)), taken_id)

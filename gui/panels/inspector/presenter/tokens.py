"""The tokens of an answer, or of its prompt: how likely each was, what else might have stood there, and the way to it.

They are read when somebody asks for it, as it takes a pass of the model over the text. Another token chosen in place of
one makes a fork: the answer goes on from there as a sibling, and is read again when it is whole, so the tree can be
walked from token to token. Rejected: reading every answer by itself (it would keep the engine from the next question).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from engine.base.errors import KnownError, Trouble
from engine.runtime.supervisor import EngineState, Phase
from engine.store.rows import MessageId, MessageState, Role
from engine.wire.messages import Prompt, Scored, TokensScored, TokenTrace
from engine.workbench import Workbench
from engine.workbench.branching import AnswerTokens, ForkedAnswer, Forks
from engine.workbench.events import ThreadMessage
from gui.panels.inspector.presenter.distribution import TokenRow, rows_of_trace

N_TOP = 8  # alternatives a token
LEAST_P = (
    1e-300  # stands in for a probability that was rounded to nothing: its logarithm and a perplexity of it are finite
)
WITH_MODEL = (Phase.READY, Phase.READING, Phase.WRITING, Phase.WORKING)


class Part(enum.Enum):
    """Which tokens."""

    ANSWER = "answer"
    PROMPT = "prompt"


class Doing(enum.Enum):
    """What the section has to show."""

    NO_MODEL = "no model"
    NO_ANSWER = "no answer"
    WAITING = "waiting"  # there is an answer, and nobody asked for its tokens
    READING = "reading"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Sums:
    """Over the tokens that something stood before: their number, the natural log of the probability of all of them,
    the perplexity exp(−logprob / n), and the mean rank, 1 for the likeliest."""

    n_tokens: int
    logprob: float
    perplexity: float
    mean_rank: float


@dataclass(frozen=True, slots=True)
class BranchRow:
    """An answer to the same question.

    Attributes:
        depth: 0 for an answer of its own, 1 for a fork of it, and so on.
        number: of the answer among all of them, from 1.
        position: at which token it left its parent, from 1; None for one of its own.
        token_text: the token that was chosen there.
        logprob: natural log of the probability of all its tokens; None until it was read.
        text: how it begins.
        is_shown: it is on screen.
    """

    message_id: MessageId
    depth: int
    number: int
    position: int | None
    token_text: str
    logprob: float | None
    text: str
    is_shown: bool


@dataclass(frozen=True, slots=True)
class TokensView:
    """All that the section shows beside the strip.

    Attributes:
        doing, part: see there.
        can_read: the engine has time for it.
        n_read, n_total: how far reading is; `n_total` 0 while it is not known.
        sums: of what was read; None where that is nothing.
        warnings: where the probabilities after the chain are not those that the tokens were drawn with.
        place: the selected token, −1 for none.
        rows: what might have stood in its place.
        can_fork: another token can be chosen there.
        branches: the answers to the same question; empty where there is only one.
        trouble: why something that was asked for did not happen.
    """

    doing: Doing = Doing.NO_MODEL
    part: Part = Part.ANSWER
    can_read: bool = False
    n_read: int = 0
    n_total: int = 0
    sums: Sums | None = None
    warnings: tuple[str, ...] = ()
    place: int = -1
    rows: tuple[TokenRow, ...] = ()
    can_fork: bool = False
    branches: tuple[BranchRow, ...] = ()
    trouble: Trouble | None = None


class TokensSurface(Protocol):
    """What the presenter tells: the section, or a list in a test."""

    def show_view(self, view: TokensView) -> None: ...

    def clear_tokens(self) -> None: ...

    def add_tokens(self, traces: Sequence[TokenTrace]) -> None: ...

    def look_at(self, before: tuple[int, ...], taken_id: int, piece: bytes, position: int) -> None: ...


class TokensPresenter:
    """Follows the last answer of the thread on screen, or the one that was chosen."""

    def __init__(self, workbench: Workbench, surface: TokensSurface) -> None:
        self._workbench, self._surface = workbench, surface
        self._message: ThreadMessage | None = None
        self._chosen: MessageId | None = None
        self._part = Part.ANSWER
        self._found: AnswerTokens | None = None
        self._traces: list[TokenTrace] = []
        self._n_total = 0
        self._is_read = False
        self._round = 0  # grows with everything that makes an answer on its way one of yesterday
        self._is_finding = False
        self._request: int | None = None
        self._place = -1
        self._branches: tuple[BranchRow, ...] = ()
        self._trouble: Trouble | None = None
        self._warnings: tuple[str, ...] = ()
        self._reads_next: MessageId | None = None  # the question whose next answer on screen is read too
        self._model = ""
        self._phase: Phase | None = None

    # ---- what the view asks

    @property
    def view(self) -> TokensView:
        """What is to be shown now."""
        state = self._workbench.state
        view = TokensView(part=self._part, branches=self._branches, trouble=self._trouble)
        if state.phase not in WITH_MODEL:
            return replace(view, doing=Doing.NO_MODEL, trouble=None)
        if self._message is None:
            return replace(view, doing=Doing.NO_ANSWER)
        is_reading = self._request is not None or self._is_finding
        doing = Doing.READING if is_reading else Doing.READ if self._is_read else Doing.WAITING
        trace = self._traces[self._place] if 0 <= self._place < len(self._traces) else None
        return replace(
            view,
            doing=doing,
            can_read=state.phase is Phase.READY and not self._workbench.dialogue.is_writing,
            n_read=len(self._traces),
            n_total=self._n_total,
            sums=sums_of(self._traces),
            warnings=self._warnings,
            place=self._place,
            rows=rows_of_trace(trace) if trace is not None else (),
            can_fork=self._part is Part.ANSWER and trace is not None,
        )

    @property
    def traces(self) -> tuple[TokenTrace, ...]:
        """The tokens that were read."""
        return tuple(self._traces)

    def choose_part(self, part: Part) -> None:
        """The answer's own tokens, or those of its prompt."""
        if part is not self._part:
            self._part = part
            self._forget()
            self._show()

    def show_tokens_of(self, message_id: MessageId) -> None:
        """Read the tokens of this answer."""
        self._chosen = message_id
        self._part = Part.ANSWER
        self.thread_changed()
        self.read()

    def read(self) -> None:
        """Ask how likely each token was."""
        message = self._message
        if message is None or self._request is not None or self._is_finding:
            return
        self._forget()
        this, self._is_finding = self._round, True

        def then(found: AnswerTokens) -> None:
            if this == self._round:
                self._is_finding = False
                self._score(found)

        def failed(trouble: Trouble) -> None:
            if this == self._round:
                self._is_finding = False
                self._refuse(trouble)

        self._workbench.answer_tokens(message.id, then, failed)
        self._show()

    def stop(self) -> None:
        """Stop reading; what was read stays."""
        if self._request is not None:
            self._workbench.lab.drop(self._request)
        elif self._is_finding:
            self._forget()
            self._show()

    def select(self, place: int) -> None:
        """Look at one token: what might have stood there, and its place in the next-token view."""
        self._place = place
        self._trouble = None
        self._show()
        found = self._found
        if found is None or not 0 <= place < len(self._traces):
            return
        tokens = found.tokens if self._part is Part.ANSWER else found.prompt_tokens
        before = (*found.prompt_tokens, *tokens[:place]) if self._part is Part.ANSWER else tokens[:place]
        self._surface.look_at(before, self._traces[place].id, self._traces[place].piece, place + 1)

    def fork(self, place: int, token_id: int) -> None:
        """Go on from there with another token, as a sibling of this answer."""
        if self._message is None or self._part is not Part.ANSWER:
            return
        self._trouble = None
        try:
            self._workbench.fork_answer(self._message.id, place, token_id)
            self._reads_next, self._chosen = self._message.parent_id, None
        except KnownError as error:
            self._trouble = error.trouble
        self._show()

    def go_to(self, message_id: MessageId) -> None:
        """Show this answer of the same question."""
        if self._message is None or message_id == self._message.id:
            return
        if self._workbench.dialogue.is_writing:
            self._trouble = KnownError("An answer is still being written", next_step="stop it first").trouble
            self._show()
            return
        if self._is_read:
            self._reads_next = self._message.parent_id
        self._chosen = None
        self._workbench.dialogue.show_message(message_id)

    # ---- what the workbench says

    def thread_changed(self) -> None:
        """Another thread or branch may be shown, with another last answer."""
        dialogue = self._workbench.dialogue
        answers = [each for each in dialogue.messages if _is_model_answer(each)]
        if dialogue.is_writing:  # what was the last answer is none any more
            answers = []
        chosen = next((each for each in answers if each.id == self._chosen), None)
        message = chosen or (answers[-1] if answers else None)
        if message is None or self._message is None or message.id != self._message.id:
            self._chosen = chosen.id if chosen else None
            self._message = message
            self._forget()
            self._branches = ()
            self._find_branches()
            self._read_if_wanted()
        else:
            self._message = message
        self._show()

    def message_finished(self, message: ThreadMessage) -> None:
        """An answer is whole: its tokens can be read."""
        self.thread_changed()
        if self._message is not None and self._message.id == message.id:
            self._find_branches()

    def engine_changed(self, state: EngineState) -> None:
        """The engine may have another model, to which these tokens mean nothing, or time for something."""
        model = state.facts.fingerprint if state.facts is not None and state.phase in WITH_MODEL else ""
        if (model, state.phase) == (self._model, self._phase):
            return  # only its figures are others, as a few times a second while it writes
        self._phase = state.phase
        if model != self._model:
            self._model = model
            self._forget()
        self._show()

    # ---- inside

    def _show(self) -> None:
        self._surface.show_view(self.view)

    def _read_if_wanted(self) -> None:
        message = self._message
        if message is None or self._reads_next is None:
            return
        if message.parent_id == self._reads_next and message.state is not MessageState.FAILED:
            self.read()
        self._reads_next = None

    def _forget(self) -> None:
        """What was read is of another text."""
        if self._request is not None:
            self._workbench.lab.drop(self._request)
        self._round += 1
        self._request, self._is_finding, self._is_read = None, False, False
        self._found, self._n_total, self._place, self._trouble = None, 0, -1, None
        self._warnings = ()
        if self._traces:
            self._traces = []
        self._surface.clear_tokens()

    def _refuse(self, trouble: Trouble) -> None:
        self._request, self._trouble = None, trouble
        self._show()

    def _score(self, found: AnswerTokens) -> None:
        if not found.is_loaded:
            self._refuse(
                Trouble(
                    "This answer was written by another model, whose tokens mean something else",
                    found.model_label,
                    "load that model, or answer again",
                )
            )
            return
        self._found = found
        is_answer = self._part is Part.ANSWER
        this = self._round

        def progress(event: TokensScored) -> None:
            if this == self._round:
                self._traces += event.tokens
                self._n_total = event.n_total
                self._surface.add_tokens(event.tokens)
                self._show()

        def then(scored: Scored) -> None:
            if this == self._round:
                self._request, self._is_read, self._warnings = None, True, scored.warnings
                if is_answer and len(self._traces) == len(found.tokens):  # it was not stopped
                    self._workbench.records.keep_logprob(found.run_id, scored.logprob)
                self._find_branches()
                self._show()

        def failed(trouble: Trouble) -> None:
            if this == self._round:
                self._is_read = bool(self._traces)
                self._refuse(trouble)

        try:
            self._request = self._workbench.lab.score(
                Prompt(tokens=found.prompt_tokens),
                found.tokens if is_answer else (),
                then,
                failed,
                progress,
                chain=found.chain,
                n_top=N_TOP,
                with_prompt=not is_answer,
                seed=found.seed,
                n_begun=found.n_begun,
                changes=found.changes,
                ignore_eos=found.ignore_eos,
            )
        except KnownError as error:
            self._refuse(error.trouble)

    def _find_branches(self) -> None:
        message = self._message
        if message is None:
            return

        def then(forks: Forks) -> None:
            if self._message is not None and self._message.id == message.id:
                self._branches = branches_of(forks.answers) if len(forks.answers) > 1 else ()
                self._show()

        self._workbench.forks(message.id, then)


def _is_model_answer(message: ThreadMessage) -> bool:
    return message.role is Role.ASSISTANT and message.figures is not None and message.state is not MessageState.WRITING


def sums_of(traces: Sequence[TokenTrace]) -> Sums | None:
    """The figures of a text; None where nothing is known of any of its tokens."""
    known = [(each.p, each.rank) for each in traces if each.p is not None and each.rank is not None]
    if not known:
        return None
    n_tokens = len(known)
    logprob = math.fsum(math.log(max(p, LEAST_P)) for p, _rank in known)
    return Sums(n_tokens, logprob, math.exp(-logprob / n_tokens), sum(rank for _p, rank in known) / n_tokens + 1)


def branches_of(answers: Sequence[ForkedAnswer]) -> tuple[BranchRow, ...]:
    """The tree as lines: each answer under the one that it left."""
    known = {each.message_id for each in answers}
    rows: list[BranchRow] = []

    def add(parent: MessageId | None, depth: int) -> None:
        for each in answers:
            origin = each.origin_id if each.origin_id in known else None
            if origin == parent:
                position = None if each.position is None or not each.token_text else each.position + 1
                rows.append(
                    BranchRow(
                        each.message_id,
                        depth,
                        each.sibling_index + 1,
                        position,
                        each.token_text,
                        each.logprob,
                        each.text,
                        each.is_shown,
                    )
                )
                add(each.message_id, depth + 1)

    add(None, 0)
    return tuple(rows)

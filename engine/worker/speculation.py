"""Speculation: guess the next tokens, and let the model check them all in one call.

A drafter proposes a few tokens; the engine computes them together, which for a memory-bound model costs little more
than one; then the run's own chain picks at each place, in order, as if there had been no guess. A guess that is what
was picked needs no call of its own; at the first that is not, the rest is cut off the cache. So the chain sees the
same distributions in the same order, with the same state and the same draws: the text is that of the plain loop, up
to the rounding of a batch (none with SmolLM2-135M Q4_1; up to 0.7 in a logit with Gemma-3-270m Q4_K_M, whose kernels for
eight tokens differ from those for one). Rejected: rejection sampling (Leviathan et al. 2023), which accepts more often but draws
other numbers, so that a seed would no longer mean the same answer. Where the guesses come from: the text itself (`PromptLookup`)
or a smaller model (`engine.worker.drafting`).

Source: Saxena 2023, prompt lookup decoding; llama.cpp `examples/lookup`, `examples/speculative-simple`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.base.errors import KnownError, Remedy, RemedyKind
from engine.base.fields import Value
from engine.worker.backend_sampling import BackendSteps
from engine.worker.drafting import ModelDrafter
from engine.worker.samplers import SamplerChain
from engine.worker.session import Session

CPU_COST, GPU_COST = 0.5, 0.05
"""What a guessed token adds to a call, as a share of a call for one token. Measured on a CPU with two small models (0.3 to
0.6 with calls of 4 to 16 tokens; on another CPU 0.3 with F32 weights and 0.7 to 0.8 with Q4_1, which it does not
rearrange); on a GPU a call reads the weights once, whatever its length."""

LONGEST_PAUSE = 32
"""A kind of guess that does not pay is tried again after so many chances at most."""


class Drafter(Protocol):
    """Guesses how a text goes on. `history` is the whole text so far; in one run it only ever grows."""

    def kind(self, history: Sequence[int]) -> int:
        """What sort of guess there is at the end of `history`: guesses of a sort are about equally good. 0 is none."""
        ...

    def draft(self, history: Sequence[int], n_most: int) -> Sequence[int]:
        """The guess whose kind was told: at most `n_most` tokens."""
        ...


class PromptLookup:
    """Guesses that what followed the last tokens before will follow them again.

    The longest match counts, and of several the latest. The kind is the match's length. Costs microseconds a token and
    no memory of the engine.

    Args:
        shortest, longest: how many of the last tokens must have stood together before, at least 1.
    """

    def __init__(self, shortest: int, longest: int) -> None:
        self._sizes = tuple(range(max(shortest, longest), shortest - 1, -1))
        self._ends: dict[tuple[int, ...], int] = {}
        self._n_indexed = 0
        self._end = 0

    def kind(self, history: Sequence[int]) -> int:
        """The length of the match at the end of the text; see `Drafter.kind`."""
        # What ends the text has no follower yet, so it is entered only when the next token is there.
        for end in range(self._n_indexed + 1, len(history)):
            for size in self._sizes:
                if size <= end:
                    self._ends[tuple(history[end - size : end])] = end
        self._n_indexed = max(self._n_indexed, len(history) - 1)
        for size in self._sizes:
            if size <= len(history):
                found = self._ends.get(tuple(history[-size:]))
                if found is not None:
                    self._end = found
                    return size
        return 0

    def draft(self, history: Sequence[int], n_most: int) -> Sequence[int]:
        """What stood after the match; where that is the end of the text, it is expected to repeat."""
        found = list(history[self._end : self._end + n_most])
        period = len(history) - self._end
        while len(found) < n_most:
            found.append(found[len(found) - period])
        return found


@dataclass(slots=True)
class _Record:
    """How the guesses of one kind went, older ones for less: a first opinion of 8 in 10, worth five tokens.

    `n_made` and `n_empty` count times that the drafter was asked: it guessed, or was not sure enough of anything.
    """

    n_right: float = 4.0
    n_checked: float = 5.0
    n_made: float = 1.0
    n_empty: float = 0.0
    n_waiting: int = 0
    n_losses: int = 0


class Pace:
    """How many tokens to guess, from how guesses of that kind went until now.

    The length is the one that promises the most tokens for the time of a call, and none where plain writing promises
    more; a kind that does not pay is tried again after a pause that grows. It looks at guesses alone and never at a
    clock, so that a run can be repeated exactly. Calls of 4, 8, 12 … tokens are preferred: the kernels for repacked
    weights take four at a time, and 5 cost more than 8.

    Args:
        n_least, n_most: the shortest and the longest guess, in tokens.
        cost: what a guessed token adds to a call, as a share of a call for one token.
        draft_cost: what a token takes the drafter, as a share of the same. It comes on top, and once more for the token
            that was picked since the last guess, which a draft model has to read.
    """

    def __init__(self, n_least: int, n_most: int, cost: float, draft_cost: float = 0.0) -> None:
        lengths = [each for each in range(3, n_most + 1, 4) if each >= n_least]
        self._lengths = tuple(lengths or [n_most])
        self._cost, self._draft_cost = cost + draft_cost, draft_cost
        self._records: dict[int, _Record] = {}

    def length(self, kind: int) -> int:
        """How many tokens to guess now; 0 to write plainly."""
        record = self._records.setdefault(kind, _Record())
        if record.n_waiting:
            record.n_waiting -= 1
            return 0
        best = max(self._lengths, key=lambda each: self._gain(each, record))
        return best if self._gain(best, record) > 1.0 else self._lengths[0]

    def learn(self, kind: int, n_drafted: int, n_accepted: int) -> None:
        """How the last guess of a kind went; one of no tokens is a drafter's that was asked in vain."""
        record = self._records[kind]
        record.n_made = 0.8 * record.n_made + bool(n_drafted)
        record.n_empty = 0.8 * record.n_empty + (not n_drafted)
        if n_drafted:
            record.n_right = 0.8 * record.n_right + n_accepted
            record.n_checked = 0.8 * record.n_checked + min(n_accepted + 1, n_drafted)
        if max(self._gain(each, record) for each in self._lengths) > 1.0:
            record.n_losses = 0
        else:
            record.n_losses += 1
            record.n_waiting = min(2**record.n_losses, LONGEST_PAUSE)

    def _gain(self, length: int, record: _Record) -> float:
        """Tokens that a call with so long a guess promises, over those of plain calls in the same time."""
        p = min(record.n_right / record.n_checked, 0.99)
        n_tokens = record.n_made * (1 - p ** (length + 1)) / (1 - p) + record.n_empty
        asked = 1 + self._draft_cost
        return n_tokens / (record.n_made * (asked + self._cost * length) + record.n_empty * asked)


class PlainSteps:
    """One token a call: the loop without speculation."""

    n_drafted: int | None = None
    n_accepted: int | None = None

    def __init__(self, session: Session, no_shortcut: str = "") -> None:
        self.no_shortcut = no_shortcut
        self.advance = session.decode_one

    def use(self, chain: SamplerChain) -> None:
        """The chain picks from the logits, so nothing is to be told of it."""

    def close(self) -> None:
        """Nothing is left to undo."""


class SpeculativeSteps:
    """Steps of a run that guesses. `advance` takes the place of `Session.decode_one`.

    Args:
        history: the run's own list of prompt and answer; it grows before each `advance`.
        n_end: the length of `history` at which the run ends, so that nothing is guessed beyond.
        no_shortcut: what else was asked for and cannot be had with guesses.

    Attributes:
        n_drafted, n_accepted: how many tokens were guessed, and how many of them were what the chain picked.
        no_shortcut: that, and why guessing ended before the run did; "" while there is nothing to tell.
    """

    def __init__(
        self,
        session: Session,
        drafter: Drafter,
        pace: Pace,
        history: Sequence[int],
        n_end: int,
        no_shortcut: str = "",
    ) -> None:
        self._session, self._drafter, self._pace, self._history = session, drafter, pace, history
        self._n_end = n_end
        self._kind = self._n_now = self._n_right = 0
        self.n_drafted: int | None = 0
        self.n_accepted: int | None = 0
        self.no_shortcut = no_shortcut

    def use(self, chain: SamplerChain) -> None:
        """The chain picks from the logits, so nothing is to be told of it."""

    def advance(self, token: int) -> None:
        """Append the token that was picked, so that the next one can be."""
        session = self._session
        if session.keep_ahead(token):
            self._n_right += 1
            return
        if not self._settle():
            # The cache lost its past with the guess: read it again, and guess no more.
            self._end("the cache could not take a wrong guess back")
            session.prefill(self._history[:-1], lambda _done, _total: None)
        draft = self._guess()
        if not draft:
            session.decode_one(token)
            return
        self._n_now = len(draft)
        session.decode_ahead(token, draft)

    def close(self) -> None:
        """Cut off what was guessed and not confirmed, and count what was."""
        self._settle()

    def _guess(self) -> Sequence[int]:
        room = min(self._n_end - len(self._history) - 1, self._session.n_ctx - len(self._session.cached) - 2)
        try:
            self._kind = self._drafter.kind(self._history) if room > 0 else 0
            length = min(self._pace.length(self._kind), room) if self._kind else 0
            draft = self._drafter.draft(self._history, length) if length else ()
        except KnownError as error:  # the answer needs no guesses
            self._end(error.trouble.sentence())
            return ()
        if length and not draft:
            self._pace.learn(self._kind, 0, 0)
        return draft

    def _end(self, why: str) -> None:
        self._n_end = 0
        self.no_shortcut = f"{self.no_shortcut} Speculation ended: {why}.".lstrip()

    def _settle(self) -> bool:
        is_whole = self._session.drop_ahead()
        if self._n_now:
            self._pace.learn(self._kind, self._n_now, self._n_right)
            self.n_drafted = (self.n_drafted or 0) + self._n_now
            self.n_accepted = (self.n_accepted or 0) + self._n_right
            self._n_now = self._n_right = 0
        return is_whole


Steps = PlainSteps | SpeculativeSteps | BackendSteps


def refuse_speculation(options: Mapping[str, Value], session: Session) -> None:
    """Raise `KnownError` where a run asks for guesses that this load cannot make or check, with the way out.

    They are checked in a call with several outputs, and a draft model must have been loaded to make them.
    """
    if options["speculate"] == "off":
        return
    n_wanted = int(str(options["draft_max"])) + 1
    if options["speculate"] == "draft" and session.draft is None:
        raise KnownError(
            "No draft model is loaded",
            value="speculate draft",
            next_step=f"load the model with a smaller one of its family as model_draft and with n_outputs_max {n_wanted}, "
            "or turn speculation off",
            remedies=(Remedy(RemedyKind.OPEN_PAGE, "Choose a draft model", "memory"),),
        )
    if session.n_ahead_most > 0:
        return
    raise KnownError(
        "Speculation needs the scores of several tokens from one call",
        value="n_outputs_max 1",
        next_step=f"load the model with n_outputs_max {n_wanted}, or turn speculation off",
        remedies=(Remedy(RemedyKind.SET_OPTION, f"Load with {n_wanted} outputs", f"n_outputs_max={n_wanted}"),),
    )


def _cost_of(draft: Session, session: Session) -> float:
    """What a token takes the draft model, as a share of what it takes the model.

    A GPU waits for the weights, so their bytes count; a CPU has to compute as well, which the parameters tell: 0.31 was
    measured where this says 0.29, and 0.47 where it says 0.59 (F32 weights with their own Q4_1 as draft).
    """
    of_bytes = draft.facts.size_bytes / max(1, session.facts.size_bytes)
    if session.facts.devices != ("CPU",):
        return of_bytes
    return (of_bytes + draft.facts.n_params / max(1, session.facts.n_params)) / 2


def steps_of(options: Mapping[str, Value], session: Session, history: Sequence[int], limit: int) -> Steps:
    """How this run goes from token to token: plainly, with guesses, or with the chain in the graph.

    Args:
        options: the run's options, checked; `refuse_speculation` has let them pass.
        history: the run's prompt and answer, as a list that will grow.
        limit: how many tokens the answer may have.
    """
    if options["speculate"] == "off":
        return BackendSteps(session) if options["backend_sampling"] else PlainSteps(session)
    unused = "No backend sampling: speculation needs the scores." if options["backend_sampling"] else ""
    draft = session.draft if options["speculate"] == "draft" else None
    for each, whose in ((session, "this model's"), (draft, "the draft model's")):
        if each is not None and (each.facts.is_recurrent or each.facts.is_hybrid):
            return PlainSteps(
                session, f"No speculation: {whose} state cannot take a wrong guess back. {unused}".rstrip()
            )
    drafter: Drafter
    draft_cost = 0.0
    if draft is not None:
        drafter = ModelDrafter(draft, session.vocab.n_vocab, float(str(options["draft_p_min"])))
        draft_cost = _cost_of(draft, session)
    else:
        drafter = PromptLookup(int(str(options["ngram_min"])), int(str(options["ngram_max"])))
    n_most = min(int(str(options["draft_max"])), session.n_ahead_most)
    cost = CPU_COST if session.facts.devices == ("CPU",) else GPU_COST
    pace = Pace(int(str(options["draft_min"])), n_most, cost, draft_cost)
    return SpeculativeSteps(session, drafter, pace, history, len(history) + limit, unused)

"""How one of many continuations is written: drawn by a chain, greedy, as a beam's best path, or in contrast.

A writer says which tokens it wants computed in which of its sequences, and goes on from their logits; the loop in
`columns` puts the wishes of all writers into one batch. Before each step all sequences of a writer hold the same text
(or, of a beam, the texts of its paths), so that a copy of a whole sequence is all that is ever needed: caches that
cannot go back (recurrent ones) can do it too.

Sources: beam search with length normalisation, Wu et al. 2016 (arXiv 1609.08144, without their coverage term);
contrastive search, Su et al. 2022 (arXiv 2202.06417).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.chat.stream import StopMatcher
from engine.wire.messages import FinishReason
from engine.worker.binding import Vocabulary
from engine.worker.capture import Floats, Weights, log_sum, top_places
from engine.worker.laboratory import LabContext
from engine.worker.samplers import SamplerChain

Wish = tuple[int, int, int]
"""A token to compute: its sequence, its id, its position."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a continuation ends: after `limit` tokens at the latest, for the reason that set the limit.

    `stops` are texts that end it, `banned` tokens that it never takes (their probability counts as ever).
    """

    n_prompt: int
    limit: int
    limit_reason: FinishReason
    stops: tuple[str, ...]
    banned: tuple[int, ...] = ()

    def likeliest(self, logits_v: Floats, n: int) -> list[int]:
        """The `n` likeliest tokens that may be taken, likeliest first."""
        best = top_places(logits_v, n + len(self.banned)).tolist()
        return [each for each in best if each not in self.banned][:n]


class Writer(Protocol):
    """One continuation in the making."""

    @property
    def tokens(self) -> Sequence[int]:
        """What is written, with the token that ended it."""
        ...

    @property
    def n_written(self) -> int:
        """How many of the tokens are text."""
        ...

    @property
    def logprob(self) -> float:
        """The natural log of the model's own probability of `tokens`."""
        ...

    @property
    def reason(self) -> FinishReason | None:
        """Why it ended; None while it goes on."""
        ...

    def wishes(self) -> Sequence[Wish]:
        """What to compute next; nothing when it has ended."""
        ...

    def begin(self, lab: LabContext) -> None:
        """Take the first step, from the logits of the prompt's last token, after its looks at place −1."""
        ...

    def looks(self, lab: LabContext, first: int) -> Sequence[Callable[[], object]]:
        """What of the step only reads the logits: done before `go_on`, side by side with the looks of all writers."""
        ...

    def go_on(self, lab: LabContext, first: int) -> None:
        """Take a step; its wishes were computed and stand in the batch from place `first` on."""
        ...

    def finish(self, reason: FinishReason) -> None:
        """End it where it is, if it has not ended."""
        ...

    def take_text(self) -> bytes:
        """The text since the last call that can be shown."""
        ...

    def close(self) -> None:
        """Free what is native."""
        ...


class StepWriter:
    """Token by token: each is drawn by a native chain, or is the most likely where there is none."""

    def __init__(self, vocab: Vocabulary, bounds: Bounds, seq: int, chain: SamplerChain | None) -> None:
        self._vocab, self._bounds, self._seq, self._chain = vocab, bounds, seq, chain
        self._text = _Text(bounds.stops)
        self.tokens: list[int] = []
        self.n_written = 0
        self.logprob = 0.0
        self._drawn = -1
        self._drawn_logprob = 0.0
        self.reason: FinishReason | None = None

    def begin(self, lab: LabContext) -> None:
        self.go_on(lab, -1)

    def wishes(self) -> Sequence[Wish]:
        if self.reason is not None:
            return ()
        return ((self._seq, self.tokens[-1], self._bounds.n_prompt + len(self.tokens) - 1),)

    def looks(self, lab: LabContext, first: int) -> Sequence[Callable[[], object]]:
        return (lambda: self._draw(lab, first),)

    def go_on(self, lab: LabContext, first: int) -> None:
        token = self._drawn
        self.tokens.append(token)
        self.logprob += self._drawn_logprob
        if self._vocab.is_end(token):
            self.reason = FinishReason.STOP
            return
        self.n_written += 1
        if self._text.add(self._vocab.piece(token)):
            self.reason = FinishReason.STOP
        elif self.n_written >= self._bounds.limit:
            self.reason = self._bounds.limit_reason

    def _draw(self, lab: LabContext, place: int) -> None:
        logits_v = lab.logits(place)
        token = self._bounds.likeliest(logits_v, 1)[0] if self._chain is None else lab.sample(self._chain, place)
        self._drawn, self._drawn_logprob = token, float(logits_v[token]) - log_sum(logits_v)

    def finish(self, reason: FinishReason) -> None:
        self.reason = self.reason or reason

    def take_text(self) -> bytes:
        return self._text.take(is_over=self.reason is not None)

    def close(self) -> None:
        if self._chain is not None:
            self._chain.close()


@dataclass(frozen=True, slots=True)
class Path:
    """A way through the tokens: its sequence, tokens, text, the log of its probability."""

    seq: int
    tokens: tuple[int, ...]
    text: bytes
    logprob: float
    has_ended: bool = False

    @property
    def score(self) -> float:
        """Log probability a token: so that a longer path is not worse for its length alone."""
        return self.logprob / max(1, len(self.tokens))


class BestPathWriter:
    """Beam search: of all one-token continuations of the paths, the `width` likeliest go on.

    It ends when as many paths have ended as the beam is wide, or at the limit; the path with the highest log
    probability a token is told, with its text, only then.
    """

    def __init__(self, vocab: Vocabulary, bounds: Bounds, seqs: Sequence[int]) -> None:
        self._vocab, self._bounds, self._seqs = vocab, bounds, tuple(seqs)
        self._stops = tuple(each.encode() for each in bounds.stops)
        self._paths = [Path(self._seqs[0], (), b"", 0.0)]
        self._ended: list[Path] = []
        self._told = False
        self.reason: FinishReason | None = None

    @property
    def _best(self) -> Path:
        return max((*self._ended, *self._paths), key=lambda each: each.score)

    @property
    def tokens(self) -> list[int]:
        return list(self._best.tokens)

    @property
    def n_written(self) -> int:
        best = self._best
        return len(best.tokens) - (bool(best.tokens) and self._vocab.is_end(best.tokens[-1]))

    @property
    def logprob(self) -> float:
        return self._best.logprob

    def begin(self, lab: LabContext) -> None:
        self.go_on(lab, -1)

    def looks(self, lab: LabContext, first: int) -> Sequence[Callable[[], object]]:
        return ()

    def wishes(self) -> Sequence[Wish]:
        if self.reason is not None:
            return ()
        return tuple((each.seq, each.tokens[-1], self._bounds.n_prompt + len(each.tokens) - 1) for each in self._paths)

    def go_on(self, lab: LabContext, first: int) -> None:
        width = len(self._seqs)
        found: list[tuple[float, int, int]] = []
        for number, path in enumerate(self._paths):
            logits_v = lab.logits(first if first < 0 else first + number)
            weights = Weights(logits_v)
            # Each path may end here at no more than its ends; twice the width always leaves enough that go on.
            found += [
                (path.logprob + weights.log_p(each), number, each)
                for each in self._bounds.likeliest(logits_v, 2 * width)
            ]
        found.sort(key=lambda each: -each[0])
        going_on: list[tuple[Path, Path]] = []
        for rank, (logprob, number, token) in enumerate(found):
            parent = self._paths[number]
            is_end = self._vocab.is_end(token)
            text = parent.text if is_end else parent.text + self._vocab.piece(token)
            path = Path(parent.seq, (*parent.tokens, token), text, logprob, is_end or self._stop_in(text) is not None)
            if path.has_ended:
                if rank < width:
                    self._ended.append(path)
            else:
                going_on.append((parent, path))
            if len(going_on) == width:
                break
        self._paths = self._placed(lab, going_on)
        if len(self._ended) >= width:
            self.reason = FinishReason.STOP
        elif not self._paths or len(self._paths[0].tokens) >= self._bounds.limit:
            best_has_ended = self._best.has_ended
            self.reason = FinishReason.STOP if best_has_ended else self._bounds.limit_reason

    def finish(self, reason: FinishReason) -> None:
        self.reason = self.reason or reason

    def take_text(self) -> bytes:
        if self.reason is None or self._told:
            return b""
        self._told = True
        text = self._best.text
        stop = self._stop_in(text)
        return text if stop is None else text[:stop]

    def close(self) -> None:
        """Nothing is native here."""

    def _placed(self, lab: LabContext, going_on: Sequence[tuple[Path, Path]]) -> list[Path]:
        """Give each path a sequence that holds its parent's text; a parent's first child has the parent's own."""
        kept: set[int] = {parent.seq for parent, _path in going_on}
        free = [each for each in self._seqs if each not in kept]
        taken: set[int] = set()
        placed = []
        for parent, path in going_on:
            seq = parent.seq
            if seq in taken:
                seq = free.pop()
                lab.copy(parent.seq, seq)
            taken.add(seq)
            placed.append(Path(seq, path.tokens, path.text, path.logprob))
        for each in free:
            lab.drop(each)
        return placed

    def _stop_in(self, text: bytes) -> int | None:
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        return min(places, default=None)


class ContrastWriter:
    """Contrastive search: of the k likeliest tokens, the one that is likely and whose state resembles no earlier one.

    For each of them (1 − alpha) · p − alpha · (highest cosine of its last hidden state to that of any token before,
    prompt included). All k are computed, each in a sequence of its own; the winner's is what the others become.
    """

    def __init__(
        self, vocab: Vocabulary, bounds: Bounds, seqs: Sequence[int], alpha: float, prompt_states: Floats
    ) -> None:
        """Args: `prompt_states` float32 [n_prompt, n_embd]."""
        self._vocab, self._bounds, self._seqs, self._alpha = vocab, bounds, tuple(seqs), alpha
        n_prompt, n_embd = prompt_states.shape
        self._states = np.empty((n_prompt + bounds.limit + 1, n_embd), dtype=np.float32)
        self._states[:n_prompt] = _unit(prompt_states)
        self._n_states = n_prompt
        self._text = _Text(bounds.stops)
        self._offered: list[tuple[int, float, float]] = []
        self.tokens: list[int] = []
        self.n_written = 0
        self.logprob = 0.0
        self.reason: FinishReason | None = None

    def begin(self, lab: LabContext) -> None:
        self._offer(lab.logits(-1))

    def looks(self, lab: LabContext, first: int) -> Sequence[Callable[[], object]]:
        return ()

    def wishes(self) -> Sequence[Wish]:
        if self.reason is not None:
            return ()
        position = self._bounds.n_prompt + len(self.tokens)
        return tuple(
            (seq, token, position) for seq, (token, _p, _log_p) in zip(self._seqs, self._offered, strict=False)
        )

    def go_on(self, lab: LabContext, first: int) -> None:
        states = _unit(np.stack([lab.state(first + place) for place in range(len(self._offered))]))
        likeness = (states @ self._states[: self._n_states].T).max(axis=1)
        scores = [
            (1.0 - self._alpha) * p - self._alpha * float(like)
            for (_token, p, _log_p), like in zip(self._offered, likeness, strict=True)
        ]
        winner = int(np.argmax(scores))
        token, _p, log_p = self._offered[winner]
        self.tokens.append(token)
        self.logprob += log_p
        if self._vocab.is_end(token):
            self.reason = FinishReason.STOP
            return
        self.n_written += 1
        self._states[self._n_states] = states[winner]
        self._n_states += 1
        if self._text.add(self._vocab.piece(token)):
            self.reason = FinishReason.STOP
        elif self.n_written >= self._bounds.limit:
            self.reason = self._bounds.limit_reason
        else:
            for place, seq in enumerate(self._seqs):
                if place != winner:
                    lab.copy(self._seqs[winner], seq)
            self._offer(lab.logits(first + winner))

    def finish(self, reason: FinishReason) -> None:
        self.reason = self.reason or reason

    def take_text(self) -> bytes:
        return self._text.take(is_over=self.reason is not None)

    def close(self) -> None:
        """Nothing is native here."""

    def _offer(self, logits_v: Floats) -> None:
        weights = Weights(logits_v)
        self._offered = [
            (each, weights.p(each), weights.log_p(each)) for each in self._bounds.likeliest(logits_v, len(self._seqs))
        ]


class _Text:
    """Pieces as they can be shown: what could be the beginning of a stop text is held back."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._matcher, self._waiting, self._is_flushed = StopMatcher(stops), bytearray(), False

    def add(self, piece: bytes) -> bool:
        """Take a token's bytes; True when a stop text has come."""
        step = self._matcher.feed(piece)
        self._waiting += step.emit
        return bool(step.stopped)

    def take(self, *, is_over: bool) -> bytes:
        if is_over and not self._is_flushed:
            self._is_flushed = True
            self._waiting += self._matcher.flush()
        text = bytes(self._waiting)
        self._waiting.clear()
        return text


def distinct(texts: Sequence[str], n: int) -> float | None:
    """The share of different sequences of `n` words among all of them, 0 to 1; None where there are none.

    Words are what white space parts; a sequence does not cross from one text into the next. Li et al. 2016
    (arXiv 1510.03055).
    """
    found: list[tuple[str, ...]] = []
    for text in texts:
        words = text.split()
        found += [tuple(words[place : place + n]) for place in range(len(words) - n + 1)]
    return len(set(found)) / len(found) if found else None


def _unit(states: Floats) -> Floats:
    lengths = np.linalg.norm(states, axis=1, keepdims=True)
    unit: Floats = states / np.maximum(lengths, np.float32(1e-12))
    return unit

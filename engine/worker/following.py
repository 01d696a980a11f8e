"""A sampler chain that is led through a text that is already written: what it left at each place.

The samplers are llama.cpp's own, made as for an answer and told of each token in turn. Only what a stage has drawn
itself cannot be told to it: Mirostat and adaptive-p move their state with their own draw. Their Stage computes the state
(`Following`), and a new sampler that begins there stands in for them at each place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.base.errors import KnownError
from engine.sampling.chain import Chain
from engine.sampling.stage import Following
from engine.worker.binding import Vocabulary
from engine.worker.capture import Floats, Weights, cutting_calls
from engine.worker.samplers import Candidates, SamplerChain


class FollowedChain:
    """The chain before each token of a text. Freed by `close`.

    Attributes:
        troubles: what kept it from standing where it stood when the tokens were drawn, in words, each once.
    """

    def __init__(
        self,
        chain: Chain,
        seed: int,
        *,
        vocab: Vocabulary,
        n_ctx: int,
        history: Sequence[int],
        n_written: int,
        read: int | None = 0,
        banned: Sequence[int] = (),
        moves: bool = True,
    ) -> None:
        """Make the samplers.

        Args:
            seed: of the run; a stage that rolls dice before the draw rolls the same ones.
            history: every token before the first place, and `n_written` how many of them are the answer's.
            read: how many of them, the last ones, a grammar has read; None leaves a grammar out.
            banned: tokens that are never drawn.
            moves: false keeps stages that follow their own draws at their beginning: the tokens were not drawn by it.

        Raises:
            KnownError: a chain that this model or llama.cpp does not take.
        """
        self.troubles: list[str] = []
        self._is_greedy, self._moves = chain.is_greedy, moves
        self._following: Following | None = None
        self._seed, self._vocab, self._n_ctx = seed, vocab, n_ctx
        calls = chain.native_calls(seed)
        if chain.draws_itself:
            link = chain.active()[-1]
            self._following = link.stage.follow(link.values) if link.stage.follow is not None else None
        calls = tuple(calls[:-1]) if self._following is not None else cutting_calls(calls)
        self._native = SamplerChain(calls, n_vocab=vocab.n_vocab, n_ctx=n_ctx, banned=banned, vocab=vocab)
        self.changes = bool(calls or banned or self._following is not None)
        self._candidates = Candidates(np.zeros(vocab.n_vocab, dtype=np.float32))
        self._table_v = np.zeros(vocab.n_vocab, dtype=np.float64)
        self._p_taken = (0.0, 0.0)
        self._n_written = n_written
        self._native.accept(history)
        if read is None:
            self._native.leave_grammar()
        elif read:
            self._read(history[-read:], n_written - read)

    def p_of(self, logits_v: Floats, wanted: npt.NDArray[np.intp]) -> list[float]:
        """The probabilities after the chain of `wanted`, whose first token is the one that stands here."""
        candidates = self._candidates
        candidates.fill(logits_v)
        self._p_taken = (0.0, 0.0)
        try:
            self._native.apply(candidates)
        except KnownError as error:
            self._tell(f"At token {self._n_written + 1:,}: {error.trouble.what[0].lower()}{error.trouble.what[1:]}.")
            return [0.0] * len(wanted)
        if self._is_greedy:
            picked = candidates.selected
            return [1.0 if each == picked else 0.0 for each in wanted.tolist()]
        p_before = self._p_left(wanted[:1])[0] if self._following is not None else 0.0
        if self._following is not None:
            last = SamplerChain(
                (self._following.call().seeded(self._seed),), n_vocab=self._vocab.n_vocab, n_ctx=self._n_ctx
            )
            try:
                last.apply(candidates)
            finally:
                last.close()
        found = self._p_left(wanted)
        self._p_taken = (p_before, found[0])
        return found

    def take(self, token: int) -> None:
        """The token that stands here counts as history; after `p_of` for it."""
        if self._following is not None and self._moves:
            p_before, p_after = self._p_taken
            if p_after > 0:
                self._following.take(p_before, p_after)
            else:
                self._tell(
                    f"The chain would have cut token {self._n_written + 1:,}: "
                    "what follows its own draws (Mirostat, adaptive-p) does not move with it."
                )
        self._native.accept((token,))
        self._read((token,), self._n_written)
        self._n_written += 1

    def close(self) -> None:
        """Free the samplers."""
        self._native.close()

    def _read(self, tokens: Sequence[int], first: int) -> None:
        """Let a grammar read on; where the text does not follow it, it is left out from there on."""
        for place, token in enumerate(tokens, first + 1):
            try:
                self._native.accept_answer((token,))
            except KnownError:
                self._native.leave_grammar()
                self._tell(f"Token {place:,} does not follow the grammar: after it the grammar is left out.")

    def _tell(self, trouble: str) -> None:
        # One of a kind: a text that was written without the chain breaks its rules at every other token.
        kind = trouble.partition(":")[2]
        if all(each.partition(":")[2] != kind for each in self.troubles):
            self.troubles.append(trouble)

    def _p_left(self, wanted: npt.NDArray[np.intp]) -> list[float]:
        left = self._candidates.left()
        ids, weights = left["id"].copy(), Weights(left["logit"].copy())
        # One table for the whole vocabulary, written and wiped where something is left: no search for each token.
        self._table_v[ids] = weights.weights
        found = self._table_v[wanted] / weights.total
        self._table_v[ids] = 0.0
        return [float(each) for each in found]

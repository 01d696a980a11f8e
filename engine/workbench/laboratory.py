"""The decoding laboratory's part of the façade: what a model thinks of a place, of a text, and of many continuations.

Everything returns at once; `then` and `failed` are called on the thread that pumps the bus, and `workbench.cancel` stops
what takes long. A stopped `score` or `sample_many` still answers through `then`, with what there was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.base.errors import Trouble
from engine.runtime.supervisor import Supervisor
from engine.sampling.chain import Chain
from engine.wire.messages import ChainChange, ColumnKind, Draw, Next, Peek, Prompt, SampleColumn, SampleMany, Score
from engine.workbench.chain_scope import wire_chain

Failure = Callable[[Trouble], None]


class Laboratory:
    """Questions to the loaded model that are no answers of a conversation and leave none of it changed.

    Each raises `KnownError` when the engine is not ready for it. Where no chain is given, the workbench's own counts.
    """

    def __init__(self, supervisor: Supervisor, chain: Callable[[], Chain]) -> None:
        self._supervisor, self._chain = supervisor, chain

    def look(
        self,
        prompt: Prompt,
        then: Callable[[Any], None],
        failed: Failure,
        *,
        chain: Chain | None = None,
        seed: int = -1,
        n_top: int = 10,
    ) -> int:
        """The next token, taken apart, in passing: `then` takes a `NextTaken`.

        Unlike `workbench.next_token` it gives way: the engine does not count as working meanwhile, and the question is
        dropped, and fails, as soon as an answer or another question is asked for.
        """
        links = wire_chain(chain or self._chain())
        return self._supervisor.request(lambda n: Next(n, prompt, links, seed, n_top), then, failed, gives_way=True)

    def drop(self, request_id: int) -> None:
        """Ask for one question to be dropped, by what asking it returned."""
        self._supervisor.drop(request_id)

    def peek(self, then: Callable[[Any], None], failed: Failure, *, chain: Chain | None = None, n_top: int = 10) -> int:
        """The next token at the place where an answer is being written now; `then` takes a `NextTaken`.

        The answer goes on undisturbed. It fails when the answer ends before it could be looked at.
        """
        run_id = self._supervisor.state.run_id
        links = wire_chain(chain or self._chain())
        return self._supervisor.request(lambda n: Peek(n, run_id, links, n_top), then, failed)

    def score(
        self,
        prompt: Prompt,
        answer_tokens: Sequence[int],
        then: Callable[[Any], None],
        failed: Failure,
        progress: Callable[[Any], None] | None = None,
        *,
        chain: Chain | None = None,
        n_top: int = 10,
        with_prompt: bool = False,
        seed: int = -1,
        n_begun: int = 0,
        changes: Sequence[ChainChange] = (),
        ignore_eos: bool = False,
    ) -> int:
        """How likely each token of an answer was; `progress` takes each `TokensScored`, `then` the `Scored`.

        Args:
            prompt: what stands before the answer.
            answer_tokens: token ids; none where only the prompt is looked at.
            n_top: how many alternatives each token comes with.
            with_prompt: score the prompt's tokens too; they come first.
            seed, n_begun, changes, ignore_eos: as the answer was written, so that its chain can be led through it.
        """
        links, answer, later = wire_chain(chain or self._chain()), tuple(answer_tokens), tuple(changes)
        return self._supervisor.request(
            lambda n: Score(n, prompt, answer, links, n_top, with_prompt, seed, n_begun, later, ignore_eos),
            then,
            failed,
            progress,
        )

    def sample_many(
        self,
        prompt: Prompt,
        columns: Sequence[SampleColumn],
        max_tokens: int,
        then: Callable[[Any], None],
        failed: Failure,
        progress: Callable[[Any], None] | None = None,
        *,
        stop: Sequence[str] = (),
        ignore_eos: bool = False,
    ) -> int:
        """Continue one prompt many times; `progress` takes each `ColumnText`, `then` the `SampledMany`.

        Args:
            columns: 1 to 32 of them; `column` makes one.
            max_tokens: the most that each may write, at least 1.
            stop: each ends before any of these texts.
            ignore_eos: none of them picks a token that ends an answer.
        """
        wanted, stops = tuple(columns), tuple(stop)
        return self._supervisor.request(
            lambda n: SampleMany(n, prompt, wanted, max_tokens, stops, ignore_eos), then, failed, progress
        )

    def column(self, chain: Chain | None = None, *, seed: int = -1) -> SampleColumn:
        """A continuation that this chain draws, with this seed (−1: a random one, told with the result)."""
        return SampleColumn(ColumnKind.CHAIN, wire_chain(chain or self._chain()), seed)

    def draw(
        self,
        prompt: Prompt,
        n_draws: int,
        then: Callable[[Any], None],
        failed: Failure,
        *,
        chain: Chain | None = None,
        seed: int = -1,
    ) -> int:
        """Draw the next token `n_draws` times (1 to 100,000); `then` takes a `Drawn`."""
        links = wire_chain(chain or self._chain())
        return self._supervisor.request(lambda n: Draw(n, prompt, links, seed, n_draws), then, failed)

"""A second context of the loaded model, made for one question and freed after it: several sequences, many outputs.

The chat's own context keeps what it holds and stays as big as was predicted (one sequence, logits for one token). The
price is that a question computes its prompt itself. Rejected: room for all this in every load, which would cost memory
that most answers never use.

Source: llama.h `llama_init_from_model`, `llama_memory_seq_cp` (in a unified cache a copy shares the cells),
`llama_batch`, `llama_get_embeddings_ith`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

from engine.base.errors import KnownError, Remedy, RemedyKind
from engine.hardware.ram import ram_now
from engine.wire.messages import ModelFacts
from engine.worker.samplers import SamplerChain
from engine.worker.session import DECODE_ABORTED, DECODE_NO_ROOM, DECODE_OK, Aborted, Session
from engine.worker.side_by_side import SideBySide

MIB = 1024 * 1024
OUTPUT_BYTES = 32 * MIB
"""For the logits of one batch; the graph holds them a second time."""
SPARED_BYTES = 64 * MIB
"""What is left to the rest of the computer."""
ROUNDED_TO = 256
_F32 = 0

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Size:
    """How big a context a question needs: cells of the cache, sequences, outputs of a batch; hidden states or not."""

    n_ctx: int
    n_seq: int
    n_outputs: int
    with_states: bool = False

    @classmethod
    def of(cls, n_cells: int, n_seq: int, n_outputs: int, *, with_states: bool = False) -> Size:
        """With the cells rounded up, as llama.cpp does it."""
        return cls(-(-max(1, n_cells) // ROUNDED_TO) * ROUNDED_TO, n_seq, max(n_outputs, n_seq), with_states)


def n_outputs_that_fit(n_vocab: int) -> int:
    """For how many tokens of a batch logits may be asked: 8 to 128, in `OUTPUT_BYTES`."""
    return max(8, min(128, OUTPUT_BYTES // (4 * n_vocab)))


class LabContext:
    """The context, as a `with` block. Raises `KnownError` when there is no memory for it, with the numbers."""

    def __init__(self, session: Session, size: Size, *, free_bytes: Callable[[], int] | None = None) -> None:
        """Args: `free_bytes` says how much RAM can be taken; by default the system's own word."""
        params = session.params()
        refuse_what_does_not_fit(
            needed_bytes(session, params, size), free_bytes() if free_bytes else ram_now().free_bytes, size
        )
        params.n_ctx, params.n_seq_max, params.kv_unified = size.n_ctx, size.n_seq, True
        params.n_batch = min(params.n_batch, size.n_ctx)
        params.n_batch = max(params.n_batch, size.n_seq)
        params.n_ubatch = min(max(params.n_ubatch, size.n_seq), params.n_batch)
        params.n_outputs_max, params.n_outputs_max_per_seq = min(size.n_outputs, params.n_ubatch), 0
        params.embeddings = size.with_states
        params.pooling_type = llama.LLAMA_POOLING_TYPE_NONE
        params.samplers, params.n_samplers = None, 0
        context = llama.llama_init_from_model(session.model, params)
        if not context:
            raise _no_room(needed_bytes(session, params, size), None, size)
        self.pointer = context
        self.size, self.n_vocab, self.abort = size, session.vocab.n_vocab, session.abort
        self.n_batch: int = llama.llama_n_batch(context)
        self.n_outputs: int = params.n_outputs_max
        self._session = session
        self._memory = llama.llama_get_memory(context)
        self._batch = llama.llama_batch_init(self.n_batch, 0, 1)
        self._n_embd: int = llama.llama_model_n_embd(session.model)
        for place in range(self.n_batch):
            self._batch.n_seq_id[place] = 1
        self._logits: dict[int, Floats] = {}
        self._threads = SideBySide(session.facts.n_threads)

    def __enter__(self) -> LabContext:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back."""
        if self.pointer:
            self._threads.close()
            llama.llama_batch_free(self._batch)
            llama.llama_free(self.pointer)
            self.pointer = None

    # ---- computing --------------------------------------------------------------------------------------------

    def decode(self, tokens: Sequence[int], first: int, seq: int = 0, *, n_outputs: int) -> None:
        """Append a stretch of one sequence, from position `first` on; logits for its last `n_outputs` tokens.

        At most `n_batch` tokens. Raises `Aborted`, or `KnownError` where the engine could not.
        """
        batch, n = self._batch, len(tokens)
        for place, token in enumerate(tokens):
            batch.token[place], batch.pos[place] = token, first + place
            batch.seq_id[place][0] = seq
            batch.logits[place] = place >= n - n_outputs
        batch.n_tokens = n
        self._run()

    def decode_each(self, items: Sequence[tuple[int, int, int]]) -> None:
        """Append one token to each of several sequences: (sequence, token, position), logits for all of them."""
        batch = self._batch
        for place, (seq, token, position) in enumerate(items):
            batch.token[place], batch.pos[place] = token, position
            batch.seq_id[place][0], batch.logits[place] = seq, 1
        batch.n_tokens = len(items)
        self._run()

    def prefill(self, tokens: Sequence[int]) -> Floats | None:
        """The prompt into sequence 0, logits for its last token; with states, those of all tokens [n, n_embd]."""
        with_states = self.size.with_states
        step = min(self.n_batch, self.n_outputs) if with_states else self.n_batch
        states = np.empty((len(tokens), self._n_embd), dtype=np.float32) if with_states else None
        for start in range(0, len(tokens), step):
            part = tokens[start : start + step]
            is_last = start + step >= len(tokens)
            self.decode(part, start, n_outputs=len(part) if with_states else int(is_last))
            if states is not None:
                for place in range(len(part)):
                    states[start + place] = self.state(place)
        return states

    def logits(self, place: int) -> Floats:
        """Of the token at this place of the last batch (−1: its last): a view [n_vocab], gone with the next batch."""
        pointer = llama.llama_get_logits_ith(self.pointer, place)
        address = ctypes.addressof(pointer.contents)
        found = self._logits.get(address)
        if found is None:  # making a view takes longer than looking at a small vocabulary
            found = self._logits[address] = np.ctypeslib.as_array(pointer, shape=(self.n_vocab,))
        return found

    def side_by_side(self, works: Sequence[Callable[[], object]]) -> None:
        """Do work that reads the logits and changes nothing of the context, on as many threads as the engine has.

        Raises what one of them raised, when all have ended.
        """
        # The first look at a batch's outputs puts them in order; after it all looks only read.
        llama.llama_get_logits_ith(self.pointer, -1)
        self._threads.run(works)

    def state(self, place: int) -> Floats:
        """The last hidden state of that token: a view [n_embd], gone with the next batch."""
        pointer = llama.llama_get_embeddings_ith(self.pointer, place)
        if not pointer:
            raise KnownError(
                "This model does not give its hidden states",
                value=self._session.facts.architecture,
                next_step="leave the contrast column out",
            )
        return np.ctypeslib.as_array(pointer, shape=(self._n_embd,))

    def sample(self, chain: SamplerChain, place: int) -> int:
        """The token that a native chain draws from the logits at this place; the chain remembers it."""
        return chain.sample(self.pointer, place)

    # ---- sequences --------------------------------------------------------------------------------------------

    def copy(self, source: int, target: int) -> None:
        """Let one sequence be what another is; nothing is computed, and in a unified cache nothing is copied."""
        llama.llama_memory_seq_rm(self._memory, target, -1, -1)
        llama.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def drop(self, seq: int) -> None:
        """Forget a sequence; the cells that only it had are free again."""
        llama.llama_memory_seq_rm(self._memory, seq, -1, -1)

    def _run(self) -> None:
        if self.abort.is_set():
            raise Aborted
        status = llama.llama_decode(self.pointer, self._batch)
        self._session.n_steps += 1
        if status == DECODE_OK:
            return
        if status == DECODE_ABORTED:
            raise Aborted
        if status == DECODE_NO_ROOM:
            raise KnownError(
                "The KV cache of this question has no room for the next tokens",
                value=f"{self.size.n_ctx:,} tokens in {self.size.n_seq} sequences",
                next_step="ask for fewer or shorter continuations",
            )
        raise KnownError(
            "The engine could not compute the next token",
            value=f"llama_decode returned {status}",
            next_step="restart the engine and try again",
            remedies=(Remedy(RemedyKind.RESTART_ENGINE, "Restart the engine"),),
        )


def needed_bytes(session: Session, params: Any, size: Size) -> int:
    """An upper bound of the RAM that such a context takes beside the loaded one.

    The cache as the loaded one's, cell for cell; of a sliding window, whose cells are not one for each token, as if it
    had none. Recurrent state once for each sequence; the compute buffers again; logits twice.
    """
    facts, memory = session.facts, session.memory
    context_bytes = sum(each.context_bytes for each in memory.buffers)
    recurrent = sum(each.recurrent_bytes for each in memory.buffers)
    if facts.n_swa:
        width = 4 if _F32 in (params.type_k, params.type_v) else 2
        cell_bytes = float(facts.n_layer * facts.n_head_kv * _head_width(session, facts) * width)
    else:
        cell_bytes = max(0, context_bytes - recurrent) / max(1, memory.n_ctx)
    outputs = 2 * 4 * size.n_outputs * session.vocab.n_vocab
    compute = sum(each.compute_bytes for each in memory.buffers)
    return int(cell_bytes * size.n_ctx) + recurrent * size.n_seq + compute + outputs


def refuse_what_does_not_fit(needed: int, free: int, size: Size) -> None:
    """Raise `KnownError` when a context of so many bytes would not leave the computer enough of its free ones."""
    if needed + SPARED_BYTES > free:
        raise _no_room(needed, free, size)


def _head_width(session: Session, facts: ModelFacts) -> int:
    """Numbers of K and V of one head together."""
    plain = facts.n_embd // max(1, facts.n_head)
    return sum(_meta_number(session, f"attention.{name}_length") or plain for name in ("key", "value"))


def _meta_number(session: Session, name: str) -> int | None:
    text = ctypes.create_string_buffer(32)
    key = f"{session.facts.architecture}.{name}".encode()
    length = llama.llama_model_meta_val_str(session.model, key, text, len(text))
    return int(text.value) if length > 0 and text.value.isdigit() else None


def _no_room(needed: int, free: int | None, size: Size) -> KnownError:
    found = "the engine refused it" if free is None else f"{max(0, free) / MIB:,.0f} MiB can be taken"
    return KnownError(
        "There is not enough memory for this question",
        value=f"{size.n_ctx:,} tokens in {size.n_seq} sequences need about {needed / MIB:,.0f} MiB, {found}",
        next_step="ask for fewer or shorter continuations, or load the model with a smaller KV cache type",
    )

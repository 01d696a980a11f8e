"""One loaded model with its context: what its cache holds, and the way from a prompt to the next token.

The cache of the last run is kept; the part of a new prompt that it already holds is never computed again. Where the
cache cannot go back (recurrent state, a sliding window that has moved on) everything is computed anew and the answer's
figures say so.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt
import psutil

from engine.base.cores import cores
from engine.base.errors import KnownError, Remedy, RemedyKind
from engine.base.fields import Value
from engine.gguf.card import Card
from engine.wire.messages import BufferUse, MemoryUse, ModelFacts, Portion
from engine.wire.placing import n_outputs
from engine.worker.binding import AbortFlag, Ggml, NativeLog, Vocabulary, context_params, model_params
from engine.worker.breakdown import read_breakdown
from engine.worker.calls import Calls, each_call
from engine.worker.fingerprint import fingerprint
from engine.worker.mapped import mapped_extra, placed_tensors, staged_bytes
from engine.worker.refusals import context_trouble, load_trouble
from engine.worker.resident import begin_peak, file_bytes, peak_bytes, work_bytes
from engine.worker.samplers import SamplerChain
from engine.worker.states import with_states

DECODE_OK, DECODE_NO_ROOM, DECODE_ABORTED = 0, 1, 2


class LoadCancelled(Exception):
    """Somebody cancelled the load."""


class Aborted(Exception):
    """Somebody stopped the run while the engine computed."""


@dataclass(frozen=True, slots=True)
class Threads:
    """How many threads write tokens and read prompts."""

    decode: int
    batch: int

    @classmethod
    def of(cls, options: Mapping[str, Value]) -> Threads:
        """The threads that were asked for; automatic is one for each physical core that we may use."""
        automatic = max(1, min(psutil.cpu_count(logical=False) or psutil.cpu_count() or 1, cores()))
        asked = int(str(options["n_threads"]))
        asked_batch = int(str(options["n_threads_batch"]))
        decode = asked or automatic
        return cls(decode, asked_batch or (asked or automatic))


class Session:
    """A model and its context. Made by `open_session`; everything is freed by `close`.

    Attributes:
        cached: the tokens whose keys and values the cache holds, in order, from position 0.
        n_steps: grows with every call of the engine that came back.
        n_ahead_most: how many tokens `decode_ahead` takes beside the first; 0 where the context has one output a call.
        draft: the draft model that was loaded beside it, which goes with it; None where there is none.
    """

    def __init__(
        self,
        model: Any,
        context: Any,
        params: Any,
        vocab: Vocabulary,
        facts: ModelFacts,
        memory: MemoryUse,
        abort: AbortFlag,
        n_outputs_max: int = 1,
    ) -> None:
        self._model, self._context, self._params = model, context, params
        self.vocab, self.facts, self.memory, self.abort = vocab, facts, memory, abort
        self.cached: list[int] = []
        self._calls = Calls()
        self.n_steps = 0
        self._memory_handle = llama.llama_get_memory(context)
        self._n_batch: int = llama.llama_n_batch(context)
        self._batch_tokens = (llama.llama_token * self._n_batch)()
        self._one_token = (llama.llama_token * 1)()
        self._one_batch = llama.llama_batch_get_one(self._one_token, 1)
        self._has_attached = False
        self._ahead: list[int] = []  # in llama.cpp's cache after `cached`, not confirmed
        self._output = -1  # of which token of the last call the logits are wanted; -1 is the last
        self.n_ahead_most = min(n_outputs_max, self._n_batch, llama.llama_n_ubatch(context)) - 1
        self._every_output = (ctypes.c_int8 * (self.n_ahead_most + 1))(*[1] * (self.n_ahead_most + 1))
        self.n_ctx: int = facts.n_ctx
        self.draft: Session | None = None

    @property
    def model(self) -> Any:
        """The native model, for another context of it that does not outlive this session."""
        return self._model

    def params(self) -> Any:
        """A copy of the `llama_context_params` that the context was made with."""
        copy = type(self._params)()
        ctypes.pointer(copy)[0] = self._params
        return copy

    def begin(self, tokens: Sequence[int]) -> int:
        """Cut the cache to what it has in common with this prompt; returns how many tokens need no computing.

        At least the last token is always left to compute, since its logits are wanted.
        """
        return self._roll_back(self._n_shared(tokens))

    def portions(self, n_tokens: int) -> tuple[Portion, ...]:
        """How the first `n_tokens` of the cache were computed; () where it is not known."""
        return self._calls.portions(n_tokens) if self._calls.n_tokens == len(self.cached) else ()

    def repeat(
        self, tokens: Sequence[int], portions: Sequence[Portion], on_progress: Callable[[int, int], None]
    ) -> None:
        """Compute the first tokens from an empty cache in the portions of an earlier run, for the same bits.

        Where a call computed more tokens than were kept, others fill it up: what they are changes nothing before them.

        Args:
            tokens: the whole prompt; the portions may not reach beyond it.
            on_progress: takes the computed and the total number of tokens, between calls of the engine.

        Raises:
            Aborted: the abort flag was set; the cache holds what was computed until then.
        """
        self.forget()
        for n_kept, n_computed in each_call(portions):
            if self.abort.is_set():
                raise Aborted
            start = len(self.cached)
            n_call = min(n_computed, self._n_batch, self.n_ctx - start)
            part = [*tokens[start : start + n_kept]]
            if n_kept == 1 == n_call and part:
                self.decode_one(part[0])
            elif len(part) == n_kept <= n_call:
                filled = [*part, *(part[-1:] * (n_call - n_kept))]
                self._batch_tokens[:n_call] = filled
                self._decode(llama.llama_batch_get_one(self._batch_tokens, n_call), filled)
                if n_call > n_kept:
                    self._cut(start + n_kept)
            else:
                return  # another batch size or a shorter context: it cannot be the same, so it is computed as usual
            on_progress(len(self.cached), len(tokens))

    def prefill(self, tokens: Sequence[int], on_progress: Callable[[int, int], None]) -> None:
        """After `begin`: compute the rest of the prompt, so that the logits of its last token can be read.

        Args:
            tokens: the whole prompt, at least one and at most `n_ctx` tokens.
            on_progress: takes the computed and the total number of new tokens, between calls of the engine.

        Raises:
            Aborted: the abort flag was set; the cache holds what was computed until then.
        """
        n_reused = len(self.cached)
        n_total = len(tokens) - n_reused
        for start in range(n_reused, len(tokens), self._n_batch):
            if self.abort.is_set():
                raise Aborted
            part = tokens[start : start + self._n_batch]
            self._batch_tokens[: len(part)] = part
            self._decode(llama.llama_batch_get_one(self._batch_tokens, len(part)), part)
            on_progress(start + len(part) - n_reused, n_total)

    def decode_one(self, token: int) -> None:
        """Append one token and compute the logits of the next."""
        self._one_token[0] = token
        status = llama.llama_decode(self._context, self._one_batch)
        if status != DECODE_OK:
            self._failed(status)
        self.cached.append(token)
        self._calls.add(1)
        self._output = -1
        self.n_steps += 1

    def decode_ahead(self, token: int, guesses: Sequence[int]) -> None:
        """Append one token, and compute the logits after it and after each guess of what follows, in one call.

        `sample` and `logits_pointer` are at the first of them; each `keep_ahead` goes on by one. Guesses are not part
        of `cached` before they are kept, and must be dropped before anything else is computed.

        Args:
            guesses: 1 to `n_ahead_most` tokens.
        """
        tokens = [token, *guesses]
        self._batch_tokens[: len(tokens)] = tokens
        batch = llama.llama_batch_get_one(self._batch_tokens, len(tokens))
        batch.logits = ctypes.cast(self._every_output, ctypes.POINTER(ctypes.c_int8))
        self._decode(batch, (token,))
        self._ahead = list(guesses)
        self._output = 0

    def keep_ahead(self, token: int) -> bool:
        """Confirm the next guess if it is this token; whether it was."""
        if not self._ahead or self._ahead[0] != token:
            return False
        self.cached.append(self._ahead.pop(0))
        self._output += 1
        return True

    def drop_ahead(self) -> bool:
        """Cut the guesses that were not kept off the cache; whether the rest of it could stay (else it is empty now).

        After it the logits of the last call cannot be read any more.
        """
        if not self._ahead:
            return True
        self._ahead = []
        n_keep, window = len(self.cached), self.facts.n_swa
        # A window lets go of what the first token of a call does not need, so a guess alone never costs it anything.
        oldest = llama.llama_memory_seq_pos_min(self._memory_handle, 0) if window else 0
        is_whole = self.facts.can_roll_back or oldest <= max(0, n_keep - window)
        if is_whole and llama.llama_memory_seq_rm(self._memory_handle, 0, n_keep, -1):
            return True
        self.forget()
        return False

    def sample(self, chain: SamplerChain) -> int:
        """The next token, picked by the chain from the last logits; the chain remembers it. May raise `KnownError`."""
        if self._has_attached:
            return int(llama.llama_sampler_sample(chain.pointer, self._context, self._output))
        return chain.sample(self._context, self._output)

    def logits(self) -> npt.NDArray[np.float32]:
        """The last token's logits where they lie: float32 [n_vocab], valid until the next call of the engine."""
        return np.ctypeslib.as_array(self.logits_pointer(), shape=(self.vocab.n_vocab,))

    def attach(self, chain: SamplerChain) -> bool:
        """Pick with this chain inside the graph, until it is closed; False where the engine does not take it."""
        chain.before_close = self._detach
        self._has_attached = bool(llama.llama_set_sampler(self._context, 0, chain.pointer))
        return self._has_attached

    def _detach(self) -> None:
        llama.llama_set_sampler(self._context, 0, None)
        self._has_attached = False

    def logits_pointer(self) -> Any:
        """The last token's logits: float32 [n_vocab], valid until the next call of the engine.

        Raises:
            KnownError: a chain is attached, which leaves no logits.
        """
        if self._has_attached:
            raise KnownError(
                "There are no scores to look at while the backend samples",
                next_step="turn backend sampling off to see them",
            )
        return llama.llama_get_logits_ith(self._context, self._output)

    def set_threads(self, n_decode: int, n_batch: int) -> None:
        """Compute with so many threads from now on."""
        llama.llama_set_n_threads(self._context, n_decode, n_batch)

    def forget(self) -> None:
        """Empty the cache."""
        llama.llama_memory_clear(self._memory_handle, False)
        self.cached.clear()
        self._calls.clear()
        self._ahead = []

    def close(self) -> None:
        """Free the context, then the model; the draft model before."""
        if self.draft is not None:
            self.draft.close()
        if self._context:
            llama.llama_free(self._context)
            llama.llama_model_free(self._model)
            self._context = self._model = None

    def _n_shared(self, tokens: Sequence[int]) -> int:
        """How many leading tokens the cache has in common with the prompt; the last is always computed."""
        limit = min(len(self.cached), len(tokens) - 1)
        if limit > 0 and self.cached[:limit] == list(tokens[:limit]):
            return limit
        for place in range(limit):
            if self.cached[place] != tokens[place]:
                return place
        return max(limit, 0)

    def _roll_back(self, n_keep: int) -> int:
        """Cut the cache to its first `n_keep` tokens; returns how many are really left (0 where it cannot)."""
        if n_keep == len(self.cached):
            return n_keep
        window = self.facts.n_swa
        if n_keep > 0 and window and not self.facts.can_roll_back:
            # The window of the token after n_keep must still be there, or its attention would miss keys.
            oldest: int = llama.llama_memory_seq_pos_min(self._memory_handle, 0)
            if oldest > max(0, n_keep - window):
                n_keep = 0
        self._cut(n_keep)
        return len(self.cached)

    def _cut(self, n_keep: int) -> None:
        if n_keep and llama.llama_memory_seq_rm(self._memory_handle, 0, n_keep, -1):
            del self.cached[n_keep:]
            self._calls.cut(n_keep)
        else:
            self.forget()

    def _decode(self, batch: Any, tokens: Sequence[int]) -> None:
        status = llama.llama_decode(self._context, batch)
        if status != DECODE_OK:
            self._failed(status)
        self.cached.extend(tokens)
        self._calls.add(len(tokens))
        self._output = -1
        self.n_steps += 1

    def _failed(self, status: int) -> None:
        if status == DECODE_ABORTED:
            # Micro-batches that were finished stay in llama.cpp's cache: cut it back to what we know.
            if not llama.llama_memory_seq_rm(self._memory_handle, 0, len(self.cached), -1):
                self.forget()
            raise Aborted
        self.forget()
        if status == DECODE_NO_ROOM:
            raise KnownError(
                "The KV cache has no room for the next tokens",
                value=f"context {self.n_ctx:,} tokens",
                next_step="load the model with a longer context",
                remedies=(Remedy(RemedyKind.SET_OPTION, "Double the context", f"n_ctx={self.n_ctx * 2}"),),
            )
        raise KnownError(
            "The engine could not compute the next token",
            value=f"llama_decode returned {status}",
            next_step="restart the engine and try again",
            remedies=(Remedy(RemedyKind.RESTART_ENGINE, "Restart the engine"),),
        )


def open_session(
    path: Path,
    card: Card,
    options: Mapping[str, Value],
    *,
    ggml: Ggml,
    log: NativeLog,
    abort: AbortFlag,
    on_progress: Callable[[float], bool],
    base_rss_bytes: int,
    is_dry: bool = False,
) -> Session:
    """Load a model, or plan its load without reading weights (`is_dry`).

    Args:
        path: a GGUF file that the header reader has accepted; of a split model the first part.
        card: what its header says.
        options: every load option, checked.
        on_progress: takes 0 to 1 and answers whether to go on.
        base_rss_bytes: the process's resident memory before.

    Raises:
        LoadCancelled: `on_progress` said no.
        KnownError: llama.cpp refused, in its own words and with a next step.
    """
    started = time.monotonic()
    cancelled = False

    def keep_going(fraction: float) -> bool:
        nonlocal cancelled
        cancelled = cancelled or not on_progress(fraction)
        return not cancelled

    threads = Threads.of(options)
    log.lines.clear()
    counts_peak = begin_peak() and not is_dry
    params, kept = model_params(options, ggml, no_alloc=is_dry, on_progress=keep_going)
    model = llama.llama_model_load_from_file(str(path).encode(), params)
    del kept
    if not model:
        if cancelled:
            raise LoadCancelled
        raise load_trouble(path, log.tail())
    # Weights count as loaded, so what grew beyond them by now is the tokenizer and the tables.
    vocab_bytes = max(0, psutil.Process().memory_info().rss - base_rss_bytes) if is_dry else None
    vocab = Vocabulary(model)
    context_options = context_params(options, ggml, abort, n_threads=threads.decode, n_threads_batch=threads.batch)
    context = llama.llama_init_from_model(model, context_options)
    if not context:
        llama.llama_model_free(model)
        raise context_trouble(options, log.tail())
    if cancelled or not on_progress(1.0):
        llama.llama_free(context)
        llama.llama_model_free(model)
        raise LoadCancelled
    placed = placed_tensors(model, ggml)
    buffers = with_states(
        read_breakdown(context, ggml, log.lines),
        placed,
        path,
        options,
        is_recurrent=bool(llama.llama_model_is_recurrent(model)),
        is_hybrid=bool(llama.llama_model_is_hybrid(model)),
    )
    n_outputs_max = n_outputs(options)
    memory = MemoryUse(
        is_dry=is_dry,
        buffers=buffers,
        output_bytes=4 * vocab.n_vocab * n_outputs_max,
        mapped_bytes=mapped_extra(buffers, placed, card, path, bool(options["mmap"]), is_dry=is_dry),
        base_rss_bytes=base_rss_bytes,
        vocab_bytes=vocab_bytes,
        rss_bytes=None if is_dry else psutil.Process().memory_info().rss,
        n_ctx=llama.llama_n_ctx(context),
        took_s=time.monotonic() - started,
        staged_bytes=staged_bytes(placed, bool(options["mmap"])),
        awaited_bytes=0 if options["mmap"] else sum(each.model_bytes for each in buffers if each.is_host),
        work_bytes=work_bytes(
            model, context, options, buffers, _flash_attention(str(options["flash_attn"]), log.lines)
        ),
        peak_rss_bytes=peak_bytes() if counts_peak else None,
        file_rss_bytes=None if is_dry else file_bytes(),
    )
    facts = _facts(model, context, vocab, card, path, options, threads, buffers, log.lines)
    return Session(model, context, context_options, vocab, facts, memory, abort, int(str(options["n_outputs_max"])))


def _facts(
    model: Any,
    context: Any,
    vocab: Vocabulary,
    card: Card,
    path: Path,
    options: Mapping[str, Value],
    threads: Threads,
    buffers: Sequence[BufferUse],
    log_lines: Sequence[str] | Any,
) -> ModelFacts:
    template = llama.llama_model_chat_template(model, None)
    description = ctypes.create_string_buffer(256)
    llama.llama_model_desc(model, description, len(description))
    n_swa = llama.llama_model_n_swa(model)
    is_recurrent, is_hybrid = bool(llama.llama_model_is_recurrent(model)), bool(llama.llama_model_is_hybrid(model))
    # The order of buffers is by name; a device is named once.
    devices = tuple(dict.fromkeys(each.device for each in buffers if each.model_bytes or each.context_bytes))
    return ModelFacts(
        path=str(path),
        name=card.name or path.stem,
        architecture=card.architecture or "unknown",
        description=description.value.decode(errors="replace"),
        size_bytes=llama.llama_model_size(model),
        n_params=llama.llama_model_n_params(model),
        n_layer=llama.llama_model_n_layer(model),
        n_embd=llama.llama_model_n_embd(model),
        n_head=llama.llama_model_n_head(model),
        n_head_kv=llama.llama_model_n_head_kv(model),
        n_swa=n_swa,
        n_vocab=vocab.n_vocab,
        n_ctx=llama.llama_n_ctx_seq(context),
        n_ctx_train=llama.llama_model_n_ctx_train(model),
        chat_template=template.decode(errors="replace") if template else None,
        bos_text=vocab.text(vocab.bos),
        eos_text=vocab.text(vocab.eos),
        adds_bos=vocab.adds_bos,
        is_recurrent=is_recurrent,
        is_hybrid=is_hybrid,
        can_roll_back=not (is_recurrent or is_hybrid or (n_swa > 0 and not options["swa_full"])),
        n_threads=threads.decode,
        n_threads_batch=threads.batch,
        flash_attn=_flash_attention(str(options["flash_attn"]), log_lines),
        devices=devices or ("CPU",),
        fingerprint=fingerprint(path, card),
    )


def _flash_attention(asked: str, log_lines: Sequence[str] | Any) -> bool | None:
    if asked != "auto":
        return asked == "on"
    for line in log_lines:
        if (
            "Flash Attention" in line and "able" in line
        ):  # "Flash Attention enabled", or "… not supported, set to disabled"
            return "enabled" in line
    return None

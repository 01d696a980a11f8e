"""llama.cpp's own samplers and logits, through the low-level binding: what the NumPy references are measured against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from engine.sampling.stage import Candidates, Given, NativeCall
from engine.worker.binding import Vocabulary
from engine.worker.samplers import Candidates as NativeCandidates
from engine.worker.samplers import make_sampler

N_CTX = 256


@contextmanager
def open_vocabulary(model_file: Path) -> Iterator[Vocabulary]:
    """A model's vocabulary, read without its weights."""
    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(model_file).encode(), params)
    assert model, f"cannot load {model_file}"
    try:
        yield Vocabulary(model)
    finally:
        llama_cpp.llama_model_free(model)


def logits_after(model_file: Path, prompts: Sequence[str]) -> list[tuple[NDArray[np.float32], list[int]]]:
    """For each prompt (at most 64 tokens) the logits of its last position [n_vocab], and its tokens."""
    llama_cpp.llama_backend_init()
    model_params = llama_cpp.llama_model_default_params()
    model_params.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(str(model_file).encode(), model_params)
    assert model, f"cannot load {model_file}"
    context_params = llama_cpp.llama_context_default_params()
    context_params.n_ctx, context_params.n_batch, context_params.n_ubatch = N_CTX, 64, 64
    context_params.n_threads = context_params.n_threads_batch = 1  # two would wait for each other on a busy machine
    context = llama_cpp.llama_init_from_model(model, context_params)
    assert context
    try:
        vocab = llama_cpp.llama_model_get_vocab(model)
        return [_logits_of_last(context, vocab, prompt.encode()) for prompt in prompts]
    finally:
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(model)


def _logits_of_last(context: Any, vocab: Any, text: bytes) -> tuple[NDArray[np.float32], list[int]]:
    buffer = (llama_cpp.llama_token * 64)()
    n_tokens = llama_cpp.llama_tokenize(vocab, text, len(text), buffer, 64, True, True)
    assert n_tokens > 0
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    assert llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(buffer, n_tokens)) == 0
    n_vocab = llama_cpp.llama_vocab_n_tokens(vocab)
    pointer = llama_cpp.llama_get_logits_ith(context, -1)
    return np.ctypeslib.as_array(pointer, shape=(n_vocab,)).copy(), list(buffer[:n_tokens])


@dataclass(slots=True)
class Applied:
    """A candidate list after a native sampler: the candidates in their order, their p, and the selected position."""

    candidates: Candidates
    p: NDArray[np.float32]
    selected: int

    @property
    def token(self) -> int:
        return int(self.candidates.ids[self.selected])


class NativeChain:
    """A `llama_sampler_chain` made from `NativeCall`s, as the worker makes it."""

    def __init__(self, calls: Sequence[NativeCall], n_vocab: int, vocab: Vocabulary | None = None) -> None:
        given: dict[Given, Any] = {Given.N_VOCAB: n_vocab, Given.N_CTX: N_CTX}
        if vocab is not None:
            given[Given.VOCAB] = vocab.pointer
        self._chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        for call in calls:
            llama_cpp.llama_sampler_chain_add(self._chain, make_sampler(call, given, vocab))

    def accept(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            llama_cpp.llama_sampler_accept(self._chain, token)

    def apply(self, candidates: Candidates) -> Applied:
        """Apply the chain to a copy of the candidates."""
        array = NativeCandidates(candidates.logits, candidates.ids)
        array.apply(self._chain)
        left = array.left()
        return Applied(Candidates(left["id"].copy(), left["logit"].copy()), left["p"].copy(), array.array.selected)

    def free(self) -> None:
        llama_cpp.llama_sampler_free(self._chain)


@contextmanager
def native_chain(
    calls: Sequence[NativeCall], n_vocab: int, history: Sequence[int] = (), vocab: Vocabulary | None = None
) -> Iterator[NativeChain]:
    """A native chain that has accepted `history`; freed at the end."""
    chain = NativeChain(calls, n_vocab, vocab)
    chain.accept(history)
    try:
        yield chain
    finally:
        chain.free()


def apply_native(
    calls: Sequence[NativeCall],
    candidates: Candidates,
    history: Sequence[int],
    n_vocab: int,
    vocab: Vocabulary | None = None,
) -> Applied:
    """What these samplers leave of the candidates."""
    with native_chain(calls, n_vocab, history, vocab) as chain:
        return chain.apply(candidates)


def assert_same(native: Applied, reference: Candidates) -> None:
    """The same tokens in the same order, logits and probabilities to 1e-5.

    llama.cpp does not define the order of equal logits, so within a run of equal logits the order of ids may differ;
    and where such a run is cut off, the ids may (the logits still agree one by one).
    """
    ids, expected = native.candidates.ids, reference.ids
    assert len(ids) == len(expected)
    np.testing.assert_allclose(native.candidates.logits, reference.logits, rtol=1e-5, atol=1e-5)
    differ = np.flatnonzero(ids != expected)
    if len(differ):
        cut = native.candidates.logits.min()
        inner = differ[reference.logits[differ] > cut]
        assert (native.candidates.logits[differ] == reference.logits[differ]).all(), "other tokens, other logits"
        assert set(ids[inner]) == set(expected[inner]), "other tokens survive above the cut"
    np.testing.assert_allclose(native.candidates.probabilities(), reference.probabilities(), atol=1e-5)

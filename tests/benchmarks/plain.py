"""The peers of the decode benchmarks, in a process of their own: plain loops of llama.cpp's C functions, and `Llama`.

Run as `python -m tests.benchmarks.plain plain|batch|llama MODEL N_CTX N_THREADS`; every line on stdin is one run as JSON
({"prompt": text, "n": tokens, "seed": number}), every answer one line on stdout with its times in seconds. `batch` writes
eight continuations of the prompt in one batch.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import sys
import time
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as llama

N_BATCH = 512
N_COLUMNS = 8


class PlainLoop:
    """decode, sample, piece; nothing else."""

    def __init__(self, path: str, n_ctx: int, n_threads: int) -> None:
        self._silence = llama.llama_log_callback(lambda _level, _text, _user: None)
        llama.llama_log_set(self._silence, ctypes.c_void_p(0))
        llama.llama_backend_init()
        self._model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
        params = llama.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, N_BATCH, N_BATCH
        params.n_threads = params.n_threads_batch = n_threads
        params.n_outputs_max, params.swa_full, params.no_perf = 1, False, True
        self._context = llama.llama_init_from_model(self._model, params)
        self._vocab = llama.llama_model_get_vocab(self._model)

    def run(self, prompt: str, n_tokens: int, seed: int) -> dict[str, Any]:
        llama.llama_memory_clear(llama.llama_get_memory(self._context), False)
        chain = _default_chain(seed)
        begun = time.perf_counter()
        raw = prompt.encode()
        tokens = (llama.llama_token * (len(raw) + 8))()
        n_prompt = llama.llama_tokenize(self._vocab, raw, len(raw), tokens, len(tokens), True, True)
        for start in range(0, n_prompt, N_BATCH):
            part = (llama.llama_token * min(N_BATCH, n_prompt - start))(*tokens[start : min(n_prompt, start + N_BATCH)])
            llama.llama_decode(self._context, llama.llama_batch_get_one(part, len(part)))
        one, piece = (llama.llama_token * 1)(), ctypes.create_string_buffer(64)
        batch = llama.llama_batch_get_one(one, 1)
        first = 0.0
        for count in range(n_tokens):
            token = llama.llama_sampler_sample(chain, self._context, -1)
            llama.llama_token_to_piece(self._vocab, token, piece, 64, 0, False)
            if count == 0:
                first = time.perf_counter()
            if count < n_tokens - 1:
                one[0] = token
                llama.llama_decode(self._context, batch)
        ended = time.perf_counter()
        llama.llama_sampler_free(chain)
        return {"n_prompt": n_prompt, "first_s": first - begun, "decode_s": ended - first, "n": n_tokens}


class PlainBatch:
    """Eight sequences that share the prompt's cells: decode all, sample each, piece of each; nothing else."""

    def __init__(self, path: str, n_ctx: int, n_threads: int) -> None:
        self._silence = llama.llama_log_callback(lambda _level, _text, _user: None)
        llama.llama_log_set(self._silence, ctypes.c_void_p(0))
        llama.llama_backend_init()
        self._model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
        params = llama.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, N_BATCH, N_BATCH
        params.n_threads = params.n_threads_batch = n_threads
        params.n_seq_max = params.n_outputs_max = N_COLUMNS
        params.kv_unified, params.swa_full, params.no_perf = True, False, True
        self._context = llama.llama_init_from_model(self._model, params)
        self._vocab = llama.llama_model_get_vocab(self._model)
        self._batch = llama.llama_batch_init(N_COLUMNS, 0, 1)

    def run(self, prompt: str, n_tokens: int, seed: int) -> dict[str, Any]:
        memory = llama.llama_get_memory(self._context)
        llama.llama_memory_clear(memory, False)
        raw = prompt.encode()
        tokens = (llama.llama_token * (len(raw) + 8))()
        n_prompt = llama.llama_tokenize(self._vocab, raw, len(raw), tokens, len(tokens), True, True)
        llama.llama_decode(self._context, llama.llama_batch_get_one(tokens, n_prompt))
        chains = []
        for column in range(N_COLUMNS):
            if column:
                llama.llama_memory_seq_cp(memory, 0, column, -1, -1)
            chains.append(_default_chain(seed + column))
        begun = time.perf_counter()
        piece, batch = ctypes.create_string_buffer(64), self._batch
        for count in range(n_tokens):
            for column, chain in enumerate(chains):
                token = llama.llama_sampler_sample(chain, self._context, -1 if count == 0 else column)
                llama.llama_token_to_piece(self._vocab, token, piece, 64, 0, False)
                batch.token[column], batch.pos[column] = token, n_prompt + count
                batch.n_seq_id[column], batch.seq_id[column][0], batch.logits[column] = 1, column, 1
            batch.n_tokens = N_COLUMNS
            if count < n_tokens - 1:
                llama.llama_decode(self._context, batch)
        ended = time.perf_counter()
        for chain in chains:
            llama.llama_sampler_free(chain)
        return {"n_prompt": n_prompt, "decode_s": ended - begun, "n": n_tokens * N_COLUMNS}


class WholeLlama:
    """llama-cpp-python's own class, with the same model, threads, chain and prompt."""

    def __init__(self, path: str, n_ctx: int, n_threads: int) -> None:
        self._llama = llama_cpp.Llama(
            path, n_ctx=n_ctx, n_batch=N_BATCH, n_threads=n_threads, n_threads_batch=n_threads, verbose=False
        )

    def run(self, prompt: str, n_tokens: int, seed: int) -> dict[str, Any]:
        model = self._llama
        model.reset()
        model._ctx.kv_cache_clear()
        model.set_seed(seed)
        begun = time.perf_counter()
        tokens = model.tokenize(prompt.encode(), add_bos=True, special=True)
        first = 0.0
        written = model.generate(tokens, top_k=40, top_p=0.95, min_p=0.05, temp=0.8, repeat_penalty=1.0)
        for count, token in enumerate(itertools.islice(written, n_tokens)):
            model.detokenize([token])
            if count == 0:
                first = time.perf_counter()
        ended = time.perf_counter()
        return {"n_prompt": len(tokens), "first_s": first - begun, "decode_s": ended - first, "n": n_tokens}


def _default_chain(seed: int) -> Any:
    chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
    for sampler in (
        llama.llama_sampler_init_top_k(40),
        llama.llama_sampler_init_top_p(0.95, 1),
        llama.llama_sampler_init_min_p(0.05, 1),
        llama.llama_sampler_init_temp(0.8),
        llama.llama_sampler_init_dist(seed),
    ):
        llama.llama_sampler_chain_add(chain, sampler)
    return chain


def main() -> None:
    """Load, say "ready", then answer line by line."""
    kind, path, n_ctx, n_threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    peer = {"plain": PlainLoop, "batch": PlainBatch, "llama": WholeLlama}[kind](path, n_ctx, n_threads)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(peer.run(asked["prompt"], asked["n"], asked["seed"])), flush=True)


if __name__ == "__main__":
    main()

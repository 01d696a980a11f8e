"""The peers of the decode benchmark, in a process of their own: a plain loop of llama.cpp's C functions, and `Llama`.

Run as `python -m tests.benchmarks.plain plain|llama MODEL N_CTX`; every line on stdin is one run as JSON
({"prompt": text, "n": tokens, "seed": number}), every answer one line on stdout with its times in seconds.
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
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        for sampler in (
            llama.llama_sampler_init_top_k(40),
            llama.llama_sampler_init_top_p(0.95, 1),
            llama.llama_sampler_init_min_p(0.05, 1),
            llama.llama_sampler_init_temp(0.8),
            llama.llama_sampler_init_dist(seed),
        ):
            llama.llama_sampler_chain_add(chain, sampler)
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


def main() -> None:
    """Load, say "ready", then answer line by line."""
    kind, path, n_ctx, n_threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    peer = (PlainLoop if kind == "plain" else WholeLlama)(path, n_ctx, n_threads)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(peer.run(asked["prompt"], asked["n"], asked["seed"])), flush=True)


if __name__ == "__main__":
    main()

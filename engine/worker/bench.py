"""Measures the loaded model: prompt speed at some sizes, writing speed at some depths and numbers of threads.

Done as llama.cpp's own bench does it: random tokens, nothing sampled, the best-known way to compare machines.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable

import psutil

from engine.wire.messages import Bench, Benched, BenchPoint
from engine.worker.session import Session

CONTENDED_BELOW = 0.8
"""Less than this share of the processor time that the threads could use means that others took it. On an idle machine with
two cores it was 0.96 to 0.99, and 0.90 to 0.95 where threads sleep while they wait (`patient_threads`)."""


class CpuShare:
    """How much of the processor time that `n_threads` threads could use they really got, since it was made."""

    def __init__(self, n_threads: int) -> None:
        self._n_threads = n_threads
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def read(self) -> float | None:
        """0 to 1; None when too little time has passed to say."""
        wall = time.monotonic() - self._wall
        if wall < 0.25:
            return None
        return min(1.0, (time.process_time() - self._cpu) / (wall * self._n_threads))


def measure(session: Session, command: Bench, on_progress: Callable[[float, str], None]) -> Benched:
    """Run the measurement. Raises `Aborted` when somebody stops it."""
    facts = session.facts
    numbers = random.Random(1)
    n_steps = command.repeats * (len(command.prefill_sizes) + len(command.decode_depths) + len(command.thread_counts))
    done = 0
    share = CpuShare(facts.n_threads)

    def step(text: str) -> None:
        nonlocal done
        on_progress(done / max(1, n_steps), text)
        done += 1

    def tokens(count: int) -> list[int]:
        return [numbers.randrange(facts.n_vocab) for _ in range(count)]

    def fill(count: int) -> float:
        session.forget()
        started = time.perf_counter()
        session.begin(prompt := tokens(count))
        session.prefill(prompt, lambda _done, _total: None)
        return time.perf_counter() - started

    def write(count: int) -> float:
        started = time.perf_counter()
        for token in tokens(count):
            session.decode_one(token)
        return time.perf_counter() - started

    fill(min(32, facts.n_ctx - 1))  # the first call of all pays for pages and caches
    prefill: list[BenchPoint] = []
    for size in command.prefill_sizes:
        n = min(size, facts.n_ctx - 1)
        times = []
        for _ in range(command.repeats):
            step(f"prompt of {n:,} tokens")
            times.append(n / fill(n))
        prefill.append(_point(n, times))
    decode: list[BenchPoint] = []
    for depth in command.decode_depths:
        n_depth = max(1, min(depth, facts.n_ctx - command.n_decode - 1))
        times = []
        for _ in range(command.repeats):
            step(f"writing {command.n_decode} tokens at depth {n_depth:,}")
            fill(n_depth)
            times.append(command.n_decode / write(command.n_decode))
        decode.append(_point(depth, times))
    threads: list[BenchPoint] = []
    for count in command.thread_counts:
        session.set_threads(count, facts.n_threads_batch)
        times = []
        for _ in range(command.repeats):
            step(f"writing with {count} threads")
            fill(1)
            times.append(command.n_decode / write(command.n_decode))
        threads.append(_point(count, times))
    session.set_threads(facts.n_threads, facts.n_threads_batch)
    session.forget()
    got = share.read()
    runs_on_cpu = facts.devices == ("CPU",)
    return Benched(
        request_id=command.request_id,
        prefill=tuple(prefill),
        decode=tuple(decode),
        threads=tuple(threads),
        n_threads=facts.n_threads,
        peak_rss_bytes=peak_rss_bytes(),
        contended=runs_on_cpu and not threads and got is not None and got < CONTENDED_BELOW,
    )


def peak_rss_bytes() -> int:
    """The most memory that this process ever had resident."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _point(n: int, speeds: Iterable[float]) -> BenchPoint:
    values = list(speeds)
    return BenchPoint(n, statistics.median(values), max(values) - min(values))

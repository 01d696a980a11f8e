"""Writing speed and first token: the window streaming, a plain loop of the same C functions, and `Llama`.

Paired: each round asks all three the same prompt for the same number of tokens, the peers before and after the window;
the median of the rounds' ratios counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.report import Row
from tests.benchmarks.window import BenchWindow

N_CTX = 4096
N_TOKENS = 200
ROUNDS = 15  # with 7 the median still wanders by three percent on a shared machine


class Peer:
    """`tests.benchmarks.plain` in a process of its own."""

    def __init__(self, kind: str, model: Path, n_threads: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.plain", kind, str(model), str(N_CTX), str(n_threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "ready"

    def run(self, prompt: str, n_tokens: int, seed: int) -> dict[str, Any]:
        """One answer's times."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"prompt": prompt, "n": n_tokens, "seed": seed}) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def _mean(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Two runs of a peer as one: the means of their times."""
    return {**before, **{key: (before[key] + after[key]) / 2 for key in ("first_s", "decode_s")}}


def decode_rows(window: BenchWindow, model: Path) -> list[Row]:
    """The window's speed over the peers', and how much later its first token comes."""
    facts = window.workbench.state.facts
    assert facts is not None
    plain, whole = Peer("plain", model, facts.n_threads), Peer("llama", model, facts.n_threads)
    try:
        over_plain, over_llama, later_ms, speeds = [], [], [], []
        for number in range(ROUNDS):
            text = f"Number {number}: tell a long story of a llama that crosses the mountains. " * 4
            system_prompt = f"{number} is the number of this storyteller."  # nothing behind it is cached
            prompt = window.rendered(text, system_prompt)
            first = plain.run(prompt, N_TOKENS, number)
            second = whole.run(prompt, N_TOKENS, number)
            window.workbench.dialogue.new(system_prompt=system_prompt)
            window.choose(N_TOKENS, number)
            window.rest(0.3)  # nobody begins a chat, changes a knob and sends in the same moment
            told = window.say(text, N_TOKENS, number)
            assert told.stats.decode_tps is not None
            # Each peer runs before and after the window, and their mean counts: a machine that drifts favours nobody.
            second = _mean(second, whole.run(prompt, N_TOKENS, number))
            first = _mean(first, plain.run(prompt, N_TOKENS, number))
            over_plain.append(told.stats.decode_tps * first["decode_s"] / (N_TOKENS - 1))
            over_llama.append(told.stats.decode_tps * second["decode_s"] / (N_TOKENS - 1))
            # The same prompt, but for the few tokens before the number: compare with the plain loop's own time a token.
            n_new = told.stats.n_prompt - told.stats.n_reused
            expected_s = first["first_s"] * n_new / first["n_prompt"]
            later_ms.append(1000 * (told.first_seen_s - expected_s))
            speeds.append((N_TOKENS - 1) / first["decode_s"])
    finally:
        plain.close()
        whole.close()
    name = model.stem
    note = f"plain loop {statistics.median(speeds):.0f} tok/s, {facts.n_threads} threads"
    return [
        Row(f"{name}: writing, window over plain loop", statistics.median(over_plain), "≥ 0.97", "×", note, over_plain),
        Row(f"{name}: writing, window over Llama", statistics.median(over_llama), "≥ 1.00", "×", "", over_llama),
        Row(f"{name}: first token later than plain loop", statistics.median(later_ms), "≤ 30", "ms", "", later_ms),
    ]


def second_turn_row(window: BenchWindow) -> Row:
    """First token of the second turn of a conversation of 2,000 tokens over the first turn's prefill."""
    ratios = []
    for number in range(3):
        window.workbench.dialogue.new(system_prompt=f"Reader {number}.")
        first = window.say(f"{number} " + "The llama walked on and looked at the sky. " * 195, 16)
        second = window.say("And then?", 16)
        assert first.stats.n_prompt > 1900, first.stats.n_prompt
        ratios.append(second.first_seen_s / first.stats.prefill_s)
    return Row(
        "second turn's first token over first prefill (2,000 tokens)",
        statistics.median(ratios),
        "≤ 0.10",
        "×",
        "",
        ratios,
    )

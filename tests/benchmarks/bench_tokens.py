"""What the token strip costs: the longest that the window's thread is kept by one step of scrolling four thousand tokens.

Run: python -m tests.benchmarks.bench_tokens. Processor time of this process, paint included, of the slowest step.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass

from PySide6.QtWidgets import QApplication

from gui.theme import Mode, Theme
from gui.widgets.token_scale import Surprise
from gui.widgets.token_strip import StripToken, TokenStrip

N_TOKENS, N_STEPS, BATCH = 4000, 500, 64
LETTERS = "abcdefghijklmnop"


@dataclass(frozen=True, slots=True)
class StripCost:
    """Milliseconds of processor time of the slowest batch that was added, the slowest scroll step, and a new width."""

    add_ms: float
    scroll_ms: float
    resize_ms: float


def pieces(n_tokens: int, seed: int = 1) -> list[bytes]:
    """Words of a vocabulary of 3,000, a line end now and then."""
    rng = random.Random(seed)
    words = [(" " + "".join(rng.choices(LETTERS, k=rng.randint(1, 9)))).encode() for _ in range(3000)]
    return [b"\n" if rng.random() < 0.02 else rng.choice(words) for _ in range(n_tokens)]


def strip_cost() -> StripCost:
    """Fill a strip as it is filled by a score, scroll it from end to end, and make it wider."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QApplication.instance() or QApplication(["bench"])
    theme = Theme(Mode.DARK)
    theme.apply(app)  # type: ignore[arg-type]
    strip = TokenStrip(theme, "Tokens")
    strip.resize(300, 200)
    strip.show()
    app.processEvents()
    rng, add_ms, scroll_ms = random.Random(2), 0.0, 0.0
    given = pieces(N_TOKENS)
    for first in range(0, N_TOKENS, BATCH):
        before = time.process_time()
        strip.add_tokens([StripToken(each, Surprise(rng.random(), 3, 2.0)) for each in given[first : first + BATCH]])
        app.processEvents()
        add_ms = max(add_ms, (time.process_time() - before) * 1000)
    bar = strip.verticalScrollBar()
    for step in range(N_STEPS + 1):
        before = time.process_time()
        bar.setValue(round(bar.maximum() * step / N_STEPS))
        app.processEvents()
        scroll_ms = max(scroll_ms, (time.process_time() - before) * 1000)
    before = time.process_time()
    strip.resize(420, 200)
    app.processEvents()
    resize_ms = (time.process_time() - before) * 1000
    strip.close()
    strip.deleteLater()
    app.processEvents()
    return StripCost(add_ms, scroll_ms, resize_ms)


if __name__ == "__main__":
    print(strip_cost())

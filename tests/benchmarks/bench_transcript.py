"""What the transcript costs: a token at the beginning and at the end of a long answer, opening, scrolling.

Run: python -m tests.benchmarks.bench_transcript. Times are CPU time of this process, paint included. The question is
always whether the cost is flat, so each function returns the first and the last fifth.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication

from gui.theme import Mode, Theme
from gui.widgets.transcript import MessageState, MessageValue, Role, Transcript

WORDS = [
    "the",
    "model",
    "predicts",
    "a",
    "token",
    "from",
    "its",
    "context",
    "heads",
    "scale",
    "with",
    "length",
    "quantization",
    "keeps",
    "memory",
    "small",
    "while",
    "temperature",
    "sharpens",
    "or",
    "flattens",
    "what",
    "the",
    "sampler",
    "draws",
    "from",
    "and",
    "온도",
    "logits",
    "nucleus",
    "cache",
    "layer",
]


@dataclass(frozen=True, slots=True)
class Fifths:
    """Milliseconds of CPU time an update, mean over the first and the last fifth; and the 99th percentile of all."""

    first_ms: float
    last_ms: float
    p99_ms: float


def paragraph(rng: random.Random, n_words: int) -> str:
    """Words with some bold and some code."""
    words = [rng.choice(WORDS) for _ in range(n_words)]
    words[::13] = [f"**{word}**" for word in words[::13]]
    words[5::17] = [f"`{word}`" for word in words[5::17]]
    return " ".join(words) + "."


def answer(n_tokens: int, seed: int = 1) -> str:
    """Mixed Markdown of about that many tokens, at four characters each."""
    rng = random.Random(seed)
    parts: list[str] = []
    size = 0
    while size < 4 * n_tokens:
        kind = len(parts) % 6
        if kind == 0:
            part = "## " + paragraph(rng, 5)
        elif kind == 2:
            part = "\n".join(f"{n + 1}. {paragraph(rng, 12)}" for n in range(6))
        elif kind == 3:
            part = "```python\n" + "\n".join(f"x_{n} = f(a[{n}], 'str', {n}.5)  # {n}" for n in range(12)) + "\n```"
        elif kind == 4:
            part = "| a | b |\n|---|---|\n" + "\n".join(f"| {rng.random():.3f} | {n} |" for n in range(5))
        else:
            part = paragraph(rng, 55)
        parts.append(part)
        size += len(part) + 2
    return "\n\n".join(parts)


def code_answer(n_lines: int) -> str:
    """One fence of that many lines."""
    lines = (f"    value_{n} = compute(a[{n}], 'text', scale={n}.5)  # line {n}" for n in range(n_lines))
    return "Here it is:\n\n```python\n" + "\n".join(lines) + "\n```\n"


def list_answer(n_items: int) -> str:
    """One list of that many items."""
    rng = random.Random(3)
    return "\n".join(f"{n + 1}. {paragraph(rng, 12)}" for n in range(n_items))


def pieces(text: str, n_chars: int) -> Iterator[str]:
    """The text in tokens of that many characters."""
    for start in range(0, len(text), n_chars):
        yield text[start : start + n_chars]


def stream_cost(transcript: Transcript, text: str, chars_a_token: int = 4) -> Fifths:
    """Stream `text` into an open, visible transcript, one update a token, each painted."""
    app = QApplication.instance()
    assert app is not None
    transcript.set_messages([MessageValue("q", Role.USER, "You", "Go"), _writing()])
    transcript.begin_stream("a")
    costs: list[float] = []
    for piece in pieces(text, chars_a_token):
        start = time.process_time()
        transcript.append_text("a", piece)
        transcript.flush()
        app.processEvents()
        costs.append(1e3 * (time.process_time() - start))
    transcript.finish("a", MessageValue("a", Role.ASSISTANT, "model", text))
    fifth = max(1, len(costs) // 5)
    return Fifths(statistics.mean(costs[:fifth]), statistics.mean(costs[-fifth:]), _percentile(costs, 0.99))


def open_cost(transcript: Transcript, n_messages: int) -> float:
    """Milliseconds of CPU time to show that many messages at their end, painted."""
    app = QApplication.instance()
    assert app is not None
    values = conversation(n_messages)
    start = time.process_time()
    transcript.set_messages(values)
    transcript.show()
    app.processEvents()
    return 1e3 * (time.process_time() - start)


def wheel_costs(transcript: Transcript, n_steps: int) -> list[float]:
    """Milliseconds of CPU time of each wheel step upwards, painted."""
    app = QApplication.instance()
    assert app is not None
    costs: list[float] = []
    for _ in range(n_steps):
        start = time.process_time()
        wheel(transcript, 120)
        app.processEvents()
        costs.append(1e3 * (time.process_time() - start))
    return costs


def wheel(transcript: Transcript, delta: int) -> None:
    """Turn the wheel over the middle of the view; 120 is a notch up."""
    middle = QPointF(transcript.viewport().rect().center())
    event = QWheelEvent(
        middle,
        transcript.viewport().mapToGlobal(middle),
        QPoint(),
        QPoint(0, delta),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(transcript.viewport(), event)


def conversation(n_messages: int, seed: int = 5) -> list[MessageValue]:
    """Questions and answers, half of them long Markdown."""
    rng = random.Random(seed)
    blocks = answer(40_000, 7).split("\n\n")
    values: list[MessageValue] = []
    for number in range(n_messages):
        if number % 2 == 0:
            values.append(MessageValue(f"m{number}", Role.USER, "You", paragraph(rng, rng.randint(8, 40))))
            continue
        at = rng.randrange(len(blocks) - 6)
        text = "\n\n".join(blocks[at : at + rng.randint(1, 5)])
        stats = ("212 → 78 tok/s", f"{len(text) // 4} tokens")
        values.append(MessageValue(f"m{number}", Role.ASSISTANT, "model", text, stats=stats))
    return values


def _writing() -> MessageValue:
    return MessageValue("a", Role.ASSISTANT, "model", state=MessageState.WRITING)


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def open_transcript() -> Transcript:
    """A transcript on a screen, real or not, in an application that is made if there is none."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QApplication.instance() or QApplication(["bench"])
    assert isinstance(app, QApplication)
    theme = Theme(Mode.DARK)
    theme.apply(app)
    transcript = Transcript(theme)
    transcript.resize(800, 800)
    transcript.show()
    app.processEvents()
    return transcript


def main() -> None:
    """Print everything."""
    transcript = open_transcript()
    print(f"open 2,000 messages: {open_cost(transcript, 2000):.0f} ms")
    costs = wheel_costs(transcript, 300)
    print(f"wheel step: mean {statistics.mean(costs):.1f} p99 {_percentile(costs, 0.99):.1f} max {max(costs):.1f} ms")
    print(f"views: {transcript.n_views}")
    for name, text in (
        ("20,000 tokens", answer(20_000)),
        ("code, 2,000 lines", code_answer(2_000)),
        ("list, 300 items", list_answer(300)),
    ):
        cost = stream_cost(transcript, text, 4 if "tokens" in name else 8)
        print(f"{name}: first {cost.first_ms:.2f} last {cost.last_ms:.2f} p99 {cost.p99_ms:.1f} ms an update")


if __name__ == "__main__":
    main()

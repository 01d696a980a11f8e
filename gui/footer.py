"""The footer: the model and its state, the context, the speeds, memory and load, always in sight.

It takes plain numbers, so that presenters can feed it and a test can too. Each part is a button to where it is
explained. Unknown is a dash, never a zero.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication, QSize, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from gui.actions import keys_text
from gui.footer_part import FooterPart, PartContent
from gui.theme import PlotRole, Theme, set_kind
from gui.widgets.quantities import bytes_of_text, bytes_text, count_text, rate_text

DASH = "\N{EN DASH}"
ARROW = "\N{RIGHTWARDS ARROW}"
DOT = "\N{MIDDLE DOT}"


class FooterState(enum.Enum):
    """What the model is doing; the value is the colour role of its dot."""

    NONE = ("none", "text3")
    LOADING = ("loading", "warning")
    READY = ("ready", "good")
    READING = ("reading", "accent")
    THINKING = ("thinking", "accent")
    WRITING = ("writing", "good")
    LOST = ("lost", "bad")

    @property
    def dot_role(self) -> str:
        return self.value[1]


def _tr(text: str) -> str:
    return QCoreApplication.translate("Footer", text)


def state_text(state: FooterState, fraction: float | None = None) -> str:
    """The state in a word: ready, writing, loading 43 %."""
    if state is FooterState.LOADING and fraction is not None:
        return _tr("loading {percent} %").format(percent=round(fraction * 100))
    return {
        FooterState.NONE: _tr("no model loaded"),
        FooterState.LOADING: _tr("loading"),
        FooterState.READY: _tr("ready"),
        FooterState.READING: _tr("reading"),
        FooterState.THINKING: _tr("thinking"),
        FooterState.WRITING: _tr("writing"),
        FooterState.LOST: _tr("lost"),
    }[state]


def speed_text(tokens_per_s: float | None) -> str:
    """A speed's figure without its unit, a dash when it is unknown."""
    return DASH if tokens_per_s is None else rate_text(tokens_per_s).removesuffix(" tok/s")


class Footer(QFrame):
    """The bar at the bottom of the window.

    Signals:
        part_clicked: `model`, `context`, `speed`, `ram`, `vram`, `cpu` or `palette`.
    """

    part_clicked = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._parts: dict[str, FooterPart] = {}
        set_kind(self, "footer")
        self.setAccessibleName(self.tr("State of the model and of this computer"))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for key in ("model", "context", "speed", "ram", "vram", "cpu", "palette"):
            self._part(key, stretches=key == "model")
        theme.changed.connect(self._fit)
        for part in self._parts.values():
            part.outgrown.connect(self._fit)
        self.set_model(FooterState.NONE)
        self.set_context(None, None)
        self.set_speed(None, None)
        self.set_ram(None, None)
        self.set_vram(None, None)
        self.set_cpu(None)
        hint = self.tr("{keys} all actions").format(keys=keys_text(("Ctrl+K",)))
        self._parts["palette"].show_content(
            PartContent(hint, quiet=True), hint, self.tr("Find every action, page, chat and model by its name")
        )

    def part(self, key: str) -> FooterPart:
        """One part, by the name that `part_clicked` sends."""
        return self._parts[key]

    def set_model(self, state: FooterState, text: str = "", fraction: float | None = None) -> None:
        """Show the model and what it does.

        Args:
            state: the colour of the dot and the word.
            text: name, quant and device; "" when there is none.
            fraction: 0 to 1, how far the load is; None when not known.
        """
        word = state_text(state, fraction)
        name = f"{text} {DOT} {word}" if text else word
        content = PartContent(text, state.dot_role, tail=f"{DOT} {word}") if text else PartContent(word, state.dot_role)
        self._parts["model"].show_content(
            content, self.tr("Model: {state}").format(state=name), self.tr("{state}\nOpens Models").format(state=name)
        )

    def set_context(self, used: int | None, total: int | None) -> None:
        """Show how many tokens of the context are taken; total None when no model is loaded."""
        part = self._parts["context"]
        self._show_part("context", total is not None)
        figures = f"{DASH if used is None else count_text(used)} / {DASH if total is None else count_text(total)}"
        share = None if used is None or not total else used / total
        role = "accent" if share is None or share < 0.85 else "warning" if share < 0.97 else "bad"
        part.show_content(
            PartContent(self.tr("context {n}").format(n=figures), bar=share, bar_color=role, bar_width=88),
            self.tr("Context: {n} tokens").format(n=figures),
            self._tip(self.tr("Tokens of the context that are in use, of those the model was loaded with"), used),
        )

    def set_speed(self, prefill_tps: float | None, decode_tps: float | None) -> None:
        """Show the speeds of the last run in tokens a second: reading the prompt, then writing."""
        part = self._parts["speed"]
        self._show_part("speed", prefill_tps is not None or decode_tps is not None)
        text = f"{speed_text(prefill_tps)} {ARROW} {speed_text(decode_tps)} tok/s"
        help_text = self.tr("Tokens a second in the last run: reading the prompt, then writing the answer")
        part.show_content(
            PartContent(text),
            self.tr("Speed: reading {a}, writing {b} tokens per second").format(
                a=speed_text(prefill_tps), b=speed_text(decode_tps)
            ),
            self._tip(help_text, decode_tps),
        )

    def set_ram(self, used_bytes: int | None, total_bytes: int | None) -> None:
        """Show this computer's memory in bytes."""
        self._set_memory("ram", self.tr("RAM"), used_bytes, total_bytes, PlotRole.KV_CACHE)

    def set_vram(self, used_bytes: int | None, total_bytes: int | None) -> None:
        """Show the memory of the graphics card in bytes; total None hides it: there is no card."""
        self._show_part("vram", total_bytes is not None)
        self._set_memory("vram", self.tr("VRAM"), used_bytes, total_bytes, PlotRole.WEIGHTS)

    def set_cpu(self, percent: float | None, history: Sequence[float] = ()) -> None:
        """Show the load of all cores, 0 to 100 %, and that of the last minute, oldest first."""
        figure = DASH if percent is None else f"{percent:.0f} %"
        text = self.tr("CPU {load}").format(load=figure)
        self._parts["cpu"].show_content(
            PartContent(text, history=tuple(each / 100 for each in history), bar_color="text3", bar_width=48),
            text,
            self._tip(self.tr("Load of all cores, measured by the operating system"), percent),
        )

    def _set_memory(self, key: str, name: str, used: int | None, total: int | None, role: PlotRole) -> None:
        if total is None:
            figures = DASH
        else:
            figures = f"{DASH} / {bytes_text(total)}" if used is None else bytes_of_text(used, total)
        share = None if used is None or not total else used / total
        self._parts[key].show_content(
            PartContent(name, bar=share, bar_color=int(role), tail=figures),
            f"{name} {figures}",
            self._tip(self.tr("Memory in use by all programs, measured by the operating system"), share),
        )

    def _show_part(self, key: str, shown: bool) -> None:
        if self._parts[key].isHidden() == shown:
            self._parts[key].setVisible(shown)
            self._fit()

    def _tip(self, text: str, value: object) -> str:
        opens = self.tr("Click for more")
        return f"{self.tr('unknown')}\n{text}" if value is None else f"{text}\n{opens}"

    def _part(self, key: str, *, stretches: bool = False) -> FooterPart:
        part = FooterPart(key, self._theme, stretches=stretches, parent=self)
        part.clicked.connect(lambda _=False: self.part_clicked.emit(key))
        self._parts[key] = part
        return part

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        """Any width: the parts give way, they must not hold the window wide."""
        return QSize(0, self.height())

    def _fit(self) -> None:
        """Share the width out: with bars if there is room for them, and the model's name gets what is left.

        By hand: a layout would ask the whole window to lay itself out again for each figure that grew by a digit.
        """
        height = self._theme.px(30)
        self.setFixedHeight(height + 2)
        model = self._parts["model"]
        shown = [part for part in self._parts.values() if part is not model and not part.isHidden()]
        widths = [part.full_width() for part in shown]
        # The bars go from the least telling on: the CPU's curve, memory, then the context.
        for key in ("cpu", "vram", "ram", "context"):
            if sum(widths) + model.text_width() <= self.width():
                break
            if self._parts[key] in shown:
                widths[shown.index(self._parts[key])] = self._parts[key].text_width()
        left = self.width() - sum(widths)
        x = max(model.least_width(), min(model.text_width(), left))
        model.setGeometry(0, 1, x, height)
        for part, width in zip(shown, widths, strict=True):
            if part.key == "palette":
                x = max(x, self.width() - width)
            part.setGeometry(x, 1, width, height)
            x += width

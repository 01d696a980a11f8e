"""The likeliest tokens as bars: the model's own probability pale behind, what the chain left of it in front.

All bars have one scale, so that their lengths compare. Tokens that were cut stand grey below a line; the mark ▸ is the
token that was taken. A figure in the monospace face says what the bar shows. Rejected: a chart with axes (ten labels
that are words need the rows of a list), a logarithmic scale (a bar twice as long would not be twice as likely).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui.theme import Theme
from gui.widgets.quantities import MINUS, count_text
from gui.widgets.row_list import RowList
from gui.widgets.token_text import probability_text

_VALUE_SAMPLE = ">0.999"
_ARROW = " → "
_MARK = 10  # pixels for the mark of the taken token
_PALE = 0.32  # how much of its colour a bar behind has
_SLIMMER = 4  # pixels that a bar in front is lower than the one behind
_LABEL_SHARE, _LEAST_LABEL, _MOST_LABEL = 0.36, 60, 180


@dataclass(frozen=True, slots=True)
class Bar:
    """A token, or the remark that stands for many of them.

    Attributes:
        token_id: None for a remark (“236 more”), which is only text.
        text: the token made visible.
        p: by the model alone, 0 to 1; None where it is not known.
        p_chain: after the chain; None where it was not asked for or is not known. Of a remark: of all its tokens.
        is_cut: the chain left nothing of it.
        logit: the model's score; None where it is not known.
        rank: 1 for the likeliest by the model; None where it is not known.
        is_picked: the token that was taken.
    """

    token_id: int | None
    text: str
    p: float | None = None
    p_chain: float | None = None
    is_cut: bool = False
    logit: float | None = None
    rank: int | None = None
    is_picked: bool = False

    @property
    def value(self) -> float | None:
        """What the bar shows: after the chain where there is one, else the model's own."""
        return self.p if self.p_chain is None else self.p_chain


class DistributionBars(RowList):
    """Rows of bars. `activated` carries the row; `bars[row].token_id` is the token.

    Args:
        n_places: how many rows there is room for, whatever is shown.
        hint: what a click does, for the tooltip; "" for nothing.
        both_figures: the model's own probability stands before the one after the chain.
    """

    def __init__(
        self,
        theme: Theme,
        name: str,
        *,
        n_places: int = 0,
        hint: str = "",
        both_figures: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        self.bars: tuple[Bar, ...] = ()
        self._n_places, self._hint, self._both_figures = n_places, hint, both_figures
        super().__init__(theme, name, row_height=20, parent=parent)

    def set_bars(self, bars: Sequence[Bar]) -> None:
        """Show these; the selected token stays selected where it still is."""
        if tuple(bars) == self.bars:
            return
        chosen = self.bars[self.row].token_id if 0 <= self.row < len(self.bars) else None
        self.bars = tuple(bars)
        places = [at for at, each in enumerate(self.bars) if each.token_id is not None and each.token_id == chosen]
        self.select(places[0] if places else -1)
        self.rows_changed()

    def set_hint(self, hint: str) -> None:
        """What a click does, for the tooltip; "" for nothing."""
        self._hint = hint

    @property
    def cut_line(self) -> int | None:
        """How many rows stand above the cut line; None when nothing shown was cut."""
        return next((at for at, each in enumerate(self.bars) if each.is_cut), None)

    # ---- RowList

    def n_rows(self) -> int:
        return len(self.bars)

    def n_places(self) -> int:
        return max(self._n_places, len(self.bars))

    def can_select(self, row: int) -> bool:
        return self.bars[row].token_id is not None

    def tip_of(self, row: int) -> str:
        bar = self.bars[row]
        if bar.token_id is None:
            return bar.text
        lines = [bar.text, self.tr("token {id}").format(id=bar.token_id)]
        if bar.rank is not None:
            lines.append(self.tr("rank {rank}").format(rank=count_text(bar.rank)))
        if bar.logit is not None:
            lines.append(self.tr("logit {value}").format(value=f"{bar.logit:.3f}".replace("-", MINUS)))
        lines.append(self.tr("by the model {p}").format(p=probability_text(bar.p)))
        if bar.is_cut:
            lines.append(self.tr("cut by the chain"))
        elif bar.p_chain is not None:
            lines.append(self.tr("after the chain {p}").format(p=probability_text(bar.p_chain)))
        if self._hint:
            lines.append(self._hint)
        return "\n".join(lines)

    def spoken(self, row: int) -> str:
        bar = self.bars[row]
        words = [bar.text, self.tr("by the model {p}").format(p=probability_text(bar.p))]
        if bar.is_cut:
            words.append(self.tr("cut by the chain"))
        elif bar.p_chain is not None:
            words.append(self.tr("after the chain {p}").format(p=probability_text(bar.p_chain)))
        if bar.is_picked:
            words.append(self.tr("taken"))
        return ", ".join(words)

    def as_tsv(self) -> str:
        lines = ["token\tid\trank\tlogit\tp\tp after the chain"]
        for bar in self.bars:
            if bar.token_id is not None:
                after = "0" if bar.is_cut else _plain(bar.p_chain)
                rank = "" if bar.rank is None else str(bar.rank)
                lines.append(f"{bar.text}\t{bar.token_id}\t{rank}\t{_plain(bar.logit)}\t{_plain(bar.p)}\t{after}")
        return "\n".join(lines) + "\n"

    def figures_of(self, row: int) -> str:
        """What stands at the end of a row."""
        bar = self.bars[row]
        after = self.tr("cut") if bar.is_cut else probability_text(bar.value)
        if not self._both_figures:
            return after
        return f"{probability_text(bar.p)}{_ARROW}{after:>{len(_VALUE_SAMPLE)}}"

    def bar_area(self, row: int) -> QRect:
        """Where the bar of a row may reach."""
        rect = self.rect_of(row)
        sample = _ARROW.join((_VALUE_SAMPLE, _VALUE_SAMPLE)) if self._both_figures else _VALUE_SAMPLE
        value = QFontMetrics(self.theme.mono_font(12)).horizontalAdvance(sample)
        left = _MARK + self._label_width() + Theme.SPACE[1]
        return QRect(rect.left() + left, rect.top(), rect.width() - left - value - Theme.SPACE[2], rect.height())

    def paint_row(self, painter: QPainter, rect: QRect, row: int) -> None:
        theme, bar = self.theme, self.bars[row]
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        left, right = middle | int(Qt.AlignmentFlag.AlignLeft), middle | int(Qt.AlignmentFlag.AlignRight)
        if bar.token_id is None:
            painter.setFont(theme.ui_font(12))
            painter.setPen(theme.color("text3"))
            painter.drawText(rect.adjusted(_MARK, 0, -4, 0), left, bar.text)
            if bar.p_chain is not None:
                self._paint_bar(painter, row)
                painter.setFont(theme.mono_font(12))
                painter.drawText(rect.adjusted(0, 0, -4, 0), right, probability_text(bar.p_chain))
            return
        mono = theme.mono_font(12)
        painter.setFont(mono)
        painter.setPen(theme.color("accent"))
        if bar.is_picked:
            painter.drawText(rect, left, "▸")
        painter.setPen(theme.color("text3" if bar.is_cut else "text1"))
        label = QRect(rect.left() + _MARK, rect.top(), self._label_width(), rect.height())
        text = QFontMetrics(mono).elidedText(bar.text, Qt.TextElideMode.ElideRight, label.width())
        painter.drawText(label, left, text)
        self._paint_bar(painter, row)
        painter.setPen(theme.color("text3" if bar.is_cut else "text1"))
        painter.drawText(rect.adjusted(0, 0, -4, 0), right, self.figures_of(row))
        if row == self.cut_line and row:
            painter.setPen(QPen(theme.color("text3"), 1, Qt.PenStyle.DashLine))
            painter.drawLine(rect.left(), rect.top(), rect.right(), rect.top())

    def _paint_bar(self, painter: QPainter, row: int) -> None:
        theme, bar, area = self.theme, self.bars[row], self.bar_area(row)
        scale = max((max(each.p or 0.0, each.p_chain or 0.0) for each in self.bars), default=0.0)
        if scale <= 0 or area.width() <= 0:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        grey = bar.is_cut or bar.token_id is None
        front = theme.color("text3" if grey else "accent")
        pale = theme.color("text3" if grey else "accent")
        pale.setAlphaF(_PALE)
        back = pale if grey or bar.p_chain is not None else front
        tall = self._thickness(area)
        slim = tall - _SLIMMER
        if bar.p:
            self._fill(painter, area, bar.p / scale, tall, back)
        if bar.p_chain and not bar.is_cut:
            self._fill(painter, area, bar.p_chain / scale, slim, front)
        painter.restore()

    @staticmethod
    def _thickness(area: QRect) -> int:
        return max(8, area.height() - 9)

    @staticmethod
    def _fill(painter: QPainter, area: QRect, share: float, thickness: int, brush: object) -> None:
        width = max(1.5, share * area.width())
        top = area.top() + (area.height() - thickness) / 2
        painter.setBrush(brush)
        radius = min(2.0, width / 2)
        painter.drawRoundedRect(QRectF(area.left(), top, width, thickness), radius, radius)

    def _label_width(self) -> int:
        return min(max(round(self.width() * _LABEL_SHARE), _LEAST_LABEL), _MOST_LABEL) - _MARK


def _plain(number: float | None) -> str:
    return "" if number is None else f"{number:.6g}"

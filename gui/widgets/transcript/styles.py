"""The formats of text in a message, made from the theme once and kept until it changes.

Every block and every run gets an explicit format, because a format left out is inherited from whatever stood at the
cursor. Sizes are the theme's; nothing here names a colour.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QTextBlockFormat,
    QTextCharFormat,
    QTextFrameFormat,
    QTextLength,
    QTextTableCellFormat,
    QTextTableFormat,
)

from gui.theme import PlotRole, Theme
from gui.widgets.transcript.elements import Align, Paragraph, Place, Run, Style, Table, Tint

BODY_SIZE = 15
CODE_SIZE = 13
SMALL_SIZE = 12
_HEADING_SIZES = {0: BODY_SIZE, 1: 20, 2: 17}
_TOP = {1: 20, 2: 18, 3: 14}
_ALIGNMENTS = {
    Align.LEFT: Qt.AlignmentFlag.AlignLeft,
    Align.CENTER: Qt.AlignmentFlag.AlignHCenter,
    Align.RIGHT: Qt.AlignmentFlag.AlignRight,
}
_MINIMUM = QTextBlockFormat.LineHeightTypes.MinimumHeight.value
_FIXED = QTextBlockFormat.LineHeightTypes.FixedHeight.value


class TextStyles:
    """Formats by what they are for. `version` grows with each change of the theme.

    Attributes:
        body_font, code_font: the fonts of text and of code.
        code_pad, code_top, code_bottom: pixels between a code block's border and its text, at the sides, above, below;
            Qt puts a line's spare height above its text. `code_header`: the height of the line with the language.
    """

    def __init__(self, theme: Theme) -> None:
        self.theme = theme
        self.version = 0
        self.refresh()

    def refresh(self) -> None:
        """Take colours and sizes from the theme again."""
        theme = self.theme
        self.version += 1
        self.body_font = theme.ui_font(BODY_SIZE)
        self.code_font = theme.mono_font(CODE_SIZE)
        self.code_pad = float(theme.SPACE[2])
        self.code_top, self.code_bottom = self.code_pad - 4, self.code_pad + 2
        self.code_header = float(theme.px(28))
        self.gap = float(theme.px(10))
        self.indent = float(theme.px(28))
        self.quote_step = float(theme.px(16))
        self.line_height = float(theme.px(22))
        self.code_line_height = float(theme.px(20))
        self.tab_distance = 4 * QFontMetricsF(self.code_font).horizontalAdvance(" ")
        self._chars: dict[tuple[Style, Tint, bool, int, bool, bool], QTextCharFormat] = {}

    def left(self, place: Place) -> float:
        """Where an element begins, in pixels from the column's edge; deep nesting stops moving right."""
        return self.left_of_path(place.path)

    def left_of_path(self, path: str) -> float:
        x = sum(self.quote_step if each == "q" else self.indent for each in path[:24])
        return min(x, self.indent * 12)

    # ---- blocks

    def paragraph(self, paragraph: Paragraph, *, is_top: bool = False) -> QTextBlockFormat:
        """`is_top`: nothing stands above it. Between two blocks Qt takes the larger of the two margins."""
        style = QTextBlockFormat()
        style.setLeftMargin(self.left(paragraph.place))
        if not is_top:
            top = self.theme.px(_TOP.get(paragraph.heading, 14)) if paragraph.heading else self.gap
            style.setTopMargin(0 if paragraph.is_tight else top)
        close = self.gap * 0.4 if paragraph.place.path.endswith("i") else 0
        style.setBottomMargin(close if paragraph.is_tight else self.gap)
        if paragraph.heading:
            style.setHeadingLevel(paragraph.heading)
            style.setBottomMargin(self.gap * 0.6)
        elif paragraph.is_rule:
            style.setLineHeight(self.gap, _FIXED)
        else:
            style.setLineHeight(self.line_height, _MINIMUM)
        return style

    @property
    def code_head_height(self) -> float:
        """From the top of a block of code's frame to its first line."""
        return self.code_header + self.code_top

    def code_line(self, place: Place, *, is_first: bool, is_last: bool, is_top: bool = False) -> QTextBlockFormat:
        style = QTextBlockFormat()
        style.setLeftMargin(self.left(place) + self.code_pad)
        style.setRightMargin(self.code_pad)
        style.setTopMargin(self.code_head_height + self.gap if is_first and not is_top else 0)
        style.setBottomMargin(self.code_bottom + self.gap if is_last else 0)
        style.setLineHeight(self.code_line_height, _MINIMUM)
        style.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        return style

    def after_table(self) -> QTextBlockFormat:
        """The empty block that Qt needs behind a table, as thin as it can be."""
        style = QTextBlockFormat()
        style.setLineHeight(1, _FIXED)
        return style

    # ---- tables

    def table(self, table: Table) -> QTextTableFormat:
        style = QTextTableFormat()
        style.setBorder(0)
        style.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_None)
        style.setBorderCollapse(True)
        style.setCellSpacing(0)
        style.setCellPadding(0)
        style.setLeftMargin(self.left(table.place))
        style.setTopMargin(2)
        style.setBottomMargin(self.gap)
        style.setHeaderRowCount(1)
        style.setColumnWidthConstraints([QTextLength()] * len(table.aligns))
        return style

    def cell(self, row: int, column: int) -> QTextTableCellFormat:
        style = QTextTableCellFormat()
        pad = float(self.theme.SPACE[1])
        style.setLeftPadding(0 if column == 0 else pad)
        style.setRightPadding(pad * 2)
        style.setTopPadding(pad * 0.5)
        style.setBottomPadding(pad * 0.5)
        style.setBottomBorder(1)
        style.setBottomBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
        style.setBottomBorderBrush(self.theme.color("text3" if row == 0 else "hairline"))
        return style

    def cell_block(self, align: Align) -> QTextBlockFormat:
        style = QTextBlockFormat()
        style.setAlignment(_ALIGNMENTS[align])
        style.setLineHeight(self.line_height, _MINIMUM)
        return style

    # ---- runs

    def run(self, run: Run, *, heading: int = 0, is_quote: bool = False) -> QTextCharFormat:
        """A run of a paragraph."""
        style = self._char(run.style, Tint.PLAIN, bool(run.href), heading, is_quote, False)
        if run.href:
            style = QTextCharFormat(style)
            style.setAnchor(True)
            style.setAnchorHref(run.href)
            style.setToolTip(run.href)
        return style

    def code_run(self, run: Run) -> QTextCharFormat:
        """A run of a line of code."""
        return self._char(run.style, run.tint, False, 0, False, True)

    def header_cell_run(self, run: Run) -> QTextCharFormat:
        return self.run(Run(run.text, run.style | Style.BOLD, run.tint, run.href))

    def _char(
        self, style: Style, tint: Tint, is_link: bool, heading: int, is_quote: bool, is_code: bool
    ) -> QTextCharFormat:
        key = (style, tint, is_link, heading, is_quote, is_code)
        found = self._chars.get(key)
        if found is None:
            found = self._chars[key] = self._make_char(*key)
        return found

    def _make_char(
        self, style: Style, tint: Tint, is_link: bool, heading: int, is_quote: bool, is_code: bool
    ) -> QTextCharFormat:
        theme = self.theme
        result = QTextCharFormat()
        size = _HEADING_SIZES.get(heading, BODY_SIZE)
        if is_code or Style.CODE in style:
            font = theme.mono_font(CODE_SIZE if not heading else size - 2)
        else:
            font = theme.ui_font(size)
        if Style.BOLD in style or heading:
            font.setWeight(QFont.Weight.DemiBold)
        font.setItalic(Style.ITALIC in style)
        font.setStrikeOut(Style.STRIKE in style)
        result.setFont(font)
        result.setForeground(self._tint_color(tint) if is_code else theme.color("text2" if is_quote else "text1"))
        if Style.CODE in style and not is_code:
            result.setBackground(theme.color("surface3"))
        if is_link:
            result.setForeground(theme.color("accent"))
            result.setFontUnderline(True)
        return result

    def _tint_color(self, tint: Tint) -> QColor:
        theme = self.theme
        if tint is Tint.KEYWORD:
            return theme.plot_color(PlotRole.OTHER)
        if tint is Tint.NAME:
            return theme.plot_color(PlotRole.KV_CACHE)
        roles = {Tint.STRING: "good", Tint.NUMBER: "warning", Tint.COMMENT: "text3", Tint.ERROR: "bad"}
        return theme.color(roles.get(tint, "text1"))

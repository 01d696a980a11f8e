"""What a window on screen must not have: cut text, nameless controls, widgets on top of each other, an empty picture.

Every check looks at the widgets as they are laid out now and returns findings, so the screenshot program and the tests
of the window ask the same. A widget that paints itself, or shortens its text on purpose and says the whole of it on
hover, decides about its text alone; a dynamic property `elides` says so for any other widget.
Rejected: comparing pictures with stored ones (every font and every Qt draws them otherwise).
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from types import TracebackType

from PySide6.QtCore import QMessageLogContext, QPoint, QRect, QSize, QtMsgType, qInstallMessageHandler
from PySide6.QtGui import QAccessible, QFont, QFontMetrics, QGuiApplication, QImage, Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QGroupBox,
    QHeaderView,
    QLabel,
    QLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QScrollBar,
    QSplitterHandle,
    QStackedLayout,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionButton,
    QStyleOptionComboBox,
    QStyleOptionFrame,
    QTabBar,
    QTableView,
    QTextEdit,
    QToolButton,
    QWidget,
)

TOLERANCE = 1  # pixel: metrics and layouts round in different directions
PADDING = (
    6  # pixels around the text of a widget that paints itself: it may hang over so that the text stands at an edge
)
LONG_TEXT = 24  # characters: what somebody typed may be longer than its line, a value may not
FLAT_SHARE = 0.999  # of the picture in one colour: nothing is drawn there

# The offscreen platform cannot do these and says so each time; a real one does them.
_OFFSCREEN_SAYS = re.compile(r"This plugin does not support (propagateSizeHints|raise|grabbing|setParent)")
_WITH_TEXT = (QLabel, QAbstractButton, QLineEdit, QComboBox)
_CONTROLS = (
    QAbstractButton,
    QLineEdit,
    QTextEdit,
    QPlainTextEdit,
    QComboBox,
    QAbstractSpinBox,
    QAbstractSlider,
    QAbstractItemView,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault on screen.

    Attributes:
        kind: "clipped", "nameless", "overlap", "blank" or "qt".
        place: the widget, from the window's page down, by classes and names.
        what: the text or the measure.
    """

    kind: str
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.place}: {self.what}"


def findings_of(window: QWidget) -> list[Finding]:
    """Everything that the checks find in a window that is shown and laid out."""
    found = [Finding("overlap", _name_of(window), each) for each in overlaps(window)]
    for widget in _seen(window):
        found += [Finding("clipped", place_of(widget), each) for each in clipped_texts(widget)]
        cut = _cut_off(widget, window)
        if cut:
            found.append(Finding("clipped", place_of(widget), cut))
        if is_control(widget) and not spoken_name(widget):
            found.append(Finding("nameless", place_of(widget), "no accessible name"))
        found += [Finding("overlap", place_of(widget), each) for each in overlaps(widget)]
    return list(dict.fromkeys(found))


# ---- names


def is_control(widget: QWidget) -> bool:
    """Whether a person can use this widget, so that it needs a name of its own."""
    if isinstance(widget, QScrollBar | QSplitterHandle | QHeaderView | QTabBar) or widget.objectName().startswith(
        "qt_"
    ):
        return False
    if isinstance(widget.parentWidget(), QComboBox | QAbstractSpinBox):
        return False  # Qt's own inner line edit; the outer widget has the name
    takes_keys = widget.focusPolicy() & Qt.FocusPolicy.TabFocus == Qt.FocusPolicy.TabFocus
    return isinstance(widget, _CONTROLS) or (takes_keys and widget.focusProxy() is None)


def spoken_name(widget: QWidget) -> str:
    """What a screen reader says."""
    interface = QAccessible.queryAccessibleInterface(widget)
    return interface.text(QAccessible.Text.Name).strip() if interface is not None else widget.accessibleName()


# ---- texts


def clipped_texts(widget: QWidget) -> list[str]:
    """What of this widget's own text has no room in it, with the room it needs and has."""
    if widget.property("elides"):
        return []
    match widget:
        case QTabBar():
            return _clipped_tabs(widget)
        case QHeaderView():
            return _clipped_headers(widget)
        case QAbstractItemView():
            return _clipped_items(widget)
        case QLineEdit():
            return _clipped_line(widget)
        case QPlainTextEdit():
            return _clipped_placeholder(widget)
        case QRadioButton() if _paints_itself(widget):
            wide = QFontMetrics(_bold(widget)).horizontalAdvance(_plain(widget.text()))
            return _too_large(widget.text(), QSize(wide, 0), widget.size() - QSize(6, 0))  # a segment
    if _paints_itself(widget):
        return []
    match widget:
        case QLabel():
            return _clipped_label(widget)
        case QAbstractButton():
            return _clipped_button(widget)
        case QComboBox():
            return _clipped_combo(widget)
        case QGroupBox():
            wide = widget.fontMetrics().horizontalAdvance(_plain(widget.title()))
            return _too_large(widget.title(), QSize(wide, 0), widget.size())
    return []


def _clipped_label(label: QLabel) -> list[str]:
    text = label.text()
    if not text:
        return []
    around = 2 * label.margin()
    room = label.contentsRect().size() - QSize(around, around)
    metrics = label.fontMetrics()
    is_rich = label.textFormat() in (Qt.TextFormat.RichText, Qt.TextFormat.MarkdownText) or (
        label.textFormat() == Qt.TextFormat.AutoText and Qt.mightBeRichText(text)
    )
    plain = html.unescape(re.sub(r"<[^>]*>", " ", text)) if is_rich else text
    if label.wordWrap():
        words = [metrics.horizontalAdvance(word) for word in plain.split()]
        return _too_large(plain, QSize(max(words, default=0), label.heightForWidth(label.width())), _room(room, label))
    if is_rich:
        return _too_large(plain, label.sizeHint(), label.size())
    return _too_large(plain, metrics.size(Qt.TextFlag.TextExpandTabs, plain), room)


def _room(room: QSize, label: QLabel) -> QSize:
    """A wrapping label's own height: `heightForWidth` speaks of the whole widget."""
    return QSize(room.width(), label.height())


def _clipped_button(button: QAbstractButton) -> list[str]:
    text = _plain(button.text())
    if not text:
        return []
    metrics = button.fontMetrics()
    need = metrics.size(Qt.TextFlag.TextShowMnemonic, text)
    icon = QSize(0, 0) if button.icon().isNull() else button.iconSize()
    if isinstance(button, QToolButton):
        style = button.toolButtonStyle()
        if style == Qt.ToolButtonStyle.ToolButtonIconOnly and not button.icon().isNull():
            return []
        if style == Qt.ToolButtonStyle.ToolButtonTextUnderIcon:
            need += QSize(0, icon.height())
        elif style == Qt.ToolButtonStyle.ToolButtonTextBesideIcon:
            need += QSize(icon.width() + 4, 0)
        return _too_large(text, need, button.contentsRect().size())
    option = QStyleOptionButton()
    button.initStyleOption(option)  # type: ignore[attr-defined]
    element = QStyle.SubElement.SE_PushButtonContents
    if isinstance(button, QCheckBox):
        element = QStyle.SubElement.SE_CheckBoxContents
    elif isinstance(button, QRadioButton):
        element = QStyle.SubElement.SE_RadioButtonContents
    room = button.style().subElementRect(element, option, button).size()
    if icon.width():
        need += QSize(icon.width() + 4, 0)
    if isinstance(button, QPushButton) and room.height() < need.height():
        room.setHeight(button.height() - 2)  # a style sheet's padding is no wall above and below
    return _too_large(text, need, room)


def _clipped_line(line: QLineEdit) -> list[str]:
    text = line.text() or line.placeholderText()
    if len(line.text()) > LONG_TEXT and not line.isReadOnly():
        return []
    option = QStyleOptionFrame()
    line.initStyleOption(option)
    room = line.style().subElementRect(QStyle.SubElement.SE_LineEditContents, option, line)
    margins = line.textMargins()
    wide = room.width() - margins.left() - margins.right() - 4  # Qt keeps two pixels at either side
    return _too_large(text, QSize(line.fontMetrics().horizontalAdvance(text), 0), QSize(wide, 0))


def _clipped_placeholder(edit: QPlainTextEdit) -> list[str]:
    text = edit.placeholderText()
    if not text or edit.toPlainText():
        return []
    wide = edit.fontMetrics().horizontalAdvance(text) + 2 * round(edit.document().documentMargin())
    n_lines = max(1, edit.viewport().height() // max(1, edit.fontMetrics().lineSpacing()))
    return _too_large(text, QSize(wide, 0), QSize(edit.viewport().width() * n_lines, 0))


def _clipped_combo(combo: QComboBox) -> list[str]:
    text = combo.currentText() or combo.placeholderText()
    option = QStyleOptionComboBox()
    combo.initStyleOption(option)
    control, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
    room = combo.style().subControlRect(control, option, part, combo)
    return _too_large(text, QSize(combo.fontMetrics().horizontalAdvance(text), 0), QSize(room.width() - 2, 0))


def _clipped_tabs(bar: QTabBar) -> list[str]:
    found = [
        each
        for index in range(bar.count())
        if bar.isTabVisible(index)
        for wide in [QFontMetrics(_bold(bar)).horizontalAdvance(_plain(bar.tabText(index)))]
        for each in _too_large(bar.tabText(index), QSize(wide, 0), bar.tabRect(index).size())
    ]
    if any(each.isVisible() for each in bar.findChildren(QToolButton)):
        found.append("the tabs need arrows to be reached")
    return found


def _clipped_headers(header: QHeaderView) -> list[str]:
    model = header.model()
    if model is None or header.orientation() == Qt.Orientation.Vertical:
        return []
    found = []
    for section in range(header.count()):
        text = model.headerData(section, header.orientation(), Qt.ItemDataRole.DisplayRole)
        if text and not header.isSectionHidden(section):
            wide = header.fontMetrics().horizontalAdvance(str(text)) + 4
            found += _too_large(str(text), QSize(wide, 0), QSize(header.sectionSize(section), 0))
    return found


def _clipped_items(view: QAbstractItemView) -> list[str]:
    """Columns that cannot be reached, and cells that Qt's own delegate shortens without saying the rest on hover."""
    model = view.model()
    found = _lost_columns(view)
    if model is None or type(view.itemDelegate()) is not QStyledItemDelegate:
        return found
    root, area = view.rootIndex(), view.viewport().rect()
    for row in range(min(model.rowCount(root), 200)):
        for column in range(model.columnCount(root)):
            index = model.index(row, column, root)
            cell, text = view.visualRect(index), index.data(Qt.ItemDataRole.DisplayRole)
            if not text or not area.intersects(cell) or index.data(Qt.ItemDataRole.ToolTipRole):
                continue
            wide = view.fontMetrics().horizontalAdvance(str(text)) + 4
            found += _too_large(str(text), QSize(wide, 0), QSize(cell.width(), 0))
    return found


def _lost_columns(view: QAbstractItemView) -> list[str]:
    if not isinstance(view, QTableView) or view.horizontalScrollBarPolicy() != Qt.ScrollBarPolicy.ScrollBarAlwaysOff:
        return []
    need, room = view.horizontalHeader().length(), view.viewport().width()
    return [f"the columns need {need} px, have {room}, and cannot be scrolled"] if need > room + TOLERANCE else []


def _cut_off(widget: QWidget, window: QWidget) -> str:
    """How much of a widget with text sticks out of what is around it; "" when all of it can be seen or scrolled to."""
    if not isinstance(widget, (*_WITH_TEXT, QAbstractSlider)) or isinstance(widget, QScrollBar):
        return ""
    if isinstance(widget, QLabel | QAbstractButton) and not widget.text():
        return ""
    area, current = QRect(QPoint(0, 0), widget.size()), widget
    allowed = PADDING if _paints_itself(widget) else TOLERANCE
    while current is not window:
        parent = current.parentWidget()
        if parent is None or current.isWindow():
            return ""
        area = area.translated(current.pos())
        scroller = _scroller_of(parent)
        out_x = max(-area.left(), area.right() - parent.rect().right())
        out_y = max(-area.top(), area.bottom() - parent.rect().bottom())
        if scroller is not None:
            out_x = 0 if scroller.horizontalScrollBar().maximum() > 0 else out_x
            out_y = 0 if scroller.verticalScrollBar().maximum() > 0 else out_y
        if max(out_x, out_y) > allowed:
            return f"sticks out of {_name_of(parent)} by {max(out_x, 0)} × {max(out_y, 0)} px"
        area = area.intersected(parent.rect())
        if area.isEmpty():
            return ""  # scrolled away
        current = parent
    return ""


def _scroller_of(widget: QWidget) -> QAbstractScrollArea | None:
    """The scroll area whose viewport this is."""
    parent = widget.parentWidget()
    return parent if isinstance(parent, QAbstractScrollArea) and parent.viewport() is widget else None


# ---- places


def overlaps(parent: QWidget) -> list[str]:
    """Which children of this widget lie on each other: those of its layout, and texts that it places by hand."""
    layout = parent.layout()
    managed = list(_of_layout(layout)) if layout is not None else []
    by_hand = [
        child
        for child in parent.children()
        if isinstance(child, QLabel | QAbstractButton | QLineEdit)
        and child not in managed
        and child.isVisible()
        and (not isinstance(child, QLabel) or child.text())
    ]
    found = []
    for group in (managed, by_hand):
        for first, second in combinations(group, 2):
            shared = first.geometry() & second.geometry()
            if shared.width() > TOLERANCE and shared.height() > TOLERANCE:
                sizes = f"{shared.width()} × {shared.height()} px"
                found.append(f"{_name_of(first)} and {_name_of(second)} share {sizes}")
    return found


def _of_layout(layout: QLayout) -> Iterator[QWidget]:
    if isinstance(layout, QStackedLayout):
        return
    for index in range(layout.count()):
        item = layout.itemAt(index)
        if item is None:
            continue
        widget, inner = item.widget(), item.layout()
        if widget is not None and widget.isVisible():
            yield widget
        elif inner is not None:
            yield from _of_layout(inner)


# ---- pictures


def blank_reason(image: QImage) -> str:
    """Why this picture shows nothing; "" when something is drawn in it."""
    if image.isNull() or not image.width():
        return "there is no picture"
    pixels = memoryview(image.convertToFormat(QImage.Format.Format_RGB32).constBits()).cast("B").cast("I")
    counted = Counter(pixels[::7])
    colour, n_most = counted.most_common(1)[0]
    if n_most >= FLAT_SHARE * counted.total():
        return f"#{colour & 0xFFFFFF:06x} everywhere"
    return ""


# ---- what Qt says


class QtMessages:
    """Collects Qt's warnings and worse while it is entered.

    Attributes:
        findings: what was said, each thing once.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def __enter__(self) -> QtMessages:
        qInstallMessageHandler(self._said)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        qInstallMessageHandler(None)

    def _said(self, kind: QtMsgType, context: QMessageLogContext, message: str) -> None:
        if is_complaint(kind, message):
            finding = Finding("qt", getattr(context, "category", None) or "default", message)
            if finding not in self.findings:
                self.findings.append(finding)


def is_complaint(kind: QtMsgType, message: str) -> bool:
    """Whether a message of Qt's is a warning or worse, but for what the offscreen platform cannot help."""
    if kind in (QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg):
        return False
    return not (QGuiApplication.platformName() == "offscreen" and _OFFSCREEN_SAYS.search(message))


# ---- widgets


def place_of(widget: QWidget) -> str:
    """Where a widget is: its classes and names, from the outside in, without Qt's own containers."""
    steps = []
    current: QWidget | None = widget
    while current is not None and not current.isWindow():
        is_plain = type(current).__module__.startswith("PySide6") and current is not widget
        if not is_plain:
            steps.append(_name_of(current))
        current = current.parentWidget()
    return " > ".join(reversed(steps))


def _name_of(widget: QWidget) -> str:
    text = getattr(widget, "text", None)
    shown = widget.accessibleName() or (str(text()) if callable(text) else "")
    shown = " ".join(shown.split())
    short = shown if len(shown) <= 40 else shown[:39] + "…"
    return f"{type(widget).__name__} “{short}”" if short else type(widget).__name__


def _seen(window: QWidget) -> Iterator[QWidget]:
    """Every widget of which at least a pixel is on screen."""
    for widget in window.findChildren(QWidget):
        if widget.isVisible() and not widget.visibleRegion().isEmpty():
            yield widget


def _paints_itself(widget: QWidget) -> bool:
    for each in type(widget).__mro__:
        if each.__module__.startswith("PySide6"):
            return False
        if "paintEvent" in each.__dict__:
            return True
    return False


def _bold(widget: QWidget) -> QFont:
    font = widget.font()
    font.setWeight(font.Weight.DemiBold)
    return font


def _plain(text: str) -> str:
    """A text without its mnemonic mark."""
    return re.sub(r"&(.)", r"\1", text)


def _too_large(text: str, need: QSize, room: QSize) -> list[str]:
    """The finding, if a size does not fit; a side of 0 is not asked for."""
    wide = need.width() > room.width() + TOLERANCE
    high = need.height() > 0 and room.height() > 0 and need.height() > room.height() + TOLERANCE
    if not text or not (wide or high):
        return []
    short = text if len(text) <= 60 else text[:59] + "…"
    return [f"“{short}” needs {need.width()} × {need.height()} px, has {room.width()} × {room.height()}"]

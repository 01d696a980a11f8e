"""The rail: the pages of the window as icons with labels, down the left side."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QToolButton, QVBoxLayout, QWidget

from gui.actions import keys_text
from gui.icons import Icons
from gui.page import PanelSpec
from gui.theme import set_kind

WIDTH = 72
BUTTON = 55


class Rail(QFrame):
    """One button a page; the arrow keys move between them.

    Signals:
        page_chosen: the key of the page whose button was pressed.
    """

    page_chosen = Signal(str)

    def __init__(self, pages: Sequence[PanelSpec], icons: Icons, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icons = icons
        self._buttons: dict[str, QToolButton] = {}
        set_kind(self, "rail")
        self.setAccessibleName(self.tr("Pages"))
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 12, 8, 12)
        layout.setSpacing(4)
        ordered = sorted(pages, key=lambda page: page.order)
        for page in ordered:
            if not page.at_bottom:
                layout.addWidget(self._button(page), 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(1)
        for page in ordered:
            if page.at_bottom:
                layout.addWidget(self._button(page), 0, Qt.AlignmentFlag.AlignHCenter)
        self._fit()
        icons.theme.changed.connect(self._fit)

    def set_current(self, key: str) -> None:
        """Mark the page that is shown."""
        if key in self._buttons:
            self._buttons[key].setChecked(True)

    def button(self, key: str) -> QToolButton:
        """The button of a page, for tests and for focus."""
        return self._buttons[key]

    def _button(self, page: PanelSpec) -> QToolButton:
        button = QToolButton()
        set_kind(button, "rail")
        button.setCheckable(True)
        button.setText(page.title)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._icons.bind(button, page.icon, "text2", 22, checked_role="accent")
        button.setIconSize(QSize(22, 22))
        button.setAccessibleName(page.title)
        keys = keys_text((page.shortcut,)) if page.shortcut else ""
        button.setToolTip(f"{page.title}  {keys}" if keys else page.title)
        button.toggled.connect(lambda on, key=page.key: self.page_chosen.emit(key) if on else None)
        self._group.addButton(button)
        self._buttons[page.key] = button
        return button

    def _fit(self) -> None:
        """Grow with the labels: a larger desktop font or a longer language must not cut “Hardware”."""
        font = self._icons.theme.ui_font(11)
        widest = BUTTON
        for button in self._buttons.values():
            button.setFont(font)
            widest = max(widest, button.fontMetrics().horizontalAdvance(button.text()) + 6)
        for button in self._buttons.values():
            button.setFixedSize(widest, BUTTON + max(0, button.fontMetrics().height() - 14))
        self.setFixedWidth(max(WIDTH, widest + 13))

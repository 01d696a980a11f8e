"""What stands where nothing is yet: an icon, a sentence that says what will be here, and the first step as a button."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontMetrics, QIcon
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from gui.theme import Theme, set_kind

_ICON = 32
_WIDEST = 340


class EmptyState(QWidget):
    """An icon, a title, a sentence and a button, in the middle of the room there is. `first_step` when it is pressed."""

    first_step = Signal()

    def __init__(
        self,
        theme: Theme,
        sentence: str,
        *,
        title: str = "",
        button: str = "",
        icon: Callable[[], QIcon] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """Build it.

        Args:
            theme: the look.
            sentence: what will be here.
            title: a few words over it, "" for none.
            button: the first step, "" for no button.
            icon: makes the icon in the present colours; called again when they change.
            parent: Qt's parent.
        """
        super().__init__(parent)
        self._theme = theme
        self._make_icon = icon
        self._icon = QLabel(self)
        self._icon.setVisible(icon is not None)
        self._icon.setAccessibleName(title or sentence)
        self.title = QLabel(title, self)
        self.title.setVisible(bool(title))
        set_kind(self.title, "heading")
        self.sentence = QLabel(sentence, self)
        self.sentence.setWordWrap(True)
        set_kind(self.sentence, "dim")
        self.button = QPushButton(button, self)
        self.button.setVisible(bool(button))
        self.button.setAccessibleName(button)
        set_kind(self.button, "primary")
        self.button.clicked.connect(self.first_step)
        middle = Qt.AlignmentFlag.AlignHCenter
        for label in (self._icon, self.title, self.sentence):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column = QVBoxLayout(self)
        column.setContentsMargins(*[Theme.SPACE[4]] * 4)
        column.setSpacing(Theme.SPACE[1])
        column.addStretch(1)
        column.addWidget(self._icon, 0, middle)
        column.addWidget(self.title, 0, middle)
        line = QHBoxLayout()  # an aligned label would not be asked how high it gets when it wraps
        line.addStretch(1)
        line.addWidget(self.sentence)
        line.addStretch(1)
        column.addLayout(line)
        column.addSpacing(Theme.SPACE[1])
        column.addWidget(self.button, 0, middle)
        column.addStretch(1)
        self._restyle()
        theme.changed.connect(self._restyle)

    def set_sentence(self, sentence: str) -> None:
        self.sentence.setText(sentence)
        self._restyle()

    def _restyle(self) -> None:
        metrics = QFontMetrics(self._theme.ui_font(13))
        wanted = metrics.horizontalAdvance(self.sentence.text()) + 4
        self.sentence.setFixedWidth(min(self._theme.px(_WIDEST), wanted))
        if self._make_icon is not None:
            self._icon.setPixmap(self._make_icon().pixmap(_ICON, _ICON))

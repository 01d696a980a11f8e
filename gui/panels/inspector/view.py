"""The right column of the Chat page: decoding, the next token, memory, hardware and tokens, each in its own fold."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from engine.workbench.events import TokensWanted
from gui.page import PanelContext
from gui.panels.inspector.decoding import DecodingSection
from gui.panels.inspector.hardware import HardwareSection
from gui.panels.inspector.memory import MemorySection
from gui.panels.inspector.next_token import NextTokenSection
from gui.panels.inspector.tokens import TokensSection
from gui.theme import set_kind
from gui.widgets.scrolling import scroll_area


class Inspector(QFrame):
    """The sections, scrolling when the window is low."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        set_kind(self, "column")
        self.setAccessibleName(self.tr("Inspector"))
        self.decoding = DecodingSection(context)
        self.next_token = NextTokenSection(context)
        self.memory = MemorySection(context)
        self.hardware = HardwareSection(context)
        self.tokens = TokensSection(context)
        self.tokens.look_wanted.connect(self.next_token.presenter.look_at)
        self.sections = (self.decoding, self.next_token, self.memory, self.hardware, self.tokens)
        # From the outside in: a style sheet makes Qt restyle all that a widget holds whenever that is put into another one.
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        inner = QWidget()
        set_kind(inner, "surface1")
        scroll = scroll_area(self.tr("Inspector"), inner)
        layout.addWidget(scroll)
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 6, 0, 12)
        column.setSpacing(0)
        for place, section in enumerate(self.sections):
            if place:
                line = QFrame()
                set_kind(line, "hairline")
                column.addWidget(line)
            box = QVBoxLayout()
            box.setContentsMargins(14, 8, 14, 10)
            box.addWidget(section)
            column.addLayout(box)
        column.addStretch(1)
        self._scroll = scroll
        self._unsubscribe = context.bus.subscribe(TokensWanted, self._show_tokens)

    def activated(self) -> None:
        self.hardware.set_polling(True)

    def deactivated(self) -> None:
        self.hardware.set_polling(False)

    def _show_tokens(self, event: TokensWanted) -> None:
        self.tokens.show_tokens_of(event.message_id)
        QTimer.singleShot(0, self, lambda: self._scroll.ensureWidgetVisible(self.tokens))  # once it is laid out

    def close_panel(self) -> None:
        self._unsubscribe()
        for section in self.sections:
            section.close_section()

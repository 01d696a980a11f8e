"""The Lab's prompt: a chat question with an optional system prompt, or raw text, and what is wrong with it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from gui.panels.lab import words
from gui.panels.lab.presenter.prompt import LabPrompt, PromptFault, PromptKind
from gui.theme import Theme, repolish, set_kind
from gui.widgets.choice_field import SegmentedControl

KINDS = tuple(PromptKind)
SYSTEM_HEIGHT, TEXT_HEIGHT = 54, 116


class PromptEditor(QWidget):
    """The text that samples and draws share. `changed` when a person changed any of it."""

    changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.kind = SegmentedControl(theme, [words.kind_text(each) for each in KINDS])
        self.kind.set_names(self.tr("Kind of prompt"), self.tr("Through the chat template, or as it stands"))
        self.system = QPlainTextEdit()
        self.system.setPlaceholderText(self.tr("System prompt, optional"))
        self.system.setAccessibleName(self.tr("System prompt"))
        self.text = QPlainTextEdit()
        self.text.setAccessibleName(self.tr("Prompt"))
        for each in (self.system, self.text):
            each.setTabChangesFocus(True)
            each.document().setDocumentMargin(2)
            each.textChanged.connect(self._edited)
        self.error = QLabel()
        set_kind(self.error, "bad")
        self.error.setWordWrap(True)
        self.error.hide()
        self.kind.chosen.connect(lambda _at: self._kind_chosen())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[1])
        column.addWidget(self.kind)
        column.addWidget(self.system)
        column.addWidget(self.text)
        column.addWidget(self.error)
        self._fit()
        theme.changed.connect(self._fit)
        self._show_kind()

    def prompt(self) -> LabPrompt:
        """What stands here."""
        return LabPrompt(KINDS[self.kind.index()], self.system.toPlainText(), self.text.toPlainText())

    def set_prompt(self, prompt: LabPrompt) -> None:
        """Show another one."""
        self.kind.set_index(KINDS.index(prompt.kind))
        self.system.setPlainText(prompt.system)
        self.text.setPlainText(prompt.text)
        self._kind_chosen()

    def show_fault(self, fault: PromptFault | None) -> None:
        """Explain under the text what is wrong, or nothing."""
        text = words.fault_text(fault, KINDS[self.kind.index()])
        self.error.setText(text)
        self.error.setVisible(bool(text))
        if bool(self.text.property("invalid")) != bool(text):
            self.text.setProperty("invalid", bool(text))
            repolish(self.text)
        if text:
            self.text.setFocus()

    def _edited(self) -> None:
        if not self.error.isHidden():
            self.show_fault(None)
        self.changed.emit()

    def _kind_chosen(self) -> None:
        self.show_fault(None)
        self._show_kind()
        self.changed.emit()

    def _show_kind(self) -> None:
        is_chat = KINDS[self.kind.index()] is PromptKind.CHAT
        self.system.setVisible(is_chat)
        hint = self.tr("What the model is to answer") if is_chat else self.tr("What the model is to continue")
        self.text.setPlaceholderText(hint)

    def _fit(self) -> None:
        self.system.setFixedHeight(self._theme.px(SYSTEM_HEIGHT))
        self.text.setFixedHeight(self._theme.px(TEXT_HEIGHT))
        self.error.setStyleSheet(f"QLabel {{ font-size: {self._theme.px(12)}px; }}")  # a size only

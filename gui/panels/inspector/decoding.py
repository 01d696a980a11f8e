"""The section Decoding: a compact form of the sampler chain, what it amounts to, and the way back to the defaults."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.base.bus import Unsubscribe
from engine.workbench.events import SettingsChanged
from gui.forms import Form
from gui.page import PanelContext
from gui.panels.inspector.presenter.decoding import DecodingPresenter
from gui.theme import Theme, set_kind
from gui.widgets.section import Section

FOLD = "inspector.decoding.folded"
ADVANCED = "inspector.decoding.advanced"


class DecodingSection(Section):
    """The form in its fold."""

    def __init__(self, context: PanelContext) -> None:
        self.presenter = DecodingPresenter(context.workbench)
        state, theme = context.state, context.theme
        main, rest = self.presenter.fields()
        values = self.presenter.values()
        self.forms = (
            Form(theme, main, values, compact=True),
            Form(
                theme,
                rest,
                values,
                compact=True,
                advanced_folded=state.flag(ADVANCED, True),
                on_advanced_folded=lambda folded: state.set_flag(ADVANCED, folded),
            ),
        )
        self.chain = QLabel()
        self.chain.setWordWrap(True)
        set_kind(self.chain, "caption")
        self.reset = QPushButton()
        set_kind(self.reset, "link")
        body = QWidget()
        super().__init__(
            theme,
            "",
            body,
            folded=state.flag(FOLD, False),
            on_folded=lambda folded: state.set_flag(FOLD, folded),
        )
        self.header.set_title(self.tr("Decoding"))
        self.reset.setText(self.tr("Reset all"))
        self.reset.setAccessibleName(self.tr("Reset all decoding settings"))
        self.reset.setToolTip(self.tr("Every value back to the engine's default"))
        self.reset.clicked.connect(self._reset)
        self.chain.setToolTip(self.tr("What is done to the model's choice, in this order, before a token is drawn"))
        foot = QHBoxLayout()
        foot.setSpacing(Theme.SPACE[1])
        foot.addWidget(self.chain, 1)
        foot.addWidget(self.reset)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, Theme.SPACE[0], 0, 0)
        column.setSpacing(Theme.SPACE[0])
        for form in self.forms:
            column.addWidget(form)
            form.field_changed.connect(lambda key, value, form=form: self._changed(form, key, value))
        column.addLayout(foot)
        self._unsubscribe: Unsubscribe = context.bus.subscribe(SettingsChanged, lambda _event: self.refresh())
        self.refresh()

    def refresh(self) -> None:
        """Show what the workbench has now: another page, a preset or the settings file may have changed it."""
        for form in self.forms:
            form.set_values(self.presenter.values())
        n_changed = self.presenter.n_changed
        self.set_summary(self.tr("{n} changed").format(n=n_changed) if n_changed else self.tr("defaults"))
        self.chain.setText(self.presenter.describe())
        self.reset.setVisible(n_changed > 0)

    def close_section(self) -> None:
        self._unsubscribe()

    def _changed(self, form: Form, key: str, value: object) -> None:
        error = self.presenter.change(key, value)
        self.refresh()
        form.set_error(key, error)

    def _reset(self) -> None:
        self.presenter.reset()
        for form in self.forms:
            form.clear_errors()
        self.refresh()

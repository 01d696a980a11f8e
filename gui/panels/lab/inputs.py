"""The Lab's left column: the tabs, the prompt, each tab's form, and the one button that runs or stops."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QTabBar, QVBoxLayout, QWidget

from engine.sampling.chain import Chain
from gui.actions import keys_text
from gui.forms import Form
from gui.icons import Icons
from gui.panels.lab import words
from gui.panels.lab.presenter.fields import DRAW_FIELDS, SAMPLE_FIELDS, shown_sample_keys
from gui.panels.lab.presenter.prompt import EngineView, PromptFault
from gui.panels.lab.prompt_editor import PromptEditor
from gui.theme import Theme, set_kind
from gui.widgets.number_box import NumberBox
from gui.widgets.scrolling import scroll_area

WIDTH, NARROW_WIDTH = 372, 336
RUN_KEYS = "Ctrl+Return"


class Tab(enum.IntEnum):
    """The parts of the page, in their order."""

    SAMPLES = 0
    DRAWS = 1
    COMPARE = 2


class InputsColumn(QFrame):
    """What is asked.

    Signals:
        tab_chosen: a `Tab`.
        run_wanted, stop_wanted: the button.
    """

    tab_chosen = Signal(int)
    run_wanted = Signal()
    stop_wanted = Signal()

    def __init__(self, theme: Theme, icons: Icons, compare: QWidget, parent: QWidget | None = None) -> None:
        """`compare`: what the third tab asks."""
        super().__init__(parent)
        self._theme, self._icons = theme, icons
        self._engine = EngineView()
        self._is_mine = self._can_compare = False
        set_kind(self, "column")
        self.tabs = QTabBar()
        self.tabs.setAccessibleName(self.tr("Parts of the Lab"))
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        for text in (self.tr("Samples"), self.tr("Draws"), self.tr("Compare")):
            self.tabs.addTab(text)
        self.prompt = PromptEditor(theme)
        self.samples = Form(theme, tuple(SAMPLE_FIELDS), compact=True)
        self.draws = Form(theme, tuple(DRAW_FIELDS), compact=True)
        self.compare = compare
        self.chain = QLabel()
        set_kind(self.chain, "caption")
        self.chain.setWordWrap(True)
        self.button = QPushButton()
        self.keys = QLabel(keys_text((RUN_KEYS,)))
        set_kind(self.keys, "caption")
        self._lay_out()
        self.samples.values_changed.connect(self._show_fields)
        self.tabs.currentChanged.connect(self._show_tab)
        self.button.clicked.connect(self._pressed)
        self._show_fields(self.samples.values())
        self._show_tab(Tab.SAMPLES)

    @property
    def tab(self) -> Tab:
        return Tab(self.tabs.currentIndex())

    @property
    def form(self) -> Form:
        """The form of the tab that is shown (the samples' for the tab without one)."""
        return self.draws if self.tab is Tab.DRAWS else self.samples

    def set_narrow(self, narrow: bool) -> None:
        """The narrower form, for small windows."""
        self.setFixedWidth(self._theme.px(NARROW_WIDTH if narrow else WIDTH))

    def take_typed(self) -> None:
        """What is being typed into a number counts: keys run the form without leaving the box."""
        box = self.focusWidget()
        if isinstance(box, NumberBox) and box.isModified():
            box.committed.emit()

    def show_faults(self, prompt: PromptFault | None, fields: Mapping[str, str]) -> None:
        """Explain under the prompt and the fields of the tab's form what is wrong."""
        self.form.clear_errors()
        for key, text in fields.items():
            self.form.set_error(key, text)
        if fields:
            self.form.focus_key(next(iter(fields)))
        self.prompt.show_fault(prompt)

    def show_chain(self, chain: Chain) -> None:
        self.chain.setText(words.chain_text(chain))

    def show_engine(self, engine: EngineView, *, is_mine: bool, can_compare: bool) -> None:
        """What the button can do. `is_mine`: what goes on was begun here; `can_compare`: two answers are chosen."""
        self._engine, self._is_mine, self._can_compare = engine, is_mine, can_compare
        is_stop = is_mine and engine.is_busy
        if is_stop:
            text = self.tr("Stop now") if engine.can_force else self.tr("Stop")
            if engine.is_stopping and not engine.can_force:
                text = self.tr("Stopping…")
            set_kind(self.button, "")
            self._icons.bind(self.button, "stop", "text1", 16)
        else:
            text = {Tab.SAMPLES: self.tr("Run"), Tab.DRAWS: self.tr("Draw"), Tab.COMPARE: self.tr("Compare")}[self.tab]
            set_kind(self.button, "primary")
            self._icons.bind(self.button, "play", "on_accent", 16)
        self.button.setText(text)
        self.button.setAccessibleName(text)
        self.button.setEnabled(is_stop or self.can_run)
        self.button.setToolTip("" if is_stop or self.can_run else self._why_not(engine))
        self.keys.setText(keys_text(("Esc",)) if is_stop else keys_text((RUN_KEYS,)))

    @property
    def can_run(self) -> bool:
        """Whether the shown tab can be run now."""
        return self._can_compare if self.tab is Tab.COMPARE else self._engine.is_ready and not self._is_mine

    def _why_not(self, engine: EngineView) -> str:
        if self.tab is Tab.COMPARE:
            return self.tr("Choose two answers first")
        if engine.is_loading:
            return self.tr("A model is being loaded")
        return self.tr("The engine is busy with something else") if engine.is_busy else self.tr("No model is loaded")

    def _pressed(self) -> None:
        if self._is_mine and self._engine.is_busy:
            self.stop_wanted.emit()
        else:
            self.run_wanted.emit()

    def _show_fields(self, values: Mapping[str, object]) -> None:
        self.samples.set_visible_keys(shown_sample_keys(values))

    def _show_tab(self, _at: int) -> None:
        tab = self.tab
        self.prompt.setVisible(tab is not Tab.COMPARE)
        self.chain.setVisible(tab is not Tab.COMPARE)
        self.samples.setVisible(tab is Tab.SAMPLES)
        self.draws.setVisible(tab is Tab.DRAWS)
        self.compare.setVisible(tab is Tab.COMPARE)
        self.show_engine(self._engine, is_mine=self._is_mine, can_compare=self._can_compare)
        self.tab_chosen.emit(int(tab))

    def _lay_out(self) -> None:
        title = QLabel(self.tr("Lab"))
        set_kind(title, "heading")
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(18, 4, 18, 12)
        column.setSpacing(Theme.SPACE[2])
        for each in (self.prompt, self.samples, self.draws, self.chain, self.compare):
            column.addWidget(each)
        column.addStretch(1)
        area = scroll_area(self.tr("What is asked"), inner, is_clear=True)
        foot = QHBoxLayout()
        foot.setContentsMargins(18, 10, 18, 12)
        foot.setSpacing(Theme.SPACE[1])
        foot.addWidget(self.button)
        foot.addWidget(self.keys)
        foot.addStretch(1)
        head = QVBoxLayout()
        head.setContentsMargins(18, 16, 18, 4)
        head.setSpacing(Theme.SPACE[0])
        head.addWidget(title)
        head.addWidget(self.tabs)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addLayout(head)
        outer.addWidget(area, 1)
        outer.addLayout(foot)
        self.set_narrow(False)

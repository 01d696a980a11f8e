"""The Memory page, “Will it fit?”: what is asked on the left, what the engine answers on the right.

The other side of the page, training, is built at the first visit. The view shows a `Page` and hands every decision to the presenter. Errors of the engine stand at the page with their
remedies, which change the form; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QStackedLayout, QVBoxLayout, QWidget

from engine.base.fields import Value
from engine.workbench.by_formula import ModelFormula
from gui.model_file import ask_for_model
from gui.notices import NoticeCard, Severity
from gui.page import PanelContext
from gui.panels.memory import words
from gui.panels.memory.answer import AnswerPane
from gui.panels.memory.elsewhere_presenter import ElsewherePresenter
from gui.panels.memory.grid_presenter import GridPresenter
from gui.panels.memory.grid_section import GridSection
from gui.panels.memory.hardware_presenter import HardwarePresenter
from gui.panels.memory.hardware_section import HardwareSection
from gui.panels.memory.hardware_values import HardwareView
from gui.panels.memory.inputs import InputsColumn
from gui.panels.memory.mode_switch import Mode
from gui.panels.memory.presenter import MemoryPresenter
from gui.panels.memory.values import Page
from gui.theme import Theme, set_kind
from gui.widgets.empty_state import EmptyState
from gui.widgets.scrolling import scroll_area

if TYPE_CHECKING:
    from gui.panels.memory.training_view import TrainingView

PAUSE_MS = 250
NARROW_BELOW = 1200
FOLD = "memory.advanced"
HARDWARE_FOLD = "memory.hardware"


class MemoryView(QWidget):
    """The page; also the presenter's surface."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._card: NoticeCard | None = None
        self.training: TrainingView | None = None
        self._soon = QTimer(self, interval=PAUSE_MS, singleShot=True)
        theme = context.theme
        state = context.state
        self.inputs = InputsColumn(theme, state.flag(FOLD, True), lambda folded: state.set_flag(FOLD, folded))
        self.answer = AnswerPane(theme)
        folded = state.flag(HARDWARE_FOLD, False)
        self.hardware = HardwareSection(
            theme, folded=folded, on_folded=lambda folded: state.set_flag(HARDWARE_FOLD, folded)
        )
        self.grid = GridSection(theme)
        self.empty = EmptyState(
            theme,
            self.tr("Choose a model on the left, or open a file: here stands what it takes in memory, part by part."),
            title=self.tr("Will it fit?"),
            button=self.tr("Open file…"),
            icon=lambda: context.icons.icon("memory", "text3", 32),
        )
        self._lay_out()
        self.on_grid = GridPresenter(context.workbench, self.grid.show_grid)
        self.on_hardware = HardwarePresenter(context.workbench, self, is_open=not folded)
        self.presenter = MemoryPresenter(context.workbench, self)
        self.elsewhere = ElsewherePresenter(context.workbench, self.inputs.elsewhere.show_state, self.presenter.choose)
        self._soon.timeout.connect(self.presenter.plan)
        self._connect()
        self.presenter.start()

    # ---- the surface

    def show_page(self, page: Page) -> None:
        self.inputs.show_page(page)
        devices = self._context.workbench.state.devices
        self.answer.show_page(page, devices)
        self._show_trouble(page)
        self.on_grid.page_changed(page, self._formula())
        answer = page.answer
        if page.path is None or answer is None:
            self.on_hardware.show_plan(None, is_loaded=page.is_loaded)
        elif not answer.is_rough:  # what is read off the curve is there for a quarter of a second
            self.on_hardware.show_plan((page.path, answer.ledger, answer.verdict.fits), is_loaded=page.is_loaded)
        self._stack.setCurrentIndex(0 if page.path is None else 1)

    def plan_soon(self) -> None:
        self._soon.start()

    def offer_undo(self, before: Mapping[str, Value], after: Mapping[str, Value], undo: Callable[[], None]) -> None:
        self._context.toast.show_undo(words.changes_text(before, after), undo)

    def say_nothing_fits(self) -> None:
        self._context.toast.show_text(self.tr("Not even the smallest context fits with these options"))

    def go(self, page: str) -> None:
        self._context.go(page)

    def open_folder(self, folder: str) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(folder))

    def show_hardware(self, view: HardwareView) -> None:
        self.hardware.show_hardware(view)

    def clear_typed(self) -> None:
        self.hardware.clear_typed()

    # ---- the page's life

    def activated(self) -> None:
        self.presenter.activated()
        if self.training is not None:
            self.training.activated()

    def close_panel(self) -> None:
        self._soon.stop()
        if self.training is not None:
            self.training.close()
        self.on_hardware.close()
        self.presenter.close()
        self.elsewhere.close()

    def open_file(self) -> None:
        """Choose a file anywhere on this computer."""
        ask_for_model(self, lambda name: self.presenter.choose(Path(name)))

    def show_mode(self, mode: Mode) -> None:
        """Show what running the model takes, or what training it would cost."""
        if mode is Mode.TRAIN and self.training is None:
            from gui.panels.memory.training_view import TrainingView  # not before it is wanted: the page opens sooner

            self.training = TrainingView(self._context, self.presenter.page.path, self)
            self.training.mode_chosen.connect(self.show_mode)
            self._modes.addWidget(self.training)
            self._narrow(self.width())
        self._modes.setCurrentIndex(list(Mode).index(mode))
        shown = self.inputs if mode is Mode.RUN or self.training is None else self.training.inputs
        shown.mode.setFocus()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._narrow(event.size().width())

    # ---- inside

    def _formula(self) -> ModelFormula | None:
        presenter: MemoryPresenter | None = getattr(self, "presenter", None)
        return None if presenter is None else presenter.formula

    def _narrow(self, width: int) -> None:
        self.inputs.set_narrow(width < NARROW_BELOW)
        if self.training is not None:
            self.training.inputs.set_narrow(width < NARROW_BELOW)

    def _show_trouble(self, page: Page) -> None:
        trouble = page.trouble
        if self._card is not None and self._card.trouble != trouble:
            self._notice.removeWidget(self._card)
            self._card.hide()
            self._card.deleteLater()
            self._card = None
        if trouble is not None and self._card is None:
            severity = Severity.ERROR if trouble.is_bug else Severity.WARNING
            self._card = NoticeCard(trouble, self._context.icons, severity)
            self._card.remedy_chosen.connect(self.presenter.remedy)
            self._card.closed.connect(self._card.hide)
            self._notice.addWidget(self._card)
            self._card.show()

    def _connect(self) -> None:
        inputs, presenter = self.inputs, self.presenter
        inputs.model_chosen.connect(presenter.choose)
        inputs.open_wanted.connect(self.open_file)
        inputs.option_changed.connect(presenter.change)
        inputs.load_wanted.connect(lambda: presenter.load())
        inputs.fit_wanted.connect(presenter.best_fit)
        inputs.cancel_wanted.connect(presenter.cancel_load)
        inputs.elsewhere.find_wanted.connect(self.elsewhere.find)
        inputs.elsewhere.model_wanted.connect(self.elsewhere.choose_model)
        inputs.elsewhere.best_wanted.connect(lambda: self.elsewhere.find_best(presenter.options))
        inputs.elsewhere.shape_wanted.connect(self.elsewhere.describe)
        inputs.elsewhere.cancel_wanted.connect(self.elsewhere.cancel)
        inputs.beside.add_wanted.connect(presenter.add_file)
        inputs.beside.remove_wanted.connect(presenter.remove_file)
        inputs.mode_chosen.connect(self.show_mode)
        inputs.hardware_wanted.connect(lambda: self._context.go("hardware"))
        self.answer.remedy_chosen.connect(presenter.remedy)
        self.grid.chosen.connect(presenter.apply)
        hardware, beside = self.hardware, self.on_hardware
        hardware.typed.connect(beside.type)
        hardware.add_wanted.connect(beside.add)
        hardware.device_chosen.connect(beside.choose)
        hardware.remove_wanted.connect(beside.remove)
        hardware.measure_wanted.connect(beside.measure)
        hardware.open_changed.connect(beside.set_open)
        self.empty.first_step.connect(self.open_file)

    def _lay_out(self) -> None:
        self._notice = QVBoxLayout()
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(26, 22, 26, 22)
        column.setSpacing(Theme.SPACE[2])
        column.addLayout(self._notice)
        column.addWidget(self.answer)
        column.addWidget(self.grid)
        column.addWidget(self.hardware)
        column.addStretch(1)
        area = scroll_area(self.tr("What the model takes"), page)
        line = QFrame()
        set_kind(line, "hairline-vertical")
        right = QWidget()
        self._stack = QStackedLayout(right)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(area)
        self._modes = QStackedLayout(self)
        run = QWidget()
        self._modes.addWidget(run)
        row = QHBoxLayout(run)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.inputs)
        row.addWidget(line)
        row.addWidget(right, 1)

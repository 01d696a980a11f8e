"""The Hardware page: live plots and recorded runs in the middle, devices and the engine at the side.

One timer asks the recorder four times a second, only while the page is on screen and sampling is not paused.
"""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from engine.base.errors import Trouble
from gui.page import PanelContext
from gui.panels.hardware import words
from gui.panels.hardware.charts import ChartGrid
from gui.panels.hardware.presenter import WINDOWS_MIN, EngineFacts, HardwarePresenter, Look, Run
from gui.panels.hardware.side import SideColumn
from gui.theme import Theme, set_kind
from gui.widgets.choice_field import SegmentedControl
from gui.widgets.empty_state import EmptyState
from gui.widgets.scrolling import scroll_area
from gui.widgets.value_table import Column, ValueTable

POLL_MS = 250
MOST_ROWS = 12
CSV_NAME = "llamarium-hardware.csv"


class HardwareView(QWidget):
    """The page; also the presenter's surface."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._is_active = False
        theme = context.theme
        self.grid = ChartGrid(theme, context.icons)
        self.side = SideColumn(theme)
        self.nothing = EmptyState(
            theme,
            self.tr("Processor, memory, engine and graphics cards are drawn here as soon as they are measured."),
            title=self.tr("Nothing is measured yet"),
            icon=lambda: context.icons.icon("hardware", "text3", 32),
        )
        self.window_choice = SegmentedControl(theme, [words.window_text(each) for each in WINDOWS_MIN])
        self.window_choice.set_names(self.tr("How far back"), self.tr("How many minutes the plots show"))
        self.pause_button = QPushButton()
        self.export_button = QPushButton(self.tr("Export CSV…"))
        self.export_button.setAccessibleName(self.tr("Save everything that was recorded as a CSV file"))
        titles = words.run_titles()
        numbers, stretched = range(2, 7), 1
        columns = [Column(each, at in numbers, at == stretched) for at, each in enumerate(titles)]
        self.runs = ValueTable(theme, columns, name=self.tr("Recorded runs"), sortable=True, most_rows=MOST_ROWS)
        self.no_runs = QLabel(self.tr("No answer was written yet. Each one is recorded here with its speeds."))
        set_kind(self.no_runs, "dim")
        self.copy_button = QPushButton(self.tr("Copy as TSV"))
        set_kind(self.copy_button, "link")
        self.copy_button.setAccessibleName(self.tr("Copy the recorded runs as a table"))
        self._timer = QTimer(self, interval=POLL_MS)
        self._lay_out()
        self.presenter = HardwarePresenter(context.workbench, self)
        self.window_choice.set_index(WINDOWS_MIN.index(self.presenter.window_min))
        self._connect()
        self.presenter.start()

    # ---- the surface

    def show_look(self, look: Look) -> None:
        self.nothing.setVisible(not look.plots)
        self.grid.setVisible(bool(look.plots))
        self.grid.show_look(look)
        self.side.show_look(look)
        paused = look.is_paused
        self.pause_button.setText(self.tr("Go on") if paused else self.tr("Pause"))
        self.pause_button.setAccessibleName(self.tr("Go on measuring") if paused else self.tr("Pause measuring"))
        self._poll_while_useful(paused)

    def show_engine(self, facts: EngineFacts) -> None:
        self.side.show_engine(facts)

    def show_runs(self, runs: tuple[Run, ...]) -> None:
        self.runs.set_rows([words.run_cells(each) for each in runs])
        self.runs.setVisible(bool(runs))
        self.copy_button.setVisible(bool(runs))
        self.no_runs.setVisible(not runs)

    def show_trouble(self, trouble: Trouble) -> None:
        self._context.notices.show_trouble(trouble)

    def say_saved(self, path: Path) -> None:
        self._context.toast.show_text(self.tr("Saved {name}").format(name=path.name))

    # ---- the page's life

    @property
    def is_polling(self) -> bool:
        """Whether the timer runs."""
        return self._timer.isActive()

    def activated(self) -> None:
        self._is_active = True
        self.presenter.read_runs()
        self.presenter.look()

    def deactivated(self) -> None:
        self._is_active = False
        self._timer.stop()

    def close_panel(self) -> None:
        self.deactivated()
        self.presenter.close()

    def choose_export(self) -> None:
        """Ask where the recording goes."""
        dialog = QFileDialog(self, self.tr("Export the recording"), str(Path.home() / CSV_NAME), "CSV (*.csv)")
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("csv")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda name: self.presenter.export(Path(name)))
        dialog.open()

    # ---- inside

    def _poll_while_useful(self, paused: bool) -> None:
        if self._is_active and not paused:
            if not self._timer.isActive():
                self._timer.start()
        else:
            self._timer.stop()

    def _connect(self) -> None:
        self._timer.timeout.connect(self.presenter.look)
        self.window_choice.chosen.connect(lambda at: self.presenter.set_window(WINDOWS_MIN[at]))
        self.pause_button.clicked.connect(self.presenter.toggle_pause)
        self.export_button.clicked.connect(self.choose_export)
        self.copy_button.clicked.connect(self.runs.copy)

    def _lay_out(self) -> None:
        title = QLabel(self.tr("Hardware"))
        set_kind(title, "title")
        head = QHBoxLayout()
        head.setSpacing(Theme.SPACE[1])
        head.addWidget(title, 1)
        head.addWidget(self.window_choice)
        head.addWidget(self.pause_button)
        head.addWidget(self.export_button)
        runs_title = QLabel(self.tr("Recorded runs"))
        set_kind(runs_title, "heading")
        runs_head = QHBoxLayout()
        runs_head.setContentsMargins(0, 0, 0, 0)
        runs_head.addWidget(runs_title, 1)
        runs_head.addWidget(self.copy_button)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(26, 18, 26, 22)
        column.setSpacing(Theme.SPACE[2])
        column.addLayout(head)
        column.addSpacing(Theme.SPACE[0])
        column.addWidget(self.grid)
        column.addWidget(self.nothing)
        column.addSpacing(Theme.SPACE[1])
        column.addLayout(runs_head)
        column.addWidget(self.runs)
        column.addWidget(self.no_runs)
        column.addStretch(1)
        area = scroll_area(self.tr("Plots and runs"), page)
        line = QFrame()
        set_kind(line, "hairline-vertical")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(area, 1)
        row.addWidget(line)
        row.addWidget(self.side)

"""The section Next token: what the model gives for a place, what the chain leaves of it, and what another T would do."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.base.bus import Unsubscribe
from engine.base.clock import SystemClock
from engine.sampling.chain import Chain
from engine.workbench.events import (
    ChainChanged,
    DraftChanged,
    EngineChanged,
    MessageFinished,
    MessageText,
    SettingsChanged,
    ThreadChanged,
)
from gui.page import PanelContext
from gui.panels.inspector.presenter.next_token import (
    N_ROWS,
    N_ROWS_AT_TEMPERATURE,
    Doing,
    NextTokenPresenter,
    NextView,
    Place,
)
from gui.panels.inspector.token_words import bars_of, chain_summary, place_text, steps_of_chain
from gui.theme import Theme, set_kind
from gui.widgets.busy import Busy
from gui.widgets.chain_steps import ChainSteps
from gui.widgets.distribution_bars import DistributionBars
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.number_field import NumberField
from gui.widgets.section import Section

FOLD, STEPS_FOLD, WHAT_IF_FOLD = "inspector.next.folded", "inspector.next.steps.folded", "inspector.next.what_if.folded"
BUSY_AFTER_MS = 250  # what is over sooner need not be announced
LIVE_AFTER_MS = 1500  # a prompt that is read sooner goes from one distribution to the next without an empty column


def _tr(text: str) -> str:
    return QCoreApplication.translate("NextTokenSection", text)


class WhatIf(QWidget):
    """The softmax of the model's own logits at a temperature of this slider, without asking the engine."""

    def __init__(self, theme: Theme, rows_at: Callable[[float], object]) -> None:
        super().__init__()
        self._rows_at = rows_at
        field = Chain.default().link("temperature").stage.fields["temperature"]
        self.slider = NumberField(theme, field, compact=True)
        self.slider.set_names(
            _tr("What if the temperature were"), _tr("Changes this picture only, not what is drawn with")
        )
        self.slider.set_value(1.0)
        self.slider.value_changed.connect(lambda _value: self.refresh())
        self.bars = DistributionBars(
            theme, _tr("The likeliest tokens at this temperature"), n_places=N_ROWS_AT_TEMPERATURE
        )
        note = QLabel(_tr("Of the model's own scores, before any stage. Nothing else changes."))
        note.setWordWrap(True)
        set_kind(note, "caption")
        note.setToolTip(
            _tr(
                "Each score is divided by the temperature before the softmax. The tokens that are not listed are taken to "
                "be equally likely among themselves."
            )
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[0])
        column.addWidget(self.slider)
        column.addWidget(self.bars)
        column.addWidget(note)

    def refresh(self) -> None:
        """Draw the bars of the slider's temperature."""
        value = self.slider.value()
        self.bars.set_bars(bars_of(self._rows_at(float(value))))  # type: ignore[arg-type]


class NextTokenSection(Section):
    """Bars in a fold. It asks only while its body can be seen."""

    def __init__(self, context: PanelContext) -> None:
        theme, state = context.theme, context.state
        self.presenter = NextTokenPresenter(context.workbench, SystemClock(), self.show_view)
        self.place = ElidedLabel()
        set_kind(self.place, "caption")
        self.to_end = QPushButton(_tr("To the end"))
        self.to_end.setAccessibleName(_tr("Look at the end of the chat"))
        set_kind(self.to_end, "link")
        self.to_end.clicked.connect(self.presenter.look_at_end)
        self.to_draft = QPushButton(_tr("After the draft"))
        self.to_draft.setToolTip(_tr("Where the answer would begin, if what stands in the composer were said"))
        self.to_draft.setAccessibleName(_tr("Look at what would come after the text in the composer"))
        set_kind(self.to_draft, "link")
        self.to_draft.clicked.connect(self.presenter.look_at_draft)
        self.nothing = QLabel()
        self.nothing.setWordWrap(True)
        set_kind(self.nothing, "caption")
        self.look = QPushButton(_tr("Look at the next token"))
        self.look.setToolTip(_tr("The chat is read by the model for it, which may take a while"))
        set_kind(self.look, "chip")
        self.look.clicked.connect(self.presenter.look)
        self.busy = Busy(theme, _tr("Reading the chat"))
        self.busy.cancelled.connect(self.presenter.stop)
        self.busy.hide()
        self._busy_timer = QTimer(interval=BUSY_AFTER_MS, singleShot=True)
        self._busy_timer.timeout.connect(self._show_busy)
        self.view: NextView | None = None
        self._later: NextView | None = None
        self._later_timer = QTimer(interval=LIVE_AFTER_MS, singleShot=True)
        self._later_timer.timeout.connect(lambda: self._show(self._later) if self._later is not None else None)
        self.bars = DistributionBars(theme, _tr("The likeliest next tokens"), n_places=N_ROWS)
        self.steps = ChainSteps(theme, _tr("What each stage leaves"))
        self.steps.selected.connect(self.presenter.choose_step)
        self.steps_fold = Section(
            theme,
            _tr("Stage by stage"),
            self.steps,
            folded=state.flag(STEPS_FOLD, True),
            on_folded=lambda folded: state.set_flag(STEPS_FOLD, folded),
            bold=False,
        )
        self.what_if = WhatIf(theme, self.presenter.at_temperature)
        self.what_if_fold = Section(
            theme,
            _tr("What if the temperature were …"),
            self.what_if,
            folded=state.flag(WHAT_IF_FOLD, True),
            on_folded=lambda folded: state.set_flag(WHAT_IF_FOLD, folded),
            bold=False,
        )
        self.error = QLabel()
        self.error.setWordWrap(True)
        self.error.setTextFormat(Qt.TextFormat.PlainText)
        set_kind(self.error, "bad")
        body = QWidget()
        super().__init__(
            theme,
            _tr("Next token"),
            body,
            folded=state.flag(FOLD, False),
            on_folded=lambda folded: state.set_flag(FOLD, folded),
        )
        self._lay_out(body)
        for changed in (theme.changed, self.steps_fold.folded_changed, self.what_if_fold.folded_changed):
            changed.connect(lambda *_: self._keep_room())
        self._keep_room()
        body.installEventFilter(self)
        presenter, bus = self.presenter, context.bus
        self._subscriptions: tuple[Unsubscribe, ...] = (
            bus.subscribe(ThreadChanged, lambda _event: presenter.thread_changed()),
            bus.subscribe(DraftChanged, lambda _event: presenter.draft_changed()),
            bus.subscribe(MessageFinished, lambda event: presenter.message_finished(event.message)),
            bus.subscribe(MessageText, lambda _event: presenter.text_came()),
            bus.subscribe(ChainChanged, lambda _event: presenter.chain_changed()),
            bus.subscribe(SettingsChanged, lambda _event: presenter.chain_changed()),
            bus.subscribe(EngineChanged, lambda event: presenter.engine_changed(event.state)),
        )
        presenter.engine_changed(context.workbench.state)
        presenter.thread_changed()

    def show_view(self, view: NextView) -> None:
        """Show this; that an answer is waited for only after a moment: each change of height draws the whole column anew."""
        if view.doing is Doing.ASKING and view.place is Place.LIVE and view.trouble is None and self.view is not None:
            self._later = view
            self._later_timer.start()
            return
        self._later_timer.stop()
        self._show(view)

    def _show(self, view: NextView) -> None:
        self.view = view
        is_shown, has_place = view.doing is Doing.SHOWN, view.doing not in (Doing.NO_MODEL, Doing.NO_TEXT)
        self.place.setText(place_text(view))
        self.place.setVisible(has_place)
        self.to_end.setVisible(has_place and view.place in (Place.TOKEN, Place.DRAFT))
        self.to_draft.setVisible(view.has_draft and view.place is not Place.DRAFT)
        self.nothing.setText(
            {
                Doing.NO_MODEL: _tr("No model is loaded. What may come next in a text stands here."),
                Doing.NO_TEXT: _tr("Ask something: what may come next stands here."),
                Doing.WAITING: _tr("What may come next is not known before the model has read this chat."),
            }.get(view.doing, "")
        )
        self.nothing.setVisible(bool(self.nothing.text()))
        self.look.setVisible(view.doing is Doing.WAITING)
        self._wait(view.doing is Doing.ASKING and view.place is not Place.LIVE)
        for each in (self.bars, self.steps_fold, self.what_if_fold):
            each.setVisible(is_shown)
        self.error.setText(view.trouble.sentence() if view.trouble is not None else "")
        self.error.setVisible(view.trouble is not None)
        self.set_summary(chain_summary(view.steps))
        if is_shown:
            self.bars.set_bars(bars_of(view.rows))
            self.steps.set_steps(steps_of_chain(view.steps))
            self.steps.select(view.step)
            self.steps_fold.set_summary(self.steps.steps[view.step].name)
            if not self.what_if_fold.is_folded:
                self.what_if.refresh()

    def _keep_room(self) -> None:
        """As high without bars as with them: else the first token would move and draw anew all that stands below."""
        parts = (self.place, self.bars, self.steps_fold, self.what_if_fold)
        heights = sum(each.sizeHint().height() for each in parts)
        self.body.setMinimumHeight(heights + Theme.SPACE[0] * len(parts))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Show, QEvent.Type.Hide):
            self.presenter.set_visible(event.type() == QEvent.Type.Show)
        return False

    def close_section(self) -> None:
        self._later_timer.stop()
        for unsubscribe in self._subscriptions:
            unsubscribe()
        self.presenter.set_visible(False)
        self._busy_timer.stop()

    def _wait(self, waiting: bool) -> None:
        if not waiting:
            self._busy_timer.stop()
            self.busy.hide()
        elif self.busy.isHidden() and not self._busy_timer.isActive():
            self._busy_timer.start()

    def _show_busy(self) -> None:
        self.busy.show()

    def _lay_out(self, body: QWidget) -> None:
        head = QHBoxLayout()
        head.setSpacing(Theme.SPACE[1])
        head.addWidget(self.place, 1)
        head.addWidget(self.to_draft)
        head.addWidget(self.to_end)
        button = QHBoxLayout()
        button.addWidget(self.look)
        button.addStretch(1)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, Theme.SPACE[0], 0, 0)
        column.setSpacing(Theme.SPACE[0])
        column.addLayout(head)
        column.addWidget(self.nothing)
        column.addLayout(button)
        column.addWidget(self.busy)
        column.addWidget(self.error)
        column.addWidget(self.bars)
        column.addWidget(self.steps_fold)
        column.addWidget(self.what_if_fold)
        column.addStretch(1)
        self.what_if_fold.folded_changed.connect(lambda folded: None if folded else self.what_if.refresh())

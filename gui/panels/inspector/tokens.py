"""The section Tokens: an answer or its prompt as a strip of coloured tokens, what else might have stood, and the forks."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.base.bus import Unsubscribe
from engine.store.rows import MessageId
from engine.wire.messages import TokenTrace
from engine.workbench.events import EngineChanged, MessageFinished, ThreadChanged
from gui.page import PanelContext
from gui.panels.inspector.presenter.tokens import Doing, Part, TokensPresenter, TokensView
from gui.panels.inspector.token_words import (
    bars_of,
    branch_lines,
    in_place_text,
    strip_tokens,
    sums_text,
    tokens_summary,
    trace_tip,
)
from gui.theme import Theme, set_kind
from gui.widgets.branch_list import BranchList
from gui.widgets.busy import Busy
from gui.widgets.choice_field import SegmentedControl
from gui.widgets.distribution_bars import DistributionBars
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.quantities import count_text, unbroken
from gui.widgets.section import Section
from gui.widgets.token_popup import TokenPopup
from gui.widgets.token_scale import Colouring, StepLegend
from gui.widgets.token_strip import TokenStrip

FOLD = "inspector.tokens.folded"
PARTS, COLOURINGS = tuple(Part), tuple(Colouring)


def _tr(text: str) -> str:
    return QCoreApplication.translate("TokensSection", text)


class TokensSection(Section):
    """The strip in its fold. `look_wanted` carries a place for the next-token view: before, id, piece, position."""

    look_wanted = Signal(object, int, bytes, int)

    def __init__(self, context: PanelContext) -> None:
        theme, state = context.theme, context.state
        self.presenter = TokensPresenter(context.workbench, self)
        self.part = SegmentedControl(theme, (_tr("Answer"), _tr("Prompt")), 24)
        self.part.set_names(_tr("Which tokens"), _tr("The answer's own, or those of what the model was given"))
        self.part.chosen.connect(lambda at: self.presenter.choose_part(PARTS[at]))
        self.read = QPushButton(_tr("Read the tokens"))
        self.read.setToolTip(_tr("How likely the model found each token; it reads the text once more for it"))
        set_kind(self.read, "chip")
        self.read.clicked.connect(self.presenter.read)
        self.busy = Busy(theme)
        self.busy.cancelled.connect(self.presenter.stop)
        self.colouring = SegmentedControl(theme, (_tr("Probability"), _tr("Rank"), _tr("Entropy")), 24)
        self.colouring.set_names(_tr("What the colours say"), _tr("Of each token of the strip"))
        self.colouring.chosen.connect(self._colour)
        self.colouring.set_shares((5, 4, 4))  # the first word is the longest
        self.strip = TokenStrip(theme, _tr("Tokens"), tip_of=self._tip_of)
        self.strip.selected.connect(self.presenter.select)
        self.strip.activated.connect(self._offer)
        self.popup = TokenPopup(theme, self.strip, _tr("Another token here"), _tr("Write on from here with this token"))
        self.popup.chosen.connect(self._choose)
        self.legend = StepLegend(theme)
        self.chosen = ElidedLabel()
        set_kind(self.chosen, "small")
        self.alternatives = DistributionBars(theme, _tr("What might have stood in the token's place"))
        self.alternatives.activated.connect(self._fork)
        self.tree_title = _caption(_tr("Answers to this question"))
        self.tree = BranchList(theme, _tr("Answers to this question"))
        self.tree.activated.connect(lambda row: self.presenter.go_to(MessageId(self.tree.branches[row].key)))
        self.nothing, self.sums, self.hint = _caption(), _caption(), _caption()
        self.warnings = _caption()
        self.hint.setText(_tr("Choose a token to see what else might have stood there."))
        self.error = _caption(kind="bad")
        body = QWidget()
        super().__init__(
            theme,
            _tr("Tokens"),
            body,
            folded=state.flag(FOLD, True),
            on_folded=lambda folded: state.set_flag(FOLD, folded),
        )
        self._lay_out(body)
        presenter, bus = self.presenter, context.bus
        self._subscriptions: tuple[Unsubscribe, ...] = (
            bus.subscribe(ThreadChanged, lambda _event: presenter.thread_changed()),
            bus.subscribe(MessageFinished, lambda event: presenter.message_finished(event.message)),
            bus.subscribe(EngineChanged, lambda event: presenter.engine_changed(event.state)),
        )
        presenter.engine_changed(context.workbench.state)
        presenter.thread_changed()

    def show_tokens_of(self, message_id: MessageId) -> None:
        """Unfold, and read this answer's tokens."""
        self.set_folded(False)
        self.presenter.show_tokens_of(message_id)

    # ---- what the presenter tells (TokensSurface)

    def show_view(self, view: TokensView) -> None:
        self.view = view
        has_answer = view.doing not in (Doing.NO_MODEL, Doing.NO_ANSWER)
        has_tokens = view.n_read > 0
        self.part.setVisible(has_answer)
        self.part.set_index(PARTS.index(view.part))
        self.read.setVisible(view.doing is Doing.WAITING)
        self.read.setEnabled(view.can_read)
        self.busy.setVisible(view.doing is Doing.READING)
        if view.doing is Doing.READING:
            fraction = view.n_read / view.n_total if view.n_total else None
            n_read, n_total = count_text(view.n_read), count_text(view.n_total)
            words = _tr("Reading the tokens, {n} of {total}") if view.n_total else _tr("Reading the tokens")
            self.busy.set_progress(fraction, words.format(n=n_read, total=n_total))
        self.nothing.setText(
            {
                Doing.NO_MODEL: _tr("No model is loaded. The tokens of an answer stand here."),
                Doing.NO_ANSWER: _tr("When an answer is there, its tokens can be read here."),
                Doing.WAITING: _tr(
                    "Colours show how likely the model found each token, and what else might have stood."
                ),
            }.get(view.doing, "")
        )
        self.nothing.setVisible(bool(self.nothing.text()))
        for each in (self.colouring, self.strip, self.legend):
            each.setVisible(has_tokens)
        self.sums.setText(unbroken(sums_text(view.sums)) if view.sums is not None else "")
        self.sums.setVisible(view.sums is not None)
        self.warnings.setText("\n".join(view.warnings))
        self.warnings.setVisible(bool(view.warnings))
        self._show_chosen(view, has_tokens)
        self.error.setText(view.trouble.sentence() if view.trouble is not None else "")
        self.error.setVisible(view.trouble is not None)
        self.tree.set_branches(branch_lines(view.branches))
        self.tree.setVisible(bool(view.branches))
        self.tree_title.setVisible(bool(view.branches))
        self.set_summary(tokens_summary(view.sums) if view.sums is not None else "")

    def clear_tokens(self) -> None:
        self.strip.set_tokens(())

    def add_tokens(self, traces: Sequence[TokenTrace]) -> None:
        self.strip.add_tokens(strip_tokens(traces))

    def look_at(self, before: tuple[int, ...], taken_id: int, piece: bytes, position: int) -> None:
        self.look_wanted.emit(before, taken_id, piece, position)

    def close_section(self) -> None:
        self.popup.close_popup()
        for unsubscribe in self._subscriptions:
            unsubscribe()

    # ---- inside

    def _show_chosen(self, view: TokensView, has_tokens: bool) -> None:
        is_chosen = bool(view.rows)
        self.hint.setVisible(has_tokens and not is_chosen)
        self.chosen.setVisible(is_chosen)
        self.alternatives.setVisible(is_chosen)
        if not (is_chosen and view.can_fork):
            self.popup.close_popup()
        hint = _tr("Click: write on from here with this token, as another answer")
        self.alternatives.set_hint(hint if view.can_fork else "")
        if is_chosen:
            trace = self.presenter.traces[view.place]
            self.chosen.setText(in_place_text(trace, view.place + 1))
            self.alternatives.set_bars(bars_of(view.rows))

    def _offer(self, place: int) -> None:
        """A token was clicked: what else might have stood there, at hand."""
        if self.view.can_fork and place == self.view.place and self.view.rows:
            title = in_place_text(self.presenter.traces[place], place + 1)
            self.popup.open_under(self.strip.rect_of(place), title, bars_of(self.view.rows))

    def _fork(self, row: int) -> None:
        token_id = self.alternatives.bars[row].token_id
        if token_id is not None:
            self._choose(token_id)

    def _choose(self, token_id: int) -> None:
        if self.view.can_fork:
            self.presenter.fork(self.view.place, token_id)

    def _colour(self, at: int) -> None:
        self.strip.set_colouring(COLOURINGS[at])
        self.legend.set_colouring(COLOURINGS[at])

    def _tip_of(self, place: int) -> str:
        traces = self.presenter.traces
        return trace_tip(traces[place], place + 1) if 0 <= place < len(traces) else ""

    def _lay_out(self, body: QWidget) -> None:
        head = QHBoxLayout()
        head.setSpacing(Theme.SPACE[1])
        head.addWidget(self.part, 1)
        head.addWidget(self.read)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, Theme.SPACE[0], 0, 0)
        column.setSpacing(Theme.SPACE[0] + 2)
        column.addLayout(head)
        for each in (
            self.nothing,
            self.busy,
            self.error,
            self.colouring,
            self.strip,
            self.legend,
            self.sums,
            self.warnings,
            self.hint,
            self.chosen,
            self.alternatives,
            self.tree_title,
            self.tree,
        ):
            column.addWidget(each)


def _caption(text: str = "", kind: str = "caption") -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    set_kind(label, kind)
    return label

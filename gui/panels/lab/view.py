"""The Lab page: a prompt and what is asked of it on the left, what came of it on the right, in three tabs.

The view shows what the presenters decide and hands every decision back to them. What was written stays when a run is
stopped or its engine is lost; the notice about it stands over the page.
"""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QStackedLayout, QVBoxLayout, QWidget

from engine.base.errors import Trouble
from engine.sampling.chain import Chain
from gui.page import PanelContext
from gui.panels.lab.compare_inputs import CompareInputs
from gui.panels.lab.compare_pane import ComparePane
from gui.panels.lab.draws_pane import DrawsPane
from gui.panels.lab.inputs import InputsColumn, Tab
from gui.panels.lab.presenter.compare import ComparePresenter
from gui.panels.lab.presenter.comparison import ComparePage
from gui.panels.lab.presenter.draws import DrawsPage, DrawsPresenter
from gui.panels.lab.presenter.prompt import EngineView, LabPresenter, LabPrompt, PromptFault
from gui.panels.lab.presenter.samples import SamplesPage, SamplesPresenter
from gui.panels.lab.samples_pane import SamplesPane
from gui.theme import set_kind
from gui.widgets.empty_state import EmptyState
from gui.widgets.scrolling import scroll_area

NARROW_BELOW = 1200
RUN_ACTION = "lab.run"


class LabView(QWidget):
    """The page; also the surface of its presenters."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._engine = EngineView()
        theme, icons = context.theme, context.icons
        self.samples, self.draws = SamplesPane(theme, icons), DrawsPane(theme)
        self.compare = ComparePane(theme)
        self.answers = CompareInputs(theme)
        self.inputs = InputsColumn(theme, icons, self.answers)
        self.no_model = EmptyState(
            theme,
            self.tr(
                "The Lab writes many continuations side by side and draws one token a thousand times. It needs a model."
            ),
            title=self.tr("No model is loaded"),
            button=self.tr("Choose a model"),
            icon=lambda: icons.icon("lab", "text3", 32),
        )
        self.no_samples = EmptyState(
            theme,
            self.tr(
                "Write a prompt on the left and run it: its continuations stand here side by side, as they are written."
            ),
            title=self.tr("Many at once"),
            button=self.tr("Try an example"),
            icon=lambda: icons.icon("lab", "text3", 32),
        )
        self.no_draws = EmptyState(
            theme,
            self.tr("Draw the next token a thousand times: here the counts are laid over the probabilities."),
            title=self.tr("Counts against theory"),
            button=self.tr("Try an example"),
            icon=lambda: icons.icon("lab", "text3", 32),
        )
        self.no_answers = EmptyState(
            theme,
            self.tr(
                "Two answers are laid beside each other here: what differs in the set-up, in the text, in the tokens."
            ),
            title=self.tr("No answer was written yet"),
            button=self.tr("Go to Chat"),
            icon=lambda: icons.icon("lab", "text3", 32),
        )
        self.no_comparison = EmptyState(
            theme,
            self.tr(
                "Choose two answers on the left. What differs in the set-up, in the text and in the tokens stands here."
            ),
            title=self.tr("Two answers beside each other"),
            button=self.tr("Compare these two"),
            icon=lambda: icons.icon("lab", "text3", 32),
        )
        self._lay_out()
        self.presenter = LabPresenter(context.workbench, self)
        self.many = SamplesPresenter(context.workbench, _Samples(self))
        self.draw = DrawsPresenter(context.workbench, _Draws(self))
        self.pair = ComparePresenter(context.workbench, _Compare(self))
        self._connect()
        self.presenter.start()
        self.pair.read()
        self._show_place()

    # ---- the surface of the page's presenter

    def show_engine(self, engine: EngineView) -> None:
        self._engine = engine
        if engine.is_stopping:  # by Escape, from the palette, or from another page: no failure, whoever asked
            for each in self._parts():
                each.told_to_stop()
        self.answers.show_engine(engine)
        self._show_button()
        self._show_place()

    def show_chain(self, chain: Chain) -> None:
        self.inputs.show_chain(chain)

    # ---- what the tabs' surfaces need

    def show_samples(self, page: SamplesPage) -> None:
        self.samples.show_page(page)
        self._show_button()
        self._show_place()

    def show_draws(self, page: DrawsPage) -> None:
        self.draws.show_page(page)
        self._show_button()
        self._show_place()

    def show_comparison(self, page: ComparePage) -> None:
        self.answers.show_page(page)
        self.compare.show_page(page)
        self._show_button()
        self._show_place()

    def show_faults(self, prompt: PromptFault | None, fields: Mapping[str, str]) -> None:
        self.inputs.show_faults(prompt, fields)

    def show_trouble(self, trouble: Trouble) -> None:
        self._context.notices.show_trouble(trouble)

    # ---- what a person does

    def run(self) -> None:
        """Run the tab that is shown; nothing where it cannot be run or runs already."""
        if not self.inputs.can_run:
            return
        if self.inputs.tab is Tab.COMPARE:
            self.pair.compare()
            return
        self.inputs.take_typed()
        form, prompt = self.inputs.form, self.inputs.prompt.prompt()
        if form.typed_errors():
            return  # what is wrong in a box stands under it
        if self.inputs.tab is Tab.DRAWS:
            self.draw.run(prompt, form.values())
        else:
            self.many.run(prompt, form.values())

    def stop(self) -> None:
        """Stop what goes on."""
        for each in self._parts():
            each.told_to_stop()
        self.presenter.stop()

    def show_tab(self, tab: Tab) -> None:
        """Show one of the page's parts."""
        self.inputs.tabs.setCurrentIndex(int(tab))

    # ---- the page's life

    def activated(self) -> None:
        self._let_run(True)

    def deactivated(self) -> None:
        self._let_run(False)

    def close_panel(self) -> None:
        self.samples.stop()
        for each in (self.presenter, *self._parts()):
            each.close()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.inputs.set_narrow(event.size().width() < NARROW_BELOW)

    # ---- inside

    def _parts(self) -> tuple[SamplesPresenter, DrawsPresenter, ComparePresenter]:
        """The presenters of the tabs."""
        return self.many, self.draw, self.pair

    def _let_run(self, allowed: bool) -> None:
        """The keys for it are this page's while it is on screen. A window of this page alone has no such action."""
        actions = self._context.actions
        if any(each.id == RUN_ACTION for each in actions.all()):
            actions.by_id(RUN_ACTION).setEnabled(allowed)

    def _show_place(self) -> None:
        """What stands on the right: the tab's results, or how to begin."""
        needs_model = True
        match self.inputs.tab:
            case Tab.SAMPLES:
                has_any, empty, area = bool(self.many.page.columns), self.no_samples, self._samples_area
            case Tab.DRAWS:
                has_any = self.draw.page.fit is not None or self.draw.is_running
                empty, area = self.no_draws, self._draws_area
            case Tab.COMPARE:
                needs_model = False
                has_any = self.pair.page.comparison is not None or self.pair.is_running
                empty = self.no_comparison if self.pair.page.chosen else self.no_answers
                area = self._compare_area
        if has_any:
            self._stack.setCurrentWidget(area)
        elif needs_model and not (self._engine.has_model or self._engine.is_loading):
            self._stack.setCurrentWidget(self.no_model)
        else:
            self._stack.setCurrentWidget(empty)

    def _show_button(self) -> None:
        is_mine = any(each.is_running for each in self._parts())
        can_compare = self.pair.page.chosen is not None and not self.pair.is_running
        self.inputs.show_engine(self._engine, is_mine=is_mine, can_compare=can_compare)

    def _try_example(self) -> None:
        self.inputs.prompt.set_prompt(LabPrompt(text=self.tr("Invent a name for a small ship, and say why.")))
        self.run()

    def _copy(self, text: str, said: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self._context.toast.show_text(said)

    def _connect(self) -> None:
        inputs, context = self.inputs, self._context
        inputs.tab_chosen.connect(lambda _tab: self._show_place())
        inputs.run_wanted.connect(self.run)
        inputs.stop_wanted.connect(self.stop)
        self.samples.order_chosen.connect(self.many.set_order)
        self.samples.copy_wanted.connect(self._copy)
        self.draws.copy_wanted.connect(self._copy)
        self.compare.copy_wanted.connect(self._copy)
        self.compare.cancel_wanted.connect(self.stop)
        self.answers.first_chosen.connect(lambda at: self.pair.choose(first=at))
        self.answers.second_chosen.connect(lambda at: self.pair.choose(second=at))
        self.answers.swap_wanted.connect(self.pair.swap)
        self.answers.replay_wanted.connect(self.pair.replay)
        self.no_answers.first_step.connect(lambda: context.go("chat"))
        self.no_comparison.first_step.connect(self.run)
        self.no_model.first_step.connect(lambda: context.go("models"))
        self.no_samples.first_step.connect(self._try_example)
        self.no_draws.first_step.connect(self._try_example)

    def _lay_out(self) -> None:
        self._samples_area = _scrolling(self.samples, self.tr("Continuations"))
        self._draws_area = _scrolling(self.draws, self.tr("Counts"))
        self._compare_area = _scrolling(self.compare, self.tr("Comparison"))
        line = QFrame()
        set_kind(line, "hairline-vertical")
        right = QWidget()
        self._stack = QStackedLayout(right)
        empty = (self.no_model, self.no_samples, self.no_draws, self.no_answers, self.no_comparison)
        for each in (*empty, self._samples_area, self._draws_area, self._compare_area):
            self._stack.addWidget(each)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.inputs)
        row.addWidget(line)
        row.addWidget(right, 1)


class _Samples:
    """The surface of the samples' presenter, a part of the page's."""

    def __init__(self, view: LabView) -> None:
        self._view = view

    def show_page(self, page: SamplesPage) -> None:
        self._view.show_samples(page)

    def grow(self, place: int, text: str, n_tokens: int) -> None:
        self._view.samples.grow(place, text, n_tokens)

    def show_faults(self, prompt: PromptFault | None, fields: Mapping[str, str]) -> None:
        self._view.show_faults(prompt, fields)

    def show_trouble(self, trouble: Trouble) -> None:
        self._view.show_trouble(trouble)


class _Draws:
    """The surface of the draws' presenter."""

    def __init__(self, view: LabView) -> None:
        self._view = view

    def show_page(self, page: DrawsPage) -> None:
        self._view.show_draws(page)

    def show_faults(self, prompt: PromptFault | None, fields: Mapping[str, str]) -> None:
        self._view.show_faults(prompt, fields)

    def show_trouble(self, trouble: Trouble) -> None:
        self._view.show_trouble(trouble)


class _Compare:
    """The surface of the comparison's presenter."""

    def __init__(self, view: LabView) -> None:
        self._view = view

    def show_page(self, page: ComparePage) -> None:
        self._view.show_comparison(page)

    def show_trouble(self, trouble: Trouble) -> None:
        self._view.show_trouble(trouble)


def _scrolling(inner: QWidget, name: str) -> QScrollArea:
    page = QWidget()
    column = QVBoxLayout(page)
    column.setContentsMargins(26, 18, 26, 22)
    column.addWidget(inner)
    area = scroll_area(name, page)
    return area

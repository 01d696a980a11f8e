"""The section Decoding: the sampler chain as an object, the limits of a run, and the way back to the defaults.

The stages stand in their order, each with its switch and its values; what changes nothing is folded away, and the last
line says what takes the token. A row stays where it is while somebody works in it: the stages are sorted out anew when
the chain comes from elsewhere (a preset, another chat, a reset) or the fold is opened or closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from engine.base.bus import Unsubscribe
from engine.base.fields import Value
from engine.workbench.events import ChainChanged, EngineChanged, PresetsChanged, SettingsChanged
from gui.forms import Form
from gui.page import PanelContext
from gui.panels.inspector.differences import DifferencesView
from gui.panels.inspector.presenter.decoding import DecodingPresenter, Part
from gui.panels.inspector.presenter.stages import Drawing, End, StageRow
from gui.panels.inspector.preset_bar import PresetBar
from gui.panels.inspector.stage_row import StageRowView
from gui.theme import Theme, set_kind
from gui.widgets.drag_list import DragList
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.section import Section

FOLD = "inspector.decoding.folded"
MORE = "inspector.decoding.more.folded"
ADVANCED = "inspector.decoding.advanced"
STAGE = "inspector.decoding.stage.{key}.folded"
_BEFORE_NAME = 12 + 24 + 2 * 2  # pixels of a row before its name: handle, switch, two gaps


class DecodingSection(Section):
    """The chain and the limits in their fold."""

    def __init__(self, context: PanelContext) -> None:
        self.presenter = DecodingPresenter(context.workbench)
        self._context, self._state, self._theme = context, context.state, context.theme
        self._seen = context.workbench.chain
        self._shown: tuple[object, ...] = ()
        self._model_path = context.workbench.state.model_path
        self.stage_rows: dict[str, StageRowView] = {}
        body = QWidget()
        super().__init__(
            context.theme,
            "",
            body,
            folded=self._state.flag(FOLD, False),
            on_folded=lambda folded: self._state.set_flag(FOLD, folded),
        )
        self.header.set_title(self.tr("Decoding"))
        self.presets = PresetBar(context, self.presenter)
        self.lists = {
            Part.MAIN: DragList(context.theme, self.tr("Samplers, in their order")),
            Part.MORE: DragList(context.theme, self.tr("Samplers that change nothing, in their order")),
        }
        self.end = ElidedLabel()
        set_kind(self.end, "caption")
        self.more = Section(
            context.theme,
            "",
            self.lists[Part.MORE],
            folded=self._state.flag(MORE, True),
            on_folded=self._more_folded,
            bold=False,
        )
        self.forms = self._make_forms()
        self.compare, self.reset = QPushButton(), QPushButton()
        self.differences = DifferencesView(context.theme)
        self.differences.hide()
        self._make_foot()
        self._lay_out(body)
        self._connect()
        bus = context.bus
        self._subscriptions: tuple[Unsubscribe, ...] = (
            bus.subscribe(SettingsChanged, lambda _event: self._settings_changed()),
            bus.subscribe(ChainChanged, lambda _event: self._came()),
            bus.subscribe(PresetsChanged, lambda _event: self.presets.refresh()),
            bus.subscribe(EngineChanged, self._engine_changed),
        )
        self._sort_out()

    def refresh(self) -> None:
        """Show what the workbench has now, every row where it is."""
        self._shown = self._present()
        values, rows = self.presenter.values(), self.presenter.rows()
        self._show_rows(self.lists[Part.MAIN], rows[Part.MAIN], values)
        if not self.more.is_folded:
            self._show_rows(self.lists[Part.MORE], rows[Part.MORE], values)
        self._show_more(rows[Part.MORE])
        for form in self.forms:
            form.set_values(values)
        self.end.setText(end_text(self.presenter.end(), self))
        self.end.set_tip(self.presenter.describe())
        self.presets.refresh()
        self._show_changes()

    def close_section(self) -> None:
        for unsubscribe in self._subscriptions:
            unsubscribe()

    # ---- what the actions of the window do

    def choose_preset(self) -> None:
        """Open the menu of presets."""
        self.set_folded(False)
        self.presets.button.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.presets.open_menu()

    def reset_all(self) -> None:
        """Everything back to its default, with an undo."""
        undo = self.presenter.reset()

        def take_back() -> None:
            undo()
            self._replaced()

        self._context.toast.show_undo(self.tr("Decoding reset"), take_back)
        self._replaced()

    # ---- from the hand

    def _enable(self, key: str, enabled: bool) -> None:
        self._done(key, self.presenter.enable(key, enabled))

    def _change(self, stage_key: str, key: str, value: object) -> None:
        self._done(stage_key, self.presenter.change(key, value), key)

    def _reset_stage(self, key: str) -> None:
        self.stage_rows[key].forget_errors()
        self._done(key, self.presenter.reset_stage(key))

    def _move(self, part: Part, key: str, place: int) -> None:
        error = self.presenter.move(key, place, self.lists[part].order())
        self._done(key, error)
        handle = self.stage_rows[key].handle
        if not error and handle.hasFocus():
            self._keep_visible(self.stage_rows[key])

    def _done(self, stage_key: str, error: str, field_key: str = "") -> None:
        """A change was tried: show what is now, and what was refused where it was asked for."""
        self._seen = self._context.workbench.chain
        row = self.stage_rows[stage_key]
        if not field_key:
            for each in self.stage_rows.values():
                each.set_error("")
        row.set_error(error, field_key)
        self.refresh()

    def _limit_changed(self, form: Form, key: str, value: object) -> None:
        error = self.presenter.change(key, value)
        self.refresh()
        form.set_error(key, error)

    # ---- from elsewhere

    def _present(self) -> tuple[object, ...]:
        """Everything that is shown here, to see whether it is another."""
        workbench = self._context.workbench
        return workbench.chains.kept, workbench.chains.scope, workbench.run_options

    def _settings_changed(self) -> None:
        if self._present() != self._shown:
            self.refresh()

    def _came(self) -> None:
        """The chain may be another one: another chat, another model, a preset, or what was done here."""
        if self._context.workbench.chain == self._seen:
            self._settings_changed()
        elif not any(each.is_dragging for each in self.lists.values()):
            self._replaced()

    def _engine_changed(self, event: EngineChanged) -> None:
        """Another model may have a chain of its own; what else the engine does is no matter here."""
        if event.state.model_path != self._model_path:
            self._model_path = event.state.model_path
            self._came()

    def _replaced(self) -> None:
        for each in self.stage_rows.values():
            each.forget_errors()
        for form in self.forms:
            form.clear_errors()
        self._sort_out()

    def _sort_out(self) -> None:
        self._seen = self._context.workbench.chain
        self.presenter.sort_out()
        self.refresh()

    def _more_folded(self, folded: bool) -> None:
        self._state.set_flag(MORE, folded)
        self._sort_out()

    # ---- the rows

    def _show_rows(self, drag_list: DragList, rows: tuple[StageRow, ...], values: Mapping[str, Value]) -> None:
        keys = [row.key for row in rows]
        is_new = set(keys) != set(drag_list.order())
        for row in rows:
            if row.key not in drag_list.order():
                self._put(drag_list, row)
        for key in drag_list.order():
            if key not in keys:
                self._park(drag_list, key)
        drag_list.set_order(keys)
        for place, row in enumerate(rows, 1):
            fields = (*row.folded, row.lead) if row.lead is not None else row.folded
            own = {field.key: values[field.key] for field in fields}
            self.stage_rows[row.key].show_row(row, own, place, len(rows))
        if is_new:
            self._align(drag_list)

    def _put(self, drag_list: DragList, row: StageRow) -> None:
        """Bring a stage's row into a list: from the other one, or made now."""
        view = self.stage_rows.get(row.key)
        if view is None:
            view = self._make_row(row)
        else:
            for other in self.lists.values():
                if row.key in other.order():
                    other.take(row.key, view.handle)
        drag_list.add(row.key, view, view.handle)

    def _park(self, drag_list: DragList, key: str) -> None:
        """A row that belongs into a list that is folded away: it waits unseen."""
        view = self.stage_rows[key]
        drag_list.take(key, view.handle)
        view.hide()

    def _make_row(self, row: StageRow) -> StageRowView:
        key = row.key
        flag = STAGE.format(key=key)
        view = StageRowView(self._theme, row, folded=self._state.flag(flag, True), parent=self.body)
        view.enabled_changed.connect(lambda on: self._enable(key, on))
        view.value_changed.connect(lambda field_key, value: self._change(key, field_key, value))
        view.reset_asked.connect(lambda: self._reset_stage(key))
        view.folded_changed.connect(lambda folded: self._state.set_flag(flag, folded))
        self.stage_rows[key] = view
        self._theme.changed.disconnect(self._align_all)  # it comes last again: each row fits its own box first
        self._theme.changed.connect(self._align_all)
        return view

    def _align(self, drag_list: DragList) -> None:
        views = [self.stage_rows[key] for key in drag_list.order()]
        name = max((each.wanted_name_width() for each in views), default=0)
        boxes = [each.lead.wanted_box_width() for each in views if each.lead is not None]
        for each in views:
            each.set_widths(name, max(boxes, default=0))

    def _align_all(self) -> None:
        for drag_list in self.lists.values():
            self._align(drag_list)

    def _show_more(self, rows: tuple[StageRow, ...]) -> None:
        header = self.more.header
        names = ", ".join(row.label for row in rows)
        header.set_title(self.tr("More samplers ({n})").format(n=len(rows)))
        header.setToolTip(names)
        working = sum(row.is_active for row in rows)
        header.set_summary(self.tr("{n} on").format(n=working) if working else "")
        header.set_dotted(self.more.is_folded and any(row.is_changed for row in rows))
        self.more.setVisible(bool(rows))

    def _show_changes(self) -> None:
        found = self.presenter.differences()
        n_changed = self.presenter.n_changed
        view = self.presets.view
        parts = [view.label] if view.label else []
        if n_changed and not (view.label and not view.is_changed):
            parts.append(self.tr("{n} changed").format(n=n_changed))
        self.set_summary(" · ".join(parts) or self.tr("defaults"))
        self.reset.setVisible(n_changed > 0)
        self.compare.setVisible(bool(found))
        if not found:
            self.compare.setChecked(False)
        if self.compare.isChecked():
            self.differences.show_differences(found)

    def _keep_visible(self, row: QWidget) -> None:
        parent = self.parentWidget()
        while parent is not None:
            ensure = getattr(parent, "ensureWidgetVisible", None)
            if ensure is not None:
                ensure(row)
                return
            parent = parent.parentWidget()

    # ---- building

    def _make_forms(self) -> tuple[Form, Form]:
        sliding, rest = self.presenter.limits()
        values = self.presenter.values()
        return (
            Form(self._theme, sliding, values, compact=True),
            Form(
                self._theme,
                rest,
                values,
                compact=True,
                advanced_folded=self._state.flag(ADVANCED, True),
                on_advanced_folded=lambda folded: self._state.set_flag(ADVANCED, folded),
            ),
        )

    def _make_foot(self) -> None:
        for button in (self.compare, self.reset):
            set_kind(button, "link")
            button.setStyleSheet("QPushButton { padding: 0 1px; }")  # a length: the text stands where all texts do
        self.compare.setCheckable(True)
        self.compare.setText(self.tr("Compare with default"))
        self.compare.setAccessibleName(self.tr("Compare the samplers with the default"))
        self.compare.setToolTip(self.tr("What is different: order, switches, values"))
        self.reset.setText(self.tr("Reset all"))
        self.reset.setAccessibleName(self.tr("Reset all decoding settings"))
        self.reset.setToolTip(self.tr("Every value, switch and place back to the engine's default"))

    def _lay_out(self, body: QWidget) -> None:
        end = QHBoxLayout()
        end.setContentsMargins(_BEFORE_NAME, 0, 0, 0)
        end.addWidget(self.end, 1)
        foot = QHBoxLayout()
        foot.setSpacing(Theme.SPACE[1])
        foot.addWidget(self.compare)
        foot.addStretch(1)
        foot.addWidget(self.reset)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, Theme.SPACE[0], 0, 0)
        column.setSpacing(Theme.SPACE[0])
        column.addWidget(self.presets)
        column.addWidget(self.lists[Part.MAIN])
        column.addLayout(end)
        column.addWidget(self.more)
        for form in self.forms:
            column.addWidget(form)
        column.addLayout(foot)
        column.addWidget(self.differences)

    def _connect(self) -> None:
        for part, drag_list in self.lists.items():
            drag_list.move_asked.connect(lambda key, place, part=part: self._move(part, key, place))
        for form in self.forms:
            form.field_changed.connect(lambda key, value, form=form: self._limit_changed(form, key, value))
        self.presets.chain_changed.connect(self._replaced)
        self._theme.changed.connect(self._align_all)
        self.compare.toggled.connect(self._compare)
        self.reset.clicked.connect(self.reset_all)

    def _compare(self, shown: bool) -> None:
        self.differences.setVisible(shown)
        if shown:
            self.differences.show_differences(self.presenter.differences())


def end_text(end: End, translator: QWidget) -> str:
    """What takes the token, in a few words."""
    tr: Callable[[str], str] = translator.tr
    if end.drawing is Drawing.GREEDY:
        return tr("→ greedy: the most likely")
    if end.drawing is Drawing.STAGE:
        return tr("→ drawn by {name}").format(name=end.label)
    return tr("→ drawn at random")

"""Forms made from Fields: every kind, every remark, and silence where silence was promised."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QWidget

from engine.base.fields import Field, FieldError, FieldKind
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.run_options import RUN_OPTIONS
from gui.forms import Form
from gui.theme import Mode, Theme
from gui.widgets.field_row import ResetDot

FIELDS = (
    Field("temp", FieldKind.FLOAT, 0.8, "Temperature", "Divides.", "a paper", 0.0, 2.0, step=0.05, neutral=1.0),
    Field("top_k", FieldKind.INT, 40, "Top-k", "Keeps k.", minimum=0, maximum=1000, special=((0, "off"),)),
    Field("mode", FieldKind.CHOICE, "auto", "Mode", "Which.", choices=("auto", "on", "off")),
    Field("type_k", FieldKind.CHOICE, "f16", "Type", "Which.", choices=("f32", "f16", "q8_0", "q5_1", "q4_0")),
    Field("mmap", FieldKind.BOOL, True, "Map the file", "Maps."),
    Field("note", FieldKind.TEXT, "", "Note", "Any text."),
    Field("stop", FieldKind.TEXT_LIST, (), "Stop texts", "Ends before these.", advanced=True),
    Field("seed", FieldKind.INT, -1, "Seed", "Where randomness starts.", minimum=-1, advanced=True),
    Field("model_draft", FieldKind.FILE, "", "Draft model", "Guesses."),
)


class Heard(list):
    """Everything a signal said."""

    def __init__(self, signal) -> None:
        super().__init__()
        signal.connect(lambda *said: self.append(said if len(said) > 1 else said[0]))


@pytest.fixture(params=[True, False], ids=["compact", "roomy"])
def form(request, theme: Theme, qtbot) -> Form:
    form = Form(theme, FIELDS, {"temp": 0.9}, request.param)
    qtbot.addWidget(form)
    form.resize(340, 600)
    with qtbot.waitExposed(form):
        form.show()
    return form


def type_over(qtbot, box: QWidget, text: str) -> None:
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, text)
    qtbot.keyClick(box, Qt.Key.Key_Return)


def test_a_form_shows_a_value_for_every_kind_of_field(form: Form) -> None:
    assert {field.kind for field in FIELDS} == set(FieldKind)
    assert form.values() == {field.key: field.default for field in FIELDS} | {"temp": 0.9}


def test_set_values_shows_all_kinds_and_sends_nothing(form: Form) -> None:
    heard, whole = Heard(form.field_changed), Heard(form.values_changed)
    values = {
        "temp": 0.35,
        "top_k": 0,
        "mode": "off",
        "type_k": "q4_0",
        "mmap": False,
        "note": "hello",
        "stop": ("\n\n", "User:"),
        "seed": 7,
        "model_draft": "/models/small.gguf",
    }
    form.set_values(values | {"of_another_form": 1})
    assert form.values() == values
    assert heard == []
    assert whole == []


def test_a_typed_number_is_told_with_its_key_and_then_with_all_values(form: Form, qtbot) -> None:
    heard, whole = Heard(form.field_changed), Heard(form.values_changed)
    type_over(qtbot, form.row("temp").editor.box, "1.5")
    assert heard == [("temp", 1.5)]
    assert whole[-1]["temp"] == 1.5
    assert whole[-1]["top_k"] == 40


def test_nonsense_is_explained_under_its_field_and_not_told(form: Form, qtbot) -> None:
    heard = Heard(form.field_changed)
    type_over(qtbot, form.row("temp").editor.box, "warm")
    assert "Temperature" in form.errors()["temp"]
    assert "2.00" in form.errors()["temp"]
    assert heard == []
    assert form.values()["temp"] == 0.9
    type_over(qtbot, form.row("temp").editor.box, "1")
    assert form.errors() == {}


def test_a_segment_a_switch_and_a_list_are_told_when_clicked(form: Form, qtbot) -> None:
    heard = Heard(form.field_changed)
    qtbot.mouseClick(form.row("mode").editor.segments.segments[1], Qt.MouseButton.LeftButton)
    qtbot.mouseClick(form.row("mmap").editor.switch, Qt.MouseButton.LeftButton)
    combo = form.row("type_k").editor.combo
    combo.setFocus()
    qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert heard == [("mode", "on"), ("mmap", False), ("type_k", "q8_0")]


def test_a_file_is_chosen_from_those_that_are_offered_and_another_one_keeps_its_place(form: Form, qtbot) -> None:
    heard = Heard(form.field_changed)
    editor = form.row("model_draft").editor
    assert [editor.combo.itemText(at) for at in range(editor.combo.count())] == ["None"]
    form.set_files("model_draft", [("Small", "/models/small.gguf"), ("Tiny", "/models/tiny.gguf")])
    assert heard == []
    editor.combo.setFocus()
    qtbot.keyClick(editor.combo, Qt.Key.Key_Down)
    qtbot.keyClick(editor.combo, Qt.Key.Key_Down)
    assert heard[-1] == ("model_draft", "/models/tiny.gguf")
    form.set_values({"model_draft": "/elsewhere/own.gguf"})
    assert editor.combo.currentText() == "own.gguf"
    form.set_files("model_draft", [("Small", "/models/small.gguf")])
    assert editor.combo.currentText() == "own.gguf"
    assert form.values()["model_draft"] == "/elsewhere/own.gguf"
    form.row("model_draft").dot.click()
    assert heard[-1] == ("model_draft", "")
    assert editor.combo.currentText() == "None"


def test_segments_move_with_the_arrow_keys(form: Form, qtbot) -> None:
    heard = Heard(form.field_changed)
    first = form.row("mode").editor.segments.segments[0]
    first.setFocus()
    qtbot.keyClick(first, Qt.Key.Key_Right)
    assert heard == [("mode", "on")]


def test_lines_of_a_list_may_stand_for_line_breaks(form: Form, qtbot) -> None:
    heard = Heard(form.field_changed)
    form.focus_key("stop")
    lines = form.row("stop").editor.lines
    qtbot.keyClicks(lines, "\\n\\n")
    qtbot.keyClick(lines, Qt.Key.Key_Return)
    qtbot.keyClicks(lines, "User:")
    qtbot.keyClick(lines, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert heard == [("stop", ("\n\n", "User:"))]
    form.set_values({"stop": ("a\\b", "\t")})
    assert lines.toPlainText() == "a\\\\b\n\\t"


def test_the_dot_is_there_exactly_while_there_is_something_to_reset(form: Form, qtbot) -> None:
    row = form.row("temp")
    assert row.dot.is_active
    assert not form.row("top_k").dot.is_active
    heard = Heard(form.field_changed)
    qtbot.mouseClick(row.dot, Qt.MouseButton.LeftButton)
    assert heard == [("temp", 0.8)]
    assert not row.dot.is_active
    assert form.changed_keys() == []


def test_a_double_click_on_the_label_resets(form: Form, qtbot) -> None:
    heard = Heard(form.field_changed)
    qtbot.mouseDClick(form.row("temp").label, Qt.MouseButton.LeftButton, pos=QPoint(3, 3))
    assert heard == [("temp", 0.8)]


def test_reset_all_brings_every_default_back(form: Form) -> None:
    form.set_values({"mode": "off", "type_k": "q4_0", "mmap": False, "note": "x", "stop": ("y",), "seed": 3})
    form.reset_all()
    assert form.values() == {field.key: field.default for field in FIELDS}


def test_an_error_from_outside_opens_the_fold_and_goes_with_the_next_change(form: Form, qtbot) -> None:
    fold = form.advanced_section
    assert fold is not None
    assert fold.is_folded
    form.set_error("seed", "This seed is taken")
    assert not fold.is_folded
    assert form.errors() == {"seed": "This seed is taken"}
    type_over(qtbot, form.row("seed").editor.box, "5")
    assert form.errors() == {}


def test_the_fold_opens_by_key_and_remembers_through_its_callback(theme: Theme, qtbot) -> None:
    told: list[bool] = []
    form = Form(theme, FIELDS, {}, True, on_advanced_folded=told.append)
    qtbot.addWidget(form)
    form.show()
    fold = form.advanced_section
    assert fold is not None
    assert not form.row("seed").isVisible()
    fold.header.setFocus()
    qtbot.keyClick(fold.header, Qt.Key.Key_Space)
    assert told == [False]
    assert form.row("seed").isVisible()


def test_the_closed_fold_says_what_is_in_it(form: Form) -> None:
    fold = form.advanced_section
    assert fold is not None
    assert fold.header.text() == "Stop texts, Seed"


def test_only_the_enabled_keys_can_be_edited(form: Form) -> None:
    form.set_enabled_keys(["temp"])
    assert form.row("temp").isEnabled()
    assert not form.row("mode").isEnabled()
    assert not form.row("mmap").editor.switch.isEnabled()
    form.set_enabled_keys(None)
    assert form.row("mode").isEnabled()


def test_a_note_stands_with_its_field(form: Form) -> None:
    form.set_note("temp", "fits up to 118,016", "good")
    form.set_note("mode", "asks the engine", "")
    assert form.row("temp").note == "fits up to 118,016"
    assert form.row("mode").note == "asks the engine"


def test_an_unknown_key_is_an_error_that_names_the_known_ones(form: Form) -> None:
    with pytest.raises(FieldError, match="temp, top_k"):
        form.set_error("tempp", "no")


def test_the_tooltip_has_help_range_default_and_source(form: Form) -> None:
    tip = form.row("temp").label.toolTip()
    for part in ("Divides.", "0.00 to 2.00", "default 0.80", "1.00 changes nothing", "a paper"):
        assert part in tip


def test_compact_columns_align(theme: Theme, qtbot) -> None:
    form = Form(theme, FIELDS, {}, True)
    qtbot.addWidget(form)
    form.resize(340, 400)
    form.show()
    rows = [form.row(key) for key in ("temp", "top_k")]
    lefts = {row.editor.slider.mapTo(form, QPoint(0, 0)).x() for row in rows}
    boxes = {(row.editor.box.mapTo(form, QPoint(0, 0)).x(), row.editor.box.width()) for row in rows}
    assert len(lefts) == 1
    assert len(boxes) == 1


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("mode", [Mode.DARK, Mode.LIGHT])
def test_every_control_of_the_real_forms_has_a_name_and_its_full_text(
    theme: Theme, qtbot, compact: bool, mode: Mode
) -> None:
    theme.set_mode(mode)
    form = Form(theme, [*LOAD_OPTIONS, *RUN_OPTIONS], {}, compact, advanced_folded=False)
    qtbot.addWidget(form)
    form.resize(340, 1600)
    form.show()
    controls = [
        each
        for each in form.findChildren(QWidget)
        if each.isVisible() and each.focusPolicy() != Qt.FocusPolicy.NoFocus and not isinstance(each, ResetDot)
    ]
    assert len(controls) > len(LOAD_OPTIONS.keys())
    nameless = [
        type(each).__name__
        for each in controls
        if not QAccessible.queryAccessibleInterface(each).text(QAccessible.Text.Name)
    ]
    assert nameless == []
    for key in ("n_ctx", "n_threads", "max_tokens"):
        box = form.row(key).editor.box
        assert box.fontMetrics().horizontalAdvance(box.text()) < box.width() - 10
    assert all(dot.accessibleName() for dot in form.findChildren(ResetDot))


def test_a_change_of_mode_reaches_every_widget_without_a_warning(form: Form, theme: Theme, qtbot) -> None:
    before = form.grab().toImage()
    theme.set_mode(Mode.LIGHT)
    after = form.grab().toImage()
    assert before.size() == after.size()
    assert before != after


def test_importing_the_widgets_loads_no_heavy_library() -> None:
    code = (
        "import sys; import gui.forms, gui.widgets.plot, gui.widgets.ledger_table, gui.widgets.busy, "
        "gui.widgets.stacked_bar, gui.widgets.sparkline, gui.widgets.meter, gui.widgets.empty_state; "
        "print([m for m in ('numpy', 'pyqtgraph', 'pygments', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"

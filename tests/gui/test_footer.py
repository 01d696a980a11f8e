"""The footer: plain numbers in, honest text out, and it gives way in a narrow window without cutting a number."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from gui.footer import Footer, FooterState
from gui.footer_part import DOT, GAP, PAD, FooterPart
from gui.theme import Mode, Theme

GIB = 1 << 30


@pytest.fixture
def footer(theme: Theme, qtbot) -> Footer:
    footer = Footer(theme)
    footer.resize(1440, footer.height())
    qtbot.addWidget(footer)
    footer.show()
    return footer


def fill(footer: Footer) -> None:
    footer.set_model(FooterState.WRITING, "SmolLM2-135M-Instruct · Q4_1 · CPU, 2 threads")
    footer.set_context(1204, 4096)
    footer.set_speed(212.4, 78.1)
    footer.set_ram(int(5.2 * GIB), 24 * GIB)
    footer.set_vram(1 * GIB, 16 * GIB)
    footer.set_cpu(98.0, [10.0, 50.0, 98.0])


def test_unknown_is_a_dash_and_says_so(footer: Footer) -> None:
    footer.set_ram(None, None)
    footer.set_cpu(None)
    footer.set_speed(212.0, None)
    assert footer.part("ram").content.tail == "–"
    assert footer.part("ram").content.bar is None
    assert "–" in footer.part("cpu").content.text
    assert "–" in footer.part("speed").content.text
    for key in ("ram", "cpu", "speed"):
        assert footer.part(key).toolTip().startswith("unknown")
        assert "0" not in footer.part(key).content.tail


def test_what_does_not_exist_is_not_shown(footer: Footer) -> None:
    assert footer.part("vram").isHidden()
    assert footer.part("context").isHidden()
    assert footer.part("speed").isHidden()
    fill(footer)
    assert not any(footer.part(key).isHidden() for key in ("vram", "context", "speed"))
    footer.set_vram(None, None)
    assert footer.part("vram").isHidden()


def test_every_part_has_a_unit_and_a_name(footer: Footer) -> None:
    fill(footer)
    spoken = {part.key: part.accessibleName() for part in footer.findChildren(FooterPart)}
    assert spoken["model"] == "Model: SmolLM2-135M-Instruct · Q4_1 · CPU, 2 threads · writing"
    assert spoken["context"] == "Context: 1,204 / 4,096 tokens"
    assert spoken["speed"] == "Speed: reading 212, writing 78.1 tokens per second"
    assert spoken["ram"] == "RAM 5.2 / 24.0 GiB"
    assert spoken["cpu"] == "CPU 98 %"
    assert all(spoken.values())
    assert footer.part("speed").content.text == "212 → 78.1 tok/s"


@pytest.mark.parametrize(
    ("state", "fraction", "word", "role"),
    [
        (FooterState.NONE, None, "no model loaded", "text3"),
        (FooterState.LOADING, 0.43, "loading 43 %", "warning"),
        (FooterState.READY, None, "ready", "good"),
        (FooterState.THINKING, None, "thinking", "accent"),
        (FooterState.WRITING, None, "writing", "good"),
        (FooterState.LOST, None, "lost", "bad"),
    ],
)
def test_the_state_is_a_word_and_a_colour(footer: Footer, state, fraction, word, role) -> None:
    footer.set_model(state, "", fraction)
    content = footer.part("model").content
    assert content.text == word
    assert content.dot_role == role


def test_a_nearly_full_context_warns(footer: Footer) -> None:
    colours = []
    for used in (1000, 3600, 4090):
        footer.set_context(used, 4096)
        colours.append(footer.part("context").content.bar_color)
    assert colours == ["accent", "warning", "bad"]


@pytest.mark.parametrize("width", [1440, 1200, 1024])
def test_no_number_is_cut_and_no_part_lies_outside(footer: Footer, width: int, qtbot) -> None:
    fill(footer)
    footer.resize(width, footer.height())
    qtbot.waitUntil(lambda: footer.part("palette").geometry().right() <= width)
    for part in footer.findChildren(FooterPart):
        assert part.geometry().left() >= 0
        assert part.geometry().right() < width + 1
        if part.key != "model":
            assert part.shown_text() == part.content.text, part.key


def test_a_narrow_window_loses_bars_first_and_then_the_middle_of_the_name(footer: Footer) -> None:
    fill(footer)
    footer.resize(2000, footer.height())
    assert footer.part("cpu").shows_bar()
    assert footer.part("model").shown_text() == footer.part("model").content.text
    footer.resize(1024, footer.height())
    assert not footer.part("cpu").shows_bar()
    shown = footer.part("model").shown_text()
    assert "…" in shown
    assert shown.startswith("Smol")


def test_a_shorter_number_does_not_move_the_neighbours(footer: Footer) -> None:
    fill(footer)
    footer.set_speed(1212.4, 178.1)
    before = footer.part("ram").x()
    footer.set_speed(9.1, 7.8)
    assert footer.part("ram").x() == before


def test_each_part_is_a_button_by_mouse_and_by_keyboard(footer: Footer, qtbot) -> None:
    clicked: list[str] = []
    footer.part_clicked.connect(clicked.append)
    fill(footer)
    qtbot.mouseClick(footer.part("ram"), Qt.MouseButton.LeftButton)
    qtbot.keyClick(footer.part("palette"), Qt.Key.Key_Space)
    assert clicked == ["ram", "palette"]
    assert footer.part("model").focusPolicy() & Qt.FocusPolicy.TabFocus


def test_the_bar_is_drawn_in_the_colours_of_the_present_mode(theme: Theme, footer: Footer) -> None:
    fill(footer)
    for mode in (Mode.DARK, Mode.LIGHT):
        theme.set_mode(mode)
        image = footer.part("ram").grab().toImage()
        shown = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
        assert theme.palette.plot[1] in shown
        assert theme.palette.surface3 in shown


def test_a_tail_that_goes_on_after_the_text_is_a_blank_away(footer: Footer) -> None:
    footer.set_model(FooterState.READY, "x")
    part = footer.part("model")
    apart = part.text_width()
    footer.set_model(FooterState.NONE)
    metrics = part._metrics
    joined = metrics.horizontalAdvance("x") + metrics.horizontalAdvance(" ") + metrics.horizontalAdvance("· ready")
    assert apart == joined + 2 * PAD + 1 + DOT + GAP

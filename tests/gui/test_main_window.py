"""The window: pages on demand, remembered places, one action each, and a clean end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QApplication,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from engine.base.bus import Bus
from engine.base.errors import Remedy, RemedyKind, Trouble
from gui.icons import Icons
from gui.main_window import MainWindow
from gui.page import PanelContext, PanelSpec
from gui.theme import DARK, LIGHT, Mode, Theme
from gui.window_state import WindowState, placed


class Panel(QWidget):
    """A page that writes down what happens to it."""

    def __init__(self, context: PanelContext, key: str, log: list[str]) -> None:
        super().__init__()
        self.context, self.key, self.log = context, key, log
        layout = QVBoxLayout(self)
        self.splitter = QSplitter()
        for name in ("left", "right"):
            field = QPlainTextEdit()
            field.setAccessibleName(name)
            self.splitter.addWidget(field)
        layout.addWidget(self.splitter)
        context.state.attach_splitter(f"{key}.columns", self.splitter)
        log.append(f"built {key}")

    def activated(self) -> None:
        self.log.append(f"activated {self.key}")

    def deactivated(self) -> None:
        self.log.append(f"deactivated {self.key}")

    def close_panel(self) -> None:
        self.log.append(f"closed {self.key}")


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def make(theme: Theme, icons: Icons, log: list[str], qtbot) -> Callable[..., MainWindow]:
    def build(state_path: Path | None = None, on_close: Callable[[], None] = lambda: None) -> MainWindow:
        specs = [
            PanelSpec(
                key, key.title(), key, order, f"Ctrl+{order}", lambda context, key=key: Panel(context, key, log),
                at_bottom=key == "settings",
            )
            for order, key in enumerate(("chat", "memory", "hardware", "models", "settings"), start=1)
        ]  # fmt: skip
        window = MainWindow(specs, theme=theme, icons=icons, state_path=state_path)
        window.attach(None, Bus(), on_close)
        qtbot.addWidget(window)
        window.show_first_page()
        with qtbot.waitActive(window):
            window.show()
            window.activateWindow()
        return window

    return build


def test_a_page_is_built_at_its_first_visit_only(make, log: list[str]) -> None:
    window = make()
    assert log == ["built chat", "activated chat"]
    window.go("models")
    window.go("chat")
    window.go("models")
    assert [line for line in log if line.startswith("built")] == ["built chat", "built models"]
    assert log[-2:] == ["deactivated chat", "activated models"]


def test_a_page_that_does_not_exist_is_ignored(make) -> None:
    window = make()
    window.go("unicorns")
    assert window.current_page == "chat"


def test_the_number_keys_choose_the_page_and_the_rail_shows_it(make, qtbot) -> None:
    window = make()
    for number, key in ((Qt.Key.Key_3, "hardware"), (Qt.Key.Key_5, "settings"), (Qt.Key.Key_1, "chat")):
        qtbot.keyClick(window, number, Qt.KeyboardModifier.ControlModifier)
        assert window.current_page == key
        assert window.rail.button(key).isChecked()


def test_the_rail_works_by_arrow_keys_and_by_mouse(make, qtbot) -> None:
    window = make()
    chat = window.rail.button("chat")
    chat.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(chat, Qt.Key.Key_Down)
    assert window.current_page == "memory"
    assert window.rail.button("memory").hasFocus()
    qtbot.mouseClick(window.rail.button("settings"), Qt.MouseButton.LeftButton)
    assert window.current_page == "settings"
    assert window.rail.button("settings").y() > window.rail.button("models").y() + 100


def test_no_label_of_the_rail_is_cut(make) -> None:
    window = make()
    for key in ("chat", "memory", "hardware", "models", "settings"):
        button = window.rail.button(key)
        assert button.fontMetrics().horizontalAdvance(button.text()) <= button.width() - 4
        assert "Ctrl " in button.toolTip()


def test_the_palette_opens_by_its_keys_and_lists_the_pages(make, qtbot) -> None:
    window = make()
    qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    assert window.command_palette.isVisible()
    field = window.command_palette.findChild(QLineEdit)
    qtbot.keyClicks(field, "hardw")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert window.current_page == "hardware"


def test_each_part_of_the_footer_leads_to_its_page(make) -> None:
    window = make()
    for part, page in (("cpu", "hardware"), ("ram", "memory"), ("model", "models")):
        window.footer.part(part).click()
        assert window.current_page == page
    window.footer.part("palette").click()
    assert window.command_palette.isVisible()


def test_a_notice_stands_on_the_page_that_was_open(make) -> None:
    window = make()
    card = window.show_trouble(Trouble("The engine was lost", remedies=(Remedy(RemedyKind.RELOAD, "Reload"),)))
    assert card.isVisible()
    window.go("memory")
    assert not card.isVisible()
    window.go("chat")
    assert card.isVisible()


def test_remedies_that_are_pages_are_followed_and_the_others_are_passed_on(make) -> None:
    window = make()
    passed: list[Remedy] = []
    window.remedy_chosen.connect(passed.append)
    reload, choose = Remedy(RemedyKind.RELOAD, "Reload"), Remedy(RemedyKind.CHOOSE_MODEL, "Choose a model")
    card = window.show_trouble(Trouble("Lost", remedies=(reload, choose)))
    by_name = {each.accessibleName(): each for each in card.findChildren(QAbstractButton)}
    by_name["Reload"].click()
    by_name["Choose a model"].click()
    assert passed == [reload]
    assert window.current_page == "models"


def test_the_title_names_the_conversation(make) -> None:
    window = make()
    assert window.windowTitle() == "Llamarium"
    window.set_conversation("Why softmax")
    assert window.windowTitle() == "Llamarium — Why softmax"


def test_closing_ends_the_panels_makes_deletes_final_and_tells_once(make, log: list[str]) -> None:
    ended: list[str] = []
    window = make(on_close=lambda: ended.append("closed"))
    window.go("memory")
    window.toast.show_undo("Chat deleted", lambda: None, lambda: ended.append("forgot"))
    window.close()
    window.close()
    assert log[-2:] == ["closed chat", "closed memory"]
    assert ended == ["forgot", "closed"]


def test_place_page_and_splitters_are_remembered(make, tmp_path: Path) -> None:
    path = tmp_path / "new" / "window.json"
    first = make(path)
    first.go("memory")
    first.panel("memory").splitter.setSizes([200, 500])
    sizes = first.panel("memory").splitter.sizes()
    first.state.set_flag("inspector.memory", False)
    first.close()
    second = make(path)
    assert second.current_page == "memory"
    assert second.panel("memory").splitter.sizes() == sizes
    assert second.state.flag("inspector.memory", True) is False
    assert second.geometry() == first.geometry()


@pytest.mark.parametrize(
    "nonsense",
    [
        "", "{", "[]", "null", "12", '"x"', '{"page": 7, "rect": "no", "splitters": [], "flags": 3}',
        '{"page": "unicorns", "rect": [0, 0, -5, 0], "splitters": {"chat.columns": ["a", 1]}}',
        '{"rect": [1e9, 0, 10, 10], "splitters": {"chat.columns": [1, 2, 3]}, "flags": {"a": "b"}, "maximized": "yes"}',
        "[" * 5000,
    ],
)  # fmt: skip
def test_nonsense_in_the_remembered_file_is_survived(make, tmp_path: Path, nonsense: str) -> None:
    path = tmp_path / "window.json"
    path.write_text(nonsense, encoding="utf-8")
    window = make(path)
    assert window.current_page == "chat"
    window.close()
    assert json.loads(path.read_text(encoding="utf-8"))["page"] == "chat"


def test_a_folder_that_takes_nothing_costs_only_the_memory(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    state = WindowState(blocked / "window.json")
    state.page = "chat"
    state.save()
    assert blocked.read_text(encoding="utf-8") == "not a folder"


@pytest.mark.parametrize(
    ("wanted", "screen", "result"),
    [
        (None, QRect(0, 0, 1920, 1080), QRect(240, 90, 1440, 900)),
        (None, QRect(0, 0, 1280, 680), QRect(0, 0, 1280, 680)),
        (QRect(100, 50, 1100, 800), QRect(0, 0, 1920, 1080), QRect(100, 50, 1100, 800)),
        (QRect(5000, -900, 1100, 800), QRect(0, 0, 1920, 1080), QRect(820, 0, 1100, 800)),
        (QRect(0, 0, 10, 10), QRect(0, 24, 1920, 1056), QRect(0, 24, 1024, 720)),
        (QRect(0, 0, 4000, 3000), QRect(0, 0, 800, 600), QRect(0, 0, 800, 600)),
    ],
)
def test_the_window_is_always_put_on_the_screen(wanted: QRect | None, screen: QRect, result: QRect) -> None:
    assert placed(wanted, screen) == result


def test_a_switch_of_mode_reaches_the_whole_window(make, theme: Theme) -> None:
    window = make()
    for mode, new, old in ((Mode.LIGHT, LIGHT, DARK), (Mode.DARK, DARK, LIGHT)):
        theme.set_mode(mode)
        QApplication.processEvents()
        image = window.grab().toImage()
        step = 3
        shown = {
            image.pixelColor(x, y).name()
            for x in range(0, image.width(), step)
            for y in range(0, image.height(), step)
        }  # fmt: skip
        assert new.surface1 in shown
        assert not shown & {old.surface0, old.surface1, old.surface3, old.hairline}


def test_every_control_of_the_frame_has_an_accessible_name(make) -> None:
    window = make()
    window.show_trouble(Trouble("Lost", details="log", remedies=(Remedy(RemedyKind.RELOAD, "Reload"),)))
    window.toast.show_undo("Chat deleted", lambda: None)
    window.command_palette.open()
    kinds = (QAbstractButton, QLineEdit, QPlainTextEdit, QAbstractItemView, QAbstractSlider)
    controls = [each for each in window.findChildren(QWidget) if isinstance(each, kinds)]
    nameless = [each for each in controls if not isinstance(each, QScrollBar) and not each.accessibleName()]
    assert nameless == []
    assert len(controls) > 15


def test_undo_from_the_keyboard_takes_the_last_delete_back(make, qtbot) -> None:
    window = make()
    back: list[str] = []
    window.toast.show_undo("Chat deleted", lambda: back.append("chat"))
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert back == ["chat"]


def test_a_page_change_puts_the_keyboard_on_the_page_and_a_tab_on_its_first_control(make, qtbot) -> None:
    window = make()
    window.activateWindow()
    window.panel("chat").findChildren(QPlainTextEdit)[0].setFocus()
    qtbot.mouseClick(window.rail.button("memory"), Qt.MouseButton.LeftButton)
    page = window.panel("memory")
    assert window.focusWidget() is page
    qtbot.keyClick(page, Qt.Key.Key_Tab)
    first = window.focusWidget()
    assert page.isAncestorOf(first)
    assert first.accessibleName() == "left"


def test_a_page_change_from_the_rail_by_keyboard_stays_on_the_rail(make, qtbot) -> None:
    window = make()
    window.activateWindow()
    button = window.rail.button("memory")
    button.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert window.current_page == "memory"
    assert window.focusWidget() is button

"""The Settings page: every setting has its place, changes reach the file, nothing needs a button to be kept."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication

from engine.settings import SETTINGS
from gui.icons import Icons
from gui.panels.settings import about
from gui.panels.settings.presenter import ELSEWHERE, KEYS, Section, fields_of
from gui.theme import Theme
from tests.support.pages import OpenPage, open_page, unnamed_controls

WAIT_MS = 10_000


@pytest.fixture
def page(theme: Theme, icons: Icons, tmp_path: Path) -> Iterator[OpenPage]:
    with open_page("settings", theme, icons, tmp_path, "models", start=False) as opened:
        yield opened


def kept(page: OpenPage) -> dict[str, object]:
    path = page.workbench.paths.settings
    return tomllib.loads(path.read_text()) if path.exists() else {}


def test_every_setting_stands_in_one_section_or_is_edited_elsewhere() -> None:
    placed = [each.key for section in Section for each in fields_of(section)]
    assert sorted(placed) == sorted(set(SETTINGS.keys()) - ELSEWHERE)
    assert {key for keys in KEYS.values() for key in keys} == set(placed)


def test_a_change_is_in_the_file_a_moment_later_and_its_reset_takes_it_out_again(page: OpenPage, qtbot) -> None:
    form = page.view.forms[Section.HARDWARE]
    box = form.row("samples_per_second").editor.box
    box.setText("8")
    box.committed.emit()
    qtbot.waitUntil(lambda: kept(page).get("samples_per_second") == 8, timeout=WAIT_MS)
    form.row("samples_per_second").editor.reset()
    qtbot.waitUntil(lambda: "samples_per_second" not in kept(page), timeout=WAIT_MS)


def test_a_number_out_of_range_is_explained_and_not_kept(page: OpenPage) -> None:
    form = page.view.forms[Section.HARDWARE]
    box = form.row("samples_per_second").editor.box
    box.setText("99")
    box.committed.emit()
    assert "at most 10" in form.errors()["samples_per_second"]
    assert page.workbench.settings["samples_per_second"] == 2


def test_a_value_that_the_engine_refuses_is_explained_at_its_field(page: OpenPage) -> None:
    page.view.presenter.change("theme", "pink")
    assert "use one of system, light, dark" in page.view.forms[Section.GENERAL].errors()["theme"]
    page.view.presenter.change("theme", "dark")
    assert page.view.forms[Section.GENERAL].errors() == {}


def test_what_another_page_changes_is_shown_here(page: OpenPage, qtbot) -> None:
    page.workbench.set_setting("plot_minutes", 15)
    qtbot.waitUntil(lambda: page.view.forms[Section.HARDWARE].values()["plot_minutes"] == 15, timeout=WAIT_MS)


def test_shortcuts_are_listed_and_searched_by_action_and_by_key(page: OpenPage) -> None:
    keyboard = page.view.keyboard
    assert len(keyboard.table.rows()) == len(page.window.registry.all())
    keyboard.search.setText("ctrl+k")
    assert [row[0].text for row in keyboard.table.rows()] == ["All actions"]
    keyboard.search.setText("quit")
    assert [row[2].text for row in keyboard.table.rows()] == ["Ctrl Q"]
    keyboard.search.setText("nothing of the kind")
    assert keyboard.nothing.isVisible()


def test_every_dependency_is_named_with_its_licence() -> None:
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    named = {each.package.casefold() for each in about.COMPONENTS if each.package}
    assert named == {re.split(r"[=<>~! ]", each)[0].casefold() for each in project["dependencies"]}
    assert all(about.version_of(each) for each in about.COMPONENTS)


def test_a_report_has_version_system_and_engine(page: OpenPage, qtbot) -> None:
    page.workbench.supervisor.ensure_worker()
    qtbot.waitUntil(lambda: "llama" in page.view.about.engine.text(), timeout=WAIT_MS)
    page.view.about.copy()
    copied = QGuiApplication.clipboard().text()
    assert copied.startswith("Llamarium")
    assert "Python 3." in copied
    assert page.workbench.state.engine in copied


def test_a_section_is_scrolled_to_and_marked(page: OpenPage, qtbot) -> None:
    page.view.nav[Section.ABOUT].click()
    assert page.view._area.verticalScrollBar().value() > 0
    assert page.view.nav[Section.ABOUT].isChecked()
    page.view.nav[Section.GENERAL].click()
    assert page.view._area.verticalScrollBar().value() == 0
    assert page.view.nav[Section.GENERAL].isChecked()


def test_every_place_is_named(page: OpenPage) -> None:
    paths = page.workbench.paths
    assert {row.path for row in page.view.presenter.places()} == {
        paths.database, paths.settings, paths.models, paths.logs, paths.cache,
    }  # fmt: skip


def test_every_control_has_a_name(page: OpenPage) -> None:
    assert unnamed_controls(page.view) == []

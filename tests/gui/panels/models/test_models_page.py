"""The Models page with real files: the starter, a folder with good, cut and other files, and what a card says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication

from engine.gguf.types import ValueType
from engine.models.starter import starter_model
from gui.icons import Icons
from gui.model_file import dropped_paths
from gui.notices import NoticeCard
from gui.panels.models.presenter import Order, State
from gui.theme import Theme
from tests.support.gguf_writer import entry, gguf
from tests.support.pages import OpenPage, open_page, unnamed_controls

WAIT_MS = 60_000


@pytest.fixture
def folder(tmp_path: Path, smollm2: Path) -> Path:
    """A good copy, one that is cut inside its header, and an adapter."""
    folder = tmp_path / "my models"
    folder.mkdir()
    shutil.copy(smollm2, folder / "a-copy.Q4_1.gguf")
    (folder / "cut.gguf").write_bytes(smollm2.read_bytes()[:500_000])
    adapter = [
        entry("general.architecture", ValueType.STRING, "llama"),
        entry("general.type", ValueType.STRING, "adapter"),
    ]
    (folder / "poet.gguf").write_bytes(gguf(adapter))
    return folder


@pytest.fixture
def page(theme: Theme, icons: Icons, tmp_path: Path, qtbot) -> Iterator[OpenPage]:
    with open_page("models", theme, icons, tmp_path / "data", "memory") as opened:
        qtbot.waitUntil(lambda: not opened.view.presenter.page.is_scanning, timeout=WAIT_MS)
        yield opened


def states(page: OpenPage) -> dict[str, State]:
    return {row.path.name: row.state for row in page.view.presenter.page.rows}


def add(page: OpenPage, folder: Path, qtbot) -> None:
    page.view.presenter.add([folder])
    qtbot.waitUntil(
        lambda: not page.view.presenter.page.is_scanning and len(page.view.presenter.page.folders) > 1, timeout=WAIT_MS
    )


def test_the_starter_is_listed_and_its_card_stands_beside_it(page: OpenPage) -> None:
    starter = starter_model()
    assert starter is not None
    assert states(page) == {starter.name: State.READY}
    assert page.view.card.title.text() == "SmolLM2-135M-Instruct · Q4_1"
    rows = {row[0].text: row[1].text for row in page.view.card.table.rows()}
    assert rows["Layers"] == "30"
    assert rows["Trained context"] == "8,192 tokens"
    card = page.view.presenter.page.selected.entry.card
    assert page.view.card.mix.used == card.weights_bytes
    assert page.view.card.template.toPlainText() == card.chat_template
    page.view.card.copy_button.click()
    assert "Layers\t30" in QGuiApplication.clipboard().text()


def test_a_folder_that_is_added_lists_good_cut_and_other_files_with_their_reasons(
    page: OpenPage, folder: Path, qtbot
) -> None:
    add(page, folder, qtbot)
    assert states(page) == {
        starter_model().name: State.READY,
        "a-copy.Q4_1.gguf": State.READY,
        "cut.gguf": State.BROKEN,
        "poet.gguf": State.OTHER,
    }
    assert page.workbench.settings["model_folders"] == (str(folder),)
    page.view.presenter.select(folder / "cut.gguf")
    notice = page.view.card.findChild(NoticeCard)
    qtbot.waitUntil(notice.isVisible, timeout=WAIT_MS)
    assert "ends" in notice.trouble.what
    assert not page.view.card.load_button.isVisible()
    page.view.presenter.select(folder / "poet.gguf")
    assert "adapter" in page.view.card.explanation.text().casefold()
    assert not page.view.card.load_button.isVisible()
    assert "unknown" not in {row[1].text for row in page.view.card.table.rows()}


def test_removing_a_folder_leaves_its_files_and_can_be_undone(page: OpenPage, folder: Path, qtbot) -> None:
    add(page, folder, qtbot)
    page.view.presenter.remove_folder(str(folder))
    qtbot.waitUntil(lambda: len(states(page)) == 1, timeout=WAIT_MS)
    assert sorted(each.name for each in folder.iterdir()) == ["a-copy.Q4_1.gguf", "cut.gguf", "poet.gguf"]
    page.window.toast.undo_latest()
    qtbot.waitUntil(lambda: len(states(page)) == 4, timeout=WAIT_MS)


def test_a_folder_that_goes_away_keeps_its_models_in_the_list_as_missing(page: OpenPage, folder: Path, qtbot) -> None:
    add(page, folder, qtbot)
    folder.rename(folder.with_name("elsewhere"))
    page.view.presenter.rescan()
    qtbot.waitUntil(lambda: states(page).get("a-copy.Q4_1.gguf") is State.MISSING, timeout=WAIT_MS)
    assert [each.is_missing for each in page.view.presenter.page.folders] == [False, True]
    page.view.presenter.select(folder / "a-copy.Q4_1.gguf")
    assert not page.view.card.load_button.isVisible()


def test_the_filter_needs_all_its_words_and_the_order_can_be_chosen(page: OpenPage, folder: Path, qtbot) -> None:
    add(page, folder, qtbot)
    page.view.library.filter.setText("llama copy")
    assert list(states(page)) == ["a-copy.Q4_1.gguf"]
    assert page.view.library.count.text() == "1 of 4 files"
    page.view.library.filter.setText("no such model")
    assert not page.view.library.list.isVisible()
    assert "no such model" in page.view.library.nothing.text()
    page.view.library.filter.clear()
    page.view.presenter.set_order(Order.SIZE)
    sizes = [row.entry.card.size_bytes if row.entry.card else 0 for row in page.view.presenter.page.rows]
    assert sizes == sorted(sizes, reverse=True)


def test_whether_the_selected_model_fits_is_asked_of_the_engine(page: OpenPage, qtbot) -> None:
    qtbot.waitUntil(lambda: page.view.presenter.page.estimate is not None, timeout=WAIT_MS)
    assert "Fits." in page.view.card.verdict.text()
    assert "4,096 context" in page.view.card.verdict.text()


def test_will_it_fit_shows_the_model_on_the_memory_page(page: OpenPage, folder: Path, qtbot) -> None:
    add(page, folder, qtbot)
    page.view.presenter.select(folder / "a-copy.Q4_1.gguf")
    page.view.card.fit_button.click()
    assert page.window.current_page == "memory"
    memory = page.window.panel("memory")
    assert memory.presenter.page.path == folder / "a-copy.Q4_1.gguf"


def test_loading_marks_the_row_and_unloading_takes_the_mark_away(page: OpenPage, qtbot) -> None:
    page.view.card.load_button.click()
    name = starter_model().name
    qtbot.waitUntil(lambda: states(page)[name] is State.LOADED, timeout=WAIT_MS)
    assert page.view.card.unload_button.isVisible()
    page.view.card.unload_button.click()
    qtbot.waitUntil(lambda: states(page)[name] is State.READY, timeout=WAIT_MS)
    assert not page.view.card.unload_button.isVisible()


def test_files_and_folders_can_be_dropped_and_other_things_are_left_alone(
    page: OpenPage, folder: Path, tmp_path: Path, qtbot
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("no model")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(each)) for each in (folder / "a-copy.Q4_1.gguf", note)])
    assert dropped_paths(data) == [folder / "a-copy.Q4_1.gguf"]
    event = QDropEvent(
        QPointF(50, 50), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    page.view.dropEvent(event)
    qtbot.waitUntil(lambda: "a-copy.Q4_1.gguf" in states(page), timeout=WAIT_MS)
    assert page.view.presenter.page.selected.path == folder / "a-copy.Q4_1.gguf"
    assert page.workbench.settings["model_folders"] == ()


def test_every_control_has_a_name(page: OpenPage, folder: Path, qtbot) -> None:
    add(page, folder, qtbot)
    assert unnamed_controls(page.view) == []

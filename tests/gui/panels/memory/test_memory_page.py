"""The Memory page with the real engine: what it predicts, what it explains, and that loading bears it out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QPushButton

from engine.base.errors import Trouble
from engine.memory.fit import Fits
from engine.memory.ledger import Part
from engine.models.library import model_label
from gui.icons import Icons
from gui.notices import NoticeCard
from gui.panels.memory.grid_presenter import TRIED_TYPES
from gui.panels.memory.view import MemoryView
from gui.theme import Theme
from gui.widgets.elided_label import ElidedLabel
from tests.support.adapters import ADAPTER_BYTES, adapter, projector
from tests.support.made_models import random_llama
from tests.support.pages import OpenPage, open_page, unnamed_controls
from tests.support.rpc_servers import rpc_servers

WAIT_MS = 60_000


@pytest.fixture
def page(theme: Theme, icons: Icons, tmp_path: Path, smollm2: Path, qtbot) -> Iterator[OpenPage]:
    """The page with the ledger of the starter model; the curve, six dry runs more, may still be on its way."""
    with open_page("memory", theme, icons, tmp_path, "models") as opened:
        opened.view.presenter.choose(smollm2)
        qtbot.waitUntil(lambda: has_answer(opened.view), timeout=WAIT_MS)
        yield opened


@pytest.fixture
def settled(page: OpenPage, qtbot) -> OpenPage:
    """The page with its curve."""
    qtbot.waitUntil(lambda: is_settled(page.view), timeout=WAIT_MS)
    return page


def has_answer(view: MemoryView) -> bool:
    """The engine has answered."""
    return not view.presenter.page.is_planning and view.presenter.page.answer is not None


def is_settled(view: MemoryView) -> bool:
    """The engine has answered, and so has the curve."""
    shown = view.presenter.page
    return not shown.is_planning and (
        shown.trouble is not None or (shown.answer is not None and shown.curve is not None)
    )


def button(view: MemoryView, text: str) -> QPushButton:
    return next(each for each in view.findChildren(QPushButton) if each.text() == text and each.isVisible())


def first_advice(view: MemoryView) -> str:
    """The first button of the advice."""
    found = [each.text() for each in view.answer.advice.findChildren(QPushButton) if each.isVisible()]
    return found[0] if found else ""


def test_choosing_a_model_shows_a_ledger_that_sums_to_the_byte(page: OpenPage, smollm2: Path) -> None:
    answer = page.view.presenter.page.answer
    table = page.view.answer.table
    assert answer.verdict.fits is Fits.YES
    assert table.sums() == [answer.ledger.sum_bytes]
    assert sum(row.amounts[0] for row in table.rows()) == answer.ledger.sum_bytes
    assert answer.ledger.size_of(Part.KV) == 94_371_840  # 4,096 tokens · 30 layers · 2 · 3 heads · 64 · 2 B
    assert "Fits." in page.view.answer.verdict.text()
    assert "30 layers · 9 heads, 3 KV" in page.view.inputs.facts.text()
    assert table.as_tsv().splitlines()[-1].split("\t")[1] == str(answer.ledger.sum_bytes)
    assert page.view.inputs.models.currentText().startswith(model_label(smollm2).partition(".")[0])


def test_another_context_is_estimated_at_once_and_then_planned_by_the_engine(settled: OpenPage, qtbot) -> None:
    presenter = settled.view.presenter
    settled.view.inputs.form.row("n_ctx").editor.box.setText("2048")
    settled.view.inputs.form.row("n_ctx").editor.box.committed.emit()
    rough = presenter.page.answer
    assert rough.is_rough
    assert "~" in settled.view.answer.verdict.text()
    assert rough.ledger.size_of(Part.KV) == 94_371_840 // 2
    qtbot.waitUntil(lambda: not presenter.page.answer.is_rough, timeout=WAIT_MS)
    exact = presenter.page.answer
    assert exact.ledger.n_ctx == 2048
    for part in (Part.WEIGHTS, Part.KV, Part.COMPUTE, Part.OUTPUT):
        assert exact.ledger.size_of(part) == rough.ledger.size_of(part)


def test_the_formula_answers_at_once_and_the_engines_word_takes_its_place(page: OpenPage, qtbot) -> None:
    presenter, pane = page.view.presenter, page.view.answer
    presenter.change("n_ctx", 3072)
    by_formula = presenter.page.answer
    assert by_formula.is_by_formula
    assert by_formula.ledger.size_of(Part.KV) == 94_371_840 // 4 * 3
    assert "By the formula" in pane.source.text()
    assert "~" in pane.verdict.text()
    assert "Source: the formula" in next(row.tip for row in pane.table.rows() if row.label == "KV cache")
    qtbot.waitUntil(lambda: not presenter.page.answer.is_rough, timeout=WAIT_MS)
    engines = presenter.page.answer
    assert not engines.is_by_formula
    assert engines.formula is not None
    for part in set(Part) - {Part.OVERHEAD}:
        assert engines.ledger.size_of(part) == by_formula.ledger.size_of(part), part
    tips = {row.label: row.tip for row in pane.table.rows()}
    assert not any("formula" in each for each in tips.values())
    assert all("Source: " in each for each in tips.values())
    assert "23,040 bytes a token, of 3,072 tokens" in tips["KV cache"]


def test_where_formula_and_engine_differ_the_row_says_by_how_much(gemma3: Path, page: OpenPage, qtbot) -> None:
    presenter, pane = page.view.presenter, page.view.answer
    presenter.choose(gemma3)
    presenter.apply({"flash_attn": "off", "n_outputs_max": 64})
    qtbot.waitUntil(lambda: has_answer(page.view) and not presenter.page.answer.is_rough, timeout=WAIT_MS)
    answer = presenter.page.answer
    apart = answer.formula.size_of(Part.COMPUTE) - answer.ledger.size_of(Part.COMPUTE)
    tips = {row.label: row.tip for row in pane.table.rows()}
    assert apart
    assert ("more." if apart > 0 else "less.") in tips["Compute"]
    assert "formula" not in tips["Weights"]
    assert "formula" not in tips["KV cache"]


def test_the_curve_has_a_line_for_each_cache_type_and_the_smaller_ones_lie_lower(settled: OpenPage) -> None:
    plot = settled.view.answer.curve.plot
    assert plot.series_keys() == ("f16", "q8_0", "q4_0")
    series = plot.frame().series
    last = {key: series[key].last() for key in plot.series_keys()}
    assert last["f16"] > last["q8_0"] > last["q4_0"]
    assert plot.frame().x_range() == (512, 8192)


def test_a_quantized_v_without_flash_attention_is_explained_and_its_button_mends_the_form(
    page: OpenPage, qtbot
) -> None:
    presenter = page.view.presenter
    presenter.change("flash_attn", "off")
    presenter.change("type_v", "q8_0")
    qtbot.waitUntil(lambda: presenter.page.trouble is not None, timeout=WAIT_MS)
    assert not page.view.answer.table.isVisible()
    card = page.view.findChild(NoticeCard)
    assert "flash attention" in card.trouble.what
    button(page.view, "Turn flash attention on").click()
    assert page.view.inputs.more.values()["flash_attn"] == "on"
    qtbot.waitUntil(lambda: has_answer(page.view) and presenter.page.trouble is None, timeout=WAIT_MS)
    assert page.view.answer.table.isVisible()
    assert presenter.page.answer.ledger.size_of(Part.KV) < 94_371_840
    assert page.view.inputs.form.values()["kv_type"] == "other"


def test_a_draft_model_is_chosen_from_the_known_models_and_becomes_a_row(
    page: OpenPage, smollm2: Path, tmp_path: Path, qtbot
) -> None:
    presenter, more = page.view.presenter, page.view.inputs.more
    small = random_llama(tmp_path / "small.gguf", smollm2)
    more.row("model_draft").editor.value_changed.emit(str(small))
    assert presenter.options["n_outputs_max"] == 8  # guesses of the usual length can be checked
    qtbot.waitUntil(lambda: is_settled(page.view) and not presenter.page.answer.is_rough, timeout=WAIT_MS)
    assert presenter.page.answer.ledger.size_of(Part.DRAFT) > small.stat().st_size / 2
    rows = {row.label: row.amounts[0] for row in page.view.answer.table.rows()}
    assert rows["Draft model"] == presenter.page.answer.ledger.size_of(Part.DRAFT)
    assert page.view.answer.table.sums() == [presenter.page.answer.ledger.sum_bytes]
    assert more.row("model_draft").editor.combo.currentText() == "small.gguf"
    assert more.row("model_draft").note == ""
    presenter.change("n_outputs_max", 1)
    assert "one output a call" in more.row("model_draft").note


def test_a_draft_model_of_another_family_is_explained_and_its_button_leaves_it_out(
    page: OpenPage, gemma3: Path, qtbot
) -> None:
    presenter = page.view.presenter
    presenter.change("model_draft", str(gemma3))
    qtbot.waitUntil(lambda: presenter.page.trouble is not None, timeout=WAIT_MS)
    assert "draft model" in page.view.findChild(NoticeCard).trouble.what
    button(page.view, "Load without a draft model").click()
    qtbot.waitUntil(lambda: is_settled(page.view) and presenter.page.trouble is None, timeout=WAIT_MS)
    assert presenter.options["model_draft"] == ""
    assert presenter.page.answer.ledger.size_of(Part.DRAFT) is None


def test_when_only_the_formula_has_an_answer_the_page_says_so(page: OpenPage, qtbot, monkeypatch) -> None:
    presenter = page.view.presenter
    lost = Trouble("The engine ended while it was asked", "", "ask again")
    monkeypatch.setattr(
        page.workbench, "estimate", lambda _path, _options, _then, failed, asker: failed(lost) if asker else None
    )
    presenter.plan()
    assert presenter.page.trouble is lost
    assert presenter.page.answer.is_by_formula
    assert page.view.answer.source.text() == "By the formula; the engine could not say."


def test_loading_with_these_measures_what_was_predicted_to_the_byte(page: OpenPage, qtbot) -> None:
    presenter = page.view.presenter
    presenter.apply({"n_ctx": 1024, "type_k": "q8_0", "type_v": "q8_0"})
    qtbot.waitUntil(lambda: has_answer(page.view), timeout=WAIT_MS)
    assert len(page.view.answer.table.sums()) == 1
    button(page.view, "Load with these").click()
    qtbot.waitUntil(lambda: presenter.page.is_loaded and presenter.page.answer.measured is not None, timeout=WAIT_MS)
    answer = presenter.page.answer
    for part in (Part.WEIGHTS, Part.KV, Part.COMPUTE, Part.OUTPUT):
        assert answer.measured.size_of(part) == answer.ledger.size_of(part) > 0
    predicted, measured = page.view.answer.table.sums()
    assert predicted == answer.ledger.sum_bytes
    assert measured == answer.measured.sum_bytes
    assert page.workbench.load_options["n_ctx"] == 1024
    assert not page.view.inputs.load_button.isEnabled()
    presenter.change("n_ctx", 2048)
    assert not presenter.page.is_loaded
    assert page.view.inputs.load_button.isEnabled()


def test_best_fit_goes_to_the_trained_context_and_can_be_taken_back(settled: OpenPage, qtbot) -> None:
    presenter = settled.view.presenter
    button(settled.view, "Best fit").click()
    assert presenter.options["n_ctx"] == 8192
    assert settled.window.toast.texts == ("Context 4,096 → 8,192",)
    settled.window.toast.undo_latest()
    assert presenter.options["n_ctx"] == 4096
    assert settled.view.inputs.form.values()["n_ctx"] == 4096


def test_options_that_are_changed_elsewhere_are_shown(page: OpenPage, qtbot) -> None:
    page.workbench.set_load_options({**page.workbench.load_options, "n_ctx": 1024})
    qtbot.waitUntil(lambda: page.view.inputs.form.values()["n_ctx"] == 1024, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: has_answer(page.view), timeout=WAIT_MS)
    assert page.view.presenter.page.answer.ledger.n_ctx == 1024


def test_a_context_that_cannot_fit_says_so_and_offers_one_that_does(settled: OpenPage, qtbot) -> None:
    presenter = settled.view.presenter
    presenter.apply({"n_ctx": 8_000_000})
    qtbot.waitUntil(lambda: not presenter.page.is_planning, timeout=WAIT_MS)
    assert presenter.page.answer.verdict.fits is Fits.NO
    assert "Does not fit." in settled.view.answer.verdict.text()
    qtbot.waitUntil(lambda: "Make it fit" in first_advice(settled.view), timeout=WAIT_MS)
    button(settled.view, first_advice(settled.view)).click()
    assert settled.window.toast.texts[-1].startswith("Context 8,000,000 → ")
    qtbot.waitUntil(lambda: not presenter.page.is_planning, timeout=WAIT_MS)
    assert presenter.page.answer.verdict.fits is Fits.YES
    settled.window.toast.undo_latest()
    assert presenter.options["n_ctx"] == 8_000_000


def test_a_file_that_is_no_model_is_explained_on_the_page(page: OpenPage, qtbot, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(40))
    page.view.presenter.choose(broken)
    qtbot.waitUntil(lambda: page.view.presenter.page.trouble is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: page.view.findChild(NoticeCard).isVisible(), timeout=WAIT_MS)
    assert page.view.presenter.page.answer is None


def test_every_control_has_a_name_with_the_fold_open(page: OpenPage, qtbot) -> None:
    page.view.inputs.more.advanced_section.set_folded(False)
    assert unnamed_controls(page.view) == []


def test_closing_the_page_ends_its_timer_and_its_ears(page: OpenPage, smollm2: Path) -> None:
    page.view.presenter.change("n_ctx", 2048)
    page.view.close_panel()
    assert not page.view._soon.isActive()
    before = page.view.presenter.page
    page.workbench.consider(smollm2.with_name("other.gguf"))
    page.workbench.bus.pump()
    assert page.view.presenter.page is before


def test_the_present_setting_is_marked_and_a_cell_that_is_chosen_is_used(settled: OpenPage, qtbot) -> None:
    view: MemoryView = settled.view
    table = view.grid.table
    qtbot.waitUntil(lambda: view.grid.isVisible() and table.present is not None, timeout=WAIT_MS)
    grid = view.on_grid.grid
    assert grid is not None
    assert table.present == (TRIED_TYPES.index(("f16", "f16")), grid.contexts.index(4096))
    present = grid.cells[table.present[0]][table.present[1]]
    assert present is not None
    assert abs(present.total_bytes - view.presenter.page.answer.ledger.sum_bytes) < 1 << 20
    table.setFocus()
    table.setCurrentIndex(table.model().index(2, 1))
    qtbot.keyClick(table, Qt.Key.Key_Return)
    assert (view.presenter.options["n_ctx"], view.presenter.options["type_k"]) == (grid.contexts[1], "q8_0")
    assert settled.window.toast.texts[-1] == "Context 4,096 → 2,048, KV cache type f16 → q8_0"
    qtbot.waitUntil(lambda: table.present == (2, 1), timeout=WAIT_MS)
    settled.window.toast.undo_latest()
    qtbot.waitUntil(lambda: table.present == (0, 2), timeout=WAIT_MS)


def test_files_that_are_used_with_the_model_count_everywhere_and_can_be_taken_out(
    settled: OpenPage, smollm2: Path, tmp_path: Path, qtbot
) -> None:
    view, presenter = settled.view, settled.view.presenter
    section = view.inputs.beside
    alone = presenter.page
    lora, seen = adapter(tmp_path / "adapter.gguf"), projector(tmp_path / "mmproj.gguf")
    section.add_wanted.emit(lora)
    qtbot.waitUntil(lambda: len(presenter.page.beside) == 1 and is_settled(view), timeout=WAIT_MS)
    dropped = QMimeData()
    dropped.setUrls([QUrl.fromLocalFile(str(seen))])
    drop = QDropEvent(
        QPointF(5, 5), Qt.DropAction.CopyAction, dropped, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    section.dropEvent(drop)
    assert drop.isAccepted()
    beside = ADAPTER_BYTES + 4 * 64 * 64
    qtbot.waitUntil(
        lambda: (
            is_settled(view)
            and len(presenter.page.beside) == 2
            and presenter.page.answer.ledger.size_of(Part.BESIDE) == beside
            and presenter.page.curve.lines[0].ledgers[0].size_of(Part.BESIDE) == beside
        ),
        timeout=WAIT_MS,
    )
    assert not presenter.page.answer.is_rough, "the engine's word, with the files"
    words = [label.text() for label in section.findChildren(ElidedLabel)]
    assert words == ["LoRA · 720.0 KiB · adapter.gguf", "Projector · ~16.0 KiB · mmproj.gguf"]
    assert "Adapters" in view.answer.table.as_tsv()
    assert view.answer.table.sums() == [presenter.page.answer.ledger.sum_bytes]
    qtbot.waitUntil(lambda: view.on_grid.grid is not None, timeout=WAIT_MS)

    section.add_wanted.emit(smollm2)
    qtbot.waitUntil(lambda: presenter.page.refused is not None, timeout=WAIT_MS)
    assert "nothing that is used beside a model" in section.refused.text()
    section.add_wanted.emit(tmp_path / "gone.gguf")
    qtbot.waitUntil(lambda: "not there" in section.refused.text(), timeout=WAIT_MS)
    section.add_wanted.emit(adapter(tmp_path / "other.gguf", "qwen2"))
    qtbot.waitUntil(lambda: "another architecture" in section.refused.text(), timeout=WAIT_MS)
    assert len(presenter.page.beside) == 2, "what was refused is not counted"

    for _ in range(2):
        n_before = len(presenter.page.beside)
        remove = next(each for each in section.findChildren(QPushButton) if each.text() == "Remove")
        qtbot.mouseClick(remove, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda n=n_before: len(presenter.page.beside) == n - 1 and is_settled(view), timeout=WAIT_MS)
    assert presenter.page.answer.ledger.size_of(Part.BESIDE) is None
    assert abs(presenter.page.answer.ledger.sum_bytes - alone.answer.ledger.sum_bytes) < 2**21  # a process each
    assert not section.refused.isVisible()


def test_beside_a_model_on_servers_the_formula_draws_the_curve(
    page: OpenPage, smollm2: Path, tmp_path: Path, qtbot
) -> None:
    view, workbench = page.view, page.workbench
    folder = tmp_path / "servers"
    folder.mkdir()
    with rpc_servers(folder) as servers:
        workbench.set_setting("rpc_servers", tuple(each.address for each in servers))
        workbench.open_model(smollm2, {**workbench.load_options, "n_ctx": 1024})
        qtbot.waitUntil(lambda: workbench.measured is not None and is_loaded_on_servers(view), timeout=WAIT_MS)
        view.presenter.plan()
        qtbot.waitUntil(lambda: is_settled(view) and view.presenter.page.curve is not None, timeout=WAIT_MS)
        shown = view.presenter.page
        assert "cannot plan beside a model that is on RPC servers" in shown.trouble.what
        lines = {line.type_k: line for line in shown.curve.lines}
        assert set(lines) >= {"f16", "q8_0", "q4_0"}
        first, *_, last = lines["f16"].ledgers
        assert [each.name for each in last.devices] == ["RAM", "RPC0", "RPC1"]
        assert last.size_of(Part.KV) == 23_040 * last.n_ctx
        assert first.size_of(Part.KV) == 23_040 * first.n_ctx
        assert view.answer.curve.isVisible()
        workbench.set_setting("rpc_servers", ())


def is_loaded_on_servers(view: MemoryView) -> bool:
    facts = view.presenter._workbench.state.facts
    return facts is not None and "RPC0" in facts.devices

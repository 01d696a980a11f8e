"""The Hardware page with the real recorder: plots that fill, a timer that rests, runs that are recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication

from engine.runtime.supervisor import Phase
from gui.icons import Icons
from gui.panels.hardware.presenter import Chart, flags_of
from gui.theme import Theme
from tests.support.pages import OpenPage, open_page, unnamed_controls

WAIT_MS = 60_000


@pytest.fixture
def page(theme: Theme, icons: Icons, tmp_path: Path, qtbot) -> Iterator[OpenPage]:
    with open_page("hardware", theme, icons, tmp_path, "settings") as opened:
        qtbot.waitUntil(lambda: Chart.CPU in opened.view.grid.cards, timeout=WAIT_MS)
        yield opened


def n_points(page: OpenPage, chart: Chart) -> int:
    plot = page.view.grid.cards[chart].plot
    return max(len(each.xs) for each in plot.frame().series.values())


def test_points_come_while_the_page_is_on_screen_and_the_timer_rests_when_it_is_not(page: OpenPage, qtbot) -> None:
    before = n_points(page, Chart.CPU)
    qtbot.waitUntil(lambda: n_points(page, Chart.CPU) > before, timeout=WAIT_MS)
    assert page.view.is_polling
    page.window.go("settings")
    assert not page.view.is_polling
    page.window.go("hardware")
    assert page.view.is_polling
    page.view.close_panel()
    assert not page.view.is_polling


def test_all_plots_share_one_time_axis(page: OpenPage, qtbot) -> None:
    qtbot.waitUntil(lambda: {Chart.CPU, Chart.RAM, Chart.ENGINE} <= set(page.view.grid.cards), timeout=WAIT_MS)
    page.view.presenter.look()
    ranges = {card.plot.frame().x_range() for card in page.view.grid.cards.values()}
    assert len(ranges) == 1
    low, high = ranges.pop()
    assert high - low == pytest.approx(300)


def test_a_pause_holds_the_timer_and_the_recorder_until_it_goes_on(page: OpenPage) -> None:
    page.view.pause_button.click()
    assert page.workbench.recorder.is_paused
    assert not page.view.is_polling
    assert page.view.pause_button.text() == "Go on"
    page.view.pause_button.click()
    assert not page.workbench.recorder.is_paused
    assert page.view.is_polling


def test_a_longer_window_keeps_more_from_now_on(page: OpenPage) -> None:
    page.view.window_choice.segments[2].click()
    assert page.workbench.settings["plot_minutes"] == 15
    low, high = page.view.grid.cards[Chart.CPU].plot.frame().x_range()
    assert high - low == pytest.approx(900)
    page.view.window_choice.segments[0].click()
    assert page.workbench.settings["plot_minutes"] == 15


def test_the_side_tells_the_processor_the_missing_cards_and_the_engines_build(page: OpenPage, qtbot) -> None:
    qtbot.waitUntil(lambda: page.workbench.state.engine != "", timeout=WAIT_MS)
    page.view.presenter.look()
    devices = page.workbench.recorder.devices()
    assert [card.accessibleName() for card in page.view.side.device_cards] == [each.name for each in devices]
    shown = {label.text() for label in page.view.side.findChildren(type(page.view.no_runs))}
    assert page.workbench.state.engine in shown
    for reason in page.workbench.recorder.absences().values():
        assert any(reason[1:] in text for text in shown)


def test_an_answer_becomes_bands_a_speed_and_a_row_in_the_table(page: OpenPage, smollm2: Path, qtbot) -> None:
    assert page.view.no_runs.isVisible()
    workbench = page.workbench
    workbench.set_load_options({**workbench.load_options, "n_ctx": 512})
    workbench.open_model(smollm2)
    qtbot.waitUntil(lambda: workbench.state.phase is Phase.READY, timeout=WAIT_MS)
    workbench.set_run_options({"max_tokens": 12, "ignore_eos": True})
    workbench.say("Count from one to forty.")
    qtbot.waitUntil(lambda: bool(page.view.runs.rows()), timeout=WAIT_MS)
    row = [cell.text for cell in page.view.runs.rows()[0]]
    assert row[1].startswith("SmolLM2-135M-Instruct")
    assert row[3] == "12"
    assert row[5].endswith("tok/s")
    assert row[7] == "at the limit"
    # The speed is counted at the heartbeat, which may come after the row.
    qtbot.waitUntil(lambda: Chart.SPEED in page.view.grid.cards, timeout=WAIT_MS)
    look = page.view.presenter.view()
    assert {kind for _, _, kind in look.bands} >= {"load", "decode"}
    speeds = next(plot for plot in look.plots if plot.chart is Chart.SPEED).lines[0]
    assert max(value for value in speeds.ys if value == value) > 0
    page.view.copy_button.click()
    copied = QGuiApplication.clipboard().text().splitlines()
    assert copied[0].split("\t")[:2] == ["Time", "Model"]
    assert copied[1].split("\t") == row


def test_runs_sort_by_number_and_not_by_text(page: OpenPage) -> None:
    from gui.widgets.value_table import Cell

    def row(n: float | None) -> tuple[Cell, ...]:
        return tuple(Cell(f"{n} tok/s" if n else "–", n) for _ in range(8))

    page.view.runs.set_rows([row(9.0), row(None), row(101.0)])
    page.view.runs.sort_by(5, descending=True)
    assert [each[5].text for each in page.view.runs.rows()] == ["101.0 tok/s", "9.0 tok/s", "–"]
    page.view.runs.sort_by(5)
    assert [each[5].text for each in page.view.runs.rows()] == ["9.0 tok/s", "101.0 tok/s", "–"]


def test_the_recording_is_exported_as_csv_and_a_folder_that_takes_nothing_is_told(
    page: OpenPage, tmp_path: Path, qtbot
) -> None:
    target = tmp_path / "out.csv"
    page.view.presenter.export(target)
    qtbot.waitUntil(lambda: page.window.toast.texts != (), timeout=WAIT_MS)
    assert "cpu cpu_use (%)" in target.read_text().splitlines()[0]
    page.view.presenter.export(tmp_path / "nowhere" / "out.csv")
    qtbot.waitUntil(lambda: page.view._context.notices.cards != (), timeout=WAIT_MS)
    assert "could not be saved" in page.view._context.notices.cards[0].trouble.what


def test_every_control_has_a_name(page: OpenPage) -> None:
    assert unnamed_controls(page.view) == []


def test_flags_are_grouped_by_backend_and_those_that_are_off_are_left_out() -> None:
    build = "CUDA : ARCHS = 890 | USE_GRAPHS = 1 | CPU : AVX2 = 1 | AVX512 = 0 | REPACK = 1 | "
    assert flags_of(build) == (("CUDA", ("ARCHS 890", "USE_GRAPHS")), ("CPU", ("AVX2", "REPACK")))
    assert flags_of("") == ()

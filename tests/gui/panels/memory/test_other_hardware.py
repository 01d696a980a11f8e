"""“On other hardware” in a real window with the real engine, and how devices are spelled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton

from engine.base.errors import KnownError
from engine.memory.devices import read_devices
from engine.memory.placement import Split
from engine.store.measurements import DeviceRates, LoadMeasured
from gui.icons import Icons
from gui.panels.memory.hardware_section import range_text
from gui.panels.memory.hardware_values import configuration_of, spelled, titled
from gui.panels.memory.words import loads_text
from gui.theme import Theme
from tests.support.pages import OpenPage, open_page, unnamed_controls

WAIT_MS = 60_000
TABLE = read_devices()


@pytest.fixture
def page(theme: Theme, icons: Icons, tmp_path: Path, smollm2: Path, qtbot) -> Iterator[OpenPage]:
    """The Memory page with the starter model compared."""
    with open_page("memory", theme, icons, tmp_path) as opened:
        opened.view.presenter.choose(smollm2)
        qtbot.waitUntil(lambda: has_rows(opened), timeout=WAIT_MS)
        yield opened


def has_rows(page: OpenPage) -> bool:
    """Every configuration is answered."""
    view = page.view.on_hardware.view
    return not view.is_asking and len(view.outlooks) == len(view.configurations) + 1


def shown(page: OpenPage) -> list[list[str]]:
    return [[cell.text for cell in row] for row in page.view.hardware.table.rows()]


def test_this_computer_stands_first_and_the_others_have_ranges(page: OpenPage) -> None:
    rows = shown(page)
    assert rows[0][0] == "This computer"
    assert rows[0][2] == "unknown"
    assert [row[0] for row in rows[1:3]] == ["RTX 4090", "2 × RTX 3090"]
    for row in rows[1:]:
        low, _, high = row[2].partition(" – ")
        assert 0 < number(low) < number(high)
        assert row[1] == "Fits"
    tip = page.view.hardware.table.rows()[1][0].tip
    assert "Ada GPU Architecture whitepaper" in tip
    assert "1,008 GB/s" in tip
    assert not unnamed_controls(page.view)


def number(text: str) -> float:
    return float(text.replace(",", "").replace("k", "000"))


def test_a_device_is_found_while_it_is_typed_and_added_by_a_click(page: OpenPage, qtbot) -> None:
    section = page.view.hardware
    qtbot.keyClicks(section.box, "h100")

    def offered() -> list[QPushButton]:
        return [each for each in section.found.findChildren(QPushButton) if each.isVisible()]

    qtbot.waitUntil(lambda: [each.text() for each in offered()] == ["NVIDIA H100 PCIe", "NVIDIA H100 SXM"])
    offered()[-1].click()
    qtbot.waitUntil(lambda: has_rows(page), timeout=WAIT_MS)
    assert shown(page)[-1][0] == "H100 SXM"
    assert section.box.text() == ""
    assert page.workbench.settings["compared_devices"][-1] == "h100-sxm"


def test_several_devices_and_their_split_are_typed_and_taken_away_again(page: OpenPage, qtbot) -> None:
    section = page.view.hardware
    section.ways.segments[2].click()
    qtbot.keyClicks(section.box, "2 x rtx-4090")
    qtbot.keyClick(section.box, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: has_rows(page), timeout=WAIT_MS)
    assert shown(page)[-1][0] == "2 × RTX 4090 / tensor"
    assert page.view.on_hardware.view.outlooks[-1].placement.split is Split.TENSOR
    gone = next(each for each in section.rows.findChildren(QPushButton) if "/ tensor" in each.text())
    gone.click()
    qtbot.waitUntil(lambda: has_rows(page), timeout=WAIT_MS)
    assert "2 × RTX 4090 / tensor" not in [row[0] for row in shown(page)]


def test_a_model_that_is_too_big_for_a_device_says_no(page: OpenPage, qtbot) -> None:
    section = page.view.hardware
    qtbot.keyClicks(section.box, "0.1@100")
    section.add_button.click()
    qtbot.waitUntil(lambda: has_rows(page), timeout=WAIT_MS)
    assert shown(page)[-1][1] == "Does not fit"
    assert shown(page)[-1][3] == "unknown"


def test_what_is_no_device_is_explained_under_the_box(page: OpenPage, qtbot) -> None:
    section = page.view.hardware
    qtbot.keyClicks(section.box, "voodoo 2")
    section.add_button.click()
    assert section.complaint.isVisible()
    assert "24GiB@936GB/s" in section.complaint.text()
    assert section.box.text() == "voodoo 2"
    qtbot.keyClicks(section.box, "x")
    assert not section.complaint.isVisible()


def test_another_context_is_asked_about_anew(page: OpenPage, qtbot) -> None:
    before = page.view.on_hardware.view.outlooks[1].placement.shares[0].kv_bytes
    page.view.presenter.apply({"n_ctx": 2048})
    qtbot.waitUntil(
        lambda: has_rows(page) and page.view.on_hardware.view.outlooks[1].placement.shares[0].kv_bytes == before // 2,
        timeout=WAIT_MS,
    )


def test_a_folded_section_asks_nothing_and_answers_when_it_is_opened(page: OpenPage, qtbot) -> None:
    page.view.hardware.section.set_folded(True)
    page.view.presenter.apply({"n_ctx": 1024})
    qtbot.waitUntil(lambda: not page.view.presenter.page.is_planning, timeout=WAIT_MS)
    assert page.view.on_hardware.view.outlooks[1].placement.shares[0].kv_bytes == 94_371_840
    page.view.hardware.section.set_folded(False)
    qtbot.waitUntil(
        lambda: page.view.on_hardware.view.outlooks[1].placement.shares[0].kv_bytes == 23_592_960, timeout=WAIT_MS
    )


def test_what_was_measured_narrows_this_computers_row(page: OpenPage, qtbot) -> None:
    figures = page.workbench.figures
    rates = DeviceRates("RAM", 10e9, 1e11, 0.0, "another model")
    page.workbench._in_store(lambda store: store.measurements.keep_rates(figures.machine, rates))
    figures._rates = None
    page.view.on_hardware._ask(again=True)
    qtbot.waitUntil(lambda: shown(page)[0][2] != "unknown", timeout=WAIT_MS)
    here = page.view.on_hardware.view.outlooks[0].speed
    assert here.decode_high / here.decode_low == pytest.approx(1.7 / 0.6)
    assert "measured here" in here.bottleneck


def test_a_load_is_kept_beside_its_prediction_and_measuring_becomes_possible(page: OpenPage, qtbot) -> None:
    view = page.view
    assert not view.hardware.measure_button.isVisible()
    assert not view.answer.loads.isVisible()
    view.presenter.load()
    qtbot.waitUntil(lambda: view.presenter.page.is_loaded and bool(view.presenter.page.loads), timeout=WAIT_MS)
    assert view.answer.loads.text().startswith("The last load here: ")
    assert "predicted" in view.answer.loads.toolTip()
    (load,) = view.presenter.page.loads
    assert load.measured_bytes == page.workbench.measured.sum_bytes
    assert abs(load.error) < 0.05
    qtbot.waitUntil(view.hardware.measure_button.isVisible, timeout=WAIT_MS)
    view.hardware.measure_button.click()
    qtbot.waitUntil(lambda: view.on_hardware.view.measuring is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: view.on_hardware.view.measuring is None, timeout=WAIT_MS)
    # On a busy machine it says that it was not kept; otherwise the row has a range.
    qtbot.waitUntil(lambda: bool(view.on_hardware.view.note) or shown(page)[0][2] != "unknown", timeout=WAIT_MS)


@pytest.mark.parametrize(
    ("text", "kept", "title"),
    [
        ("4090 geforce", "rtx-4090", "RTX 4090"),
        ("2 x rtx-3090", "2 x rtx-3090", "2 × RTX 3090"),
        ("rtx-3090+rtx-3090 / row", "2 x rtx-3090 / row", "2 × RTX 3090 / row"),
        ("p40 + ddr5-6000-2ch-64", "p40 + ddr5-6000-2ch-64", "Tesla P40 + DDR5-6000, 2 channels, 64 GB"),
        ("mine=24GiB@936GB/s", "mine=24GiB@936GB/s", "mine"),
    ],
)
def test_devices_are_spelled_as_they_are_read(text: str, kept: str, title: str) -> None:
    found = configuration_of(text, TABLE)
    assert (spelled(found), titled(found)) == (kept, title)
    assert configuration_of(spelled(found), TABLE) == found


@pytest.mark.parametrize("text", ["", "9 x p40", "5 x p40 + 4 x t4", "ddr5-6000-2ch-64 + ddr4-3200-2ch-32", "p40 + "])
def test_what_cannot_be_compared_is_refused(text: str) -> None:
    with pytest.raises(KnownError):
        configuration_of(text, TABLE)


def test_ranges_have_no_more_digits_than_they_deserve() -> None:
    assert range_text(104.2, 196.8) == "104 – 197"
    assert range_text(3.14, 19.96) == "3.1 – 20.0"
    assert range_text(5858, 12889) == "5,860 – 13k"
    assert range_text(None, 5) == "unknown"
    assert range_text(50.1, 50.2) == "50"


def test_the_last_loads_are_one_short_line() -> None:
    loads = [LoadMeasured(1000, measured, 4096) for measured in (1010, 1002, 1000, 2000)]
    assert loads_text(loads) == "Last 3 loads here: +0.4 % against what was predicted."
    assert loads_text(loads[2:3]) == "The last load here: ±0.0 % against what was predicted."
    assert (
        loads_text([LoadMeasured(1000, 990, 1)])
        == "The last load here: \N{MINUS SIGN}1.0 % against what was predicted."
    )
    assert loads_text([]) == ""

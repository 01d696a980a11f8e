"""The inspector's pure parts: the ledger as rows and bars, the verdict in words."""

from __future__ import annotations

import pytest

from engine.memory.fit import Fits, Verdict
from engine.memory.ledger import DeviceLedger, Entry, Ledger, Part
from engine.runtime.supervisor import Phase
from engine.wire.messages import DeviceKind
from engine.workbench.events import MemoryChanged
from gui.panels.inspector.memory import ledger_row, verdict_text
from gui.panels.inspector.presenter.hardware import Line, Role, with_axes
from gui.panels.inspector.presenter.memory import MemoryPresenter, view_of

MIB = 1 << 20
GIB = 1 << 30


def ledger(*, predicted: bool, weights: int = 92 * MIB, overhead: int = 60 * MIB) -> Ledger:
    entries = (
        Entry(Part.WEIGHTS, weights, "tensor by tensor"),
        Entry(Part.KV, 90 * MIB, "4,096 tokens · f16"),
        Entry(Part.OVERHEAD, overhead, "the process", is_estimate=predicted),
    )
    return Ledger(predicted, 4096, (DeviceLedger("RAM", DeviceKind.CPU, 24 * GIB, 20 * GIB, entries),))


def test_without_a_ledger_there_is_nothing_to_show() -> None:
    assert view_of(None, None, None).is_empty


def test_a_prediction_has_no_measured_numbers() -> None:
    view = view_of(ledger(predicted=True), None, None)
    assert [row.measured_bytes for row in view.rows] == [None, None, None]
    assert view.measured_bytes is None
    assert view.used_bytes == 242 * MIB
    assert view.total_bytes == 24 * GIB
    assert [row.predicted_is_estimate for row in view.rows] == [False, False, True]


def test_predicted_and_measured_stand_side_by_side_and_sum_to_the_byte() -> None:
    view = view_of(ledger(predicted=True), ledger(predicted=False, overhead=62 * MIB + 3), None)
    assert sum(row.predicted_bytes or 0 for row in view.rows) == view.predicted_bytes == 242 * MIB
    assert sum(row.measured_bytes or 0 for row in view.rows) == view.measured_bytes == 244 * MIB + 3
    assert view.bars[0].used_bytes == view.measured_bytes


def test_the_cache_says_how_long_it_is() -> None:
    labels = [ledger_row(row).label for row in view_of(ledger(predicted=True), None, None).rows]
    assert labels == ["Weights", "KV, 4,096 · f16", "Process"]


def test_the_verdict_of_the_prediction_outlives_the_load() -> None:
    presenter = MemoryPresenter()
    verdict = Verdict(Fits.YES, "RAM", 242 * MIB, 20 * GIB, ())
    first = presenter.changed(MemoryChanged(ledger(predicted=True), None, verdict))
    assert verdict_text(first) == "Fits: needs ~242.0 MiB, 20.00 GiB free in RAM."
    second = presenter.changed(MemoryChanged(ledger(predicted=True), ledger(predicted=False), None))
    assert second.verdict is verdict
    assert presenter.changed(MemoryChanged(None, None, None)).verdict is None


def test_what_was_measured_goes_with_the_engine_and_the_prediction_stays() -> None:
    presenter = MemoryPresenter()
    presenter.engine_is(Phase.READY)
    presenter.changed(MemoryChanged(ledger(predicted=True), ledger(predicted=False), None))
    view = presenter.engine_is(Phase.LOST)
    assert view is not None
    assert view.measured_bytes is None
    assert view.predicted_bytes == 242 * MIB
    assert presenter.engine_is(Phase.LOST) is None
    again = presenter.changed(MemoryChanged(ledger(predicted=True), ledger(predicted=False), None))
    assert again.measured_bytes == 242 * MIB


def test_the_axis_of_memory_fits_what_is_shown_and_that_of_a_load_is_all_there_is() -> None:
    def line(role: Role, unit: str, *ys: float) -> Line:
        return Line(role.name, role, unit, tuple(map(float, range(len(ys)))), ys)

    cpu, ram, engine = with_axes(
        [
            line(Role.CPU, "%", 3.0, 5.0),
            line(Role.RAM, "B", 10.0 * GIB, float("nan")),
            line(Role.WORKER, "B", 1.0 * GIB),
        ]
    )
    assert cpu.top is not None
    assert cpu.top > 100
    assert ram.top == engine.top == 13.0 * GIB
    [small] = with_axes([line(Role.RAM, "B", 100.0 * MIB)])
    assert small.top == GIB


@pytest.mark.parametrize(
    ("measured_mib", "sentence"),
    [
        (60, "Measured as predicted: 242.0 MiB."),
        (84, "Measured 266.0 MiB, 10 % more than predicted."),
        (36, "Measured 218.0 MiB, 10 % less than predicted."),
    ],
)
def test_the_measurement_is_compared_with_the_prediction(measured_mib: int, sentence: str) -> None:
    measured = ledger(predicted=False, overhead=measured_mib * MIB)
    assert verdict_text(view_of(ledger(predicted=True), measured, None)) == sentence


@pytest.mark.parametrize("fits", list(Fits))
def test_every_verdict_has_a_sentence_with_its_numbers(fits: Fits) -> None:
    free = None if fits is Fits.UNKNOWN else 20 * GIB
    view = view_of(ledger(predicted=True), None, Verdict(fits, "RAM", 242 * MIB, free, ()))
    assert "242.0 MiB" in verdict_text(view)
    assert "unknown" not in verdict_text(view)

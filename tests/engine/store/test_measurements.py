"""What was measured here is kept by machine: loads beside their predictions, and the speed of devices."""

from __future__ import annotations

import pytest

from engine.store import Store
from engine.store.measurements import KEPT_LOADS, DeviceRates, LoadMeasured


def test_loads_come_back_newest_first_for_their_model_and_machine(store: Store) -> None:
    for machine, path, measured in (("a", "m", 1010), ("a", "m", 990), ("b", "m", 5), ("a", "n", 6)):
        store.measurements.add_load(machine, path, LoadMeasured(1000, measured, 4096))
    found = store.measurements.loads("a", "m")
    assert [each.measured_bytes for each in found] == [990, 1010]
    assert [each.error for each in found] == [pytest.approx(-0.01), pytest.approx(0.01)]
    assert found[0].loaded_utc > found[1].loaded_utc
    assert store.measurements.loads("a", "m", limit=1) == found[:1]


def test_only_the_last_loads_of_a_model_are_kept(store: Store) -> None:
    store.measurements.add_load("a", "other", LoadMeasured(1, 1, 1))
    for measured in range(KEPT_LOADS + 3):
        store.measurements.add_load("a", "m", LoadMeasured(1000, measured, 4096))
    found = store.measurements.loads("a", "m", limit=1000)
    assert [each.measured_bytes for each in found] == list(range(KEPT_LOADS + 2, 2, -1))
    assert len(store.measurements.loads("a", "other")) == 1


def test_a_newer_measurement_takes_the_place_of_an_older_one(store: Store) -> None:
    store.measurements.keep_rates("a", DeviceRates("RAM", 10e9, None, 0.1, "m"))
    store.measurements.keep_rates("a", DeviceRates("card", 500e9, 1e12, 0.0, "m"))
    store.measurements.keep_rates("b", DeviceRates("RAM", 30e9, None, 0.1, "m"))
    newer = DeviceRates("RAM", 20e9, 5e11, 0.05, "n")
    store.measurements.keep_rates("a", newer)
    assert {each.device: each for each in store.measurements.rates("a")}["RAM"] == newer
    assert len(store.measurements.rates("a")) == 2

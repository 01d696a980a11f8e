"""This computer beside others: the engine's own plan, what was measured, and what is not known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.gguf.types import TensorType
from engine.memory.devices import device_named, read_devices
from engine.memory.fit import Fits
from engine.memory.ledger import RAM, DeviceLedger, Entry, Ledger, Part
from engine.memory.placement import Split
from engine.memory.profile import need_of, profile_of
from engine.store.measurements import DeviceRates
from engine.wire.messages import Benched, BenchPoint, DeviceInfo, DeviceKind
from engine.workbench.outlook import Configuration, Question, only_device, outlooks, rates_of
from tests.support.known_models import all_as, llama_8b

PROFILE = profile_of([llama_8b(all_as(TensorType.Q4_0))])
MIB = 2**20
CARD = DeviceInfo("CUDA0", "NVIDIA GeForce RTX 4090", DeviceKind.GPU, 24 * 2**30, 23 * 2**30)


def ledger(on_card: float, n_ctx: int = 4096) -> Ledger:
    """Llama 8B with this share of its layers and cache on a card; the embedding is in RAM."""
    weights, cache = PROFILE.weights_bytes, n_ctx * 131_072
    there, cached = round(weights * on_card), round(cache * on_card)
    ram = [Entry(Part.WEIGHTS, weights - there + PROFILE.input_bytes, ""), Entry(Part.OVERHEAD, 60 * MIB, "")]
    ram += [Entry(Part.KV, cache - cached, "")] if cache > cached else []
    devices = [DeviceLedger(RAM, DeviceKind.CPU, 32 * 2**30, 30 * 2**30, tuple(ram))]
    if on_card:
        entries = (Entry(Part.WEIGHTS, there, ""), Entry(Part.KV, cached, ""), Entry(Part.COMPUTE, 266 * MIB, ""))
        devices.append(DeviceLedger("CUDA0", DeviceKind.GPU, 24 * 2**30, 23 * 2**30, entries))
    return Ledger(True, n_ctx, tuple(devices))


def question(planned: Ledger, *others: Configuration) -> Question:
    return Question(Path("m.gguf"), planned, Fits.YES, (CARD,), others, 0, 0.05)


def test_without_a_measurement_the_ram_of_this_computer_is_unknown_and_says_so() -> None:
    (here,) = outlooks(PROFILE, question(ledger(0)), ())
    assert here.is_here
    assert here.speed.decode_low is None
    assert "bench" in here.speed.bottleneck


def test_a_measured_computer_has_a_range_around_what_was_measured() -> None:
    found = Benched(1, (BenchPoint(512, 20.0, 0.1),), (BenchPoint(0, 4.0, 0.2),), (), 8, 0, False)
    rates = rates_of(PROFILE, need_of(ledger(0)), found, RAM, "m")
    assert rates is not None
    assert rates.read_bytes_s == pytest.approx(4 * PROFILE.read_bytes)
    assert rates.spread == pytest.approx(0.05)
    (here,) = outlooks(PROFILE, question(ledger(0)), (replace(rates, model="m"),))
    assert here.speed.decode_low == pytest.approx(3.6)
    assert here.speed.decode_low < 4.0 < here.speed.decode_high
    assert here.speed.prefill_low < 20.0 < here.speed.prefill_high
    assert here.speed.is_measured


def test_a_card_of_this_computer_is_known_by_its_name() -> None:
    (here,) = outlooks(PROFILE, question(ledger(1.0)), ())
    table = outlooks(PROFILE, question(ledger(1.0), Configuration((device_named(read_devices(), "rtx-4090"),))), ())[1]
    assert here.speed.decode_high == pytest.approx(table.speed.decode_high, rel=0.01)
    assert "RTX 4090" in here.speed.bottleneck


def test_half_on_a_card_needs_the_ram_to_be_measured() -> None:
    half = ledger(0.5)
    (unknown,) = outlooks(PROFILE, question(half), ())
    assert unknown.speed.decode_high is None
    (known,) = outlooks(PROFILE, question(half), (DeviceRates(RAM, 40e9, None, 0.0, "m"),))
    assert known.speed.decode_high < 40e9 * 1.7 / (PROFILE.read_bytes / 2)
    assert "RAM" in known.speed.bottleneck


def test_one_device_is_learnt_from_and_several_are_not() -> None:
    assert only_device(ledger(0), (CARD,)) == RAM
    assert only_device(ledger(1.0), (CARD,)) == "NVIDIA GeForce RTX 4090"
    assert only_device(ledger(0.5), (CARD,)) is None


def test_the_margin_is_the_one_of_the_question() -> None:
    tight = Configuration((replace(device_named(read_devices(), "rtx-3090"), memory_bytes=6 * 2**30),), Split.LAYER)
    strict = replace(question(ledger(0), tight), margin=0.3)
    assert outlooks(PROFILE, question(ledger(0), tight), ())[1].fits is Fits.YES
    assert outlooks(PROFILE, strict, ())[1].fits is Fits.TIGHT

"""What a model would do on other devices, and on this computer: the values, and the pure functions that find them.

Apart from `figures`, which asks, because a window that starts needs none of it yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.memory.devices import Device, DeviceClass, Rates, device_described, read_devices, with_rates
from engine.memory.fit import Fits
from engine.memory.ledger import RAM, DeviceLedger, Ledger, Part
from engine.memory.placement import N_PROMPT, Placement, Share, Split, place
from engine.memory.profile import ModelProfile, Need, flops_by_layer, kv_read_by_layer, need_of
from engine.memory.roofline import Speed, speed_of
from engine.models.labels import model_label
from engine.store.measurements import DeviceRates
from engine.wire.messages import Benched, DeviceInfo, DeviceKind


@dataclass(frozen=True, slots=True)
class Configuration:
    """Devices to ask about, and how the model is dealt out on them."""

    devices: tuple[Device, ...]
    split: Split = Split.LAYER


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a model would do on a configuration. `placement` says what lies where; `is_here` this computer as it is."""

    configuration: Configuration
    placement: Placement
    fits: Fits
    speed: Speed
    is_here: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A planned load and the configurations to compare.

    Attributes:
        path: the model.
        ledger, fits: the engine's plan here, and whether it fits here.
        devices: what the engine sees here.
        others: the configurations.
        depth: tokens in the context when a token is written.
        margin: share of a memory that is to stay free.
    """

    path: Path
    ledger: Ledger
    fits: Fits
    devices: tuple[DeviceInfo, ...]
    others: tuple[Configuration, ...]
    depth: int
    margin: float


def outlooks(profile: ModelProfile, question: Question, rates: Sequence[DeviceRates]) -> tuple[Outlook, ...]:
    """This computer as the engine planned it, then every configuration."""
    need, model = need_of(question.ledger), model_label(question.path)
    here = _here(profile, need, question, rates)
    found = [replace(here, speed=speed_of(here.placement, model=model))]
    for each in question.others:
        placed = place(profile, need, each.devices, each.split, depth=question.depth, margin=question.margin)
        found.append(Outlook(each, placed, placed.fits, speed_of(placed, model=model)))
    return tuple(found)


def rates_of(profile: ModelProfile, need: Need, found: Benched, device: str, model: str) -> DeviceRates | None:
    """How fast a device was, from a measurement of the whole model on it; None when nothing was written."""
    decode = min(found.decode, key=lambda each: each.n, default=None)
    if decode is None or decode.tps <= 0:
        return None
    prefill = max(found.prefill, key=lambda each: each.n, default=None)
    read = profile.read_bytes + sum(kv_read_by_layer(profile, need, decode.n))
    flops = None
    if prefill is not None and prefill.tps > 0:
        flops = sum(flops_by_layer(profile, prefill.n)) * prefill.tps / prefill.n
    return DeviceRates(device, decode.tps * read, flops, decode.spread / decode.tps, model)


def only_device(ledger: Ledger, devices: Sequence[DeviceInfo]) -> str | None:
    """The one device that a model computes on, by the name that its rates are kept under; None when there are several."""
    cards = [each for each in ledger.devices if each.name != RAM and each.size_of(Part.WEIGHTS)]
    if not cards:
        return RAM
    # With all layers on one card, RAM keeps the embedding for looking up and no cache.
    if len(cards) == 1 and not (ledger.devices[0].size_of(Part.KV) or 0):
        return _title(cards[0], devices)
    return None


def _title(device: DeviceLedger, devices: Sequence[DeviceInfo]) -> str:
    known = next((each for each in devices if each.name == device.name), None)
    return (known.description if known is not None else "") or device.name


def _here(profile: ModelProfile, need: Need, question: Question, rates: Sequence[DeviceRates]) -> Outlook:
    """This computer: the shares are the engine's own, by the bytes that it plans on each device."""
    table = read_devices()
    has_cards = any(each.name != RAM and each.size_of(Part.WEIGHTS) for each in question.ledger.devices)
    weights = []
    for each in question.ledger.devices:
        size = each.size_of(Part.WEIGHTS) or 0
        weights.append(max(0, size - profile.input_bytes) if each.name == RAM and has_cards else size)
    caches = [each.size_of(Part.KV) or 0 for each in question.ledger.devices]
    read_kv = sum(kv_read_by_layer(profile, need, question.depth))
    flops = sum(flops_by_layer(profile, N_PROMPT))
    shares = []
    for each, own, cache in zip(question.ledger.devices, weights, caches, strict=True):
        part = own / sum(weights) if sum(weights) else 0.0
        shares.append(
            Share(
                _device_here(each, question.devices, table, rates),
                n_layers=round(part * len(profile.layers)),
                has_output=part > 0,
                weights_bytes=each.size_of(Part.WEIGHTS) or 0,
                kv_bytes=cache,
                compute_bytes=each.size_of(Part.COMPUTE) or 0,
                overhead_bytes=each.sum_bytes
                - sum(each.size_of(part) or 0 for part in (Part.WEIGHTS, Part.KV, Part.COMPUTE)),
                read_weights_bytes=profile.read_bytes * part,
                read_kv_bytes=read_kv * cache / sum(caches) if sum(caches) else 0.0,
                flops=flops * part,
            )
        )
    placement = Placement(tuple(shares), Split.LAYER, question.fits, 0)
    devices = tuple(each.device for each in shares)
    return Outlook(Configuration(devices), placement, question.fits, speed_of(placement), is_here=True)


def _device_here(
    device: DeviceLedger, infos: Sequence[DeviceInfo], table: Sequence[Device], rates: Sequence[DeviceRates]
) -> Device:
    title = RAM if device.name == RAM else _title(device, infos)
    own = next((each for each in rates if each.device == title), None)
    measured = None if own is None else Rates(own.read_bytes_s, own.flops_s, own.spread, own.model)
    known = device_described(table, title)
    if known is not None:
        here = replace(known, memory_bytes=device.total_bytes or known.memory_bytes, name=title)
        return with_rates(here, measured)
    kind = DeviceClass.RAM if device.kind is DeviceKind.CPU else DeviceClass.CUDA
    name = "this computer's RAM" if device.name == RAM else title
    return Device(
        device.name, name, kind, device.total_bytes or 0, None, source="measured by the engine", measured=measured
    )

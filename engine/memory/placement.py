"""What goes where on devices that are not here: layers, cache and buffers on one to eight of them, and whether it fits.

The split by layers is llama.cpp's: in proportion to memory, the output counted as one more layer; where that overflows a
device, a packing that fills one after another is tried and its `--tensor-split` told. With RAM among the devices, layers
that the others do not hold stay there, as with `n_gpu_layers`. The split by rows deals every matrix out and keeps the
cache on the first device; the split by tensors deals out the cache too.

Source: llama-model.cpp (i_gpu_start, get_layer_buft_list), llama-context.cpp (buffers); 0.3 to 1 GiB for a driver's
context are published figures, of which half a GiB is counted here.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from engine.memory.devices import MOST_DEVICES, Device, DeviceClass
from engine.memory.fit import TIGHT_SHARE, Fits
from engine.memory.profile import ModelProfile, Need, flops_by_layer, kv_bytes_by_layer, kv_read_by_layer

CONTEXT_BYTES = 512 * 2**20
"""What a driver keeps on a card for a process that computes on it: an assumption within the published 0.3 to 1 GiB."""

N_PROMPT = 512
"""The prompt that prefill speeds are for, tokens."""


class Split(enum.Enum):
    """How a model is dealt out on several devices (llama_split_mode)."""

    LAYER = "layer"
    ROW = "row"
    TENSOR = "tensor"


@dataclass(frozen=True, slots=True)
class Share:
    """What one device gets. Sizes in bytes; reads are of one token, `flops` those of a prompt of `N_PROMPT` tokens.

    Attributes:
        n_layers: layers that are computed here; of a split inside layers, all.
        has_output: the last matrix is here.
    """

    device: Device
    n_layers: int
    has_output: bool
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    overhead_bytes: int
    read_weights_bytes: float
    read_kv_bytes: float
    flops: float

    @property
    def sum_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.compute_bytes + self.overhead_bytes

    @property
    def left_bytes(self) -> int:
        """What stays free; negative when it is too much."""
        return self.device.usable_bytes - self.sum_bytes

    def fits(self, margin: float) -> Fits:
        """Whether it fits, with `margin` of the memory to spare or not."""
        if self.left_bytes < 0:
            return Fits.NO
        return Fits.TIGHT if self.left_bytes < margin * self.device.usable_bytes else Fits.YES


@dataclass(frozen=True, slots=True)
class Placement:
    """A model on some devices.

    Attributes:
        shares: one for each device, in the order given.
        split: how it was dealt out.
        fits: the answer, by the fullest device.
        n_offloaded: layers, the output counted, that are not in RAM (`n_gpu_layers`).
        tensor_split: the proportions to ask llama.cpp for, where its own would not do.
        host_bytes: what the computer around the devices must hold, when its RAM is not among them.
    """

    shares: tuple[Share, ...]
    split: Split
    fits: Fits
    n_offloaded: int
    tensor_split: tuple[int, ...] = ()
    host_bytes: int = 0

    @property
    def fullest(self) -> Share:
        """The device that decides."""
        return min(self.shares, key=lambda each: each.left_bytes / each.device.usable_bytes)


def place(
    profile: ModelProfile,
    need: Need,
    devices: Sequence[Device],
    split: Split = Split.LAYER,
    *,
    depth: int = 0,
    margin: float = TIGHT_SHARE,
) -> Placement:
    """Deal a model out.

    Args:
        profile, need: the model, and what the engine plans beside the weights.
        devices: 1 to 8; RAM among them takes what the others do not hold.
        split: by whole layers, or inside them.
        depth: tokens in the context, for what one token reads of the cache.
        margin: share of a memory that is to stay free.
    """
    if not 1 <= len(devices) <= MOST_DEVICES:
        raise ValueError(f"{len(devices)} devices")
    table = _Table(profile, need, depth)
    cards = [place for place, each in enumerate(devices) if each.kind is not DeviceClass.RAM]
    rams = [place for place, each in enumerate(devices) if each.kind is DeviceClass.RAM]
    if not cards:
        return _finished(table, devices, _dealt([(rams[0], range(table.n_items))]), Split.LAYER, margin)
    if split is not Split.LAYER and len(cards) > 1:
        inside = _place_inside(table, devices, cards, split, margin)
        if inside.fits is not Fits.NO or not rams:
            return inside
    return _place_layers(table, devices, cards, rams, margin)


class _Table:
    """Sizes of the items that are dealt out: the layers in order and, last, the output."""

    def __init__(self, profile: ModelProfile, need: Need, depth: int) -> None:
        self.profile, self.need = profile, need
        items = (*profile.layers, profile.output)
        self.n_items = len(items)
        self.weights = [each.weights_bytes for each in items]
        self.reads = [each.read_bytes for each in items]
        self.kv = [*_whole(kv_bytes_by_layer(profile, need)), 0]
        self.kv_reads = [*kv_read_by_layer(profile, need, depth), 0.0]
        self.flops = flops_by_layer(profile, N_PROMPT)
        self.host_bytes = need.host_bytes + profile.input_bytes

    def fixed(self, device: Device, is_used: bool, holds_host: bool) -> tuple[int, int]:
        """Compute buffer and overhead of a device, bytes."""
        compute = self.need.compute_bytes if is_used or holds_host else 0
        context = CONTEXT_BYTES if is_used and not device.kind.holds_host_part else 0
        return compute, context + (self.need.host_bytes if holds_host else 0)


def _whole(sizes: Sequence[float]) -> list[int]:
    """Whole bytes with the same sum."""
    ends = [round(each) for each in accumulate(sizes)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _dealt(runs: Sequence[tuple[int, range]]) -> dict[int, list[int]]:
    return {device: list(items) for device, items in runs}


def _host_place(devices: Sequence[Device]) -> int | None:
    """The device whose memory is also the processor's; RAM before the others."""
    for wanted in (DeviceClass.RAM, DeviceClass.METAL, DeviceClass.UNIFIED):
        for place, each in enumerate(devices):
            if each.kind is wanted:
                return place
    return None


def _finished(
    table: _Table,
    devices: Sequence[Device],
    dealt: dict[int, list[int]],
    split: Split,
    margin: float,
    tensor_split: tuple[int, ...] = (),
) -> Placement:
    host = _host_place(devices)
    last = table.n_items - 1
    shares = []
    for place, device in enumerate(devices):
        items = dealt.get(place, [])
        holds_host = place == host
        weights = sum(table.weights[each] for each in items)
        if holds_host:
            shared = table.profile.is_tied and last in items
            weights += 0 if shared else table.profile.input_bytes
        compute, overhead = table.fixed(device, bool(items), holds_host)
        shares.append(
            Share(
                device,
                n_layers=sum(each != last for each in items),
                has_output=last in items,
                weights_bytes=weights,
                kv_bytes=sum(table.kv[each] for each in items),
                compute_bytes=compute,
                overhead_bytes=overhead,
                read_weights_bytes=sum(table.reads[each] for each in items),
                read_kv_bytes=sum(table.kv_reads[each] for each in items),
                flops=sum(table.flops[each] for each in items),
            )
        )
    offloaded = sum(len(dealt.get(p, [])) for p, each in enumerate(devices) if each.kind is not DeviceClass.RAM)
    outside = 0 if host is not None else table.host_bytes
    return Placement(tuple(shares), split, _worst(shares, margin), offloaded, tensor_split, outside)


def _worst(shares: Sequence[Share], margin: float) -> Fits:
    found = {each.fits(margin) for each in shares}
    return Fits.NO if Fits.NO in found else Fits.TIGHT if Fits.TIGHT in found else Fits.YES


_ORDER = (Fits.YES, Fits.TIGHT, Fits.NO)


def _place_layers(
    table: _Table, devices: Sequence[Device], cards: list[int], rams: list[int], margin: float
) -> Placement:
    """As many layers on the cards as they hold, the last ones first; without RAM all of them, whether they fit or not."""
    best: Placement | None = None
    room = sum(devices[each].usable_bytes for each in cards)
    sizes = [weights + kv for weights, kv in zip(table.weights, table.kv, strict=True)]
    ends = [0, *accumulate(reversed(sizes))]
    for n_offloaded in range(table.n_items, -1 if rams else table.n_items - 1, -1):
        if best is not None and ends[n_offloaded] > room:
            continue  # hundreds of layers on eight cards would otherwise take half a second
        found = _layers_on(table, devices, cards, rams, n_offloaded, margin)
        if best is None or _ORDER.index(found.fits) < _ORDER.index(best.fits):
            best = found
        if best.fits is Fits.YES:
            break
    assert best is not None
    return best


def _layers_on(
    table: _Table, devices: Sequence[Device], cards: list[int], rams: list[int], n_offloaded: int, margin: float
) -> Placement:
    start = table.n_items - n_offloaded
    stay = {rams[0]: list(range(start))} if rams else {}
    # llama.cpp's own: in proportion to memory, by the upper bound of the running sums.
    sums = list(accumulate(devices[each].usable_bytes for each in cards))
    own: dict[int, list[int]] = dict(stay)
    for item in range(start, table.n_items):
        at = min(bisect_right(sums, (item - start) / n_offloaded * sums[-1]), len(cards) - 1)
        own.setdefault(cards[at], []).append(item)
    found = _finished(table, devices, own, Split.LAYER, margin)
    if found.fits is Fits.YES or len(cards) == 1:
        return found
    for room in (1 - margin, 1.0):
        packed = _packed(table, devices, cards, start, room)
        if packed is not None:
            counts = tuple(len(packed.get(each, ())) for each in cards)
            tried = _finished(table, devices, {**stay, **packed}, Split.LAYER, margin, counts)
            if _ORDER.index(tried.fits) < _ORDER.index(found.fits):
                return tried
    return found


def _packed(
    table: _Table, devices: Sequence[Device], cards: list[int], start: int, room: float
) -> dict[int, list[int]] | None:
    """Items in order, each card filled before the next begins; None when they do not all find a place."""
    host = _host_place(devices)
    found: dict[int, list[int]] = {}
    item = start
    for place in cards:
        device = devices[place]
        fixed = sum(table.fixed(device, True, place == host))
        input_bytes = table.profile.input_bytes if place == host else 0
        free = device.usable_bytes * room - fixed - input_bytes
        while item < table.n_items and free >= table.weights[item] + table.kv[item]:
            free -= table.weights[item] + table.kv[item]
            found.setdefault(place, []).append(item)
            item += 1
    return found if item == table.n_items else None


def _place_inside(table: _Table, devices: Sequence[Device], cards: list[int], split: Split, margin: float) -> Placement:
    """Every matrix dealt out in proportion to the room that the devices have for it."""
    host, kv = _host_place(devices), sum(table.kv)
    rooms: dict[int, float] = {}
    for place in cards:
        device = devices[place]
        taken = sum(table.fixed(device, True, place == host))
        taken += table.profile.input_bytes if place == host else 0
        taken += kv if split is Split.ROW and place == cards[0] else 0
        rooms[place] = max(0.0, device.usable_bytes * (1 - margin) - taken)
    total = sum(rooms.values())
    parts = {place: (room / total if total else 1 / len(cards)) for place, room in rooms.items()}
    weights = dict(zip(cards, _whole([sum(table.weights) * parts[each] for each in cards]), strict=True))
    caches = dict(zip(cards, _whole([kv * parts[each] for each in cards]), strict=True))
    shares = []
    for place, device in enumerate(devices):
        holds_host, part = place == host, parts.get(place, 0.0)
        if split is Split.ROW:
            caches[place], kv_part = (kv, 1.0) if place == cards[0] else (0, 0.0)
        else:
            kv_part = part
        is_used = part > 0 or bool(caches.get(place, 0))
        compute, overhead = table.fixed(device, is_used, holds_host)
        shares.append(
            Share(
                device,
                n_layers=len(table.profile.layers) if part else 0,
                has_output=part > 0,
                weights_bytes=weights.get(place, 0) + (table.profile.input_bytes if holds_host else 0),
                kv_bytes=caches.get(place, 0),
                compute_bytes=compute,
                overhead_bytes=overhead,
                read_weights_bytes=sum(table.reads) * part,
                read_kv_bytes=sum(table.kv_reads) * kv_part,
                flops=sum(table.flops) * part,
            )
        )
    outside = 0 if host is not None else table.host_bytes
    return Placement(tuple(shares), split, _worst(shares, margin), table.n_items, (), outside)

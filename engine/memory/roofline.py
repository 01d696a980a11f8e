"""How fast a placed model could write and read: memory traffic against bandwidth, operations against the peak.

Writing one token reads every active weight and the cache so far; the time is bytes over bandwidth, and devices that hold
layers one after another add up. Reading a prompt is bound by operations, or by the weights' way through the memory. How
much of the published figures is reached is a range of measured runs, not a number; what was measured here takes its
place. Beside the bytes every layer costs the start of its kernels, which is most of a small model's time. A split inside
layers can at best do everything at once; at worst the exchange costs more than is gained, and that was measured too.

Source of the ranges: published llama-bench runs, docs/memory.md has them one by one. Rejected: one “efficiency”
for everything (gguf-parser does; it hides how far runs lie apart), and all weights of a mixture of experts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from engine.memory.devices import Device, DeviceClass
from engine.memory.placement import N_PROMPT, Placement, Share, Split


@dataclass(frozen=True, slots=True)
class Reached:
    """The share of a published figure that runs reach, from the slowest to the fastest."""

    low: float
    high: float


DECODE: Mapping[DeviceClass, Reached] = MappingProxyType(
    {
        DeviceClass.CUDA: Reached(0.56, 0.94),  # 0.75 ± 25 %: P40 0.63, RTX 3090 0.72, RTX 4090 0.88
        DeviceClass.ROCM: Reached(0.45, 0.80),  # RX 7900 XTX 0.48 to 0.52 (llama.cpp #26705)
        DeviceClass.SYCL: Reached(0.40, 0.80),  # no published run was found: the widest
        DeviceClass.METAL: Reached(0.45, 0.85),  # M1 Max 0.53 and 0.58, M4 0.80
        DeviceClass.UNIFIED: Reached(0.50, 0.90),
        DeviceClass.RAM: Reached(0.49, 0.81),  # 0.65 ± 25 %: 13900K 0.70
    }
)
"""Of the memory bandwidth."""

PREFILL: Mapping[DeviceClass, Reached] = MappingProxyType(
    {
        DeviceClass.CUDA: Reached(0.25, 0.55),  # RTX 4090 0.50
        DeviceClass.ROCM: Reached(0.15, 0.50),
        DeviceClass.SYCL: Reached(0.15, 0.50),
        DeviceClass.METAL: Reached(0.45, 0.85),  # M1 Max 0.77, M1 Ultra 0.55
        DeviceClass.UNIFIED: Reached(0.15, 0.55),
        DeviceClass.RAM: Reached(0.30, 0.80),
    }
)
"""Of the peak operations a second."""

_CARD = Reached(40e-6, 4e-6)
LAYER_S: Mapping[DeviceClass, Reached] = MappingProxyType(
    {
        DeviceClass.CUDA: _CARD,  # graphs saved 13 to 25 microseconds (llama.cpp #6766); 4 are left at best (#24216)
        DeviceClass.ROCM: _CARD,
        DeviceClass.SYCL: _CARD,
        DeviceClass.UNIFIED: _CARD,
        DeviceClass.METAL: Reached(130e-6, 4e-6),  # M1 Ultra, 1.1B: 4.1 ms a token for 0.6 GB
        DeviceClass.RAM: Reached(0.0, 0.0),
    }
)
"""Seconds that a layer costs beside its bytes, on the slow and on the fast end."""

INSIDE_DECODE, INSIDE_PREFILL = 0.70, 0.25
"""The least that a split inside layers kept of the speed of one by layers (llama.cpp #19378: 0.70 to 1.43, 0.25 to 1.30)."""

MEASURED_SAME = 0.10
"""How far a measured rate may be off for the model that it was measured with."""

OTHER_DECODE, OTHER_PREFILL = Reached(0.6, 1.7), Reached(0.4, 2.5)
"""The same for other models, as shares: formats differ in how fast they are unpacked. On two cores SmolLM2 in Q4_1 and
Gemma-3-270m in Q4_K_M, of which one is repacked for the processor, lay 1.43 apart in writing and 2.3 in reading."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second, from low to high; None where a figure is not known.

    Attributes:
        decode_low, decode_high: writing.
        prefill_low, prefill_high: reading a prompt of `N_PROMPT` tokens.
        bottleneck: what holds it up, in a sentence.
        is_measured: all of it rests on what was measured here.
    """

    decode_low: float | None
    decode_high: float | None
    prefill_low: float | None
    prefill_high: float | None
    bottleneck: str
    is_measured: bool = False


def speed_of(placement: Placement, *, model: str = "") -> Speed:
    """How fast a placement could be.

    Args:
        placement: what lies where; of a placement that does not fit, the speed it would have.
        model: its label, to know whether a device's own measurement was of the same one.
    """
    used = [each for each in placement.shares if each.read_weights_bytes + each.read_kv_bytes > 0]
    if not used:
        return Speed(None, None, None, None, "nothing is computed on these devices")
    is_parallel = placement.split is not Split.LAYER
    decode = [_decode_times(each, model) for each in used]
    prefill = [_prefill_times(each, model) for each in used]
    slow, fast = _together(decode, INSIDE_DECODE if is_parallel else None)
    prompt_slow, prompt_fast = _together(prefill, INSIDE_PREFILL if is_parallel else None)
    return Speed(
        decode_low=1 / slow if slow else None,
        decode_high=1 / fast if fast else None,
        prefill_low=N_PROMPT / prompt_slow if prompt_slow else None,
        prefill_high=N_PROMPT / prompt_fast if prompt_fast else None,
        bottleneck=_bottleneck(used, decode, is_parallel),
        is_measured=all(each.device.measured is not None for each in used),
    )


def read_rate(device: Device, model: str) -> Reached | None:
    """Bytes a second that a device reads while writing, low and high; None where nothing is known."""
    if device.measured is not None:
        return _around(device.measured.read_bytes_s, device, model, OTHER_DECODE)
    if device.bandwidth_bytes_s is None:
        return None
    share = DECODE[device.kind]
    return Reached(device.bandwidth_bytes_s * share.low, device.bandwidth_bytes_s * share.high)


def flops_rate(device: Device, model: str) -> Reached | None:
    """Operations a second while reading a prompt, low and high; None where nothing is known."""
    if device.measured is not None and device.measured.flops_s is not None:
        return _around(device.measured.flops_s, device, model, OTHER_PREFILL)
    if device.peak_flops_s is None:
        return None
    share = PREFILL[device.kind]
    return Reached(device.peak_flops_s * share.low, device.peak_flops_s * share.high)


def _around(rate: float, device: Device, model: str, other: Reached) -> Reached:
    assert device.measured is not None
    if not model or model != device.measured.model:
        return Reached(rate * other.low, rate * other.high)
    off = min(0.9, max(MEASURED_SAME, device.measured.spread / 2))
    return Reached(rate * (1 - off), rate * (1 + off))


def _decode_times(share: Share, model: str) -> tuple[float, float] | None:
    rate = read_rate(share.device, model)
    if rate is None:
        return None
    size = share.read_weights_bytes + share.read_kv_bytes
    layers = _layers_s(share)
    return size / rate.low + layers.low, size / rate.high + layers.high


def _layers_s(share: Share) -> Reached:
    """What a token costs beside the bytes; a measured rate has it in itself."""
    if share.device.measured is not None:
        return Reached(0.0, 0.0)
    each = LAYER_S[share.device.kind]
    return Reached(each.low * share.n_layers, each.high * share.n_layers)


def _prefill_times(share: Share, model: str) -> tuple[float, float] | None:
    compute, memory = flops_rate(share.device, model), read_rate(share.device, model)
    if compute is None or memory is None:
        return None
    if share.device.measured is not None:  # the measured operations have the memory's part in them
        return share.flops / compute.low, share.flops / compute.high
    layers = _layers_s(share)
    slow = max(share.flops / compute.low, share.weights_bytes / memory.low) + layers.low
    return slow, max(share.flops / compute.high, share.weights_bytes / memory.high) + layers.high


def _together(times: Sequence[tuple[float, float] | None], inside: float | None) -> tuple[float | None, float | None]:
    known = [each for each in times if each is not None]
    if len(known) < len(times):
        return None, None
    slow = sum(each[0] for each in known)
    if inside is None or len(known) == 1:
        return slow, sum(each[1] for each in known)
    return slow / inside, max(each[1] for each in known)


def _bottleneck(used: Sequence[Share], times: Sequence[tuple[float, float] | None], is_parallel: bool) -> str:
    unknown = [each.device.name for each, time in zip(used, times, strict=True) if time is None]
    if unknown:
        return f"the memory bandwidth of {unknown[0]} is not known: measure it with “bench”"
    known = [each for each in times if each is not None]
    place = max(range(len(used)), key=lambda each: known[each][0])
    share = used[place]
    starts = _layers_s(share).low
    if starts > known[place][0] / 2:
        return (
            f"starting the kernels of {share.n_layers} layers on {share.device.name}, up to {starts * 1e3:.1f} ms a"
            " token: the model is too small to keep its memory busy"
        )
    if share.read_kv_bytes > share.read_weights_bytes:
        what, size = "the KV cache", share.read_kv_bytes
    else:
        what, size = "the weights", share.read_weights_bytes
    text = f"reading {what}, {_size(size)} a token, from the memory of {share.device.name}"
    rate = share.device.bandwidth_bytes_s
    if share.device.measured is not None:
        text += f" at {_size(share.device.measured.read_bytes_s)}/s, measured here"
    elif rate is not None:
        text += f" at {_size(rate)}/s at most"
    if len(used) > 1 and not is_parallel:
        part = known[place][0] / sum(each[0] for each in known)
        text += f", {part:.0%} of a token's time"
    elif len(used) > 1:
        text += "; how much of the devices' exchange is hidden decides between the two ends"
    return text


def _size(size_bytes: float) -> str:
    """Decimal, as bandwidths are."""
    return f"{size_bytes / 1e9:,.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:,.0f} MB"

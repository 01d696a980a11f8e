"""Which device each layer goes to: the output layer counts first, the rest by each device's share of the free memory.

Source: llama-model.cpp load_tensors (i_gpu_start, splits, get_layer_buft_list).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from engine.base.fields import FieldError, Value
from engine.gguf.types import TensorType
from engine.memory.formula.architecture import FormulaUnknown
from engine.wire.messages import DeviceInfo, DeviceKind
from engine.wire.placing import device_shares

CPU = "CPU"
RPC = "RPC"
"""How the names of devices of RPC servers begin."""

_AVX2 = frozenset({TensorType.Q4_0, TensorType.Q4_K, TensorType.IQ4_NL, TensorType.MXFP4})
_DOT_PRODUCT = frozenset(
    {TensorType.Q4_0, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K, TensorType.IQ4_NL, TensorType.MXFP4}
) | {TensorType.Q8_0, TensorType.Q1_0}


@dataclass(frozen=True, slots=True)
class Machine:
    """What a load is placed on.

    Attributes:
        devices: the accelerators in the engine's order, with their free memory; without the CPU.
        repacked: types that this processor rearranges for its instructions.
    """

    devices: tuple[DeviceInfo, ...] = ()
    repacked: frozenset[TensorType] = frozenset()


@dataclass(frozen=True, slots=True)
class Placement:
    """The device of every layer and of the output layer, by name; "CPU" is the RAM."""

    layers: tuple[str, ...]
    output: str

    @property
    def accelerators(self) -> tuple[str, ...]:
        """The devices that hold something beside the CPU, first one first."""
        return tuple(dict.fromkeys(each for each in (*self.layers, self.output) if each != CPU))


def machine_of(devices: Iterable[DeviceInfo], processor_flags: Iterable[str]) -> Machine:
    """The machine that the engine sees, as the formula needs it.

    RPC servers come first; an integrated GPU counts only where this computer has no other one. Processor flags are as
    /proc/cpuinfo has them.
    """
    others = [each for each in devices if each.kind not in (DeviceKind.CPU, DeviceKind.ACCEL)]
    servers = [each for each in others if each.name.startswith(RPC)]
    here = on_this_computer(others)
    real = [each for each in here if each.kind is DeviceKind.GPU]
    return Machine((*servers, *(real or here)), repacked_types(processor_flags))


def on_this_computer(devices: Iterable[DeviceInfo]) -> tuple[DeviceInfo, ...]:
    """Those that can pin RAM and compute with what is in it: an RPC server can neither."""
    return tuple(each for each in devices if not each.name.startswith(RPC))


def repacked_types(processor_flags: Iterable[str]) -> frozenset[TensorType]:
    """The types that an engine built for this processor rearranges (repack.cpp ggml_repack_get_optimal_repack_type)."""
    flags = frozenset(processor_flags)
    if "avx2" in flags:
        return _AVX2 | {TensorType.Q2_K} if "avx512f" in flags else _AVX2
    return _DOT_PRODUCT if flags & {"asimddp", "i8mm"} else frozenset()


def used_devices(options: Mapping[str, Value], devices: Sequence[DeviceInfo]) -> Sequence[DeviceInfo]:
    """The devices that the engine uses: all, or with `split_mode` none the main one. Raises `FieldError` where it is not there."""
    if str(options["split_mode"]) != "none" or not devices:
        return devices
    main = int(str(options["main_gpu"]))
    if main >= len(devices):
        raise FieldError("main_gpu", "There is no such device", str(main), f"use 0 to {len(devices) - 1}")
    return devices[main : main + 1]


def place(n_layer_all: int, options: Mapping[str, Value], devices: Sequence[DeviceInfo]) -> Placement:
    """Lay the layers out, as `n_gpu_layers`, `split_mode`, `main_gpu` and `tensor_split` of the load options say.

    Raises:
        FormulaUnknown: matrices are to be cut into rows, which only the device's backend can lay out.
        FieldError: no device has that number, or a share.
    """
    n_gpu_layers, mode = int(str(options["n_gpu_layers"])), str(options["split_mode"])
    asked = device_shares(options)[: len(devices)] if mode == "layer" else ()
    devices = used_devices(options, devices)
    if mode == "row" and devices:
        raise FormulaUnknown(
            "The formula does not know how this device cuts matrices into rows",
            value=devices[0].name,
            next_step="ask the engine: --method dry-run",
        )
    if not devices or n_gpu_layers == 0:
        return Placement((CPU,) * n_layer_all, CPU)
    n_wanted = n_layer_all + 1 if n_gpu_layers < 0 else min(n_gpu_layers, n_layer_all + 1)
    first = n_layer_all + 1 - n_wanted
    asked = (*asked, *(0.0 for _ in devices[len(asked) :])) if any(asked) else ()
    free = asked or [float(each.free_bytes or each.total_bytes or 0) for each in devices]
    total = sum(free)
    shares = [_float32(each / total) if total else 1.0 for each in accumulate(free)]

    def device_of(layer: int) -> str:
        if layer < first:
            return CPU
        at = bisect_right(shares, _float32((layer - first) / n_wanted))
        return devices[min(at, len(devices) - 1)].name

    return Placement(tuple(device_of(layer) for layer in range(n_layer_all)), device_of(n_layer_all))


def _float32(value: float) -> float:
    """As llama.cpp has it, so that a layer at an edge falls on the same side."""
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded

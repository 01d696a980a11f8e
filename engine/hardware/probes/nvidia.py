"""NVIDIA cards through NVML, the library that comes with their driver.

Imported at the first look, because most computers have none. The binding is an argument, so that tests can bring cards.
Rejected: parsing `nvidia-smi` (a process per sample), nvitop (its licence). Source: NVML API reference; nvidia-ml-py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from engine.hardware.snapshot import Device, DeviceKind, Quantity, Reading

NVML_FILE = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"


class NvidiaProbe:
    """Sources “nvidia0” … in the driver's order."""

    key = "nvidia"

    def __init__(self, nvml: Any = None) -> None:
        """Args: nvml: the module `pynvml`, or what speaks its functions; None imports it at the first look."""
        self._nvml = nvml
        self._handles: list[Any] | None = None
        self._is_open = False
        self._absence: str | None = None

    def devices(self) -> tuple[Device, ...]:
        return tuple(self._device(n, handle) for n, handle in enumerate(self._cards()))

    def read(self, now_s: float, watched: Mapping[str, int]) -> tuple[Reading, ...]:
        readings: list[Reading] = []
        for n, handle in enumerate(self._cards()):
            nvml, source = self._nvml, f"{self.key}{n}"
            use = self._ask(nvml.nvmlDeviceGetUtilizationRates, handle)
            memory = self._ask(nvml.nvmlDeviceGetMemoryInfo, handle)
            milliwatts = self._ask(nvml.nvmlDeviceGetPowerUsage, handle)
            degrees = self._ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
            readings += (
                Reading(source, Quantity.GPU_USE, None if use is None else float(use.gpu)),
                Reading(source, Quantity.VRAM_USED, None if memory is None else float(memory.used)),
                Reading(source, Quantity.GPU_POWER, None if milliwatts is None else milliwatts / 1000),
                Reading(source, Quantity.GPU_TEMPERATURE, None if degrees is None else float(degrees)),
            )
        return tuple(readings)

    def why_absent(self) -> str | None:
        self._cards()
        return self._absence

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._ask(self._nvml.nvmlShutdown)
        self._handles = []

    def _cards(self) -> list[Any]:
        if self._handles is None:
            self._handles = self._open()
        return self._handles

    def _open(self) -> list[Any]:
        if self._nvml is None:
            try:
                import pynvml
            except ImportError:
                self._absence = "no NVIDIA probe: the package nvidia-ml-py is not installed"
                return []
            self._nvml = pynvml
        nvml = self._nvml
        try:
            nvml.nvmlInit()
            self._is_open = True
            n_cards = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError_LibraryNotFound:
            self._absence = f"no NVIDIA driver: {NVML_FILE} not found"
            return []
        except nvml.NVMLError as error:
            self._absence = f"the NVIDIA driver does not answer: {error}"
            return []
        # A card that this user may not open, or that has failed, does not hide the others.
        handles = [self._ask(nvml.nvmlDeviceGetHandleByIndex, index) for index in range(n_cards)]
        found = [handle for handle in handles if handle is not None]
        if not found:
            self._absence = "the NVIDIA driver sees no card" if not n_cards else "the NVIDIA cards cannot be opened"
        return found

    def _device(self, n: int, handle: Any) -> Device:
        nvml = self._nvml
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo, handle)
        version = _text(self._ask(nvml.nvmlSystemGetDriverVersion))
        limit_milliwatts = self._ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        pci = self._ask(nvml.nvmlDeviceGetPciInfo, handle)
        details = []
        if limit_milliwatts is not None:
            details.append(("Power limit", f"{limit_milliwatts / 1000:.0f} W"))
        if pci is not None:
            details.append(("PCI address", _text(pci.busId) or "unknown"))
        return Device(
            key=f"{self.key}{n}",
            name=_text(self._ask(nvml.nvmlDeviceGetName, handle)) or "NVIDIA card",
            kind=DeviceKind.GPU,
            driver=f"NVIDIA {version}" if version else "NVIDIA",
            total_bytes=None if memory is None else int(memory.total),
            free_bytes=None if memory is None else int(memory.free),
            details=tuple(details),
        )

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The driver's answer; None when it has none (not supported by this card, card lost, no permission)."""
        try:
            return function(*arguments)
        except self._nvml.NVMLError:
            return None


def _text(value: str | bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

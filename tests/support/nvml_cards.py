"""A driver with NVIDIA cards that speaks NVML's functions and struct fields as `pynvml` does; a card may lack sensors."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pynvml


@dataclass
class Card:
    """What a card answers, in NVML's units; None is “not supported”."""

    name: str | bytes = "NVIDIA GeForce RTX 4090"
    total: int | None = 25_757_220_864
    used: int = 1_371_537_408
    gpu_percent: int | None = 43
    power_mw: int | None = 212_480
    degrees: int | None = 61
    limit_mw: int | None = 450_000
    opens: bool = True


class NvmlDriver:
    """The functions of `pynvml` that the probe uses, over these cards. Errors are pynvml's own classes."""

    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU
    NVMLError = pynvml.NVMLError
    NVMLError_LibraryNotFound = pynvml.NVMLError_LibraryNotFound

    def __init__(self, *cards: Card, init_fails_with: int | None = None) -> None:
        self.cards = cards
        self.n_open = 0
        self._init_fails_with = init_fails_with

    def nvmlInit(self) -> None:  # noqa: N802
        if self._init_fails_with is not None:
            raise pynvml.NVMLError(self._init_fails_with)
        self.n_open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.n_open -= 1

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "580.95.05"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:  # noqa: N802
        if not self.cards[index].opens:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)
        return self.cards[index]

    def nvmlDeviceGetName(self, card: Card) -> str | bytes:  # noqa: N802
        return card.name

    def nvmlDeviceGetPciInfo(self, card: Card) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(busId=f"00000000:{self.cards.index(card) + 1:02X}:00.0")

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> SimpleNamespace:  # noqa: N802
        total = _supported(card.total)
        return SimpleNamespace(total=total, used=card.used, free=total - card.used)

    def nvmlDeviceGetUtilizationRates(self, card: Card) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=_supported(card.gpu_percent), memory=12)

    def nvmlDeviceGetPowerUsage(self, card: Card) -> int:  # noqa: N802
        return _supported(card.power_mw)

    def nvmlDeviceGetEnforcedPowerLimit(self, card: Card) -> int:  # noqa: N802
        return _supported(card.limit_mw)

    def nvmlDeviceGetTemperature(self, card: Card, sensor: int) -> int:  # noqa: N802
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        return _supported(card.degrees)


def _supported(value: int | None) -> int:
    if value is None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return value

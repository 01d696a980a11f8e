"""Every probe that we have. A new source is one file in this folder and its line here."""

from __future__ import annotations

from collections.abc import Callable

from engine.hardware.probe import Probe
from engine.hardware.probes.amd import AmdProbe
from engine.hardware.probes.cpu import CpuProbe
from engine.hardware.probes.drm import DrmProbe
from engine.hardware.probes.nvidia import NvidiaProbe
from engine.hardware.probes.process import ProcessProbe
from engine.hardware.probes.ram import RamProbe

PROBES: tuple[Callable[[], Probe], ...] = (CpuProbe, RamProbe, ProcessProbe, NvidiaProbe, AmdProbe, DrmProbe)
"""In the order in which devices and readings are shown. Making a probe opens nothing."""

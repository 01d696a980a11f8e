"""Ties the hardware recorder to the engine: the worker's process is watched, and what it does becomes bands."""

from __future__ import annotations

from engine.hardware.bands import BandKind
from engine.hardware.recorder import Recorder
from engine.runtime.supervisor import EngineState, Phase

WORKER = "worker"
BANDS = {Phase.LOADING: BandKind.LOAD, Phase.READING: BandKind.READ, Phase.WRITING: BandKind.WRITE}


class Monitor:
    """Follows the engine's state on the pumping thread and tells the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._phase: Phase | None = None
        self._pid: int | None = None
        self._band_id: int | None = None

    def follow(self, state: EngineState) -> None:
        """The engine's state is this one now."""
        if state.pid != self._pid:
            self._pid = state.pid
            self._recorder.watch(WORKER, state.pid)
        if state.phase is self._phase:
            return
        self._phase = state.phase
        if self._band_id is not None:
            self._recorder.end_band(self._band_id)
            self._band_id = None
        kind = BANDS.get(state.phase)
        if kind is not None:
            self._band_id = self._recorder.begin_band(kind, state.model_path.rpartition("/")[2])

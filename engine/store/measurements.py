"""What was measured on this computer: what loads took beside what was predicted, and how fast its devices are.

By machine, because a data folder may be shared or moved: the figures of another computer are kept and not shown here.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.base.clock import Clock
from engine.store.db import Database
from engine.store.rows import stamp

KEPT_LOADS = 50
"""Loads of one model that are kept."""


@dataclass(frozen=True, slots=True)
class LoadMeasured:
    """One load: bytes of all devices, as predicted before and as measured after, and the context in tokens."""

    predicted_bytes: int
    measured_bytes: int
    n_ctx: int
    loaded_utc: str = ""

    @property
    def error(self) -> float:
        """Measured against predicted, as a share: 0.01 where one percent more was taken."""
        return self.measured_bytes / self.predicted_bytes - 1


@dataclass(frozen=True, slots=True)
class DeviceRates:
    """How fast a device was: bytes read a second while writing, operations a second while reading (None: not measured).

    `spread` is the share by which repeats differed; `model` what it was measured with.
    """

    device: str
    read_bytes_s: float
    flops_s: float | None
    spread: float
    model: str


class Measurements:
    """The tables of loads and rates."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def add_load(self, machine: str, model_path: str, load: LoadMeasured) -> None:
        """Keep what a load took; the oldest beyond `KEPT_LOADS` of the same model go."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO loads (machine, model_path, loaded_utc, n_ctx, predicted_bytes, measured_bytes)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (machine, model_path, stamp(self._clock.utc()), load.n_ctx, load.predicted_bytes, load.measured_bytes),
            )
            connection.execute(
                "DELETE FROM loads WHERE machine = ? AND model_path = ? AND number NOT IN ("
                " SELECT number FROM loads WHERE machine = ? AND model_path = ? ORDER BY number DESC LIMIT ?)",
                (machine, model_path, machine, model_path, KEPT_LOADS),
            )

    def loads(self, machine: str, model_path: str, limit: int = KEPT_LOADS) -> tuple[LoadMeasured, ...]:
        """The last loads of a model here, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT predicted_bytes, measured_bytes, n_ctx, loaded_utc FROM loads"
                " WHERE machine = ? AND model_path = ? ORDER BY number DESC LIMIT ?",
                (machine, model_path, limit),
            ).fetchall()
        return tuple(LoadMeasured(*row) for row in rows)

    def keep_rates(self, machine: str, rates: DeviceRates) -> None:
        """Keep how fast a device is, in place of what was known of it."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO device_rates"
                " (machine, device, measured_utc, read_bytes_s, flops_s, spread, model) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(machine, rates.device, stamp(self._clock.utc())),
                    *(rates.read_bytes_s, rates.flops_s, rates.spread, rates.model),
                ),
            )

    def rates(self, machine: str) -> tuple[DeviceRates, ...]:
        """What is known of this machine's devices."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT device, read_bytes_s, flops_s, spread, model FROM device_rates WHERE machine = ?", (machine,)
            ).fetchall()
        return tuple(DeviceRates(*row) for row in rows)

"""What the footer says, decided from the engine's state and the last run, without Qt.

Apart from the footer because the footer knows no engine, and apart from the wiring so that it can be tested.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from engine.models.labels import model_label
from engine.runtime.supervisor import EngineState, Phase
from engine.wire.messages import RunStats


class Activity(enum.Enum):
    """What the model does; the names are those of `gui.footer.FooterState`."""

    NONE = "NONE"
    LOADING = "LOADING"
    READY = "READY"
    READING = "READING"
    THINKING = "THINKING"
    WRITING = "WRITING"
    LOST = "LOST"


_ACTIVITIES = {
    Phase.PLANNING: Activity.LOADING,
    Phase.LOADING: Activity.LOADING,
    Phase.READY: Activity.READY,
    Phase.WORKING: Activity.READING,
    Phase.READING: Activity.READING,
    Phase.WRITING: Activity.WRITING,
    Phase.LOST: Activity.LOST,
}


@dataclass(frozen=True, slots=True)
class FooterValues:
    """The footer's numbers; None is unknown.

    Attributes:
        activity: the state of the dot and its word.
        label: the model's name.
        where: the devices that compute.
        n_threads: of the processor, None where it does not compute or is not known.
        fraction: 0 to 1 while loading.
        n_used, n_ctx: tokens of the context; n_ctx is None without a model.
        prefill_tps, decode_tps: of the last run.
    """

    activity: Activity = Activity.NONE
    label: str = ""
    where: tuple[str, ...] = ()
    n_threads: int | None = None
    fraction: float | None = None
    n_used: int | None = None
    n_ctx: int | None = None
    prefill_tps: float | None = None
    decode_tps: float | None = None


def footer_values(state: EngineState, last: RunStats | None, *, is_thinking: bool) -> FooterValues:
    """The footer of this state; `last` are the figures of the last run of the loaded model."""
    activity = _ACTIVITIES.get(state.phase, Activity.NONE)
    if activity is Activity.WRITING and is_thinking:
        activity = Activity.THINKING
    facts = state.facts if activity not in (Activity.NONE, Activity.LOADING, Activity.LOST) else None
    return FooterValues(
        activity,
        model_label(Path(state.model_path)) if state.model_path else "",
        facts.devices if facts else (),
        facts.n_threads if facts else None,
        state.load_fraction if state.phase is Phase.LOADING else None,
        state.n_past if facts else None,
        facts.n_ctx if facts else None,
        last.prefill_tps if last and facts else None,
        last.decode_tps if last and facts else None,
    )

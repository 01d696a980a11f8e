"""What to tell when a worker ended by itself: what it did, how it ended, and the way back as buttons.

Apart from the supervisor because it is words about a fact, and needs no state to find them.
"""

from __future__ import annotations

from engine.base.errors import Remedy, RemedyKind, Trouble
from engine.runtime.client import WorkerEnded, ending_in_words

RPC_LOST = "RPC server crashed"
"""What llama.cpp prints before it ends the process because a server did not answer as it should."""


def lost_trouble(event: WorkerEnded, *, doing: str, has_model: bool, is_forced: bool, wants_memory: bool) -> Trouble:
    """The trouble of a worker that is gone.

    Args:
        event: how it ended.
        doing: what it did, "while writing", or "".
        has_model: a model was loaded or being loaded.
        is_forced: somebody forced it to stop.
        wants_memory: it did what takes memory, so that a kill may be the system's for want of it.
    """
    if event.exit_code is None:
        return Trouble(
            "The engine could not be started",
            event.stderr_tail[:200],
            "run the set-up again (make setup)",
            (Remedy(RemedyKind.RESTART_ENGINE, "Try again"),),
        )
    if RPC_LOST in event.stderr_tail:
        return Trouble(
            f"An RPC server was lost {doing}".strip(),
            ending_in_words(event.exit_code),
            "start it again on its computer and load the model again, or take its address out of the settings",
            (Remedy(RemedyKind.RELOAD, "Load again"), Remedy(RemedyKind.OPEN_PAGE, "See the settings", "settings")),
            details=event.stderr_tail,
        )
    what = "The engine was stopped" if is_forced else f"The engine ended {doing}".strip()
    value = event.fault or ending_in_words(event.exit_code)
    remedies = (
        [Remedy(RemedyKind.RELOAD, "Load again")]
        if has_model
        else [Remedy(RemedyKind.RESTART_ENGINE, "Restart the engine")]
    )
    next_step = "load the model again; what was written is kept" if has_model else "restart the engine"
    if not is_forced and event.exit_code == -9 and wants_memory:
        next_step = "the system may have ended it for want of memory: use a shorter context or a smaller model"
    if has_model and not is_forced:
        remedies.append(Remedy(RemedyKind.OPEN_PAGE, "See the memory", "memory"))
    return Trouble(what, value, next_step, tuple(remedies), details=event.stderr_tail)

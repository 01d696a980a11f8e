"""The set-up's one kind of error: what happened, and what to do next.

The engine has its own (engine/base/errors.py), which needs a package that is not installed yet.
"""

from __future__ import annotations

EXIT_BLOCKED = 2  # something that only the user can do


class SetupError(Exception):
    """The set-up cannot go on. `what` happened; `next_step` is what the user can do about it."""

    def __init__(self, what: str, next_step: str = "", exit_code: int = 1) -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.exit_code = exit_code

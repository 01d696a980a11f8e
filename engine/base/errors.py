"""The two kinds of error, and the three parts of every message.

A `KnownError` is the environment's doing (a missing file, a full disk, a bad setting): the user is told what
happened, the value that caused it and what to do next. Any other exception is a fault of ours: the three doors
(worker dispatch, job runner, Qt's excepthook) log it with its trace and show it as a `BugError`.
"""

from __future__ import annotations

import enum

import msgspec


class RemedyKind(enum.Enum):
    """What a notice's button does. The argument's meaning stands beside each kind."""

    SET_OPTION = "set_option"  # "KEY=VALUE": change one load option, then load again
    RELOAD = "reload"  # no argument: load the same model again
    DROP_OLDEST = "drop_oldest"  # no argument: send again without the oldest messages
    OPEN_FOLDER = "open_folder"  # a folder
    CHOOSE_MODEL = "choose_model"  # no argument: go to the Models page
    RETRY = "retry"  # no argument: do the same thing again
    RESTART_ENGINE = "restart_engine"  # no argument: kill the worker and start a new one
    OPEN_PAGE = "open_page"  # a page key
    LOAD_ANYWAY = "load_anyway"  # no argument: load what was just refused for its size


class Remedy(msgspec.Struct, frozen=True):
    """The next step as a button: `label` is its text, `kind` and `argument` what it does."""

    kind: RemedyKind
    label: str
    argument: str = ""


class Trouble(msgspec.Struct, frozen=True):
    """An error as a value, so that it can cross a thread, a pipe or a table: three parts and the buttons."""

    what: str
    value: str = ""
    next_step: str = ""
    remedies: tuple[Remedy, ...] = ()
    details: str = ""
    is_bug: bool = False

    def sentence(self) -> str:
        """The three parts on one line: `what (value): next step`."""
        head = f"{self.what} ({self.value})" if self.value else self.what
        return f"{head}: {self.next_step}" if self.next_step else head


class KnownError(Exception):
    """Something in the user's environment went wrong, and we know what to tell them.

    Args:
        what: what happened, as a sentence without a full stop.
        value: the value that caused it (a path, a size, a setting), or "".
        next_step: what the user can do, in the imperative.
        remedies: the same as buttons.
        details: text to fold out (a log's tail), never needed to understand the message.
    """

    def __init__(
        self,
        what: str,
        *,
        value: str = "",
        next_step: str = "",
        remedies: tuple[Remedy, ...] = (),
        details: str = "",
    ) -> None:
        self.trouble = Trouble(what, value, next_step, remedies, details)
        super().__init__(self.trouble.sentence())

    @classmethod
    def of(cls, trouble: Trouble) -> KnownError:
        """The error of a trouble that came from another thread or process."""
        return KnownError(
            trouble.what,
            value=trouble.value,
            next_step=trouble.next_step,
            remedies=trouble.remedies,
            details=trouble.details,
        )


class BugError(Exception):
    """A promise of ours was broken. Logged with its trace; the user is told that it is our fault."""


def trouble_of(error: BaseException, details: str = "") -> Trouble:
    """The error as a value: a `KnownError`'s own trouble, or an honest “this is a fault in Llamarium”."""
    if isinstance(error, KnownError):
        return error.trouble
    return Trouble(
        what="Llamarium made a mistake",
        value=f"{type(error).__name__}: {error}",
        next_step="copy the details and report them; what you wrote is kept",
        details=details,
        is_bug=True,
    )

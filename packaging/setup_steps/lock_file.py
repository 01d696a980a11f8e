"""One at a time: two set-ups in one folder would write into the same `.venv`."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(file: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file until the block ends. The system lets go of it when this process dies, however it dies.

    Args:
        file: made when missing, never deleted.
        on_wait: called once when somebody else holds it, before waiting for as long as it takes.
    """
    with file.open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield

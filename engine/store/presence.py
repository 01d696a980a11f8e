"""Which windows are alive: each holds a lock on a small file beside the database, and a death gives it up.

Why: an answer that is still 'writing' belongs either to a window that was killed (then it is 'stopped') or to one that
is writing it at this moment (then nobody may touch it). The operating system releases a lock when its process ends,
however it ends, so the question has one answer. Rejected: process ids with start times (two sandboxes on one data
folder do not see each other's processes) and heartbeats (a long prefill or a suspended laptop looks like a death).
Source: flock(2), LockFile behind msvcrt.locking.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from pathlib import Path

log = logging.getLogger(__name__)

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_HELD_BY_ANOTHER = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


class Presence:
    """This window's sign of life, and the question whether another window still gives one.

    `token` names this window in the messages that it writes. Make it and ask it only while the database's write lock
    is held: nobody then looks at a file between its making and its locking.
    """

    def __init__(self, database: Path | None) -> None:
        self.token = os.urandom(8).hex()
        self._database = database
        self._descriptor: int | None = None
        if database is not None:
            self._descriptor = os.open(self._file_of(database, self.token), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _lock(self._descriptor)
            except OSError as error:
                # A file system without locks: our answers may look stopped to another window until they are finished.
                log.warning("no lock on %s: %s", self._file_of(database, self.token), error)

    def is_alive(self, token: str) -> bool:
        """Whether the window of that token still holds its lock; the file of a dead one is removed."""
        if token == self.token:
            return True
        if self._database is None:
            return False
        file = self._file_of(self._database, token)
        try:
            descriptor = os.open(file, os.O_RDWR)
        except FileNotFoundError:
            return False
        except OSError as error:
            log.warning("cannot look at %s: %s", file, error)
            return False
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno in _HELD_BY_ANOTHER:
                return True
            log.warning("no lock on %s: %s", file, error)
        finally:
            os.close(descriptor)
        _remove(file)
        return False

    def others(self) -> tuple[str, ...]:
        """The tokens of all windows that left a file, alive or not, without our own."""
        if self._database is None:
            return ()
        prefix = self._file_of(self._database, "").name
        found = (
            each.name.removeprefix(prefix) for each in self._database.parent.iterdir() if each.name.startswith(prefix)
        )
        return tuple(token for token in found if token != self.token)

    def close(self) -> None:
        """Give up the lock; from now on this window counts as gone."""
        if self._descriptor is not None and self._database is not None:
            os.close(self._descriptor)
            self._descriptor = None
            _remove(self._file_of(self._database, self.token))

    @staticmethod
    def _file_of(database: Path, token: str) -> Path:
        return database.with_name(f"{database.name}-window-{token}")


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        log.warning("cannot remove %s: %s", file, error)

"""The database file: one SQLite connection, its transactions, and what its faults mean to the user.

Why: every other module of the room writes plain SQL inside `reading()` or `writing()` and never sees a sqlite3.Error;
what the environment did comes out as a `KnownError` of three parts, what we did wrong as a `BugError`. Opening looks
before it touches: a file that is not ours, is damaged, or comes from a newer Llamarium is left as it is.

Rejected: an ORM (the SQL here is small, and the tree of messages needs recursive queries), and WAL with
synchronous=NORMAL (a power cut may take back commits, and every second of text is a commit).
Source: sqlite.org/pragma.html, sqlite.org/rescode.html, sqlite.org/wal.html.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.base.clock import Clock
from engine.base.errors import BugError, KnownError, Remedy, RemedyKind
from engine.store.migrations import MIGRATIONS, Migration, migrate, roll_back, version_of

APPLICATION_ID = 0x4C6C616D  # "Llam", in bytes 68 to 71 of the file
BUSY_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)

_RETRY = Remedy(RemedyKind.RETRY, "Try again")


class Database:
    """One connection, used on the thread that opened it (sqlite3 itself refuses any other)."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self.connection = connection
        self.path = path
        connection.row_factory = sqlite3.Row

    @contextmanager
    def faults(self) -> Iterator[sqlite3.Connection]:
        """Turn a sqlite3.Error into a `KnownError` (the environment's doing) or a `BugError` (ours)."""
        try:
            yield self.connection
        except sqlite3.Error as error:
            raise fault_of(error, self.path) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes: all of it or nothing. Inside another one it joins that one."""
        with self.faults() as connection, _transaction(connection, "BEGIN IMMEDIATE"):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that reads: several queries see one state, whatever another window writes meanwhile."""
        with self.faults() as connection, _transaction(connection, "BEGIN DEFERRED"):
            yield connection

    def close(self) -> None:
        """End the connection; SQLite then folds the WAL into the file."""
        with self.faults() as connection:
            connection.close()


def open_file(path: Path, *, clock: Clock, migrations: Sequence[Migration] = MIGRATIONS) -> Database:
    """The database at `path`, made or brought up to date.

    Args:
        path: the file; its folder is created.
        clock: names the backup that is made before an existing file is changed.
        migrations: the schema's history; tests bring shorter and longer ones.

    Raises:
        KnownError: the folder or the file cannot be used; nothing was moved, deleted or changed.
    """
    path = path.absolute()
    _prepare_folder(path)
    try:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    except sqlite3.Error as error:
        raise fault_of(error, path) from error
    database = Database(connection, path)
    try:
        with database.faults():
            _look_before_touching(connection, path, len(migrations))
            _use_wal(connection)
            migrate(connection, migrations, application_id=APPLICATION_ID, backup=_backup_maker(path, clock))
            _set_promises(connection)
    except BaseException:
        with suppress(sqlite3.Error):  # the first fault is the one to tell
            connection.close()
        raise
    return database


def open_memory() -> Database:
    """A database that lives as long as the program, for when nothing can be saved."""
    database = Database(sqlite3.connect(":memory:", isolation_level=None), None)
    with database.faults() as connection:
        migrate(connection, MIGRATIONS, application_id=APPLICATION_ID, backup=None)
        _set_promises(connection)
    return database


def fault_of(error: sqlite3.Error, path: Path | None) -> KnownError | BugError:
    """What a sqlite3.Error means to the user; a `BugError` when it can only be our doing.

    SQLite's extended result code carries the primary one in its low byte.
    """
    code = getattr(error, "sqlite_errorcode", None)
    place = str(path) if path is not None else "in memory"
    folder = (_open_folder(path),) if path is not None else ()
    details = f"{getattr(error, 'sqlite_errorname', type(error).__name__)}: {error}"

    def known(what: str, next_step: str, *remedies: Remedy, value: str = place) -> KnownError:
        return KnownError(what, value=value, next_step=next_step, remedies=remedies, details=details)

    match None if code is None else code & 0xFF:
        case sqlite3.SQLITE_FULL:
            free = f"{place}, {_free_mib(path)}" if path is not None else place
            step = "free some space, then try again; what was saved before is kept"
            return known("The disk is full, so the last text is not saved", step, _RETRY, *folder, value=free)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            step = "make the folder and the file writable, or start with another --data-dir"
            return known("Conversations cannot be saved: the file is read-only", step, *folder, _RETRY)
        case sqlite3.SQLITE_CANTOPEN:
            step = "check that you may write in this folder, or start with another --data-dir"
            return known("The conversations file cannot be opened", step, *folder, _RETRY)
        case sqlite3.SQLITE_IOERR:
            step = "check the disk and its free space, then try again; what was saved before is kept"
            return known("The disk refused to read or write conversations", step, _RETRY, *folder)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            step = "wait for the other Llamarium window or backup program to finish, then try again"
            return known("Another program holds the conversations file", step, _RETRY)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            step = "move it elsewhere to begin anew, or put a backup in its place; nothing was changed or deleted"
            return known("The conversations file is damaged or is not a database", step, *folder)
        case sqlite3.SQLITE_NOMEM:
            return known(
                "There is no memory left for the conversations", "close other programs, then try again", _RETRY
            )
        case sqlite3.SQLITE_TOOBIG:
            return known("A text is too long to be saved", "shorten it or split it into several messages")
        case _:
            return BugError(f"the store asked SQLite for something impossible: {details}")


def folder_fault(error: OSError, place: Path) -> KnownError:
    """What an OSError at a folder or file of ours means to the user."""
    reasons = {
        errno.ENOSPC: ("the disk is full", "free some space, then try again"),
        errno.EROFS: ("the disk is read-only", "start with another --data-dir"),
        errno.EACCES: ("you may not write there", "make the folder writable, or start with another --data-dir"),
        errno.EPERM: ("you may not write there", "make the folder writable, or start with another --data-dir"),
        errno.EEXIST: ("a file stands where the folder belongs", "rename the file, or start with another --data-dir"),
        errno.ENOTDIR: ("a file stands where a folder belongs", "rename the file, or start with another --data-dir"),
    }
    fallback = (error.strerror or str(error), "check this place, or start with another --data-dir")
    reason, next_step = reasons.get(error.errno or 0, fallback)
    return KnownError(
        f"Conversations cannot be saved: {reason}",
        value=str(place),
        next_step=next_step,
        remedies=(_RETRY,),
        details=str(error),
    )


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    if connection.in_transaction:
        yield
        return
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def _look_before_touching(connection: sqlite3.Connection, path: Path, n_migrations: int) -> None:
    """Refuse a foreign database and one from a newer Llamarium before anything is written."""
    n_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    if n_tables and application_id != APPLICATION_ID:
        raise KnownError(
            "This file is another program's database, so no conversations are kept in it",
            value=str(path),
            next_step="move it elsewhere, or start with another --data-dir; nothing was changed",
            remedies=(_open_folder(path),),
        )
    version = version_of(connection)
    if version > n_migrations:
        raise KnownError(
            "The conversations were written by a newer Llamarium",
            value=f"{path}, format {version}; this one knows {n_migrations}",
            next_step="use the newer Llamarium, or start with another --data-dir; nothing was changed",
            remedies=(_open_folder(path),),
        )


def _use_wal(connection: sqlite3.Connection) -> None:
    """Readers never wait for the writer, and a commit is one append.

    A file system without shared memory keeps SQLite's other journal, which is as safe. Two windows that make a new
    file at the same moment both want the change of mode, and SQLite answers one of them BUSY without waiting.
    """
    give_up_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_s:
                raise
            time.sleep(0.02)


def _set_promises(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _backup_maker(path: Path, clock: Clock) -> Migration:
    def backup(_: sqlite3.Connection) -> None:
        """Copy the file beside itself through a second connection, which sees what is committed (WAL included)."""
        source = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)
        try:
            stamp = f"{clock.utc():%Y%m%dT%H%M%SZ}"
            target = path.with_name(f"{path.stem}.backup-v{version_of(source)}-{stamp}{path.suffix}")
            unfinished = target.with_name(target.name + ".part")
            try:
                copy = sqlite3.connect(unfinished)
                try:
                    source.backup(copy)
                finally:
                    copy.close()
                unfinished.replace(target)
            except OSError as error:
                raise folder_fault(error, target) from error
            finally:
                unfinished.unlink(missing_ok=True)
        finally:
            source.close()
        log.info("the conversations were copied to %s before the upgrade", target)

    return backup


def _prepare_folder(path: Path) -> None:
    if path.is_dir():
        raise KnownError(
            "Conversations cannot be saved: a folder stands where their file belongs",
            value=str(path),
            next_step="rename that folder, or start with another --data-dir",
            remedies=(_open_folder(path), _RETRY),
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise folder_fault(error, path.parent) from error


def _open_folder(path: Path) -> Remedy:
    return Remedy(RemedyKind.OPEN_FOLDER, "Open folder", str(path.parent))


def _free_mib(path: Path) -> str:
    try:
        import shutil

        return f"{shutil.disk_usage(path.parent).free / 2**20:,.0f} MiB free"
    except OSError:
        return "free space unknown"

"""The store: conversations, their messages and runs in one SQLite file. `open_store` is its door.

A `Store` belongs to the thread that opened it; the workbench gives it a lane of its own. What it returns is frozen and
may go anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from engine.base.clock import Clock
from engine.store.conversations import Conversations
from engine.store.db import Database, folder_fault, open_file, open_memory
from engine.store.export import Exports
from engine.store.measurements import Measurements
from engine.store.messages import Messages
from engine.store.presence import Presence
from engine.store.rows import SearchHit
from engine.store.runs import Runs
from engine.store.search import find


def random_id() -> str:
    """A new id: 32 hexadecimal digits."""
    return os.urandom(16).hex()  # what uuid4 is; importing uuid costs the start 3 ms


class Store:
    """Everything that is kept, by table.

    Attributes:
        conversations, messages, runs: the tables.
        exports: conversations to text and back.
        measurements: what loads took here, and how fast the devices are.
        path: the file, None when nothing is saved.
        n_recovered: how many answers a dead window had left unfinished and opening has called stopped.
    """

    def __init__(self, database: Database, presence: Presence, clock: Clock, new_id: Callable[[], str]) -> None:
        self.database = database
        self.path = database.path
        self.conversations = Conversations(database, clock, new_id)
        self.messages = Messages(database, presence, clock, new_id)
        self.runs = Runs(database, clock, new_id)
        self.exports = Exports(database, self.conversations, self.messages, self.runs, new_id)
        self.measurements = Measurements(database, clock)
        self.n_recovered = 0
        self._presence = presence

    @classmethod
    def in_memory(cls, *, clock: Clock, new_id: Callable[[], str] = random_id) -> Store:
        """A store that ends with the program, for when nothing can be saved."""
        return cls(open_memory(), Presence(None), clock, new_id)

    def search(self, text: str, limit: int = 50) -> tuple[SearchHit, ...]:
        """Titles and messages that hold all words of `text`; see `engine.store.search`."""
        return find(self.database, text, limit)

    def close(self) -> None:
        """Call what this window still writes stopped, and end the connection. On the thread that opened the store."""
        try:
            self.messages.stop_own()
        finally:
            self._presence.close()
            self.database.close()


def open_store(path: Path, *, clock: Clock, new_id: Callable[[], str] = random_id) -> Store:
    """The store in the file at `path`, made or brought up to date; answers that dead windows left are called stopped.

    Args:
        path: the SQLite file; its folder is created.
        clock: gives the times that are stored.
        new_id: gives the ids of new rows, each a different one.

    Raises:
        KnownError: it cannot be used (folder, disk, another program's file, damage, a newer Llamarium). Nothing was
            moved, deleted or changed; `Store.in_memory` lets the user go on.
    """
    database = open_file(path, clock=clock)
    presence: Presence | None = None
    try:
        with database.writing():  # one window at a time claims its place and looks at the others'
            try:
                presence = Presence(database.path)
            except OSError as error:
                raise folder_fault(error, path) from error
            store = Store(database, presence, clock, new_id)
            store.n_recovered = store.messages.recover()
    except BaseException:
        if presence is not None:
            presence.close()
        database.close()
        raise
    return store

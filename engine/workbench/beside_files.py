"""Which files are counted beside which model: adapters, control vectors, projectors, for as long as the program runs.

Their sizes come from headers, read once when they are added; who plans a load of the model asks here. They are a question
(“would it fit with these?”) and not a setting: a load does not use them yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.base.errors import KnownError, Remedy, RemedyKind, Trouble
from engine.base.jobs import Jobs
from engine.gguf.card import ModelKind
from engine.memory.ledger import Entry
from engine.models.header_files import laid_out


@dataclass(frozen=True, slots=True)
class BesideFile:
    """One file, what it is, and what it takes."""

    path: Path
    kind: ModelKind
    entry: Entry


class BesideFiles:
    """The files of each model. Made, changed and asked on the pumping thread; `entries_of` from any."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._files: dict[Path, tuple[BesideFile, ...]] = {}

    def of(self, model: Path) -> tuple[BesideFile, ...]:
        """The files beside a model, in the order in which they were added."""
        return self._files.get(model, ())

    def entries_of(self, model: Path) -> tuple[Entry, ...]:
        """What each of them takes."""
        return tuple(each.entry for each in self.of(model))

    def add(
        self, model: Path, file: Path, then: Callable[[BesideFile], None], failed: Callable[[Trouble], None]
    ) -> None:
        """Count a file beside a model, as a job; one that is counted already is read anew.

        `failed` where it cannot be read, is nothing that is used beside a model, or was made for another architecture.
        """

        def added(found: BesideFile) -> None:
            others = tuple(each for each in self.of(model) if each.path != file)
            self._files[model] = (*others, found)
            then(found)

        self._jobs.run(
            lambda _task: _read(model, file), title=f"Reading {file.name}", lane="headers", then=added, failed=failed
        )

    def remove(self, model: Path, file: Path) -> None:
        """Count it no more."""
        self._files[model] = tuple(each for each in self.of(model) if each.path != file)


def _read(model: Path, file: Path) -> BesideFile:
    from engine.gguf.card import card_of, read_card  # the start does without them
    from engine.gguf.reader import read_header
    from engine.memory.beside import beside

    if not file.is_file():
        raise KnownError(
            "The file is not there",
            value=str(file),
            next_step="choose another one",
            remedies=(Remedy(RemedyKind.OPEN_FOLDER, "Open folder", str(file.parent)),),
        )
    header = read_header(file)
    card = card_of(header, file)
    with laid_out(model) as there:
        return BesideFile(file, card.kind, beside(header, card, read_card(there)))

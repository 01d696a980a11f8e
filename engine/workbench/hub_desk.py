"""What windows and commands have of the hub and of described models: jobs on a lane of their own, one at a time.

The network is touched by `model`, `files` and `weights` alone, which are called because a person asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.base.errors import KnownError, Trouble
from engine.base.fields import Value
from engine.base.jobs import JobHandle, Jobs, Task
from engine.gguf.card import ModelKind
from engine.models.address import HubAddress, hub_address
from engine.models.header_files import HeaderFile, Part, folder_of, keep
from engine.models.hub import Hub
from engine.models.quantizing import FILE_TYPES
from engine.models.remote import RemoteModel, fetch_headers, remote_models
from engine.models.safetensors import SafetensorsModel, read_safetensors, safetensors_files, stand_in
from engine.models.shapes import Shape, shape_of

USUAL = "Q4_K_M"
"""The quantization that most people take, where nobody says another."""


@dataclass(frozen=True, slots=True)
class Repository:
    """What a repository of the hub holds: its GGUF files, smallest first, and whether it has Safetensors files."""

    address: HubAddress
    models: tuple[RemoteModel, ...]
    n_safetensors: int


@dataclass(frozen=True, slots=True)
class OnHub:
    """What an address led to: a header file that can be planned, or else what there is to choose from.

    Attributes:
        path: the header file, None when the address does not name one model.
        repository: what the repository holds, where it was looked at.
        weights: of a repository without GGUF files, what its Safetensors files hold.
        stand_in: the header file of the GGUF file that these would be, in the address's quantization or in Q4_K_M; None
            where the model is not built plainly enough to say.
    """

    path: Path | None
    repository: Repository | None = None
    weights: SafetensorsModel | None = None
    stand_in: Path | None = None


@dataclass(frozen=True, slots=True)
class Quant:
    """One model of a repository, and the header file that was made of it."""

    model: RemoteModel
    path: Path


class HubDesk:
    """Asks the hub in jobs. A newer question takes the place of the one that is still going on.

    Args:
        jobs: where the questions run.
        cache: the folder in which headers are kept.
        make_hub: makes the hub when it is first wanted.
    """

    def __init__(self, jobs: Jobs, cache: Path, make_hub: Callable[[], Hub] = Hub) -> None:
        self._jobs, self._cache, self._make_hub = jobs, cache, make_hub
        self._job: JobHandle[Any] | None = None

    def cancel(self) -> None:
        """Give up what is being asked."""
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def find(self, text: str, then: Callable[[OnHub], None], failed: Callable[[Trouble], None]) -> int:
        """What an address or a pasted link leads to; fetches the headers where it names one model.

        Returns:
            The id that the job's `JobProgress` carries.
        """
        return self._ask(lambda hub, task: self._find(hub, hub_address(text, hub.endpoint), task), then, failed)

    def files(self, text: str, then: Callable[[Repository], None], failed: Callable[[Trouble], None]) -> int:
        """The models of a repository; returns the job's id as `find` does."""
        return self._ask(lambda hub, task: _repository(hub, hub_address(text, hub.endpoint), task)[0], then, failed)

    def every(self, text: str, then: Callable[[tuple[Quant, ...]], None], failed: Callable[[Trouble], None]) -> int:
        """The header files of all models of a repository, smallest first; returns the job's id as `find` does."""

        def fetch(hub: Hub, task: Task) -> tuple[Quant, ...]:
            repository, _files = _repository(hub, hub_address(text, hub.endpoint), task)
            models = [each for each in repository.models if each.kind is ModelKind.MODEL]
            if not models:
                raise KnownError(
                    "The repository holds no GGUF models", value=text, next_step="choose another repository"
                )
            found = []
            for at, each in enumerate(models):
                task.progress(at / len(models), f"Reading the header of {each.quant or each.address.file}")
                found.append(Quant(each, fetch_headers(hub, each.address, self._cache, stop=task.stop)))
            return tuple(found)

        return self._ask(fetch, then, failed)

    def describe(
        self, shape: Mapping[str, Value], then: Callable[[Path], None], failed: Callable[[Trouble], None]
    ) -> int:
        """Make the header file of a model that is only described (`SHAPE`); asks nobody. Returns the job's id."""

        return self._ask(lambda _hub, _task: self._keep(shape_of(shape)), then, failed)

    def _keep(self, shape: Shape) -> Path:
        """The header file of a described model."""
        head, size = shape.header()
        part = Part(f"{shape.name}.gguf", size, head)
        return keep(folder_of(self._cache, f"described\n{shape}"), HeaderFile("", (part,)))

    def _ask(
        self, work: Callable[[Hub, Task], Any], then: Callable[[Any], None], failed: Callable[[Trouble], None]
    ) -> int:
        self.cancel()
        self._job = self._jobs.run(
            lambda task: work(self._make_hub(), task), title="Asking the hub", lane="hub", then=then, failed=failed
        )
        return self._job.job_id

    def _find(self, hub: Hub, address: HubAddress, task: Task) -> OnHub:
        if address.file:
            return OnHub(fetch_headers(hub, address, self._cache, stop=task.stop, progress=task.progress))
        repository, files = _repository(hub, address, task)
        models = [each for each in repository.models if each.kind is ModelKind.MODEL]
        wanted = [each for each in models if each.quant == address.quant.upper()]
        if address.quant and not wanted and models:
            there = ", ".join(sorted({each.quant for each in models if each.quant})) or "none named"
            raise KnownError(
                "The repository has no such quantization", value=str(address), next_step=f"choose one of {there}"
            )
        if not address.quant and len(models) == 1:
            wanted = models
        if wanted:
            one = wanted[0].address
            path = fetch_headers(hub, one, self._cache, stop=task.stop, progress=task.progress)
            return OnHub(path, repository)
        if models:
            return OnHub(None, repository)
        weights = read_safetensors(hub, address, files, stop=task.stop, progress=task.progress)
        quant = address.quant.upper() or USUAL
        if quant not in FILE_TYPES:
            raise KnownError(
                "There is no such quantization", value=str(address), next_step=f"choose one of {', '.join(FILE_TYPES)}"
            )
        shape = stand_in(weights, quant)
        return OnHub(None, repository, weights, None if shape is None else self._keep(shape))


def _repository(hub: Hub, address: HubAddress, task: Task) -> tuple[Repository, Any]:
    task.progress(None, "Reading the list of files")
    files = hub.list_files(address, stop=task.stop)
    return Repository(address, remote_models(address, files), len(safetensors_files(files))), files

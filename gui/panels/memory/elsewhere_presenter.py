"""Sizing a model that is not here, as decisions: ask the hub for what was pasted, or plan a shape that was typed.

The hub is asked when a person presses Find, and never before. It knows no Qt; the view shows an `Elsewhere`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from engine.base.errors import Trouble
from engine.base.fields import Value
from engine.base.jobs import JobProgress
from engine.gguf.card import ModelKind
from engine.models.remote import RemoteModel
from engine.models.safetensors import SafetensorsModel
from engine.workbench import Workbench
from engine.workbench.by_formula import FormulaEstimate, best_of
from engine.workbench.hub_desk import OnHub, Quant


@dataclass(frozen=True, slots=True)
class Best:
    """The best of a repository's quantizations here. `model` is None where none of the `n_tried` fits at `n_ctx` tokens."""

    model: RemoteModel | None
    n_tried: int
    n_ctx: int


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What is known of models that are not here.

    Attributes:
        is_busy: the hub is being asked; `doing` says what for, `fraction` how far it is (None: nobody knows).
        trouble: why the last question had no answer.
        models: what the repository holds, to choose from.
        weights: of a repository without GGUF files, what its Safetensors files hold.
        best: the quantization that is best for this computer, and how many were looked at; None before that was asked.
    """

    is_busy: bool = False
    doing: str = ""
    fraction: float | None = None
    trouble: Trouble | None = None
    models: tuple[RemoteModel, ...] = ()
    weights: SafetensorsModel | None = None
    best: Best | None = None


class ElsewherePresenter:
    """The fold under the Memory page's list of models.

    Args:
        show: shows what is known.
        choose: takes the header file of the model that was found or described.
    """

    def __init__(self, workbench: Workbench, show: Callable[[Elsewhere], None], choose: Callable[[Path], None]) -> None:
        self._workbench, self._show, self._choose = workbench, show, choose
        self._job_id: int | None = None
        self.state = Elsewhere()
        self._end = workbench.subscribe(JobProgress, self._progressed)

    def close(self) -> None:
        """Hear nothing any more, and give up what is being asked."""
        self._end()
        if self.state.is_busy:
            self._workbench.hub.cancel()

    def find(self, text: str) -> None:
        """Ask the hub for an address or a pasted link."""
        if text.strip():
            self._begin(models=(), weights=None, best=None)
            self._job_id = self._workbench.hub.find(text, self._found, self._failed)

    def choose_model(self, model: RemoteModel) -> None:
        """One of the repository's models."""
        self._begin()
        self._job_id = self._workbench.hub.find(str(model.address), self._found, self._failed)

    def find_best(self, options: Mapping[str, Value]) -> None:
        """Which of the repository's models is best for this computer with these load options; it is then chosen."""
        if not self.state.models:
            return
        self._begin(best=None)
        repository = replace(self.state.models[0].address, file="", quant="")

        def compared(quants: tuple[Quant, ...], estimates: tuple[FormulaEstimate, ...]) -> None:
            at = best_of(estimates)
            best = Best(None if at is None else quants[at].model, len(quants), estimates[0].ledger.n_ctx)
            self._job_id = None
            self._set(is_busy=False, best=best)
            if at is not None:
                self._choose(quants[at].path)

        def fetched(quants: tuple[Quant, ...]) -> None:
            paths = [each.path for each in quants]
            self._workbench.formulas.compare(
                paths, options, lambda estimates: compared(quants, estimates), self._failed
            )

        self._job_id = self._workbench.hub.every(str(repository), fetched, self._failed)

    def describe(self, shape: Mapping[str, Value]) -> None:
        """A model that is only these numbers."""
        self._begin(models=(), weights=None)
        self._job_id = self._workbench.hub.describe(shape, lambda path: self._found(OnHub(path)), self._failed)

    def cancel(self) -> None:
        """Stop asking."""
        self._workbench.hub.cancel()
        self._job_id = None
        self._set(is_busy=False, doing="", fraction=None)

    def _begin(self, **changes: object) -> None:
        self._set(is_busy=True, doing="", fraction=None, trouble=None, **changes)

    def _found(self, found: OnHub) -> None:
        self._job_id = None
        models = self.state.models
        if found.repository is not None:
            models = tuple(each for each in found.repository.models if each.kind is ModelKind.MODEL)
        self._set(is_busy=False, models=models if len(models) > 1 else (), weights=found.weights)
        path = found.path or found.stand_in
        if path is not None:
            self._choose(path)

    def _failed(self, trouble: Trouble) -> None:
        self._job_id = None
        self._set(is_busy=False, trouble=trouble)

    def _progressed(self, event: JobProgress) -> None:
        if event.job_id == self._job_id:
            self._set(doing=event.text, fraction=event.fraction)

    def _set(self, **changes: object) -> None:
        state = replace(self.state, **changes)  # type: ignore[arg-type]
        if state != self.state:
            self.state = state
            self._show(state)

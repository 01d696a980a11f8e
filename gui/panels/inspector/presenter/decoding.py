"""What the next token is drawn with: the stages of the sampler chain, the limits of a run, and whose chain it is.

Everything is made from the Fields of the chain, so a new sampler appears here without a line of code. A change holds
from the next token on, in the middle of an answer too. What is refused comes back as a sentence, for its own place.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.base.errors import KnownError
from engine.base.fields import Field, Value
from engine.models.labels import model_label
from engine.sampling.chain import Chain
from engine.wire.run_options import RUN_OPTIONS
from engine.workbench import Workbench
from engine.workbench.chain_scope import BEGINNING
from engine.workbench.events import ChainScope
from gui.panels.inspector.presenter import stages
from gui.panels.inspector.presenter.stages import Difference, End, StageRow


class Part(enum.Enum):
    """Where a stage is shown."""

    MAIN = "main"
    MORE = "more"


@dataclass(frozen=True, slots=True)
class ScopeView:
    """Whose chain it is.

    Attributes:
        scope: where a change is kept.
        can_use_model: whether there is a model that could have a chain of its own.
        model: the model's name on screen, "" without one.
    """

    scope: ChainScope
    can_use_model: bool
    model: str


class DecodingPresenter:
    """Reads and changes the workbench's chain and run options."""

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self._default = Chain.default()
        self._parts: dict[str, Part] = {}
        self.sort_out()

    # ---- the stages

    def sort_out(self) -> None:
        """Decide anew which stages are folded away. Not done at every change: a row must not leave under the hand."""
        for link in self._workbench.chain.links:
            is_quiet = stages.is_quiet(link, self._default.link(link.key))
            self._parts[link.key] = Part.MORE if is_quiet else Part.MAIN

    def rows(self) -> dict[Part, tuple[StageRow, ...]]:
        """The stages by where they are shown, in their order."""
        rows = stages.rows_of(self._workbench.chain, self._default)
        return {part: tuple(each for each in rows if self._parts.get(each.key, Part.MORE) is part) for part in Part}

    def end(self) -> End:
        """What takes the token."""
        return stages.end_of(self._workbench.chain)

    def enable(self, key: str, enabled: bool) -> str:
        """Switch one stage; "" when that was done, else the sentence that explains why not."""
        return self._try(lambda chain: chain.with_enabled(key, enabled))

    def move(self, key: str, place: int, visible: Sequence[str]) -> str:
        """Put a stage at `place` among the visible ones without it; "" or why it cannot stand there."""
        before = self._workbench.chain
        error = self._try(lambda chain: chain.moved(key, stages.place_in_chain(chain, key, place, visible)))
        if not error and self._workbench.chain == before and list(visible).index(key) != place:
            label = before.link(key).stage.label
            return f"{label} cannot stand there: samplers that draw the token themselves stand behind all others"
        return error

    def reset_stage(self, key: str) -> str:
        """One stage back to its defaults, in its place."""
        return self._try(lambda chain: chain.reset(key))

    def differences(self) -> tuple[Difference, ...]:
        """What of the chain is not the default."""
        return stages.differences(self._workbench.chain, self._default)

    # ---- the fields

    def limits(self) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
        """The limits of a run as two forms: what has a slider, and the rest.

        Two forms, because the boxes of one form are as wide as its longest number, and a seed would leave no room for
        the sliders.
        """
        sliding = tuple(each for each in RUN_OPTIONS if each.soft_maximum is not None and not each.advanced)
        return sliding, tuple(each for each in RUN_OPTIONS if each not in sliding)

    def values(self) -> dict[str, Value]:
        """The present value of every field."""
        workbench = self._workbench
        chain = {key: value for link in workbench.chain.links for key, value in link.values.items()}
        return {**chain, **workbench.run_options}

    def change(self, key: str, value: object) -> str:
        """Set one field; "" when it was taken, else the sentence that explains why not."""
        workbench = self._workbench
        if key not in RUN_OPTIONS:
            return self._try(lambda chain: chain.with_value(key, value))
        try:
            checked = RUN_OPTIONS[key].check(value)
            workbench.set_run_options({**workbench.run_options, key: checked})
        except KnownError as error:
            return error.trouble.sentence()
        return ""

    # ---- all of it

    def reset(self) -> Callable[[], None]:
        """Everything back to its default; what is returned undoes it."""
        workbench = self._workbench
        kept, options = workbench.chains.kept, dict(workbench.run_options)

        def undo() -> None:
            workbench.chains.set(kept.chain, kept.preset)
            workbench.set_run_options(options)

        workbench.chains.set(BEGINNING.chain, BEGINNING.key)
        workbench.set_run_options(RUN_OPTIONS.defaults())
        return undo

    @property
    def n_changed(self) -> int:
        """How many things are not at their default."""
        return len(self.differences()) + len(RUN_OPTIONS.changed(self._workbench.run_options))

    def describe(self) -> str:
        """The stages that work, in their order."""
        return self._workbench.chain.describe()

    # ---- whose it is

    def scope(self) -> ScopeView:
        """Whose chain it is, and whose it could be."""
        chains = self._workbench.chains
        path = chains.model_path
        return ScopeView(chains.scope, bool(path), model_label(Path(path)) if path else "")

    def use_scope(self, scope: ChainScope) -> Callable[[], None]:
        """Keep the chain there from now on; what is returned undoes it. Raises `KnownError` without a model."""
        chains = self._workbench.chains
        before = chains.use(scope)
        return lambda: chains.restore(before)

    def use_everywhere(self) -> Callable[[], None]:
        """Make this chain that of all chats; what is returned undoes it."""
        chains = self._workbench.chains
        before = chains.use_everywhere()
        return lambda: chains.restore(before)

    def _try(self, change: Callable[[Chain], Chain]) -> str:
        try:
            self._workbench.set_chain(change(self._workbench.chain))
        except KnownError as error:
            return error.trouble.sentence()
        return ""

"""What the next token is drawn with: every field of the sampler chain and the limits of a run, as one form's values.

The form is made from the Fields of the chain, so a new sampler appears here without a line of code. A change holds
from the next token on, in the middle of an answer too.
"""

from __future__ import annotations

from dataclasses import replace

from engine.base.errors import KnownError
from engine.base.fields import Field, Value
from engine.sampling.chain import Chain
from engine.wire.run_options import RUN_OPTIONS
from engine.workbench import Workbench


class DecodingPresenter:
    """Reads and changes the workbench's chain and run options."""

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench

    def fields(self) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
        """What to edit, as two forms: what has a slider, and below it the rest.

        The step nearest to the draw comes first, then the cuts, then the limits. The fields of a stage that is off by
        default are marked advanced, so the form folds them away. Two forms, because the boxes of one form are as wide
        as its longest number, and a seed would leave no room for the sliders.
        """
        chain = self._workbench.chain
        idle = {link.key for link in Chain.default().links if not link.is_active}
        active = [(stage.key, each) for stage, each in chain.fields() if stage.key not in idle]
        nearest = [each for key, each in active if key == active[-1][0]]
        others = [each for key, each in active if key != active[-1][0]]
        folded = [replace(each, advanced=True) for stage, each in chain.fields() if stage.key in idle]
        limits = [each for each in RUN_OPTIONS if each.soft_maximum is not None and not each.advanced]
        rest = [each for each in RUN_OPTIONS if each not in limits]
        seen = (*nearest, *others)
        hidden = [each for each in seen if each.advanced]
        return (*(each for each in seen if not each.advanced), *limits), (*rest, *hidden, *folded)

    def values(self) -> dict[str, Value]:
        """The present value of every field."""
        workbench = self._workbench
        chain = {each.key: workbench.chain.value(each.key) for _, each in workbench.chain.fields()}
        return {**chain, **workbench.run_options}

    def change(self, key: str, value: object) -> str:
        """Set one field; "" when it was taken, else the sentence that explains why not."""
        workbench = self._workbench
        try:
            if key in RUN_OPTIONS:
                checked = RUN_OPTIONS[key].check(value)
                workbench.set_run_options({**workbench.run_options, key: checked})
            else:
                workbench.set_chain(workbench.chain.with_value(key, value))
        except KnownError as error:
            return error.trouble.sentence()
        return ""

    def reset(self) -> None:
        """Everything back to its default."""
        self._workbench.set_chain(Chain.default())
        self._workbench.set_run_options(RUN_OPTIONS.defaults())

    @property
    def n_changed(self) -> int:
        """How many fields are not at their default."""
        workbench = self._workbench
        return len(workbench.chain.changed_fields()) + len(RUN_OPTIONS.changed(workbench.run_options))

    def describe(self) -> str:
        """The stages that work, in their order."""
        return self._workbench.chain.describe()

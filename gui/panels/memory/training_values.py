"""What the Memory page's Train side shows and edits, as values: its form, the answer, the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.base.errors import Trouble
from engine.base.fields import Field, FieldKind, Value
from engine.memory.training.cost import TrainingCost
from engine.memory.training.formats import Format
from engine.memory.training.recipe import RECIPE
from engine.memory.training.shape import SHAPE
from engine.memory.training.verdict import TrainVerdict
from gui.panels.memory.values import Choice

GIB = 2**30

DEVICE_MEMORY = Field(
    key="device_memory",
    kind=FieldKind.INT,
    default=0,
    label="Memory of a device",
    help="What one training device has: 24 for an RTX 4090, 80 for an A100 or H100. 0 is this computer.",
    source="what would fit elsewhere",
    minimum=0,
    maximum=65_536,
    soft_maximum=192,
    step=1,
    unit="GiB",
    special=((0, "this computer"),),
)

TRAIN_FIELDS: tuple[Field, ...] = (*(each for each in RECIPE if not each.advanced), DEVICE_MEMORY,
                                   *(each for each in RECIPE if each.advanced))  # fmt: skip
SHAPE_FIELDS: tuple[Field, ...] = tuple(SHAPE)


@dataclass(frozen=True, slots=True)
class TrainPage:
    """All that the Train side shows.

    Attributes:
        choices, path: the models, and the one that is looked at; no path: a model that is described by its numbers.
        recipe, shape: the values of the forms, by key; `recipe` has `device_memory` too.
        cost: the newest decomposition, None when it cannot be made.
        verdict: it against what is free.
        trouble: why there is none.
        formats: what the weights take in each number format.
    """

    choices: tuple[Choice, ...]
    path: Path | None
    recipe: Mapping[str, Value]
    shape: Mapping[str, Value]
    cost: TrainingCost | None = None
    verdict: TrainVerdict | None = None
    trouble: Trouble | None = None
    formats: tuple[Format, ...] = ()


def shown_keys(recipe: Mapping[str, Value]) -> frozenset[str]:
    """The fields that mean something in this recipe; the others would change nothing."""
    hidden: set[str] = set()
    if recipe["finetuning_type"] == "full":
        hidden |= {"lora_rank", "lora_target"}
    if recipe["finetuning_type"] != "qlora":
        hidden.add("bnb_4bit_use_double_quant")
    if recipe["precision"] == "fp32":
        hidden |= {"master_weights", "optimizer_precision"}
    elif recipe["master_weights"] != "none" or recipe["optimizer"] not in ("adamw", "sgd_momentum"):
        hidden.add("optimizer_precision")
    if recipe["n_devices"] == 1:
        hidden |= {"tensor_parallel"}
    if recipe["tensor_parallel"] == 1:
        hidden.add("sequence_parallel")
    return frozenset(each.key for each in TRAIN_FIELDS) - hidden

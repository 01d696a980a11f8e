"""What the Memory page shows and edits, as values: the fields of its form, an answer of the engine, the whole page.

Apart from the presenter so that the words and the widgets need to know nothing that decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from engine.base.errors import Trouble
from engine.base.fields import Field, Value
from engine.gguf.card import Card
from engine.memory.fit import Verdict
from engine.memory.ledger import Ledger
from engine.store.measurements import LoadMeasured
from engine.wire.load_options import LOAD_OPTIONS, N_CTX
from engine.workbench.beside_files import BesideFile
from engine.workbench.curve import MemoryCurve
from gui.panels.memory.advice import Advice

SHORTEST_N_CTX = 512
DRAWN_TYPES = ("f16", "q8_0", "q4_0")
OTHER_TYPE = "other"

KV_TYPE = replace(
    LOAD_OPTIONS["type_k"],
    key="kv_type",
    label="KV cache type",
    help="Number format of cached keys and values. q8_0 halves the cache with hardly any loss; q4_0 quarters it. "
    "Other pairs are under the fold.",
    source="llama_context_params.type_k and type_v",
    choices=(*DRAWN_TYPES, OTHER_TYPE),
)
"""K and V together, as most people choose them; each by itself is an advanced field."""

MAIN_FIELDS: tuple[Field, ...] = (N_CTX, KV_TYPE, LOAD_OPTIONS["n_gpu_layers"])
MORE_FIELDS: tuple[Field, ...] = tuple(
    replace(each, advanced=True, label={"type_k": "K cache", "type_v": "V cache"}.get(each.key, each.label))
    for each in LOAD_OPTIONS
    if each.key not in ("n_ctx", "n_gpu_layers")
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A model that can be chosen. `is_loaded`: it is the one that is loaded now."""

    path: Path
    label: str
    is_loaded: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a load would take.

    Attributes:
        ledger: predicted.
        measured: the same of the loaded model, when it is this one with these options.
        verdict: against what is free.
        freed_bytes: RAM of the loaded model that counts as free.
        took_s: how long the engine planned; None when the ledger is not its word.
        is_by_formula: such a ledger is the formula's, else it was read off the curve.
        formula: what the formula says beside the engine's own ledger, None where it does not know the model.
    """

    ledger: Ledger
    measured: Ledger | None
    verdict: Verdict
    freed_bytes: int
    took_s: float | None
    is_by_formula: bool = False
    formula: Ledger | None = None

    @property
    def is_rough(self) -> bool:
        return self.took_s is None


@dataclass(frozen=True, slots=True)
class Page:
    """All that the page shows.

    Attributes:
        choices, path: the models, and the one that is looked at.
        card: its header, None while unknown.
        options: every load option.
        has_gpu: whether the engine sees one; None before it said anything.
        limit: the largest context that fits with these options, None while unknown.
        answer: the newest answer, None before the first.
        is_planning: the engine is being asked; an answer that is not rough is then an older one.
        trouble: why there is no answer.
        advice: what would be better, most important first.
        curve: memory against context.
        is_curve_old: it is of other options, and a new one is on its way.
        is_loaded: this model is loaded with exactly these options.
        load_fraction: 0 to 1 while this model is being loaded, else None.
        loads: what the last loads of this model took here, newest first.
        beside: the files that are counted beside the model.
        refused: why the last file that was to be added was not.
    """

    choices: tuple[Choice, ...] = ()
    path: Path | None = None
    card: Card | None = None
    options: Mapping[str, Value] | None = None
    has_gpu: bool | None = None
    limit: int | None = None
    answer: Answer | None = None
    is_planning: bool = False
    trouble: Trouble | None = None
    advice: tuple[Advice, ...] = ()
    curve: MemoryCurve | None = None
    is_curve_old: bool = False
    is_loaded: bool = False
    load_fraction: float | None = None
    loads: tuple[LoadMeasured, ...] = ()
    beside: tuple[BesideFile, ...] = ()
    refused: Trouble | None = None

"""What to change so that a load fits: layers on devices, experts in RAM, cache types, context, in that order.

A search over load options with a function that says how much room they leave. What the person has chosen is never
changed, and each way is the mildest of its kind: the most layers that fit, the fewest experts in RAM, the first cache type,
the longest context. The order follows what each costs: where layers lie costs speed, a smaller type a little precision,
a shorter context is another task.

Source: llama.cpp common/fit.cpp has the same order for layers and experts; the steps are bisections.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from engine.base.fields import Value
from engine.memory.fit import N_CTX_STEP
from engine.memory.ledger import RAM

Options = Mapping[str, Value]
Room = Mapping[str, int]
"""Bytes left of each memory beyond the margin, by name; less than 0 where it does not fit."""

CACHE_TYPES = ("f16", "q8_0", "q4_0")
BACK_STEPS = 4
"""So often a way gives way, each time by twice as much, where the engine's own plan says that it does not fit."""


class Way(enum.Enum):
    """What a proposal is about, the mildest first."""

    LAYERS = "layers"
    EXPERTS = "experts"
    CACHE = "cache"
    CONTEXT = "context"
    ALL = "all"  # more than one of them


@dataclass(frozen=True, slots=True)
class Proposal:
    """One way to make a load fit.

    Attributes:
        way: what it is about.
        changes: the options that are other ones, with their new values.
        before: their old values.
        least_left_bytes: what is left beyond the margin of the memory with the least room.
    """

    way: Way
    changes: Options
    before: Options
    least_left_bytes: int

    @property
    def argument(self) -> str:
        """The changes as a `SET_OPTION` remedy names them."""
        return ",".join(f"{key}={value}" for key, value in self.changes.items())


@dataclass(frozen=True, slots=True)
class Model:
    """What the search needs of a model: layers, whether it has experts, the context it was trained for (0: unknown)."""

    n_layer: int
    has_experts: bool
    n_ctx_train: int


def proposals(
    options: Options, room: Callable[[Options], Room | None], model: Model, kept: Collection[str] = ()
) -> tuple[Proposal, ...]:
    """Ways to make a load fit, the mildest first; empty where it fits, where nothing helps, or where nobody knows.

    Args:
        options: every load option, of a load that does not fit.
        room: what these options leave; None where they are refused or a free memory is unknown. It is asked some dozens
            of times.
        model: the model.
        kept: options that must stay as they are, by key.
    """
    search = _Search(dict(options), room, model, frozenset(kept))
    if search.fits({}) is not False:
        return ()
    found = [each for each in (search.layers({}), search.experts({}), search.cache({}), search.context({})) if each]
    ways = [(_way_of(each), each) for each in found]
    is_gentle = any(way is not Way.CONTEXT for way, _changes in ways)
    if not is_gentle and (all_of_them := search.together()) is not None:
        ways.append((Way.ALL, all_of_them))
    return tuple(search.proposal(way, changes) for way, changes in dict(ways).items())


def confirmed(
    proposal: Proposal, options: Options, room: Callable[[Options], Room | None], model: Model
) -> Proposal | None:
    """The proposal as another judge of room sees it: as it is, or a few steps milder; None where that does not do.

    Args:
        room: what changed options leave, by the engine's own plan.
    """
    changes: Options | None = proposal.changes
    for step in range(BACK_STEPS + 1):
        if step and changes is not None:
            changes = _steps_back(changes, model, 1 << (step - 1))
        if changes is None:
            return None
        left = room({**options, **changes})
        if left is None:
            return None
        if min(left.values()) >= 0:
            return replace(proposal, changes=changes, least_left_bytes=min(left.values()))
    return None


def _steps_back(changes: Options, model: Model, n: int) -> Options | None:
    """A demand of the same kind that is so many steps smaller (a layer, or 3 % of the context); None where there is none."""
    number = {key: int(str(value)) for key, value in changes.items() if isinstance(value, int)}
    if number.get("n_ctx", 0) > 2 * N_CTX_STEP:
        return {**changes, "n_ctx": int(number["n_ctx"] * 0.97**n) // N_CTX_STEP * N_CTX_STEP}
    if number.get("n_cpu_moe", model.n_layer) < model.n_layer:
        return {**changes, "n_cpu_moe": min(model.n_layer, number["n_cpu_moe"] + n)}
    if number.get("n_gpu_layers", 0) > 0:
        return {**changes, "n_gpu_layers": max(0, number["n_gpu_layers"] - n)}
    return None


class _Search:
    def __init__(
        self, options: dict[str, Value], room: Callable[[Options], Room | None], model: Model, kept: frozenset[str]
    ) -> None:
        self._options, self._room, self._model, self._kept = options, room, model, kept

    def proposal(self, way: Way, changes: Options) -> Proposal:
        changes = {key: value for key, value in changes.items() if self._options[key] != value}
        room = self._room({**self._options, **changes})
        assert room is not None
        return Proposal(way, changes, {key: self._options[key] for key in changes}, min(room.values()))

    def fits(self, changes: Options) -> bool | None:
        room = self._room({**self._options, **changes})
        return None if room is None else min(room.values()) >= 0

    def layers(self, fixed: Options) -> dict[str, Value] | None:
        """The most layers on devices that fit there; None where that does not help."""
        asked = int(str(self._options["n_gpu_layers"]))
        most = self._model.n_layer + 1
        most = most if asked < 0 else min(asked, most)
        if "n_gpu_layers" in self._kept or most == 0 or not self._on_devices(fixed):
            return None

        def takes(n: int) -> bool:
            room = self._room({**self._options, **fixed, "n_gpu_layers": n})
            return room is not None and all(left >= 0 for name, left in room.items() if name != RAM)

        n = _last(0, most, takes)
        return self._checked({**fixed, "n_gpu_layers": n}) if n < most else None

    def experts(self, fixed: Options) -> dict[str, Value] | None:
        """The fewest layers whose experts go to RAM; None where that does not help."""
        if "n_cpu_moe" in self._kept or not self._model.has_experts or not self._on_devices(fixed):
            return None
        first, last = int(str(self._options["n_cpu_moe"])), self._model.n_layer
        n = _last(0, last - first, lambda back: self.fits({**fixed, "n_cpu_moe": last - back}) is True)
        return self._checked({**fixed, "n_cpu_moe": last - n}) if last > first else None

    def cache(self, fixed: Options) -> dict[str, Value] | None:
        """The first smaller type of the KV cache that fits."""
        for changes in self._smaller_caches():
            if self.fits({**fixed, **changes}):
                return {**fixed, **changes}
        return None

    def context(self, fixed: Options) -> dict[str, Value] | None:
        """The longest shorter context that fits, in steps of the engine's rounding."""
        asked = int(str(self._options["n_ctx"])) or self._model.n_ctx_train
        if "n_ctx" in self._kept or asked <= N_CTX_STEP:
            return None
        steps = _last(0, (asked - 1) // N_CTX_STEP, lambda n: self.fits({**fixed, "n_ctx": n * N_CTX_STEP}) is True)
        return self._checked({**fixed, "n_ctx": steps * N_CTX_STEP}) if steps else None

    def together(self) -> dict[str, Value] | None:
        """A smaller cache with layers or experts, and where even that is too much a shorter context with it."""
        smallest: dict[str, Value] = {}
        for changes in self._smaller_caches():
            smallest = changes
            if found := self.experts(changes) or self.layers(changes):
                return found
        if "n_gpu_layers" not in self._kept and self._on_devices({}):
            smallest = {**smallest, "n_gpu_layers": 0}
        return self.context(smallest) if smallest else None

    def _smaller_caches(self) -> list[dict[str, Value]]:
        types = self._options["type_k"], self._options["type_v"]
        if {"type_k", "type_v"} & self._kept or self._options["flash_attn"] == "off" or types[0] not in CACHE_TYPES:
            return []
        smaller = CACHE_TYPES[CACHE_TYPES.index(str(types[0])) + 1 :]
        return [{"type_k": each, "type_v": each} for each in smaller]

    def _on_devices(self, fixed: Options) -> bool:
        room = self._room({**self._options, **fixed})
        return room is not None and any(name != RAM for name in room)

    def _checked(self, changes: dict[str, Value]) -> dict[str, Value] | None:
        return changes if self.fits(changes) else None


def _way_of(changes: Options) -> Way:
    for key, way in (("n_gpu_layers", Way.LAYERS), ("n_cpu_moe", Way.EXPERTS), ("type_k", Way.CACHE)):
        if key in changes:
            return way
    return Way.CONTEXT


def _last(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The last number for which `holds` is true, taken to be true up to some number and false beyond; `low` if none is."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low

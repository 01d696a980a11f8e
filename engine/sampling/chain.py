"""The chain: which samplers work, in which order, with which values, as one frozen value.

A chain travels as plain data (the wire, presets, the stored run), is changed by making a new one, and can say two
things: the calls of llama.h that make it, and what each of its stages would leave of given logits. An invalid chain
cannot be made: every value passes its Field. Rejected: a flat dictionary of parameters, which has no order and no
switches, so that an answer could not be replayed from it.

Source: llama.h `llama_sampler_chain_*`; llama.cpp `common/sampling.cpp` for the end of the chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from engine.base.errors import BugError, KnownError
from engine.base.fields import Field, FieldError, Value
from engine.sampling.stage import Candidates, Lexicon, NativeCall, Stage, Values
from engine.sampling.stages import STAGES, stage_named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RAW = "raw"  # the key of the result before the first stage
DRAW = "draw"  # the key of the last result: what the token is drawn from

HIGHEST_SEED = 0xFFFFFFFE  # the next one, LLAMA_DEFAULT_SEED, makes llama.cpp draw a seed that nobody can store


@dataclass(frozen=True, slots=True)
class Link:
    """One stage in a chain: switched on or off, with a checked value for each of its fields.

    Missing values are filled with the field's default; `FieldError` for values a field does not take or unknown fields,
    `KnownError` for an unknown stage.
    """

    key: str
    enabled: bool
    values: Mapping[str, Value] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(self.stage.fields.checked(self.values)))
        self.stage.check(self.values)

    @property
    def stage(self) -> Stage:
        return stage_named(self.key)

    @property
    def is_active(self) -> bool:
        """Whether this link changes anything: switched on and not neutral."""
        return self.enabled and not self.stage.is_neutral(self.values)

    @property
    def is_greedy(self) -> bool:
        """Whether this link leaves only the most likely token."""
        return self.enabled and self.stage.is_greedy(self.values)

    @classmethod
    def default(cls, stage: Stage) -> Link:
        """The stage switched on, every field at its default."""
        return cls(stage.key, True, stage.fields.defaults())


@dataclass(frozen=True, slots=True)
class StageResult:
    """What one stage of the chain has left of a distribution.

    Attributes:
        key: the stage, or `RAW` for the model's own distribution, or `DRAW` for what is drawn from.
        survivors: how many tokens can still be drawn.
        entropy_bits: entropy of the distribution over them.
        mass_kept: the survivors' share of the model's own probability, 0 to 1.
        candidates: the tokens themselves, in llama.cpp's order.
    """

    key: str
    survivors: int
    entropy_bits: float
    mass_kept: float
    candidates: Candidates


@dataclass(frozen=True, slots=True)
class Chain:
    """The stages in their order. No stage stands twice.

    Stages that draw the token themselves stand last, wherever they were put: nothing can follow a draw. If several of
    them are switched on, the first draws.
    """

    links: tuple[Link, ...]

    def __post_init__(self) -> None:
        links = sorted(self.links, key=lambda each: each.stage.draws)  # stable: the rest keeps its order
        object.__setattr__(self, "links", tuple(links))
        keys = self.keys()
        for key in keys:
            if keys.count(key) > 1:
                raise KnownError("A sampler stands twice in this chain", value=key, next_step="leave one of them out")

    @classmethod
    def default(cls) -> Chain:
        """Every stage, in llama.cpp's order, with llama.cpp's values."""
        return cls(tuple(Link.default(each) for each in STAGES))

    # -- looking at it

    def keys(self) -> tuple[str, ...]:
        """The stages' keys, in order."""
        return tuple(each.key for each in self.links)

    def link(self, key: str) -> Link:
        """The link of that stage, or `KnownError`."""
        return self.links[self._index(key)]

    def value(self, field_key: str) -> Value:
        """The value of one field, whether or not its stage works; `FieldError` if no stage here has such a field."""
        return self._link_with(field_key).values[field_key]

    def fields(self) -> Iterator[tuple[Stage, Field]]:
        """Every field with its stage, in the chain's order: what forms and flags are made from."""
        for link in self.links:
            for each in link.stage.fields:
                yield link.stage, each

    def active(self) -> tuple[Link, ...]:
        """The links that change something: switched on and not neutral, and of those that draw only the first."""
        active = [each for each in self.links if each.is_active]
        drawing = [each for each in active if each.stage.draws]
        return tuple(each for each in active if each not in drawing[1:])

    @property
    def is_greedy(self) -> bool:
        """Whether the most likely token of what is left is always taken."""
        return any(each.is_greedy for each in self.links)

    @property
    def draws_itself(self) -> bool:
        """Whether one of the stages draws the token (Mirostat, adaptive-p) in the place of the plain draw."""
        return not self.is_greedy and any(each.stage.draws for each in self.active())

    @property
    def uses_seed(self) -> bool:
        """Whether another seed can give another token."""
        return not self.is_greedy or any(each.stage.uses_seed for each in self._before_greedy())

    @property
    def needs_vocabulary(self) -> bool:
        """Whether `reference` is exact only with the model's tokens."""
        return any(each.stage.reference_with is not None for each in self.active())

    def changed_fields(self) -> dict[str, Value]:
        """The values that differ from their field's default, by field key. Order and switches are not in it."""
        changed: dict[str, Value] = {}
        for link in self.links:
            changed |= link.stage.fields.changed(link.values)
        return changed

    def describe(self) -> str:
        """The stages that work, on one line: “top-k 40 → top-p 0.95 → temperature 0.80 → draw”."""
        if self.is_greedy:
            parts = [each.stage.describe(each.values) for each in self._before_greedy()]
            return " → ".join([*parts, "greedy"])
        end = () if self.draws_itself else ("draw",)
        return " → ".join([*(each.stage.describe(each.values) for each in self.active()), *end])

    # -- changing it: each of these makes a new chain

    def with_value(self, field_key: str, value: object) -> Chain:
        """The chain with one field's value changed; `FieldError` if the field does not take it or does not exist."""
        link = self._link_with(field_key)
        return self._replaced(
            replace(link, values={**link.values, field_key: link.stage.fields[field_key].check(value)})
        )

    def with_values(self, values: Mapping[str, object]) -> Chain:
        """The chain with several fields' values changed at once; `FieldError` as for one."""
        chain = self
        for link in self.links:
            mine = {key: link.stage.fields[key].check(value) for key, value in values.items() if key in link.values}
            chain = chain._replaced(replace(link, values={**link.values, **mine})) if mine else chain
        for key in values:
            self._link_with(key)
        return chain

    def with_enabled(self, key: str, enabled: bool) -> Chain:
        """The chain with one stage switched on or off; its values are kept."""
        return self._replaced(replace(self.link(key), enabled=enabled))

    def moved(self, key: str, index: int) -> Chain:
        """The chain with one stage at another place. An index past either end means that end.

        Stages that draw stay behind all others.
        """
        link = self.link(key)
        others = [each for each in self.links if each.key != key]
        others.insert(min(max(index, 0), len(others)), link)
        return Chain(tuple(others))

    def reset(self, key: str | None = None) -> Chain:
        """The default chain; or this chain with one stage switched on at its defaults, left in its place."""
        return Chain.default() if key is None else self._replaced(Link.default(self.link(key).stage))

    # -- what it makes

    def native_calls(self, seed: int) -> tuple[NativeCall, ...]:
        """The samplers to put in a `llama_sampler_chain`, in order; the last one selects the token.

        Args:
            seed: 0 to `HIGHEST_SEED`. Who wants a random one draws it first and stores it, so that a run can be replayed.

        A greedy chain keeps only what can still change which token is the most likely.
        """
        return tuple(call for _key, calls in self.native_stages(seed) for call in calls)

    def native_stages(self, seed: int) -> tuple[tuple[str, tuple[NativeCall, ...]], ...]:
        """The same by stage: each stage's key with its samplers. A plain draw or greedy choice at the end is `DRAW`."""
        if not 0 <= seed <= HIGHEST_SEED:
            raise BugError(f"seed {seed} is not a number from 0 to {HIGHEST_SEED}")
        links = self._before_greedy() if self.is_greedy else self.active()
        stages = tuple((each.key, each.stage.calls(each.values, seed)) for each in links)
        if self.is_greedy:
            return (*stages, (DRAW, (NativeCall("llama_sampler_init_greedy"),)))
        if self.draws_itself:
            return stages
        return (*stages, (DRAW, (NativeCall("llama_sampler_init_dist", (seed,)),)))

    def reference(
        self, logits_v: NDArray[np.float32], history: Sequence[int] = (), lexicon: Lexicon | None = None
    ) -> tuple[StageResult, ...]:
        """What each stage leaves, computed in NumPy: first `RAW`, then the active stages in order, last `DRAW`.

        Args:
            logits_v: the model's logits [n_vocab]; not changed.
            history: the accepted tokens, oldest first.
            lexicon: the model's tokens, for the stages that need them (`needs_vocabulary`); without it those show
                what can be said without.

        `DRAW` has the survivors only; the softmax of their logits is what the token is drawn from. `KnownError` when
        the logits are no distribution (NaN, plus infinity, nothing above minus infinity), and when a stage leaves
        nothing to draw.
        """
        import numpy as np

        top = float(np.max(logits_v, initial=-np.inf))  # NaN if any is NaN
        if not np.isfinite(top):
            raise KnownError(
                "The model's scores for the next token are not usable",
                value=f"highest score {top}",
                next_step="try another quantization of this model, or another device",
            )
        candidates = Candidates.of_logits(logits_v)
        raw_v = candidates.probabilities()
        results = [_result(RAW, candidates, raw_v)]
        for link in self.active():
            if lexicon is not None and link.stage.reference_with is not None:
                candidates = link.stage.reference_with(candidates, link.values, history, lexicon)
            else:
                candidates = link.stage.reference(candidates, link.values, history)
            if len(candidates.survivors()) == 0:
                raise nothing_left(link.stage)
            results.append(_result(link.key, candidates, raw_v))
        results.append(replace(results[-1], key=DRAW, candidates=candidates.survivors()))
        return tuple(results)

    # -- as data

    def to_wire(self) -> list[dict[str, Any]]:
        """Plain data for JSON: a list of {"key", "enabled", "values"}, in order, with every value."""
        return [
            {
                "key": each.key,
                "enabled": each.enabled,
                "values": {key: _plain(value) for key, value in each.values.items()},
            }
            for each in self.links
        ]

    @classmethod
    def from_wire(cls, data: object) -> Chain:
        """The chain that `to_wire` wrote, checked.

        `KnownError` for another shape, an unknown stage or one that stands twice, `FieldError` for an unknown field or
        a value it does not take. Stages and fields that are missing did not exist when the chain was stored: they are
        added switched off, or neutral, so that an old chain still does what it did.
        """
        if not isinstance(data, list | tuple):
            raise _no_chain(data, "a list of stages")
        given = cls(tuple(_link_from_wire(each) for each in data))
        links, present = list(given.links), given.keys()
        for index, stage in enumerate(STAGES):
            if stage.key in present:
                continue
            earlier = {each.key for each in STAGES[:index]}
            place = max((at + 1 for at, each in enumerate(links) if each.key in earlier), default=0)
            links.insert(place, replace(Link.default(stage), enabled=False))
        return cls(tuple(links))

    # -- inside

    def _index(self, key: str) -> int:
        for index, each in enumerate(self.links):
            if each.key == key:
                return index
        stage_named(key)
        raise KnownError(
            "This sampler is not in the chain", value=key, next_step="use one of " + ", ".join(self.keys())
        )

    def _link_with(self, field_key: str) -> Link:
        for each in self.links:
            if field_key in each.stage.fields:
                return each
        known = ", ".join(each.key for _, each in self.fields())
        raise FieldError(field_key, "No sampler has such a setting", str(field_key)[:80], f"use one of {known}")

    def _replaced(self, link: Link) -> Chain:
        return Chain(tuple(link if each.key == link.key else each for each in self.links))

    def _before_greedy(self) -> tuple[Link, ...]:
        """The active links that decide which token the greedy stage finds most likely.

        After the greedy stage nothing can change it. A cut before it matters only if a later stage could have raised
        one of the tokens that were cut.
        """
        before: list[Link] = []
        for each in self.links:
            if each.is_greedy:
                break
            if each.is_active:
                before.append(each)
        while before and before[-1].stage.keeps_top:
            before.pop()
        return tuple(before)


def nothing_left(stage: Stage) -> KnownError:
    """What to tell when a stage has left no token that could be drawn."""
    return KnownError(
        "The samplers leave no token that could come next",
        value=stage.label,
        next_step="loosen this sampler, move it before those that cut, or switch it off",
    )


def _result(key: str, candidates: Candidates, raw_v: NDArray[np.float64]) -> StageResult:
    alive = candidates.survivors()
    mass = float(raw_v[alive.ids].sum()) if len(alive) < len(raw_v) else 1.0
    return StageResult(key, len(alive), alive.entropy_bits(), min(mass, 1.0), candidates)


def _plain(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _no_chain(data: object, wanted: str) -> KnownError:
    return KnownError("This is not a sampler chain", value=repr(data)[:80], next_step=f"give {wanted}")


def _link_from_wire(data: object) -> Link:
    if not isinstance(data, Mapping) or set(data) != {"key", "enabled", "values"}:
        raise _no_chain(data, 'each stage as {"key", "enabled", "values"}')
    key, enabled, values = data["key"], data["enabled"], data["values"]
    if not isinstance(key, str):
        raise _no_chain(key, "the stage's key as text")
    if not isinstance(enabled, bool):
        raise _no_chain(enabled, "enabled as true or false")
    if not isinstance(values, Mapping) or not all(isinstance(each, str) for each in values):
        raise _no_chain(values, "the values by the field's key")
    stage = stage_named(key)
    return Link(key, enabled, {**_neutral(stage), **values})


def _neutral(stage: Stage) -> Values:
    return {each.key: each.default if each.neutral is None else each.neutral for each in stage.fields}

"""The sampler chain as rows: what each stage shows of itself, what is quiet, where a row goes, what differs from default.

Pure functions of a chain. A stage is quiet when it changes nothing and would change nothing by default either: those
are many, and folded away. Two chains are alike when they do the same, whatever values idle stages keep.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from engine.base.fields import Field, FieldKind, Value
from engine.sampling.chain import Chain, Link

LONGEST_SUMMARY = 80  # characters; the row shortens it further


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage as a row.

    Attributes:
        key, label: the stage.
        help, source: its exact definition and where it comes from.
        enabled: its switch.
        is_active: whether it changes anything.
        is_changed: whether its values or its switch are not the default.
        summary: its values that do something, “repeat penalty 1.10”; "" when there are none or the row edits them.
        lead: the field that bears the stage's name and is edited in the row itself; None when there is no such number.
        folded: its other fields, shown when the row is open.
        draws: whether it takes the token itself.
    """

    key: str
    label: str
    help: str
    source: str
    enabled: bool
    is_active: bool
    is_changed: bool
    summary: str
    lead: Field | None
    folded: tuple[Field, ...]
    draws: bool


class Drawing(enum.Enum):
    """What takes the token at the end of the chain."""

    DRAW = "draw"  # at random, from what is left
    GREEDY = "greedy"  # the most likely one, always
    STAGE = "stage"  # a stage of the chain that draws by itself


@dataclass(frozen=True, slots=True)
class End:
    """The end of the chain; `label` is the stage that draws, "" for the two others."""

    drawing: Drawing
    label: str = ""


class DifferenceKind(enum.Enum):
    """In what a chain differs from the default."""

    PLACE = "place"
    SWITCH = "switch"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the default. `label` is the field's for a value, else the stage's.

    `now` and `default` are a value as an editor shows it, a place counted from 1, or "on" and "off".
    """

    kind: DifferenceKind
    label: str
    now: str
    default: str


def rows_of(chain: Chain, default: Chain) -> tuple[StageRow, ...]:
    """Every stage, in the chain's order; what is changed in it is judged by `default`."""
    working = {link.key for link in chain.active()}
    return tuple(_row(link, default.link(link.key), link.key in working) for link in chain.links)


def is_quiet(link: Link, default: Link) -> bool:
    """Whether a stage changes nothing and would change nothing by default either."""
    return not link.is_active and not default.is_active


def end_of(chain: Chain) -> End:
    """What takes the token."""
    for link in chain.links:
        if link.is_greedy:
            return End(Drawing.GREEDY)
        if link.is_active and link.stage.draws:
            return End(Drawing.STAGE, link.stage.label)
    return End(Drawing.DRAW)


def is_changed(link: Link, default: Link) -> bool:
    """Whether a stage's values, or a switch that matters, are not the default."""
    return link.values != default.values or (link.enabled != default.enabled and default.is_active)


def are_alike(one: Chain, other: Chain) -> bool:
    """Whether two chains do the same: the same stages work, in the same order, with the same values."""
    return _working(one) == _working(other)


def differences(chain: Chain, default: Chain) -> tuple[Difference, ...]:
    """What of `chain` is not as in `default`: first the order, then stage by stage switches and values."""
    found: list[Difference] = []
    order, was_order = chain.keys(), default.keys()
    for key in _moved(order, was_order):
        place, was = order.index(key) + 1, was_order.index(key) + 1
        found.append(Difference(DifferenceKind.PLACE, chain.link(key).stage.label, str(place), str(was)))
    for link in chain.links:
        other = default.link(link.key)
        if link.enabled != other.enabled and (link.is_active or other.is_active):
            states = ("on", "off") if link.enabled else ("off", "on")
            found.append(Difference(DifferenceKind.SWITCH, link.stage.label, *states))
        for field in link.stage.fields:
            now, before = link.values[field.key], other.values[field.key]
            if now != before:
                label = field.label
                found.append(Difference(DifferenceKind.VALUE, label, shown(field, now), shown(field, before)))
    return tuple(found)


def place_in_chain(chain: Chain, key: str, place: int, visible: Sequence[str]) -> int:
    """Where `Chain.moved` must put a stage so that it stands at `place` among the visible ones.

    Args:
        chain: as it is now.
        key: the stage that moves; one of `visible`.
        place: its new index among `visible` without it.
        visible: the stages on screen, in their order; those that are folded away keep to their neighbours.
    """
    others = [each.key for each in chain.links if each.key != key]
    seen = [each for each in visible if each != key]
    if not seen:
        return chain.keys().index(key)
    place = min(max(place, 0), len(seen))
    return others.index(seen[place - 1]) + 1 if place else others.index(seen[0])


def shown(field: Field, value: Value) -> str:
    """A value on one line with its unit, a long text shortened; "" of a text is “empty”."""
    lines = field.format(value).splitlines()
    if not lines:
        return "empty"
    text = lines[0] if len(lines) == 1 else f"{lines[0]} …"
    is_word = any(type(special) is type(value) and special == value for special, _ in field.special)
    unit = f" {field.unit}" if field.unit and not is_word else ""
    return text + unit if len(text) <= LONGEST_SUMMARY else text[: LONGEST_SUMMARY - 1] + "…"


def _row(link: Link, default: Link, is_active: bool) -> StageRow:
    stage = link.stage
    lead = next((each for each in stage.fields if _is_lead(each, stage.label)), None)
    rest = tuple(each for each in stage.fields if each is not lead)
    if all(each.advanced for each in rest):  # the row's fold is fold enough
        rest = tuple(replace(each, advanced=False) for each in rest)
    return StageRow(
        stage.key,
        stage.label,
        stage.help,
        stage.source,
        link.enabled,
        is_active,
        is_changed(link, default),
        _summary(link, rest) if is_active else "",
        lead,
        rest,
        stage.draws,
    )


def _is_lead(field: Field, label: str) -> bool:
    return field.kind in (FieldKind.INT, FieldKind.FLOAT) and field.label.casefold() == label.casefold()


def _summary(link: Link, fields: Iterable[Field]) -> str:
    parts = []
    for each in fields:
        value = link.values[each.key]
        idle = each.default if each.neutral is None else each.neutral
        if value == idle:
            continue
        label = _without(each.label.lower(), link.stage.label.lower())
        if each.kind is FieldKind.BOOL:
            parts.append(label if value else f"no {label}")
        else:
            parts.append(f"{label} {shown(each, value)}".strip())
    return ", ".join(parts)


def _without(label: str, stage_label: str) -> str:
    """A field's label beside its stage's name: “dry multiplier” is “multiplier” there, and “grammar” nothing."""
    return label.removeprefix(stage_label).strip()


def _working(chain: Chain) -> list[tuple[str, dict[str, Value]]]:
    return [(each.key, dict(each.values)) for each in chain.active()]


def _moved(order: Sequence[str], default: Sequence[str]) -> list[str]:
    """The fewest stages that must have been moved to come from `default` to `order`.

    They are those outside the longest run of stages that still stand in the default's order.
    """
    rank = {key: place for place, key in enumerate(default)}
    best: list[list[str]] = []  # the longest such run that ends at each stage
    for at, key in enumerate(order):
        before = [best[earlier] for earlier in range(at) if rank[order[earlier]] < rank[key]]
        best.append([*max(before, key=len, default=[]), key])
    kept = max(best, key=len, default=[])
    return [key for key in order if key not in kept]

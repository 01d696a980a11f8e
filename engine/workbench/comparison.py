"""Two answers side by side: what they were written with, where their texts part, the first token that differs.

Pure: it knows no engine and no store, so each part is tested as a value. Words are compared, not characters: a text
that was written anew shares many letters by chance and hardly any words.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.base.errors import KnownError
from engine.base.fields import FieldSet, Value
from engine.sampling.chain import Chain
from engine.store.rows import RunRecipe, RunRow
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.run_options import RUN_OPTIONS
from engine.workbench.recipe import InUse, chain_of, in_use_of, limits_of, load_options_of

UNKNOWN = "not known"
ONLY_MEMORY = ("mmap", "mlock")
"""Load options that decide where the weights lie and no result."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not the same: what, and how it is on either side (stored and now, or first and second)."""

    what: str
    first: str
    second: str


class Part(enum.Enum):
    """Whether words stand in both texts, or only in one."""

    BOTH = "both"
    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True, slots=True)
class Words:
    """Neighbouring words of one kind, with the white space between them."""

    part: Part
    text: str


def parameters_that_differ(first: RunRow, second: RunRow) -> tuple[Difference, ...]:
    """Model, engine, template, chain, seed, limits and load options of two runs, where they are not the same."""
    one, other = first.recipe, second.recipe
    found = _named(
        ("Model", one.model_label, other.model_label),
        ("Model file", one.model_fingerprint, other.model_fingerprint),
        ("Engine", one.engine_build, other.engine_build),
        ("Chat template", one.template_hash[:12], other.template_hash[:12]),
        ("Seed", _text(one.seed), _text(other.seed)),
    )
    found += _chains(one.chain, other.chain, lambda: (chain_of(one), chain_of(other)))
    found += _options(RUN_OPTIONS, _read(limits_of, one), _read(limits_of, other), leave_out=("seed",))
    found += _options(LOAD_OPTIONS, _read(load_options_of, one), _read(load_options_of, other), leave_out=ONLY_MEMORY)
    found += in_use_that_differs(in_use_of(one), in_use_of(other))
    return tuple(found)


def chain_differences(first: Chain, second: Chain) -> tuple[Difference, ...]:
    """Where two chains do not do the same: order, switches, values."""
    found: list[Difference] = []
    if (order := _order(first)) != (other_order := _order(second)):
        found.append(Difference("Samplers", order, other_order))
    links = {each.key: each for each in second.links}
    for link in first.links:
        other = links.get(link.key)
        if other is None or not (link.is_active or other.is_active):
            continue
        for field in link.stage.fields:
            one, two = link.values[field.key], other.values[field.key]
            if one != two:
                found.append(Difference(field.label, field.format(one), field.format(two)))
    return tuple(found)


def in_use_that_differs(first: InUse, second: InUse) -> list[Difference]:
    """What the options came to, where it is known of both and not the same."""
    rows: list[tuple[str, object, object]] = [
        ("Context in use", first.n_ctx, second.n_ctx),
        ("Threads in use", first.n_threads, second.n_threads),
        ("Prompt threads in use", first.n_threads_batch, second.n_threads_batch),
        ("Flash attention in use", first.flash_attn, second.flash_attn),
        ("Devices", ", ".join(first.devices) or None, ", ".join(second.devices) or None),
    ]
    return [
        Difference(what, _text(one), _text(two))
        for what, one, two in rows
        if one is not None and two is not None and one != two
    ]


def load_options_that_differ(first: Mapping[str, Value], second: Mapping[str, Value]) -> list[Difference]:
    """The load options that change results, where they are not the same."""
    return _options(LOAD_OPTIONS, first, second, leave_out=ONLY_MEMORY)


def first_difference(first: Sequence[int], second: Sequence[int]) -> int | None:
    """The first place where two token lists differ (one may have ended there); None where they are the same."""
    for place, (one, two) in enumerate(zip(first, second, strict=False)):
        if one != two:
            return place
    return min(len(first), len(second)) if len(first) != len(second) else None


def words_that_differ(first: str, second: str) -> tuple[Words, ...]:
    """Both texts as one row of parts: what is in both, what only in the first, what only in the second."""
    one, two = re.findall(r"\s*\S+|\s+$", first), re.findall(r"\s*\S+|\s+$", second)
    found: list[Words] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        if tag == "equal":
            found.append(Words(Part.BOTH, "".join(one[a:b])))
            continue
        if b > a:
            found.append(Words(Part.FIRST, "".join(one[a:b])))
        if d > c:
            found.append(Words(Part.SECOND, "".join(two[c:d])))
    return tuple(found)


def _named(*rows: tuple[str, str, str]) -> list[Difference]:
    return [Difference(what, one or UNKNOWN, two or UNKNOWN) for what, one, two in rows if one != two]


def _chains(first: str, second: str, read: Callable[[], tuple[Chain, Chain]]) -> list[Difference]:
    if first == second:
        return []
    try:
        return list(chain_differences(*read()))
    except KnownError:
        return [Difference("Samplers", first, second)]


def _read(reader: Callable[[RunRecipe], Mapping[str, Value]], recipe: RunRecipe) -> Mapping[str, Value]:
    try:
        return reader(recipe)
    except KnownError:
        return {}


def _options(
    fields: FieldSet, first: Mapping[str, Value], second: Mapping[str, Value], leave_out: Sequence[str]
) -> list[Difference]:
    found: list[Difference] = []
    for field in fields:
        one, two = first.get(field.key), second.get(field.key)
        if field.key not in leave_out and one != two:
            shown = (field.format(each) if each is not None else UNKNOWN for each in (one, two))
            found.append(Difference(field.label, *shown))
    return found


def _order(chain: Chain) -> str:
    return " → ".join(each.stage.label for each in chain.active()) or "none"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return UNKNOWN if value is None else str(value)

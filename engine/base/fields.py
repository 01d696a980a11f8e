"""One declaration per number: a `Field` says everything about a parameter, in one place.

Widgets, command-line flags, validation, the wire, the settings file, the stored run and the docs are all made
from it, so that a parameter cannot mean two things. Rejected: pydantic (55 ms of import, and no place for a range's
step, its neutral value or its source).
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from engine.base.errors import KnownError

Value: TypeAlias = bool | int | float | str | tuple[str, ...]


class FieldKind(enum.Enum):
    """The type of a field's value, and with it the editor and the parser."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    CHOICE = "choice"
    TEXT = "text"
    TEXT_LIST = "text_list"
    FILE = "file"


class FieldError(KnownError):
    """A value that a field does not take. `key` names the field, the message says what it takes."""

    def __init__(self, key: str, what: str, value: str, next_step: str) -> None:
        super().__init__(what, value=value, next_step=next_step)
        self.key = key


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter: its name, type, default, range, step, unit, help and source.

    Attributes:
        key: the field's standard name (llama.h's own where it has one); the flag is the key with dashes.
        kind: the type of the value. A FILE is a path as text, "" for none; whether there is such a file is seen when it
            is used.
        default: the value when nobody said anything; it must be valid.
        label: the name on screen, a few words.
        help: what it does, in one or two sentences; shown on hover, in `--help` and in the docs.
        source: where the definition comes from (a llama.h name, a paper, a specification).
        minimum, maximum: the inclusive range of a number, None for open.
        soft_maximum: where the slider ends; the number box still goes up to `maximum`.
        step: the step of the editor, in units of the value.
        unit: the unit on screen ("tokens", "layers", "MiB"), "" for a pure number.
        choices: the spellings of a CHOICE.
        neutral: the value that changes nothing, marked on the slider; None where there is none.
        special: spelled-out meanings of single values, as (value, text) pairs: (0, "model's own").
        advanced: folded away in forms until asked for.
        log_scale: the slider moves in powers (contexts, batch sizes).
        pattern, pattern_hint: a regular expression that the whole text, or each text of a list, must match, and what to
            write instead when it does not; "" takes any text.
        multiline: a TEXT of several lines (a grammar, a schema), with an editor of that shape.
    """

    key: str
    kind: FieldKind
    default: Value
    label: str
    help: str
    source: str = ""
    minimum: float | None = None
    maximum: float | None = None
    soft_maximum: float | None = None
    step: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    neutral: Value | None = None
    special: tuple[tuple[Value, str], ...] = ()
    advanced: bool = False
    log_scale: bool = False
    pattern: str = ""
    pattern_hint: str = ""
    multiline: bool = False

    def check(self, value: object) -> Value:
        """The value in this field's type, or `FieldError`. Accepts 1 for 1.0, never True for 1."""
        match self.kind:
            case FieldKind.BOOL:
                if isinstance(value, bool):
                    return value
                raise self._refuse(value, "use true or false")
            case FieldKind.INT:
                if isinstance(value, int) and not isinstance(value, bool):
                    return self._in_range(value)
                if isinstance(value, float) and value.is_integer():
                    return self._in_range(int(value))
                raise self._refuse(value, f"use a whole number{self._range_text()}")
            case FieldKind.FLOAT:
                if isinstance(value, int | float) and not isinstance(value, bool):
                    try:
                        number = float(value)
                    except OverflowError:  # JSON can carry integers beyond a float
                        number = math.inf
                    if math.isfinite(number):
                        return self._in_range(number)
                raise self._refuse(value, f"use a number{self._range_text()}")
            case FieldKind.CHOICE:
                if isinstance(value, str) and value in self.choices:
                    return value
                raise self._refuse(value, "use one of " + ", ".join(self.choices))
            case FieldKind.TEXT:
                if isinstance(value, str):
                    return self._matching(value)
                raise self._refuse(value, "use text")
            case FieldKind.FILE:
                if isinstance(value, str) and "\0" not in value:
                    return self._matching(value)
                raise self._refuse(value, "use the path of a file, or nothing")
            case FieldKind.TEXT_LIST:
                if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
                    return tuple(self._matching(str(item)) for item in value)
                raise self._refuse(value, "use a list of texts")

    def parse(self, text: str) -> Value:
        """The value that `text` spells (a flag's argument, the contents of an editor), or `FieldError`."""
        stripped = text.strip()
        match self.kind:
            case FieldKind.BOOL:
                spelled = {"true": True, "yes": True, "on": True, "1": True}
                spelled |= {"false": False, "no": False, "off": False, "0": False}
                if stripped.lower() not in spelled:
                    raise self._refuse(text, "use true or false")
                return spelled[stripped.lower()]
            case FieldKind.INT | FieldKind.FLOAT:
                for value, meaning in self.special:
                    if stripped.casefold() == meaning.casefold():
                        return value
                try:
                    plain = stripped.replace(",", "").replace("\u2009", "").replace("_", "")
                    number: float = int(plain) if self.kind is FieldKind.INT else float(plain)
                except ValueError:
                    noun = "a whole number" if self.kind is FieldKind.INT else "a number"
                    raise self._refuse(text, f"use {noun}{self._range_text()}") from None
                return self.check(number)
            case FieldKind.TEXT_LIST:
                return tuple(self._matching(line) for line in text.split("\n") if line)
            case FieldKind.CHOICE:
                return self.check(stripped)
            case FieldKind.TEXT | FieldKind.FILE:
                return self.check(text)

    def format(self, value: Value) -> str:
        """The value as an editor shows it, without the unit: 4,096 · 0.05 · on."""
        for special, meaning in self.special:
            if type(special) is type(value) and special == value:
                return meaning
        if isinstance(value, bool):
            return "on" if value else "off"
        if isinstance(value, int):
            return f"{value:,}"
        if isinstance(value, float):
            decimals = max(0, -math.floor(math.log10(self.step))) if self.step else 3
            return f"{value:.{decimals}f}" if round(value, decimals) == value else f"{value:g}"
        if isinstance(value, tuple):
            return "\n".join(value)
        return value

    @property
    def flag(self) -> str:
        """The command-line flag: `--n-ctx` for `n_ctx`."""
        return "--" + self.key.replace("_", "-")

    def _matching(self, text: str) -> str:
        if self.pattern and re.fullmatch(self.pattern, text) is None:
            raise self._refuse(text, self.pattern_hint)
        return text

    def _in_range(self, value: int | float) -> int | float:
        if self.minimum is not None and value < self.minimum:
            raise self._refuse(value, f"use at least {self.format(self._typed(self.minimum))}")
        if self.maximum is not None and value > self.maximum:
            raise self._refuse(value, f"use at most {self.format(self._typed(self.maximum))}")
        return value

    def _typed(self, bound: float) -> Value:
        return int(bound) if self.kind is FieldKind.INT else float(bound)

    def _range_text(self) -> str:
        low = None if self.minimum is None else self.format(self._typed(self.minimum))
        high = None if self.maximum is None else self.format(self._typed(self.maximum))
        if low is not None and high is not None:
            return f" from {low} to {high}"
        if low is not None:
            return f" of at least {low}"
        return f" of at most {high}" if high is not None else ""

    def _refuse(self, value: object, next_step: str) -> FieldError:
        shown = repr(value) if isinstance(value, str) else str(value)
        return FieldError(self.key, f"{self.label} does not take this value", shown[:80], next_step)


@dataclass(frozen=True, slots=True)
class FieldSet:
    """Fields that belong together, in the order in which they are shown. Keys are unique."""

    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        keys = [each.key for each in self.fields]
        if len(set(keys)) != len(keys):
            raise ValueError(f"a key stands twice in {keys}")
        for each in self.fields:
            each.check(each.default)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __getitem__(self, key: str) -> Field:
        for each in self.fields:
            if each.key == key:
                return each
        raise FieldError(key, "There is no such setting", key, "use one of " + ", ".join(self.keys()))

    def __contains__(self, key: object) -> bool:
        return any(each.key == key for each in self.fields)

    def keys(self) -> tuple[str, ...]:
        return tuple(each.key for each in self.fields)

    def defaults(self) -> dict[str, Value]:
        return {each.key: each.default for each in self.fields}

    def checked(self, given: Mapping[str, object]) -> dict[str, Value]:
        """Every field's value: the given ones checked, the others at their default. Unknown keys are refused."""
        for key in given:
            if key not in self:
                self[key]
        return {each.key: each.check(given[each.key]) if each.key in given else each.default for each in self.fields}

    def changed(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Those of `values` that differ from the default: what is stored and sent."""
        return {key: value for key, value in values.items() if self[key].default != value}


def fields_named(sets: Sequence[FieldSet], key: str) -> Field | None:
    """The field of that key in any of the sets, or None."""
    return next((each for fields in sets for each in fields if each.key == key), None)

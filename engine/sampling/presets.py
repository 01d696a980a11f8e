"""Presets: whole sampler chains with a name, those that come along and those that a person saves, exports and imports.

The values of the built-in ones stand in the stages' own files (`Stage.presets`), so that everything about a parameter
is in one place; here are their names and what they are for. An exported preset is JSON that names its version and is
checked as strictly as what comes over the wire.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from engine.base.errors import KnownError
from engine.base.fields import Value
from engine.sampling.chain import HIGHEST_SEED, Chain
from engine.sampling.stages import STAGES

FORMAT = "llamarium-preset"
VERSION = 1
LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Preset:
    """A chain with a name.

    Attributes:
        key: its name in settings and on the command line: small letters, digits and _ in the built-in ones.
        label: its name on screen, 1 to 80 characters.
        help: what it is for, "" in a person's own.
        chain: every stage with its values, order and switches.
        seed: the seed of its runs, 0 to `HIGHEST_SEED`; None leaves the run's seed as it is.

    Raises `KnownError` for an empty or too long name and for a seed out of range.
    """

    key: str
    label: str
    help: str
    chain: Chain
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in (self.key, self.label):
            if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
                raise KnownError(
                    "This is not a name for a preset",
                    value=repr(name)[:LONGEST_NAME],
                    next_step=f"use 1 to {LONGEST_NAME} characters on one line",
                )
        if self.seed is not None and not 0 <= self.seed <= HIGHEST_SEED:
            raise KnownError(
                "The preset's seed is out of range",
                value=str(self.seed),
                next_step=f"use a whole number from 0 to {HIGHEST_SEED:,}, or none",
            )

    def to_json(self) -> str:
        """The preset as a JSON document, indented, with every value: what is exported."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "key": self.key,
            "label": self.label,
            "help": self.help,
            "seed": self.seed,
            "chain": self.chain.to_wire(),
        }
        return json.dumps(document, ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Preset:
        """The preset that `to_json` wrote, checked; `KnownError` (`FieldError` for a value) for anything else.

        Samplers and fields that did not exist when it was written are switched off, or neutral.
        """
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            place = f"line {error.lineno}, column {error.colno}"
            raise _no_preset(f"{place}: {error.msg}", "choose a file that was exported as a preset") from None
        except RecursionError:
            raise _no_preset("it is nested too deeply", "choose a file that was exported as a preset") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise _no_preset(text.strip()[:60], f'choose a JSON object with "format": "{FORMAT}"')
        version = document.get("version")
        if version != VERSION or isinstance(version, bool):
            raise _no_preset(f"version {version}", f"this Llamarium reads version {VERSION}")
        unknown = set(document) - {"format", "version", "key", "label", "help", "seed", "chain"}
        if unknown:
            raise _no_preset(", ".join(sorted(unknown))[:60], "leave out what no preset has")
        seed = document.get("seed")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise _no_preset(f"seed {seed!r}"[:60], "give the seed as a whole number or null")
        chain = Chain.from_wire(document.get("chain"))
        return cls(_text(document, "key"), _text(document, "label"), _text(document, "help"), chain, seed)


def _text(document: dict[str, Any], name: str) -> str:
    found = document.get(name)
    if not isinstance(found, str):
        raise _no_preset(f"{name} {found!r}"[:60], f"give the {name} as text")
    return found


def _no_preset(value: str, next_step: str) -> KnownError:
    return KnownError("This is not a preset", value=value, next_step=next_step)


def _built_in(key: str, label: str, text: str, seed: int | None = None) -> Preset:
    values: dict[str, Value] = {}
    for stage in STAGES:
        for name, theirs in stage.presets:
            if name == key:
                values |= theirs
    return Preset(key, label, text, Chain.default().with_values(values), seed)


PRESETS: tuple[Preset, ...] = (
    _built_in("default", "Default", "llama.cpp's own values: top-k 40, top-p 0.95, min-p 0.05, temperature 0.8."),
    _built_in("precise", "Precise", "For facts, code and summaries: a low temperature and a narrow choice."),
    _built_in("balanced", "Balanced", "For everyday questions: a little calmer than the default."),
    _built_in(
        "creative", "Creative", "For stories: hot, without the obvious words (XTC) and without repetitions (DRY)."
    ),
    _built_in("greedy", "Greedy", "Always the most likely token. The same text every time, and prone to repetition."),
    _built_in("deterministic", "Deterministic", "The default with a fixed seed: drawn, but the same every time.", 42),
    _built_in("mirostat_v2", "Mirostat v2", "No fixed cut: the surprise of the text is held at 5 bits a token."),
)


def preset_named(key: str) -> Preset:
    """The built-in preset of that key, or `KnownError`."""
    for each in PRESETS:
        if each.key == key:
            return each
    known = ", ".join(each.key for each in PRESETS)
    raise KnownError("There is no such preset", value=str(key)[:80], next_step=f"use one of {known}")

"""Presets: chains with a name, the built-in ones and the form in which people keep and exchange their own.

A preset is a whole chain, so that choosing one says everything about how a token is drawn; limits are no part of
it, and a seed only where it is the point of the preset. The values below stand by the labels of their fields: a key belongs to the file that declares it. Rejected: a
table of loose parameters as other programs exchange it, which has no order and no switches.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from engine.base.errors import KnownError
from engine.base.fields import Value
from engine.sampling.chain import HIGHEST_SEED, Chain

FORMAT = "llamarium-preset"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Preset:
    """A chain with a name.

    Attributes:
        key: stable; unique among the built-in ones, or among a user's own.
        label: the name on screen.
        help: what it is good for, one sentence; "" for a user's own.
        chain: the whole chain.
        seed: the seed of its runs; None leaves the run's seed as it is.
    """

    key: str
    label: str
    help: str
    chain: Chain
    seed: int | None = None

    def to_json(self) -> str:
        """The preset as a file's text, indented for people."""
        return json.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "key": self.key,
                "label": self.label,
                "help": self.help,
                "seed": self.seed,
                "chain": self.chain.to_wire(),
            },
            indent=2,
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> Preset:
        """The preset that `to_json` wrote, checked.

        Raises:
            KnownError: no JSON (with line and column), no preset, one of a newer form, or a chain that is not valid.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise KnownError("This is not JSON", value=str(error)[:200], next_step="choose a preset file") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise _no_preset(f'no "format": "{FORMAT}" in it')
        if data.get("version") != VERSION:
            raise KnownError(
                "This preset has a form that is not known here",
                value=f"version {str(data.get('version'))[:20]}, known is {VERSION}",
                next_step="update Llamarium",
            )
        words = {name: data.get(name, "") for name in ("key", "label", "help")}
        for name, word in words.items():
            if not isinstance(word, str):
                raise _no_preset(f"{name} is no text")
        if not words["label"].strip():
            raise _no_preset("it has no label")
        seed = data.get("seed")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= HIGHEST_SEED):
            raise _no_preset(f"seed {seed!r}"[:60])
        return cls(words["key"], words["label"].strip(), words["help"], Chain.from_wire(data.get("chain")), seed)


def preset_named(key: str) -> Preset:
    """The built-in preset of that key, or `KnownError`."""
    for each in PRESETS:
        if each.key == key:
            return each
    known = ", ".join(each.key for each in PRESETS)
    raise KnownError("There is no such preset", value=str(key)[:80], next_step=f"use one of {known}")


def _no_preset(why: str) -> KnownError:
    return KnownError("This is not a sampler preset", value=why, next_step="choose a file that was exported from here")


def _chain(values_by_label: Mapping[str, Value]) -> Chain:
    chain = Chain.default()
    keys = {field.label: field.key for _, field in chain.fields()}
    for label, value in values_by_label.items():
        chain = chain.with_value(keys[label], value)
    return chain


PRESETS: tuple[Preset, ...] = (
    Preset("balanced", "Balanced", "llama.cpp's own values: lively, and rarely off the track.", Chain.default()),
    Preset(
        "precise",
        "Precise",
        "For facts, code and extraction: the likely tokens, with little left to chance.",
        _chain({"Temperature": 0.2, "Top-p": 0.9}),
    ),
    Preset(
        "creative",
        "Creative",
        "For stories and ideas: a wide choice, with only the improbable tail cut.",
        _chain({"Temperature": 1.2, "Top-k": 0, "Top-p": 1.0, "Min-p": 0.05}),
    ),
    Preset("greedy", "Greedy", "Always the most likely token; chance has no part.", _chain({"Temperature": 0.0})),
)
"""The built-in presets, in the order of the menu; the first one is the default chain."""

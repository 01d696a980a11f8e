"""Presets: whole chains with names, to a file and back without loss, and a clear refusal of anything else."""

from __future__ import annotations

import json

import pytest

from engine.base.errors import KnownError
from engine.sampling.chain import Chain
from engine.sampling.presets import PRESETS, Preset, preset_named


def test_the_built_in_presets_have_names_of_their_own_and_the_first_is_the_default() -> None:
    assert len({each.key for each in PRESETS}) == len({each.label for each in PRESETS}) == len(PRESETS)
    assert all(each.help for each in PRESETS)
    assert preset_named("balanced").chain == Chain.default()
    assert preset_named("greedy").chain.is_greedy


def test_a_preset_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(KnownError, match="balanced"):
        preset_named("wild")


@pytest.mark.parametrize("preset", PRESETS, ids=lambda each: each.key)
def test_a_preset_goes_to_json_and_back(preset: Preset) -> None:
    assert Preset.from_json(preset.to_json()) == preset


def test_order_and_switches_survive_the_file() -> None:
    chain = Chain.default()
    first, last = chain.keys()[0], chain.keys()[1]
    changed = chain.moved(first, 3).with_enabled(last, False)
    assert Preset.from_json(Preset("own", "다른 순서", "", changed).to_json()).chain == changed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1 column 1"),
        ('{"format": "llamarium-preset",\n "version": 1,,}', "line 2"),
        ("[" * 100_000, "JSON"),
        ("[]", "not a sampler preset"),
        ("{}", "not a sampler preset"),
        ('{"format": "llamarium-preset", "version": 99}', "version 99"),
        ('{"format": "llamarium-preset", "version": 1, "label": 7}', "label is no text"),
        ('{"format": "llamarium-preset", "version": 1, "label": "  "}', "no label"),
        ('{"format": "llamarium-preset", "version": 1, "label": "x"}', "not a sampler chain"),
    ],
)
def test_what_is_no_preset_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(KnownError) as caught:
        Preset.from_json(text)
    assert said in caught.value.trouble.sentence()


def test_a_value_that_its_field_does_not_take_is_refused() -> None:
    data = json.loads(PRESETS[0].to_json())
    key = next(iter(data["chain"][-1]["values"]))
    data["chain"][-1]["values"][key] = "hot"
    with pytest.raises(KnownError, match="hot"):
        Preset.from_json(json.dumps(data))

"""Presets: what comes along, and the way of a person's own out of the program and back."""

from __future__ import annotations

import json

import pytest

from engine.base.errors import KnownError
from engine.sampling.chain import Chain
from engine.sampling.presets import PRESETS, Preset, preset_named
from engine.sampling.stages import STAGES


def test_the_presets_have_names_of_their_own_and_say_what_they_are_for():
    assert [each.key for each in PRESETS] == [
        *("default", "precise", "balanced", "creative", "greedy", "deterministic", "mirostat_v2")
    ]
    assert len({each.label for each in PRESETS}) == len(PRESETS)
    assert all(len(each.help) > 20 for each in PRESETS)


def test_every_preset_that_a_stage_names_is_there():
    named = {name for stage in STAGES for name, _ in stage.presets}
    assert named <= {each.key for each in PRESETS}


def test_the_default_preset_is_the_default_chain():
    assert preset_named("default").chain == Chain.default()


def test_no_two_presets_are_the_same():
    assert len({(each.chain, each.seed) for each in PRESETS}) == len(PRESETS)


def test_the_presets_do_what_their_names_say():
    assert preset_named("greedy").chain.is_greedy
    assert not preset_named("greedy").chain.uses_seed
    assert preset_named("deterministic").seed == 42
    assert preset_named("mirostat_v2").chain.native_calls(1)[-1].name == "llama_sampler_init_mirostat_v2"
    assert preset_named("creative").chain.value("temperature") > preset_named("precise").chain.value("temperature")
    active = [each.key for each in preset_named("creative").chain.active()]
    assert active == ["dry", "min_p", "xtc", "temperature"]


def test_an_unknown_preset_is_named_with_the_known_ones():
    with pytest.raises(KnownError, match=r"boring.*use one of default, precise"):
        preset_named("boring")


@pytest.mark.parametrize("preset", PRESETS, ids=lambda each: each.key)
def test_a_preset_survives_export_and_import(preset):
    assert Preset.from_json(preset.to_json()) == preset


def test_a_persons_own_preset_keeps_order_switches_and_texts():
    chain = Chain.default().moved("temperature", 0).with_enabled("top_k", False)
    chain = chain.with_values({"logit_bias": ["15=-2", '" yes"=5'], "grammar": 'root ::= "ja" | "nein"'})
    own = Preset("mine", "Mein Würfel 🎲", "", chain, 7)
    assert Preset.from_json(own.to_json()) == own


def test_a_preset_from_before_a_sampler_existed_leaves_it_off():
    document = json.loads(preset_named("default").to_json())
    document["chain"] = [each for each in document["chain"] if each["key"] != "xtc"]
    assert "xtc" not in [each.key for each in Preset.from_json(json.dumps(document)).chain.active()]


def _with(**changes: object) -> str:
    return json.dumps(json.loads(preset_named("default").to_json()) | changes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1"),
        ("{", "line 1"),
        ("[]", "format"),
        ("7", "format"),
        ("[" * 100_000, "nested|not a preset"),
        (_with(format="other"), "format"),
        (_with(version=2), "version 2"),
        (_with(version=True), "version True"),
        (_with(version=None), "version None"),
        (_with(extra=1), "extra"),
        (_with(seed="7"), "seed '7'"),
        (_with(seed=True), "seed True"),
        (_with(seed=-1), "out of range"),
        (_with(seed=2**32), "out of range"),
        (_with(label=5), "label 5"),
        (_with(label=""), "not a name"),
        (_with(label="a\nb"), "not a name"),
        (_with(key=" "), "not a name"),
        (_with(label="x" * 81), "not a name"),
        (_with(help=None), "help None"),
        (_with(chain=None), "not a sampler chain"),
        (_with(chain=[{"key": "magic", "enabled": True, "values": {}}]), "no such sampler"),
        (_with(chain=[{"key": "min_p", "enabled": True, "values": {"min_p": 7}}]), "Min-p does not take"),
        (_with(chain=[{"key": "grammar", "enabled": True, "values": {"grammar": "root ::= ("}}]), "line 1, column 10"),
    ],
    ids=range(24),
)
def test_what_is_no_preset_is_refused_with_the_reason(text, said):
    with pytest.raises(KnownError, match=said):
        Preset.from_json(text)

"""The chain as a value: changing it, checking it, writing it down and reading it back."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.errors import BugError, KnownError
from engine.base.fields import Field, FieldError, FieldKind, Value
from engine.sampling.chain import DRAW, HIGHEST_SEED, RAW, Chain, Link
from engine.sampling.stage import NativeCall
from engine.sampling.stages import STAGES

DEFAULT = Chain.default()
KEYS = [each.key for each in STAGES]
ORDER = (
    *("grammar", "logit_bias", "penalties", "dry", "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc"),
    *("temperature", "infill", "mirostat", "adaptive_p"),
)
DRAWING = [each.key for each in STAGES if each.draws]
# Texts that the fields take and the chain below can be drawn from with.
TEXT_LISTS = {
    "logit_bias": [(), ("3=1.5", "7-2"), ("12=false", "3+1")],
    "dry_sequence_breakers": [(), ("\\n", "x")],
}
FIRST = ("penalties", "top_k", "top_p", "min_p", "temperature")
RAMP = np.linspace(-5, 5, 100, dtype=np.float32)


def _value_of(field: Field) -> st.SearchStrategy[Value]:
    if field.kind is FieldKind.CHOICE:
        return st.sampled_from(field.choices)
    if field.kind is FieldKind.BOOL:
        return st.booleans()
    if field.kind is FieldKind.TEXT:
        return st.just(field.default)
    if field.kind is FieldKind.TEXT_LIST:
        return st.sampled_from(TEXT_LISTS.get(field.key, [()]))
    assert field.minimum is not None
    assert field.maximum is not None
    if field.kind is FieldKind.INT:
        return st.integers(int(field.minimum), int(field.maximum))
    return st.floats(field.minimum, field.maximum)


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    """Any chain: values over the whole ranges, any switches, any order."""
    links = []
    for stage in draw(st.permutations(STAGES)):
        values = {field.key: draw(_value_of(field)) for field in stage.fields}
        links.append(Link(stage.key, draw(st.booleans()), values))
    return Chain(tuple(links))


@settings(deadline=None)
@given(chain=chains())
def test_a_chain_survives_json(chain):
    assert Chain.from_wire(json.loads(json.dumps(chain.to_wire()))) == chain


def _xtc_takes_what_was_cut(chain: Chain) -> bool:
    """At a threshold that rounds to 0 every token is likely enough, also one that a stage before has cut."""
    xtc = chain.link("xtc")
    return xtc.is_active and np.float32(xtc.values["xtc_threshold"]) == 0


@settings(deadline=None)
@given(chain=chains().filter(lambda chain: not _xtc_takes_what_was_cut(chain)))
def test_every_chain_leaves_something_to_draw(chain):
    results = chain.reference(RAMP, (0, 50, 99, 99))
    assert [each.key for each in results] == [RAW, *(each.key for each in chain.active()), DRAW]
    assert results[-1].survivors == len(results[-1].candidates) >= 1
    assert results[-1].candidates.probabilities().sum() == pytest.approx(1.0)
    kept = [each.mass_kept for each in results]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(kept))
    assert all(0 <= each.mass_kept <= 1 for each in results)
    assert chain.is_greedy <= (results[-1].survivors == 1)


@settings(deadline=None)
@given(chain=chains(), key=st.sampled_from(KEYS), index=st.integers(-3, 17))
def test_moving_a_stage_moves_only_that_stage(chain, key, index):
    moved = chain.moved(key, index)
    plain = len(KEYS) - len(DRAWING)
    lowest, highest = (plain, len(KEYS) - 1) if key in DRAWING else (0, plain - 1)
    assert moved.keys().index(key) == min(max(index, lowest), highest)
    assert [each for each in moved.links if each.key != key] == [each for each in chain.links if each.key != key]
    assert moved.link(key) == chain.link(key)


def test_the_default_chain_has_llama_cpps_order_and_values():
    assert DEFAULT.keys() == ORDER
    values = {field.key: DEFAULT.value(field.key) for _, field in DEFAULT.fields()}
    others = {key: value for key, value in values.items() if DEFAULT._link_with(key).stage.key not in FIRST}
    assert others == {field.key: field.neutral for stage, field in DEFAULT.fields() if stage.key not in FIRST}, (
        "what the first version did not have is off"
    )
    assert {key: values[key] for key in values if key not in others} == {
        "dynatemp_range": 0.0,
        "dynatemp_exponent": 1.0,
        "repeat_penalty": 1.0,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "penalty_last_n": 64,
        "top_k": 40,
        "top_p": 0.95,
        "min_p": 0.05,
        "temperature": 0.8,
    }
    assert all(each.enabled for each in DEFAULT.links)
    assert DEFAULT.changed_fields() == {}


def test_the_default_chain_calls_only_the_stages_that_change_something():
    assert DEFAULT.native_calls(42) == (
        NativeCall("llama_sampler_init_top_k", (40,)),
        NativeCall("llama_sampler_init_top_p", (0.95, 1)),
        NativeCall("llama_sampler_init_min_p", (0.05, 1)),
        NativeCall("llama_sampler_init_temp", (0.8,)),
        NativeCall("llama_sampler_init_dist", (42,)),
    )


def test_a_changed_value_leaves_the_old_chain_as_it_was():
    changed = DEFAULT.with_value("min_p", 0.1)
    assert changed.value("min_p") == 0.1
    assert DEFAULT.value("min_p") == 0.05
    assert changed != DEFAULT
    assert changed.changed_fields() == {"min_p": 0.1}
    with pytest.raises(TypeError):
        changed.link("min_p").values["min_p"] = 0.2  # type: ignore[index]


def test_equal_chains_have_equal_hashes():
    again = DEFAULT.with_value("top_k", 50).with_value("top_k", 40)
    assert again == DEFAULT
    assert hash(again) == hash(DEFAULT)


def test_a_value_the_field_does_not_take_is_refused_by_name():
    with pytest.raises(FieldError) as caught:
        DEFAULT.with_value("min_p", 1.5)
    assert caught.value.key == "min_p"
    with pytest.raises(FieldError):
        DEFAULT.with_value("top_k", "many")
    with pytest.raises(FieldError, match="No sampler has such a setting"):
        DEFAULT.with_value("min_q", 0.1)
    with pytest.raises(FieldError):
        DEFAULT.value("min_q")


def test_switching_off_keeps_the_values():
    off = DEFAULT.with_value("top_k", 7).with_enabled("top_k", False)
    assert "top_k" not in {each.key for each in off.active()}
    assert off.value("top_k") == 7
    assert off.with_enabled("top_k", True) == DEFAULT.with_value("top_k", 7)


def test_reset_gives_one_stage_or_all_their_defaults_back():
    changed = DEFAULT.with_value("top_k", 7).with_value("min_p", 0.5).with_enabled("top_k", False).moved("top_k", 4)
    once = changed.reset("top_k")
    assert once.value("top_k") == 40
    assert once.link("top_k").enabled
    assert once.value("min_p") == 0.5
    assert once.keys() == changed.keys()
    assert changed.reset() == DEFAULT


def test_unknown_stages_are_refused_by_name():
    for act in (
        lambda: DEFAULT.with_enabled("magic", True),
        lambda: DEFAULT.moved("magic", 0),
        lambda: DEFAULT.reset("magic"),
        lambda: Link("magic", True),
        lambda: Chain.from_wire([{"key": "magic", "enabled": True, "values": {}}]),
    ):
        with pytest.raises(KnownError, match=r"no such sampler.*magic"):
            act()


def test_a_stage_that_is_known_but_left_out_is_not_found():
    with pytest.raises(KnownError, match="not in the chain"):
        Chain(()).with_enabled("top_k", True)


def test_a_stage_cannot_stand_twice():
    with pytest.raises(KnownError, match="twice"):
        Chain((*DEFAULT.links, DEFAULT.link("top_k")))
    with pytest.raises(KnownError, match="twice"):
        Chain.from_wire([*DEFAULT.to_wire(), DEFAULT.to_wire()[0]])


@pytest.mark.parametrize(
    "data",
    [
        None,
        "default",
        {},
        7,
        ["top_k"],
        [None],
        [{}],
        [{"key": "top_k", "enabled": True}],
        [{"key": "top_k", "enabled": True, "values": {}, "extra": 1}],
        [{"key": 5, "enabled": True, "values": {}}],
        [{"key": ["top_k"], "enabled": True, "values": {}}],
        [{"key": "top_k", "enabled": 1, "values": {}}],
        [{"key": "top_k", "enabled": True, "values": []}],
        [{"key": "top_k", "enabled": True, "values": {1: 2}}],
        [{"key": "top_k", "enabled": True, "values": {"min_p": 0.1}}],
        [{"key": "top_k", "enabled": True, "values": {"top_k": "40"}}],
        [{"key": "top_k", "enabled": True, "values": {"top_k": True}}],
        [{"key": "top_k", "enabled": True, "values": {"top_k": None}}],
        [{"key": "top_k", "enabled": True, "values": {"top_k": -1}}],
        [{"key": "min_p", "enabled": True, "values": {"min_p": float("nan")}}],
    ],
    ids=str,
)
def test_data_that_is_no_chain_is_refused(data):
    with pytest.raises(KnownError):
        Chain.from_wire(data)


def test_the_order_of_the_data_is_the_order_of_the_chain():
    data = list(reversed(DEFAULT.to_wire()))
    plain = [key for key in reversed(DEFAULT.keys()) if key not in DRAWING]
    assert Chain.from_wire(data).keys() == (*plain, *reversed(DRAWING)), "those that draw still stand last"


def test_an_old_chain_without_newer_stages_and_fields_still_does_what_it_did():
    data = [{"key": "temperature", "enabled": True, "values": {"temperature": 0.5}}]
    chain = Chain.from_wire(data)
    assert set(chain.keys()) == set(KEYS)
    assert [each.key for each in chain.active()] == ["temperature"]
    old = Chain.from_wire(
        [{"key": "penalties", "enabled": True, "values": {"repeat_penalty": 1.2, "penalty_last_n": 32}}]
    )
    assert old.value("presence_penalty") == 0.0
    assert old.keys() == DEFAULT.keys()
    empty = Chain.from_wire([{"key": "top_p", "enabled": True, "values": {}}])
    assert empty.value("top_p") == 1.0, "a field that did not exist is neutral, not at today's default"


def test_a_missing_stage_comes_after_those_that_stand_before_it_by_default():
    data = [each for each in DEFAULT.to_wire() if each["key"] != "top_p"]
    assert Chain.from_wire(data).keys() == DEFAULT.keys()


def test_a_chain_says_what_it_does_on_one_line():
    assert DEFAULT.describe() == "top-k 40 → top-p 0.95 → min-p 0.05 → temperature 0.80 → draw"
    busy = DEFAULT.with_value("repeat_penalty", 1.1).with_enabled("top_p", False).moved("temperature", 0)
    assert busy.describe() == (
        "temperature 0.80 → penalties (repeat penalty 1.10, penalty window 64) → top-k 40 → min-p 0.05 → draw"
    )
    assert DEFAULT.with_value("temperature", 0).describe() == "greedy"


def test_greedy_means_temperature_zero_and_switched_on():
    greedy = DEFAULT.with_value("temperature", 0)
    assert greedy.is_greedy
    assert not greedy.with_enabled("temperature", False).is_greedy
    assert not DEFAULT.is_greedy
    assert greedy.native_calls(1) == (NativeCall("llama_sampler_init_greedy"),)


def test_a_greedy_chain_keeps_penalties_and_only_the_cuts_before_them():
    greedy = DEFAULT.with_value("temperature", 0).with_value("repeat_penalty", 1.5)
    names = [each.name.removeprefix("llama_sampler_init_") for each in greedy.native_calls(1)]
    assert names == ["penalties", "greedy"]
    late = greedy.moved("penalties", DEFAULT.keys().index("top_k"))
    names = [each.name.removeprefix("llama_sampler_init_") for each in late.native_calls(1)]
    assert names == ["top_k", "penalties", "greedy"]
    names = [each.name.removeprefix("llama_sampler_init_") for each in greedy.moved("temperature", 0).native_calls(1)]
    assert names == ["greedy"]


@pytest.mark.parametrize("seed", [-1, HIGHEST_SEED + 1, 2**32])
def test_a_seed_that_could_not_be_replayed_is_a_fault_of_ours(seed):
    with pytest.raises(BugError):
        DEFAULT.native_calls(seed)


@pytest.mark.parametrize(
    "logits",
    [[], [1.0, float("nan"), 2.0], [float("inf"), 0.0], [-float("inf")] * 3],
    ids=str,
)
def test_logits_that_are_no_distribution_are_refused(logits):
    with pytest.raises(KnownError, match="not usable"):
        DEFAULT.reference(np.array(logits, dtype=np.float32))


MIROSTAT = DEFAULT.with_value("mirostat", "2")


def test_a_stage_that_draws_ends_the_chain_in_the_place_of_the_plain_draw():
    assert MIROSTAT.native_calls(7)[-1] == NativeCall("llama_sampler_init_mirostat_v2", (7, 5.0, 0.1))
    assert MIROSTAT.describe().endswith("temperature 0.80 → mirostat 2")
    assert MIROSTAT.native_stages(7)[-1][0] == "mirostat"
    assert DEFAULT.native_stages(7)[-1] == (DRAW, (NativeCall("llama_sampler_init_dist", (7,)),))


def test_of_two_stages_that_draw_the_first_draws():
    both = MIROSTAT.with_value("adaptive_target", 0.5)
    assert [each.key for each in both.active()][-1] == "mirostat"
    assert [each.key for each in both.moved("adaptive_p", 12).active()][-1] == "adaptive_p"
    assert both.with_enabled("mirostat", False).native_calls(1)[-1].name == "llama_sampler_init_adaptive_p"


def test_a_greedy_chain_asks_no_stage_to_draw():
    greedy = MIROSTAT.with_value("temperature", 0)
    assert greedy.native_calls(1) == (NativeCall("llama_sampler_init_greedy"),)
    assert not greedy.draws_itself
    assert not greedy.uses_seed


def test_a_greedy_chain_with_dice_before_it_still_needs_the_seed():
    dice = DEFAULT.with_values({"temperature": 0.0, "xtc_probability": 0.5})
    assert dice.is_greedy
    assert dice.uses_seed
    assert [each.name for each in dice.native_calls(1)][-2:] == ["llama_sampler_init_xtc", "llama_sampler_init_greedy"]


def test_a_temperature_of_zero_stays_greedy_with_a_range():
    chain = DEFAULT.with_values({"temperature": 0.0, "dynatemp_range": 1.0})
    assert chain.is_greedy
    assert DEFAULT.with_value("dynatemp_range", 0.5).native_calls(1)[-2].name == "llama_sampler_init_temp_ext"


def test_several_values_change_at_once_and_none_of_them_if_one_is_bad():
    changed = DEFAULT.with_values({"top_k": 7, "min_p": 0.2})
    assert changed.changed_fields() == {"top_k": 7, "min_p": 0.2}
    with pytest.raises(FieldError, match="No sampler has such a setting"):
        DEFAULT.with_values({"top_k": 7, "nothing": 1})
    with pytest.raises(FieldError, match="Min-p does not take"):
        DEFAULT.with_values({"top_k": 7, "min_p": 5})


def test_a_chain_that_cuts_everything_names_the_stage_that_did():
    chain = DEFAULT.with_values({"top_k": 1, "logit_bias": ["99=false"]}).moved("logit_bias", 9)
    with pytest.raises(KnownError, match=r"leave no token.*Logit bias"):
        chain.reference(RAMP)


def test_xtc_at_a_threshold_of_zero_takes_what_was_cut_and_is_named():
    chain = DEFAULT.with_values({"logit_bias": ["99=false"], "xtc_probability": 1.0, "xtc_threshold": 0.0})
    chain = chain.with_enabled("top_k", False).with_enabled("top_p", False).with_enabled("min_p", False)
    with pytest.raises(KnownError, match=r"leave no token.*XTC"):
        chain.reference(RAMP)


@pytest.mark.parametrize(
    "line",
    ["", "5", "=3", "5=", "5=x", "-5=1", "5=nan", "5=inf", "5 3", '"=3', '""=3', "5=1=2", "99999999999=1", "five=1"],
)
def test_a_line_that_is_no_logit_bias_is_refused(line):
    with pytest.raises(FieldError, match=r"[Ll]ogit bias"):
        DEFAULT.with_value("logit_bias", [line])


def test_logit_biases_are_read_in_every_spelling_and_add_up():
    chain = DEFAULT.with_value("logit_bias", ["5=1", "5+0.5", " 6 = -.5 ", '" a\\"b\\n"=2', "7=false", "7=3", "8=-inf"])
    call = next(each for each in chain.native_calls(1) if "bias" in each.name)
    infinite = float("-inf")
    assert call.args[1].biases == ((5, 1.5), (6, -0.5), (' a"b\n', 2.0), (7, infinite), (8, infinite))
    assert call.can_empty

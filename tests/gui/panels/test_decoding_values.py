"""The Decoding section's decisions: rows, places, differences, presets and scopes, without a window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from engine.base.fields import Field, FieldKind
from engine.sampling.chain import Chain
from engine.sampling.presets import PRESETS
from engine.wire.run_options import RUN_OPTIONS
from engine.workbench.events import ChainScope
from gui.panels.inspector.presenter import stages
from gui.panels.inspector.presenter.decoding import DecodingPresenter, Part
from gui.panels.inspector.presenter.presets import PresetPresenter
from gui.panels.inspector.presenter.stages import DifferenceKind, Drawing
from tests.support.benches import Driver, open_bench

DEFAULT = Chain.default()
WORKING = [link.key for link in DEFAULT.links if link.is_active]
IDLE = [link.key for link in DEFAULT.links if not link.is_active]
PLAIN = tuple(link.key for link in DEFAULT.links if not link.stage.draws)


def first_number(key: str) -> Field:
    return DEFAULT.link(key).stage.fields.fields[0]


def wakes(key: str) -> bool:
    """Whether a stage works as soon as its first field is a number at the slider's end."""
    field = first_number(key)
    if field.kind is not FieldKind.FLOAT or field.soft_maximum is None:
        return False
    return DEFAULT.with_value(field.key, field.soft_maximum).link(key).is_active


SLEEPER = next(key for key in IDLE if wakes(key))
GREEDY = next(each for each in PRESETS if each.key == "greedy").chain


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    with open_bench(tmp_path, start=False) as driver:
        yield driver


@pytest.fixture
def decoding(driver: Driver) -> DecodingPresenter:
    return DecodingPresenter(driver.workbench)


@pytest.fixture
def presets(driver: Driver) -> PresetPresenter:
    return PresetPresenter(driver.workbench)


# ---- rows


def test_every_stage_and_every_field_can_be_edited_in_exactly_one_place(decoding: DecodingPresenter) -> None:
    rows = [*decoding.rows()[Part.MAIN], *decoding.rows()[Part.MORE]]
    assert sorted(each.key for each in rows) == sorted(DEFAULT.keys())
    edited = [field.key for row in rows for field in (*row.folded, *([row.lead] if row.lead else []))]
    limits = [each.key for form in decoding.limits() for each in form]
    assert sorted([*edited, *limits]) == sorted([*(each.key for _, each in DEFAULT.fields()), *RUN_OPTIONS.keys()])
    assert set(decoding.values()) == {*edited, *limits}


def test_what_does_nothing_by_default_is_folded_away_until_it_does_something(decoding: DecodingPresenter) -> None:
    assert [row.key for row in decoding.rows()[Part.MAIN]] == WORKING
    assert [row.key for row in decoding.rows()[Part.MORE]] == IDLE
    idle = first_number(SLEEPER)
    assert decoding.change(idle.key, idle.soft_maximum) == ""
    assert [row.key for row in decoding.rows()[Part.MORE]] == IDLE, "a row does not leave under the hand"
    decoding.sort_out()
    assert SLEEPER in [row.key for row in decoding.rows()[Part.MAIN]]


def test_a_stage_switched_off_stays_where_it_is_and_says_so(decoding: DecodingPresenter) -> None:
    assert decoding.enable(WORKING[0], False) == ""
    decoding.sort_out()
    row = next(each for each in decoding.rows()[Part.MAIN] if each.key == WORKING[0])
    assert (row.enabled, row.is_active, row.is_changed) == (False, False, True)
    assert decoding.reset_stage(WORKING[0]) == ""
    assert not any(each.is_changed for each in decoding.rows()[Part.MAIN])


def test_a_number_that_bears_its_stages_name_stands_in_the_row_and_others_in_the_fold() -> None:
    for row in stages.rows_of(DEFAULT, DEFAULT):
        if row.lead is not None:
            assert row.lead.label.casefold() == row.label.casefold()
            assert row.lead not in row.folded


def test_a_row_says_the_values_that_do_something() -> None:
    first = first_number(SLEEPER)
    assert first.soft_maximum is not None
    chain = DEFAULT.with_value(first.key, first.soft_maximum)
    row = next(each for each in stages.rows_of(chain, DEFAULT) if each.key == SLEEPER)
    assert first.format(float(first.soft_maximum)) in row.summary or row.lead is first
    off = next(each for each in stages.rows_of(chain.with_enabled(SLEEPER, False), DEFAULT) if each.key == SLEEPER)
    assert off.summary == ""


def test_switching_an_idle_stage_off_is_no_change() -> None:
    link = DEFAULT.link(IDLE[0])
    assert not stages.is_changed(replace(link, enabled=False), link)


@pytest.mark.parametrize(
    ("value", "text"),
    [("", "empty"), ("root ::= x", "root ::= x"), ("a\nb", "a …"), ("x" * 300, "x" * 79 + "…")],
)
def test_a_long_text_is_shown_on_one_line(value: str, text: str) -> None:
    field = Field("made_up", FieldKind.TEXT, "", "Made up", "help", multiline=True)
    assert stages.shown(field, value) == text


def test_the_end_says_what_takes_the_token(decoding: DecodingPresenter, presets: PresetPresenter) -> None:
    assert decoding.end().drawing is Drawing.DRAW
    presets.choose("greedy")
    assert decoding.end().drawing is Drawing.GREEDY


# ---- places


@pytest.mark.parametrize("visible", [PLAIN, tuple(WORKING)], ids=["all", "working"])
def test_a_row_goes_to_every_place_among_those_on_screen(visible: tuple[str, ...]) -> None:
    for key in visible:
        for place in range(len(visible)):
            moved = DEFAULT.moved(key, stages.place_in_chain(DEFAULT, key, place, visible))
            on_screen = [each for each in moved.keys() if each in visible]  # noqa: SIM118 (a chain is no mapping)
            assert on_screen.index(key) == place
            assert [each for each in on_screen if each != key] == [each for each in visible if each != key]


def test_a_row_alone_on_screen_stays_where_it_is() -> None:
    key = WORKING[1]
    assert DEFAULT.moved(key, stages.place_in_chain(DEFAULT, key, 0, (key,))) == DEFAULT


def test_a_place_that_the_chain_does_not_give_is_explained(decoding: DecodingPresenter) -> None:
    first, alone = WORKING[0], (WORKING[0],)
    assert decoding.move(first, 0, alone) == ""
    assert DEFAULT.link(first).stage.label in decoding.move(first, 1, alone)


# ---- differences


def test_the_default_differs_in_nothing() -> None:
    assert stages.differences(DEFAULT, DEFAULT) == ()


def test_order_switches_and_values_are_each_said_once(decoding: DecodingPresenter) -> None:
    last = WORKING[-1]
    field = DEFAULT.link(WORKING[1]).stage.fields.fields[0]
    assert decoding.move(last, 0, DEFAULT.keys()) == ""
    decoding.enable(WORKING[0], False)
    decoding.change(field.key, field.minimum)
    found = {each.kind: each for each in decoding.differences()}
    assert len(decoding.differences()) == 3 == decoding.n_changed
    place = found[DifferenceKind.PLACE]
    assert (place.now, place.default) == ("1", str(DEFAULT.keys().index(last) + 1))
    assert (found[DifferenceKind.SWITCH].now, found[DifferenceKind.SWITCH].default) == ("off", "on")
    assert found[DifferenceKind.VALUE].default == field.format(field.default)


def test_one_moved_stage_is_one_difference_wherever_it_went() -> None:
    for key in PLAIN:
        for place in range(len(PLAIN)):
            found = stages.differences(DEFAULT.moved(key, place), DEFAULT)
            assert len(found) == (DEFAULT.moved(key, place) != DEFAULT)


def test_the_moves_that_are_said_are_enough_to_come_back() -> None:
    for order in permutations(DEFAULT.links[:4]):
        chain = Chain((*order, *DEFAULT.links[4:]))
        moved = {each.label for each in stages.differences(chain, DEFAULT)}
        kept = [link.key for link in chain.links if link.stage.label not in moved]
        assert kept == [key for key in DEFAULT.keys() if key in kept]  # noqa: SIM118 (a chain is no mapping)


# ---- changes


def test_a_change_is_counted_described_and_taken_back(decoding: DecodingPresenter) -> None:
    before, kept = decoding.describe(), decoding.values()
    decoding.enable(WORKING[0], False)
    decoding.change(RUN_OPTIONS.keys()[0], 7)
    assert decoding.n_changed == 2
    assert decoding.describe() != before
    changed = decoding.values()
    undo = decoding.reset()
    assert (decoding.n_changed, decoding.describe(), decoding.values()) == (0, before, kept)
    undo()
    assert decoding.values() == changed
    assert decoding.n_changed == 2


def test_a_value_that_is_not_taken_is_explained_and_changes_nothing(decoding: DecodingPresenter) -> None:
    first = DEFAULT.link(WORKING[0]).stage.fields.fields[0]
    before = decoding.values()
    assert first.label in decoding.change(first.key, -1.0)
    assert RUN_OPTIONS["seed"].label in decoding.change("seed", "x")
    assert decoding.values() == before


# ---- presets


def test_a_chain_is_the_preset_it_began_as_and_says_when_it_was_changed(
    decoding: DecodingPresenter, presets: PresetPresenter
) -> None:
    assert (presets.view().label, presets.view().is_changed) == (PRESETS[0].label, False)
    decoding.enable(WORKING[0], False)
    assert (presets.view().label, presets.view().is_changed) == (PRESETS[0].label, True)
    decoding.enable(WORKING[0], True)
    assert not presets.view().is_changed


def test_a_chain_that_does_what_another_preset_does_is_that_preset(driver: Driver, presets: PresetPresenter) -> None:
    driver.workbench.set_chain(GREEDY)
    assert (presets.view().key, presets.view().is_changed) == ("greedy", False)


def test_values_of_an_idle_stage_do_not_make_another_preset(decoding: DecodingPresenter, presets: PresetPresenter):
    decoding.enable(IDLE[0], False)
    assert not presets.view().is_changed


def test_a_saved_preset_is_chosen_renamed_and_deleted_with_a_way_back(
    decoding: DecodingPresenter, presets: PresetPresenter
) -> None:
    decoding.enable(WORKING[0], False)
    assert presets.save_as("Mine") == ""
    assert (presets.view().label, presets.view().is_own, presets.view().is_changed) == ("Mine", True, False)
    assert "already" in presets.save_as("mine")
    assert presets.rename("Other") == ""
    decoding.enable(WORKING[1], False)
    assert (presets.view().label, presets.view().is_changed) == ("Other", True)
    undo = presets.overwrite()
    assert undo is not None
    assert not presets.view().is_changed
    undo()
    assert presets.view().is_changed
    done = presets.delete()
    assert done is not None
    assert presets.view().label == ""
    done[1]()
    assert presets.view().label == "Other"


def test_a_built_in_preset_cannot_be_overwritten_renamed_or_deleted(presets: PresetPresenter) -> None:
    assert presets.overwrite() is None
    assert presets.delete() is None
    assert "not one of yours" in presets.rename("Mine")


def test_a_seed_is_part_of_a_preset_only_where_the_preset_says_so(driver: Driver, presets: PresetPresenter) -> None:
    bench = driver.workbench
    fixed = bench.presets.save("Fixed", GREEDY)
    bench.presets.restore(replace(fixed, seed=42))
    presets.choose("greedy")
    assert bench.run_options["seed"] == -1
    presets.choose(fixed.key)
    assert bench.run_options["seed"] == 42
    assert (presets.view().label, presets.view().is_changed) == ("Fixed", False)
    bench.set_run_options({**bench.run_options, "seed": 7})
    assert presets.view().label == "Greedy", "it does what greedy does, and no more what was fixed"


# ---- scopes


def test_a_chat_takes_a_chain_of_its_own_and_gives_it_to_everybody(driver: Driver, decoding: DecodingPresenter) -> None:
    assert decoding.scope().scope is ChainScope.ALL
    assert not decoding.scope().can_use_model
    decoding.use_scope(ChainScope.CHAT)
    decoding.enable(WORKING[0], False)
    chain = driver.workbench.chain
    undo = decoding.use_everywhere()
    assert (decoding.scope().scope, driver.workbench.chain) == (ChainScope.ALL, chain)
    undo()
    assert (decoding.scope().scope, driver.workbench.chain) == (ChainScope.CHAT, chain)
    back = decoding.use_scope(ChainScope.ALL)
    assert driver.workbench.chain == DEFAULT
    back()
    assert driver.workbench.chain == chain


def test_the_model_is_named_when_the_chain_is_its_own(driver: Driver, decoding: DecodingPresenter) -> None:
    driver.workbench.supervisor.begin_planning("/models/Tiny-Q4_0.gguf")
    decoding.use_scope(ChainScope.MODEL)
    view = decoding.scope()
    assert (view.scope, view.can_use_model) == (ChainScope.MODEL, True)
    assert "Tiny" in view.model
    driver.workbench.supervisor.end_planning()

"""What is declared once: the messages of the pipe, and the Fields."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import get_args

import engine
from engine.base.errors import RemedyKind
from engine.base.fields import Field, FieldSet
from engine.memory.training.recipe import RECIPE
from engine.memory.training.shape import SHAPE as TRAINED_SHAPE
from engine.models.shapes import SHAPE
from engine.sampling.stages import STAGES
from engine.settings import SETTINGS
from engine.wire import messages
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import Command, Event, Message
from engine.wire.run_options import RUN_OPTIONS
from tests.support.source_tree import ROOT


def every_field_set() -> Iterator[tuple[str, FieldSet]]:
    """Every FieldSet that a module of the engine declares, with where it stands."""
    for found in pkgutil.walk_packages(engine.__path__, "engine."):
        if found.name.startswith("engine.worker"):
            continue  # it declares none, and would load llama.cpp
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, FieldSet):
                yield f"{found.name}.{name}", value


def every_field() -> dict[int, Field]:
    """Every Field there is, once, by identity."""
    return {id(each): each for _place, fields in every_field_set() for each in fields}


def test_every_message_travels_in_exactly_one_direction() -> None:
    declared = {
        each
        for _name, each in inspect.getmembers(messages, inspect.isclass)
        if issubclass(each, Message) and each is not Message
    }
    down, up = set(get_args(Command)), set(get_args(Event))
    assert down | up == declared
    assert down & up == set()


def test_no_two_messages_have_the_same_tag() -> None:
    tags = [each.__struct_config__.tag for each in (*get_args(Command), *get_args(Event))]
    assert len(set(tags)) == len(tags)


def test_every_set_of_fields_is_known_to_this_test() -> None:
    known = {
        id(each)
        for each in (
            SETTINGS, LOAD_OPTIONS, RUN_OPTIONS, SHAPE, RECIPE, TRAINED_SHAPE, *(stage.fields for stage in STAGES),
        )
    }  # fmt: skip
    strangers = [place for place, fields in every_field_set() if id(fields) not in known]
    assert strangers == []


def test_a_key_means_one_thing_in_the_whole_program() -> None:
    keys = [each.key for each in every_field().values()]
    assert sorted(keys) == sorted(set(keys))


def test_every_field_has_a_plain_key_a_help_and_a_label() -> None:
    for each in every_field().values():
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", each.key), each.key
        assert each.help.strip(), each.key
        assert each.label.strip(), each.key


def test_what_the_engine_takes_says_where_its_meaning_comes_from() -> None:
    for fields in (LOAD_OPTIONS, RUN_OPTIONS, RECIPE, TRAINED_SHAPE, *(stage.fields for stage in STAGES)):
        assert [each.key for each in fields if not each.source.strip()] == []
    assert [stage.key for stage in STAGES if not stage.source.strip()] == []


def test_every_remedy_that_the_engine_can_offer_has_its_case_in_the_window() -> None:
    tree = ast.parse((ROOT / "gui" / "remedies.py").read_text("utf-8"))
    handled = {
        node.value.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Attribute)
        if ast.unparse(node.value.value) == "RemedyKind"
    }
    assert handled == {each.name for each in RemedyKind}

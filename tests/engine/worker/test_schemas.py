"""JSON Schema to grammar: what the converter cannot do names its place, what it passes over is told."""

from __future__ import annotations

import json

import pytest

from engine.base.errors import KnownError
from engine.sampling.gbnf import read_grammar
from engine.worker.schemas import grammar_of_schema


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({}, '{"a": 1}', "[1]"),
        ({"type": "integer"}, "-12", "1.5"),
        ({"enum": ["a", 3, None]}, "null", "4"),
        ({"type": "array", "items": {"type": "boolean"}, "maxItems": 2}, "[true,false]", "[true,false,true]"),
        ({"type": "string", "pattern": "^[a-c]{2}$"}, '"ab"', '"ad"'),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "null"}}}, "null", "1"),
        ({"properties": {"a": {"$ref": "#"}}}, "{}", "[]"),
    ],
    ids=str,
)
def test_the_grammar_allows_what_the_schema_describes(schema, good, bad):
    if schema == {"properties": {"a": {"$ref": "#"}}}:
        with pytest.raises(KnownError, match="at /properties/a"):
            grammar_of_schema(json.dumps(schema))
        return
    found = grammar_of_schema(json.dumps(schema))
    assert found.warnings == ()
    grammar = read_grammar(found.gbnf)
    assert grammar.allows_start(good)
    assert not grammar.allows_start(bad)


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "animal"}, "the whole schema"),
        ({"properties": {"a": {"type": "animal"}}}, "/properties/a"),
        ({"properties": {"a": {"items": {"type": "string", "pattern": "x"}}}}, "/properties/a/items"),
        ({"anyOf": [{"type": "null"}, {"type": "string", "pattern": "^(?:a)$"}]}, "/anyOf/1"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "/properties/a"),
        ({"properties": {"a": {"$ref": "https://example.org/x.json"}}}, "/properties/a"),
        ({"properties": {"a": {"type": "array", "items": {"type": "null"}, "minItems": 5000}}}, "/properties/a"),
        ({"properties": {"a": {"type": "string", "maxLength": 10**12}}}, "/properties/a"),
        ({"properties": {"a": {"type": "string", "pattern": "^a{1,99999999}$"}}}, "/properties/a"),
        ({"properties": {"a": 5}}, "the whole schema"),
        ({"properties": {"a": {"enum": 5}}}, "/properties/a"),
    ],
    ids=str,
)
def test_what_cannot_be_a_grammar_names_its_place(schema, place):
    with pytest.raises(KnownError) as caught:
        grammar_of_schema(json.dumps(schema))
    assert f"at {place}:" in caught.value.trouble.value
    assert caught.value.trouble.next_step


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 5}, ["minimum at the top", "maximum at the top"]),
        ({"properties": {"a": {"type": "string", "format": "email"}}}, ["format at /properties/a"]),
        ({"type": "object", "properties": {}, "patternProperties": {}}, ["patternProperties at the top"]),
        ({"$ref": "#/$defs/x", "minLength": 3, "$defs": {"x": {"type": "string"}}}, ["minLength at the top"]),
        ({"anyOf": [{"type": "null"}], "properties": {"a": {}}}, ["properties at the top"]),
        ({"items": {"type": "null"}, "uniqueItems": True}, ["uniqueItems at the top"]),
        ({"title": "t", "description": "d", "type": "null", "default": None}, []),
        ({"type": "string", "maxLength": 5}, []),
        ({"not": {"type": "null"}, "type": "string"}, ["not at the top"]),
    ],
    ids=str,
)
def test_what_the_converter_passes_over_is_told_with_its_place(schema, told):
    warnings = grammar_of_schema(json.dumps(schema)).warnings
    assert len(warnings) == len(told)
    for each, part in zip(warnings, told, strict=True):
        assert part in each


def test_many_warnings_are_counted_instead_of_listed():
    schema = {"properties": {name: {"type": "integer", "minimum": 1} for name in "abcdefgh"}}
    warnings = grammar_of_schema(json.dumps(schema)).warnings
    assert len(warnings) == 6
    assert "3 more" in warnings[-1]

"""JSON Schema to GBNF, with what the library's converter does not do said aloud.

`json_schema_to_gbnf` of llama-cpp-python does the work. It fails with an assertion that names no place, and passes over
keywords that it does not know; so a failure is looked for part by part here, and what is passed over is listed.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llama_cpp.llama_grammar import json_schema_to_gbnf

from engine.base.errors import KnownError
from engine.sampling.gbnf import MOST_REPETITIONS, GbnfError, read_grammar

_REMARKS = frozenset(
    [
        "title",
        "description",
        "default",
        "examples",
        "$schema",
        "$id",
        "$anchor",
        "$comment",
        "$defs",
        "definitions",
        "deprecated",
        "readOnly",
        "writeOnly",
    ]
)
_FORMATS = re.compile(r"uuid[1-5]?|date|time|date-time")
_KEYWORDS_OF_MANY = ("properties", "$defs", "definitions")
_KEYWORDS_OF_LISTS = ("oneOf", "anyOf", "allOf", "prefixItems", "items")
_KEYWORDS_OF_ONE = ("items", "additionalProperties")
MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class SchemaGrammar:
    """A schema as GBNF, and what of it the grammar does not hold, as sentences."""

    gbnf: str
    warnings: tuple[str, ...]


def grammar_of_schema(text: str) -> SchemaGrammar:
    """The grammar of a JSON Schema. Raises `KnownError` that names the part which cannot be a grammar."""
    try:
        schema = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise KnownError("The JSON Schema is not JSON", value=str(error)[:80], next_step="correct it") from None
    fault = _fault(schema)
    if fault is None:
        return SchemaGrammar(json_schema_to_gbnf(text), _passed_over(schema))
    where = ""
    for pointer, part in _parts(schema):
        # A part by itself, with the whole's definitions, so that its references still find what they name.
        alone = {**{key: schema[key] for key in ("$defs", "definitions") if key in schema}, **part}
        found = _fault(alone) if pointer else None
        if found is not None and len(pointer) > len(where):
            where, fault = pointer, found
    raise KnownError(
        "The engine cannot express this JSON Schema as a grammar",
        value=f"at {where or 'the whole schema'}: {fault}"[:160],
        next_step="leave that part out, or write it with what llama.cpp knows",
    )


def _fault(schema: Any) -> str | None:
    """Why a schema cannot be a grammar, or None."""
    if any(_is_too_long(part) for _, part in _parts(schema)):
        return f"more than {MOST_REPETITIONS:,} repetitions are too many for llama.cpp"
    try:
        read_grammar(json_schema_to_gbnf(json.dumps(schema)))
    except RecursionError:
        return "it contains itself without end"
    except GbnfError as error:
        return f"it makes a grammar that the engine does not take ({error.what})"
    except KeyError as error:
        return f"{error} is not defined"
    except (AssertionError, ValueError, TypeError, AttributeError, IndexError) as error:
        lost = re.match(r"Error resolving ref (?:stdin)?(\S+):", str(error))
        return f"{lost.group(1)} names nothing" if lost else str(error) or type(error).__name__
    return None


def _is_too_long(part: Mapping[str, Any]) -> bool:
    """Whether the converter would write an item or a character down so often that memory runs out."""
    numbers = [part.get(keyword) for keyword in ("minItems", "maxItems", "minLength", "maxLength")]
    numbers += [
        int(each) for each in re.findall(r"\d+", " ".join(re.findall(r"\{[\d, ]+\}", str(part.get("pattern")))))
    ]
    return any(isinstance(each, int | float) and each > MOST_REPETITIONS for each in numbers)


def _parts(schema: Any, pointer: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema in a schema with its JSON pointer, the whole one first."""
    if not isinstance(schema, dict):
        return
    yield pointer, schema
    for keyword in _KEYWORDS_OF_MANY:
        if isinstance(schema.get(keyword), dict):
            for name, part in schema[keyword].items():
                yield from _parts(part, f"{pointer}/{keyword}/{name}")
    for keyword in _KEYWORDS_OF_LISTS:
        if isinstance(schema.get(keyword), list):
            for place, part in enumerate(schema[keyword]):
                yield from _parts(part, f"{pointer}/{keyword}/{place}")
    for keyword in _KEYWORDS_OF_ONE:
        yield from _parts(schema.get(keyword), f"{pointer}/{keyword}")


def _passed_over(schema: Any) -> tuple[str, ...]:
    """A sentence for each keyword that the converter does not look at, with its place."""
    found = [
        f"JSON Schema: {keyword} at {pointer or 'the top'} does not hold, the engine's grammar passes it over"
        for pointer, part in _parts(copy.deepcopy(schema))
        for keyword in part
        if keyword not in _REMARKS and keyword not in _used(part)
    ]
    if len(found) > MOST_TOLD:
        found = [*found[:MOST_TOLD], f"JSON Schema: {len(found) - MOST_TOLD} more keywords are passed over"]
    return tuple(found)


def _used(part: Mapping[str, Any]) -> frozenset[str]:
    """The keywords of one schema that the converter follows, in the order in which it decides."""
    kind, form = part.get("type"), part.get("format")
    is_object, is_array, is_string = (kind in (None, each) for each in ("object", "array", "string"))
    if "$ref" in part:
        return frozenset({"$ref"})
    if "oneOf" in part or "anyOf" in part:
        return frozenset({"oneOf" if part.get("oneOf") else "anyOf"})
    if isinstance(kind, list):
        return frozenset({"type"})
    for keyword in ("const", "enum"):
        if keyword in part:
            return frozenset({keyword, "type"})
    closed = "additionalProperties" in part and part["additionalProperties"] is not True
    if is_object and ("properties" in part or closed):
        return frozenset({"type", "properties", "required", "additionalProperties"})
    if is_object and "allOf" in part:
        return frozenset({"type", "allOf"})
    if is_array and ("items" in part or "prefixItems" in part):
        items = part.get("items") or part["prefixItems"]
        followed = {"type", "items" if part.get("items") else "prefixItems"}
        return frozenset(followed if isinstance(items, list) else {*followed, "minItems", "maxItems"})
    if is_string and "pattern" in part:
        return frozenset({"type", "pattern"})
    if is_string and isinstance(form, str) and _FORMATS.fullmatch(form):
        return frozenset({"type", "format"})
    if kind == "string" and ("minLength" in part or "maxLength" in part):
        return frozenset({"type", "minLength", "maxLength"})
    return frozenset({"type", "additionalProperties"})

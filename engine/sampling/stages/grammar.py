"""Grammar: only what a GBNF grammar or a JSON Schema allows can come next.

Source: llama.cpp grammars/README.md; llama.h `llama_sampler_init_grammar`,
`llama_sampler_init_grammar_lazy_patterns`; JSON Schema by llama-cpp-python's `json_schema_to_gbnf`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from engine.base import std_regex
from engine.base.fields import Field, FieldError, FieldKind, FieldSet
from engine.sampling.gbnf import Chars, GbnfError, Grammar, States, TokenIs, read_grammar
from engine.sampling.stage import (
    Candidates,
    Given,
    Lexicon,
    Memory,
    NativeCall,
    Schema,
    Stage,
    Texts,
    Values,
    text,
    texts,
)

ROOT = "root"

FIELDS = FieldSet(
    (
        Field(
            key="grammar",
            kind=FieldKind.TEXT,
            default="",
            label="Grammar",
            help="Only what this GBNF grammar allows can be written. It begins with the rule root. Empty is off.",
            source="llama.h llama_sampler_init_grammar",
            neutral="",
            multiline=True,
        ),
        Field(
            key="json_schema",
            kind=FieldKind.TEXT,
            default="",
            label="JSON Schema",
            help="Only JSON that this schema describes can be written. Empty is off; {} is any JSON object.",
            source="llama_cpp.llama_grammar json_schema_to_gbnf; json-schema.org",
            neutral="",
            multiline=True,
        ),
        Field(
            key="grammar_trigger_words",
            kind=FieldKind.TEXT_LIST,
            default=(),
            label="Trigger words",
            help="Until one of these texts was written, one a line, anything goes; then the grammar holds, from the "
            "beginning of that text. None: it holds from the start.",
            source="llama.h llama_sampler_init_grammar_lazy_patterns trigger_patterns",
            neutral=(),
            advanced=True,
        ),
        Field(
            key="grammar_trigger_patterns",
            kind=FieldKind.TEXT_LIST,
            default=(),
            label="Trigger patterns",
            help="The same as regular expressions; the grammar holds from the beginning of the first group, or of the "
            "whole match.",
            source="llama.h llama_sampler_init_grammar_lazy_patterns trigger_patterns",
            neutral=(),
            advanced=True,
        ),
    )
)


def _is_neutral(values: Values) -> bool:
    return not text(values, "grammar").strip() and not text(values, "json_schema").strip()


def trigger_patterns(values: Values) -> tuple[str, ...]:
    """The regular expressions that let the grammar begin; none where it holds from the start."""
    words = tuple(f"({_escaped(each)})" for each in texts(values, "grammar_trigger_words") if each)
    return (*words, *(each for each in texts(values, "grammar_trigger_patterns") if each))


def _escaped(word: str) -> str:
    return re.sub(r"([\\^$.*+?()\[\]{}|/-])", r"\\\1", word)


def _native(values: Values) -> NativeCall:
    schema, patterns = text(values, "json_schema"), trigger_patterns(values)
    source = Schema(schema) if schema.strip() else text(values, "grammar")
    if not patterns:
        return NativeCall("llama_sampler_init_grammar", (Given.VOCAB, source, ROOT), Memory.ANSWER, can_empty=True)
    return NativeCall(
        "llama_sampler_init_grammar_lazy_patterns",
        (Given.VOCAB, source, ROOT, Texts(patterns), Texts(())),
        Memory.ANSWER,
        can_empty=True,
    )


def _check(values: Values) -> None:
    source, schema = text(values, "grammar"), text(values, "json_schema")
    if source.strip() and schema.strip():
        raise FieldError("json_schema", "A grammar and a JSON Schema cannot both hold", "", "empty one of them")
    for each in texts(values, "grammar_trigger_patterns"):
        _check_pattern(each)
    if schema.strip():
        _check_schema(schema)
    if source.strip():
        grammar = _read(source)
        for word in texts(values, "grammar_trigger_words"):
            if not _has_tokens(grammar) and not grammar.allows_start(word):
                raise FieldError(
                    "grammar_trigger_words",
                    "The grammar cannot begin with this trigger word",
                    word[:80],
                    "let the grammar's root begin with the word: it holds from the word's beginning",
                )


def _read(source: str) -> Grammar:
    try:
        return read_grammar(source)
    except GbnfError as error:
        line = source.splitlines()[error.line - 1].strip() if source else ""
        place = f"line {error.line}, column {error.column}: {line[:60]}"
        raise FieldError("grammar", "The grammar has a mistake", place, error.what) from None
    except RecursionError:
        raise FieldError("grammar", "The grammar has too many parentheses in each other", "", "use rules") from None


def _check_schema(schema: str) -> None:
    try:
        found = json.loads(schema)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise FieldError("json_schema", "The JSON Schema is not JSON", place, error.msg.lower()) from None
    except RecursionError:
        raise FieldError("json_schema", "The JSON Schema is nested too deeply", "", "use a flatter one") from None
    if not isinstance(found, dict):
        raise FieldError("json_schema", "The JSON Schema is not an object", schema.strip()[:80], "begin it with {")


def _check_pattern(pattern: str) -> None:
    if not std_regex.is_safe(pattern):
        raise FieldError(
            "grammar_trigger_patterns",
            "This is not a regular expression that the engine takes",
            pattern[:80],
            std_regex.HOW_TO_WRITE,
        )


def _has_tokens(grammar: Grammar) -> bool:
    return any(isinstance(each, TokenIs) for rule in grammar.rules.values() for seq in rule for each in seq)


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    return candidates


def _reference_with(candidates: Candidates, values: Values, history: Sequence[int], lexicon: Lexicon) -> Candidates:
    import numpy as np

    source = text(values, "grammar")
    if not source.strip() or trigger_patterns(values):
        return candidates
    grammar = _read(source)
    known: dict[tuple[int, ...], States] = {(): grammar.start()}
    logits = candidates.logits.copy()
    for place, token in enumerate(candidates.ids):
        if not _allowed(grammar, known, int(token), lexicon):
            logits[place] = -np.inf
    return candidates.with_logits(logits)


def _allowed(grammar: Grammar, known: dict[tuple[int, ...], States], token: int, lexicon: Lexicon) -> bool:
    """Whether the token can be the first of the answer. `known` keeps the states after each text met so far."""
    start = known[()]
    if lexicon.is_end(token):
        return None in start
    piece = lexicon.piece(token, special=True)
    if not piece or piece[0] == 0:
        return False
    tops = [stack[0][0][stack[0][1]] for stack in start if stack is not None]
    if any(isinstance(top, TokenIs) and (_is_that(top, token, lexicon) != top.others) for top in tops):
        return True
    code_points, half = _decoded(piece)
    states = start
    for end in range(1, len(code_points) + 1):
        part = code_points[:end]
        if part not in known:
            known[part] = grammar.step(states, part[-1])
        states = known[part]
        if not states:
            return False
    return half is not None and (not half or _half_fits(states, half))


def _is_that(top: TokenIs, token: int, lexicon: Lexicon) -> bool:
    if isinstance(top.token, int):
        return top.token == token
    return lexicon.tokenize(top.token, add_special=False, parse_special=True) == [token]


def _n_bytes(first: int) -> int:
    """How long a character is by its first byte, as llama.cpp counts; 0 for a byte that begins none."""
    return 1 if first < 0x80 else 0 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4


def _decoded(piece: bytes) -> tuple[tuple[int, ...], bytes | None]:
    """The code points of a piece, and the bytes of a last character that is not complete; None for broken UTF-8.

    Like llama.cpp it takes the bytes that no UTF-8 has (0xF5) for the beginning of a character.
    """
    found: list[int] = []
    place = 0
    while place < len(piece):
        n_bytes = _n_bytes(piece[place])
        if n_bytes == 0:
            return (), None
        character = piece[place : place + n_bytes]
        if len(character) < n_bytes:
            return tuple(found), character
        value = character[0] & (0xFF >> n_bytes)
        for each in character[1:]:
            value = value << 6 | each & 0x3F
        found.append(value)
        place += n_bytes
    return tuple(found), b""


def _half_fits(states: States, half: bytes) -> bool:
    """Whether a character that begins with these bytes can come next."""
    n_bytes = _n_bytes(half[0])
    value = half[0] & (0xFF >> n_bytes)
    if n_bytes == 2 and value < 2:
        return False  # a one-byte character written with two bytes
    for each in half[1:]:
        value = value << 6 | each & 0x3F
    n_open = 6 * (n_bytes - len(half))
    low, high = value << n_open, (value + 1) << n_open
    if low == 0:
        low = {3: 1 << 11, 4: 1 << 16}.get(n_bytes, 0)
    tops = [stack[0][0][stack[0][1]] for stack in states if stack is not None]
    return any(isinstance(top, Chars) and top.has_any(low, high - 1) for top in tops)


STAGE = Stage(
    key="grammar",
    label="Grammar",
    help="Tokens that would break the grammar get probability 0, and the text may end only where the grammar does. It "
    "holds for the answer, never for the prompt. It stands first, which is exact: the cuts after it see only what is "
    "allowed. That asks every token of the vocabulary, which takes time; llama.cpp's programs draw without the grammar "
    "and ask it only when it refuses the drawn token, which is faster and favours what the model would have said "
    "anyway. Moved behind top-k it asks only the survivors, but may find nothing allowed among them. A JSON Schema is "
    "turned into a grammar by the library; what it passes over is told. With triggers the grammar sleeps until one is "
    "written. What is shown for a single position is the grammar's beginning.",
    source="llama.cpp grammars/README.md; llama.h llama_sampler_init_grammar, llama_sampler_init_grammar_lazy_patterns",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=False,
    check=_check,
    reference_with=_reference_with,
)

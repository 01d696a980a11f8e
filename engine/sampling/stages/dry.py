"""DRY (don't repeat yourself): make the token less likely that would go on with a repetition.

The definition is written down anew here, over the reversed text: how long a suffix of the text ends at each place
(the Z-function), and which token came after it then.

Source: p-e-w 2024 (text-generation-webui pull request 5677), koboldcpp pull request 982; llama.h
`llama_sampler_init_dry`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import (
    Candidates,
    Given,
    Lexicon,
    Memory,
    NativeCall,
    Stage,
    Texts,
    Values,
    number,
    texts,
    whole,
)

WHOLE_CONTEXT = -1
BREAKERS = ("\n", ":", '"', "*")
LONGEST_BREAKER_BYTES, LONGEST_TAIL_TOKENS = 40, 20  # where llama.cpp cuts them
LOG_OF_FLOAT_MAX = 88.7228391

Breakers = dict[int, list[tuple[int, ...]]]

FIELDS = FieldSet(
    (
        Field(
            key="dry_multiplier",
            kind=FieldKind.FLOAT,
            default=0.0,
            label="DRY multiplier",
            help="How strongly a token is held back that would go on with a repetition. 0 switches DRY off, 0.8 is usual.",
            source="llama.h llama_sampler_init_dry dry_multiplier",
            minimum=0.0,
            maximum=100.0,
            soft_maximum=5.0,
            step=0.01,
            neutral=0.0,
            special=((0.0, "off"),),
        ),
        Field(
            key="dry_base",
            kind=FieldKind.FLOAT,
            default=1.75,
            label="DRY base",
            help="By this factor the penalty grows with each token that a repetition is longer.",
            source="llama.h llama_sampler_init_dry dry_base",
            minimum=1.0,
            maximum=100.0,
            soft_maximum=4.0,
            step=0.01,
            neutral=1.75,
        ),
        Field(
            key="dry_allowed_length",
            kind=FieldKind.INT,
            default=2,
            label="DRY allowed length",
            help="Repetitions shorter than this many tokens cost nothing.",
            source="llama.h llama_sampler_init_dry dry_allowed_length",
            minimum=1,
            maximum=1000,
            soft_maximum=20,
            step=1,
            unit="tokens",
            neutral=2,
        ),
        Field(
            key="dry_penalty_last_n",
            kind=FieldKind.INT,
            default=WHOLE_CONTEXT,
            label="DRY window",
            help="How many of the last tokens are searched for repetitions, prompt included. 0 switches DRY off, -1 "
            "searches the whole context.",
            source="llama.h llama_sampler_init_dry dry_penalty_last_n",
            minimum=WHOLE_CONTEXT,
            maximum=1_000_000,
            soft_maximum=4096,
            step=1,
            unit="tokens",
            neutral=WHOLE_CONTEXT,
            special=((WHOLE_CONTEXT, "whole context"), (0, "off")),
        ),
        Field(
            key="dry_sequence_breakers",
            kind=FieldKind.TEXT_LIST,
            default=tuple(each.replace("\n", "\\n") for each in BREAKERS),
            label="DRY sequence breakers",
            help="Texts over which a repetition is never followed, one a line; \\n is a line break.",
            source="llama.h llama_sampler_init_dry seq_breakers",
            neutral=tuple(each.replace("\n", "\\n") for each in BREAKERS),
            advanced=True,
            pattern=r"(?:[^\\]|\\[nt\\])+",
            pattern_hint="write a text of at least one character; \\n is a line break, \\t a tab, \\\\ a backslash",
        ),
    )
)


def _is_neutral(values: Values) -> bool:
    return number(values, "dry_multiplier") == 0.0 or whole(values, "dry_penalty_last_n") == 0


def _breakers(values: Values) -> tuple[str, ...]:
    escapes = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}
    found = []
    for each in texts(values, "dry_sequence_breakers"):
        out, place = "", 0
        while place < len(each):
            pair = each[place : place + 2]
            out += escapes.get(pair, each[place])
            place += 2 if pair in escapes else 1
        found.append(out)
    return tuple(found)


def _native(values: Values) -> NativeCall:
    last_n = whole(values, "dry_penalty_last_n")
    return NativeCall(
        "llama_sampler_init_dry",
        (
            Given.VOCAB,
            number(values, "dry_multiplier"),
            number(values, "dry_base"),
            whole(values, "dry_allowed_length"),
            Given.N_CTX if last_n == WHOLE_CONTEXT else last_n,
            Texts(_breakers(values)),
        ),
        Memory.TEXT,
    )


def _token_breakers(wanted: Sequence[str], lexicon: Lexicon) -> Breakers:
    """Every token that contains a breaker or begins one: with the tokens that must follow, none where it is whole."""
    found: Breakers = {}
    pieces = [lexicon.piece(token, special=True) for token in range(lexicon.n_vocab)]
    for breaker in wanted:
        raw = breaker.encode()[:LONGEST_BREAKER_BYTES]
        for token, piece in enumerate(pieces):
            if raw in piece:
                found.setdefault(token, []).append(())
                continue
            for n_begun in range(1, min(len(raw), len(piece) + 1)):
                if piece.endswith(raw[:n_begun]):
                    rest = raw[n_begun:].decode(errors="replace")
                    tail = tuple(lexicon.tokenize(rest, add_special=False, parse_special=False)[:LONGEST_TAIL_TOKENS])
                    if tail not in found.setdefault(token, []):
                        found[token].append(tail)
    return found


def _longest_allowed(back: Sequence[int], breakers: Breakers) -> int:
    """How far back a repetition may reach: up to the last breaker in the text. `back` is the text reversed."""
    for place, token in enumerate(back):
        lengths = [
            len(tail)
            for tail in breakers.get(token, ())
            if len(tail) <= place and all(back[place - 1 - at] == each for at, each in enumerate(tail))
        ]
        if lengths:
            return place - max(lengths)
    return len(back)


def _repetitions(back: Sequence[int]) -> list[int]:
    """For each place k of the reversed text: how many tokens from there equal the text's last ones (Z-function)."""
    n = len(back)
    lengths = [0] * n
    left = right = 0  # the stretch that reaches furthest and equals the beginning: left to right - 1
    for k in range(1, n):
        length = min(right - k, lengths[k - left]) if k < right else 0
        while k + length < n and back[length] == back[k + length]:
            length += 1
        lengths[k] = length
        if k + length > right:
            left, right = k, k + length
    return lengths


def _penalised(candidates: Candidates, values: Values, history: Sequence[int], breakers: Breakers) -> Candidates:
    import numpy as np

    last_n, allowed = whole(values, "dry_penalty_last_n"), whole(values, "dry_allowed_length")
    back = list(reversed(history if last_n == WHOLE_CONTEXT else history[-last_n:]))
    if _is_neutral(values) or len(back) <= allowed:
        return candidates
    limit = _longest_allowed(back, breakers)
    if limit < allowed:
        return candidates
    longest: dict[int, int] = {}
    for k, length in enumerate(_repetitions(back)):
        length = min(length, limit)
        if k > 0 and length >= allowed:
            longest[back[k - 1]] = max(longest.get(back[k - 1], 0), length)
    base, multiplier = number(values, "dry_base"), number(values, "dry_multiplier")
    most = int(LOG_OF_FLOAT_MAX / math.log(base)) if base > 1.000001 else 0
    logits = candidates.logits.copy()
    for token, length in longest.items():
        if () in breakers.get(token, ()):
            continue
        exponent = min(length - allowed, most) if most else length - allowed
        logits[candidates.ids == token] -= np.float32(multiplier * base**exponent)
    return candidates.with_logits(logits)


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    return _penalised(candidates, values, history, {})


def _reference_with(candidates: Candidates, values: Values, history: Sequence[int], lexicon: Lexicon) -> Candidates:
    if _is_neutral(values) or not history:
        return candidates
    return _penalised(candidates, values, history, _token_breakers(_breakers(values), lexicon))


STAGE = Stage(
    key="dry",
    label="DRY",
    help="If the last n tokens also stand earlier in the text, the token that came after them there is held back: its "
    "logit is lowered by multiplier times base^(n - allowed length), for the longest such n of at least the allowed "
    "length. A sequence breaker (in llama.cpp a line break, a colon, a quote and a star) ends the search backwards, "
    "and a token that is a breaker itself is never held back. text-generation-webui and koboldcpp define it the same "
    "way; the window is the whole context here and in llama.cpp, koboldcpp takes its repetition window. Prompt tokens "
    "count. Without the model's tokens the reference knows no breakers.",
    source="p-e-w 2024, text-generation-webui pull request 5677; llama.h llama_sampler_init_dry",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=False,
    uses_history=True,
    reference_with=_reference_with,
    presets=(("creative", {"dry_multiplier": 0.8}),),
)

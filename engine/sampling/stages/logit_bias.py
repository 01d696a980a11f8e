"""Logit bias: make single tokens more or less likely, or ban them.

Source: the OpenAI API's logit_bias; llama.h `llama_sampler_init_logit_bias`, llama.cpp `--logit-bias`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from engine.base.fields import Field, FieldError, FieldKind, FieldSet
from engine.sampling.stage import Biases, Candidates, Given, Lexicon, NativeCall, Stage, Values, texts

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_LINE = rf'\s*(\d+|"(?:[^"\\]|\\.)+")\s*(?:=\s*([-+]?{_NUMBER}|false|-inf)|([-+]{_NUMBER}))\s*'
HIGHEST_ID = 2**31 - 1
FORM = 'a token and what is added to its logit, as 15043=-2.5, 15043+1, 15043=false or " yes"=5'

FIELDS = FieldSet(
    (
        Field(
            key="logit_bias",
            kind=FieldKind.TEXT_LIST,
            default=(),
            label="Logit bias",
            help='Adds to the logit of single tokens, one a line: 15043=-2.5, or " yes"=5 for the tokens of a text. '
            "15043=false bans a token.",
            source="llama.h llama_sampler_init_logit_bias",
            neutral=(),
            pattern=_LINE,
            pattern_hint=f"write {FORM}",
        ),
    )
)


def biases_of(values: Values) -> tuple[tuple[int | str, float], ...]:
    """Tokens (ids, or texts as they were written) and what is added to each, in the order of the lines.

    Of several lines for one token the biases add up: llama.cpp adds them all or only the first, depending on what
    stands before. Raises `FieldError` for a line that cannot be read.
    """
    found: dict[int | str, float] = {}
    for line in texts(values, "logit_bias"):
        matched = re.fullmatch(_LINE, line)
        if matched is None:
            raise _no_bias(line)
        token, written, signed = matched.groups()
        who: int | str
        if token.startswith('"'):
            try:
                who = str(json.loads(token, strict=False))
            except ValueError:
                raise _no_bias(line) from None
        else:
            who = int(token)
            if who > HIGHEST_ID:
                raise _no_bias(line)
        bias = float("-inf") if written in ("false", "-inf") else float(written or signed)
        found[who] = found.get(who, 0.0) + bias
    return tuple(found.items())


def _no_bias(line: str) -> FieldError:
    return FieldError("logit_bias", "This is not a logit bias", line[:80], f"write {FORM}")


def _check(values: Values) -> None:
    biases_of(values)


def _is_neutral(values: Values) -> bool:
    return all(bias == 0 for _, bias in biases_of(values))


def _native(values: Values) -> NativeCall:
    biases = biases_of(values)
    bans = any(bias == float("-inf") for _, bias in biases)
    return NativeCall("llama_sampler_init_logit_bias", (Given.N_VOCAB, Biases(biases)), can_empty=bans)


def _biased(candidates: Candidates, biases: dict[int, float]) -> Candidates:
    import numpy as np

    logits = candidates.logits.copy()
    for token, bias in biases.items():
        logits[candidates.ids == token] += np.float32(bias)
    return candidates.with_logits(logits)


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    if _is_neutral(values):
        return candidates
    return _biased(candidates, {who: bias for who, bias in biases_of(values) if isinstance(who, int)})


def _reference_with(candidates: Candidates, values: Values, history: Sequence[int], lexicon: Lexicon) -> Candidates:
    if _is_neutral(values):
        return candidates
    biases: dict[int, float] = {}
    for who, bias in biases_of(values):
        ids = [who] if isinstance(who, int) else lexicon.tokenize(who, add_special=False, parse_special=True)
        for token in dict.fromkeys(ids):
            biases[token] = biases.get(token, 0.0) + bias
    return _biased(candidates, biases)


STAGE = Stage(
    key="logit_bias",
    label="Logit bias",
    help="The given number is added to a token's logit: +1 makes it e = 2.7 times as likely against the others, false "
    "or -inf bans it. A token is named by its id, which differs from model to model, or by a text in quotes; a text "
    "of several tokens biases each of them, as in llama.cpp's server. “Yes” and “ yes” are different tokens. OpenAI "
    "takes -100 to 100, where 100 nearly forces a token; here any number is taken. Biases for one token add up.",
    source="OpenAI API logit_bias; llama.h llama_sampler_init_logit_bias",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=False,
    check=_check,
    reference_with=_reference_with,
)

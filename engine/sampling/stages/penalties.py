"""Penalties: make the tokens that were just used less likely (repeat, frequency and presence).

The three stand in one stage because llama.cpp applies them in one sampler over one window of tokens.

Source: Keskar et al. 2019 (CTRL, arXiv 1909.05858), the OpenAI API's frequency and presence penalties; llama.h
`llama_sampler_init_penalties`.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import Candidates, Given, Memory, NativeCall, Stage, Values, number, whole

WHOLE_CONTEXT = -1

FIELDS = FieldSet(
    (
        Field(
            key="repeat_penalty",
            kind=FieldKind.FLOAT,
            default=1.0,
            label="Repeat penalty",
            help="Divides the logit of a token that was used lately, or multiplies it when it is negative. 1 changes "
            "nothing, under 1 invites repetition.",
            source="llama.h llama_sampler_init_penalties penalty_repeat",
            minimum=0.1,
            maximum=100.0,
            soft_maximum=2.0,
            step=0.01,
            neutral=1.0,
        ),
        Field(
            key="frequency_penalty",
            kind=FieldKind.FLOAT,
            default=0.0,
            label="Frequency penalty",
            help="Taken from a token's logit once for each time it was used lately. Negative values invite repetition.",
            source="llama.h llama_sampler_init_penalties penalty_freq",
            minimum=-2.0,
            maximum=100.0,
            soft_maximum=2.0,
            step=0.01,
            neutral=0.0,
        ),
        Field(
            key="presence_penalty",
            kind=FieldKind.FLOAT,
            default=0.0,
            label="Presence penalty",
            help="Taken once from the logit of every token that was used lately, however often.",
            source="llama.h llama_sampler_init_penalties penalty_present",
            minimum=-2.0,
            maximum=100.0,
            soft_maximum=2.0,
            step=0.01,
            neutral=0.0,
        ),
        Field(
            key="penalty_last_n",
            kind=FieldKind.INT,
            default=64,
            label="Penalty window",
            help="How many of the last tokens count as used lately, prompt included. 0 switches the penalties off, "
            "-1 looks at the whole context.",
            source="llama.h llama_sampler_init_penalties penalty_last_n",
            minimum=WHOLE_CONTEXT,
            maximum=1_000_000,
            soft_maximum=2048,
            step=1,
            unit="tokens",
            neutral=0,
            special=((WHOLE_CONTEXT, "whole context"), (0, "off")),
        ),
    )
)


def _is_neutral(values: Values) -> bool:
    changes = (
        number(values, "repeat_penalty") != 1.0
        or number(values, "frequency_penalty") != 0.0
        or number(values, "presence_penalty") != 0.0
    )
    return whole(values, "penalty_last_n") == 0 or not changes


def _native(values: Values) -> NativeCall:
    last_n = whole(values, "penalty_last_n")
    return NativeCall(
        "llama_sampler_init_penalties",
        (
            Given.N_VOCAB,
            # llama.h itself takes every negative number as 0; “whole context” is for the caller to spell out.
            Given.N_CTX if last_n == WHOLE_CONTEXT else last_n,
            number(values, "repeat_penalty"),
            number(values, "frequency_penalty"),
            number(values, "presence_penalty"),
        ),
        Memory.TEXT,
    )


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    import numpy as np

    if _is_neutral(values) or not history:
        return candidates
    last_n = whole(values, "penalty_last_n")
    recent = np.asarray(history if last_n == WHOLE_CONTEXT else history[-last_n:], dtype=np.int64)
    highest_id = int(candidates.ids.max())
    counts_v = np.bincount(recent[recent <= highest_id], minlength=highest_id + 1)
    used = np.flatnonzero(counts_v[candidates.ids])
    counts = counts_v[candidates.ids[used]].astype(np.float32)

    logits = candidates.logits.copy()
    before = logits[used]
    repeat = np.float32(number(values, "repeat_penalty"))
    scaled = np.where(before <= 0, before * repeat, before / repeat)
    frequency = np.float32(number(values, "frequency_penalty"))
    presence = np.float32(number(values, "presence_penalty"))
    logits[used] = scaled - (counts * frequency + presence)
    return candidates.with_logits(logits)


STAGE = Stage(
    key="penalties",
    label="Penalties",
    help="For every token among the last n: its logit is divided by the repeat penalty if positive and multiplied by "
    "it otherwise (the CTRL paper only divides, which would make negative logits more likely), and then lowered "
    "by count times frequency penalty + presence penalty. The repeat penalty works once, however often the "
    "token came. Prompt tokens count, as in llama.cpp's server; in vLLM the frequency and presence penalties "
    "count the answer alone. The window is 64 tokens here and in llama.cpp unless set; Transformers always "
    "looks at the whole text.",
    source="Keskar et al. 2019, arXiv 1909.05858; llama.h llama_sampler_init_penalties",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=False,
    uses_history=True,
)

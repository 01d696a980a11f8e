"""Every sampler there is, in the order in which llama.cpp applies them when nobody says otherwise.

To add a sampler: one file in this folder, and its line in `STAGES`. The grammar comes first, which is exact; the stages
that draw the token themselves come last.

Source: llama.cpp `common/common.h`, `common_params_sampling::samplers`, and `common/sampling.cpp` for what stands around
them.
"""

from __future__ import annotations

from engine.base.errors import KnownError
from engine.sampling.stage import Stage
from engine.sampling.stages import (
    adaptive_p,
    dry,
    grammar,
    infill,
    logit_bias,
    min_p,
    mirostat,
    penalties,
    temperature,
    top_k,
    top_n_sigma,
    top_p,
    typical_p,
    xtc,
)

STAGES: tuple[Stage, ...] = (
    grammar.STAGE,
    logit_bias.STAGE,
    penalties.STAGE,
    dry.STAGE,
    top_n_sigma.STAGE,
    top_k.STAGE,
    typical_p.STAGE,
    top_p.STAGE,
    min_p.STAGE,
    xtc.STAGE,
    temperature.STAGE,
    infill.STAGE,
    mirostat.STAGE,
    adaptive_p.STAGE,
)


def stage_named(key: str) -> Stage:
    """The stage of that key, or `KnownError`."""
    for each in STAGES:
        if each.key == key:
            return each
    known = ", ".join(each.key for each in STAGES)
    raise KnownError("There is no such sampler", value=str(key)[:80], next_step=f"use one of {known}")

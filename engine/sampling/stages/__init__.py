"""Every sampler there is, in the order in which llama.cpp applies them when nobody says otherwise.

To add a sampler: one file in this folder, and its line in `STAGES`.

Source: llama.cpp `common/common.h`, `common_params_sampling::samplers`.
"""

from __future__ import annotations

from engine.base.errors import KnownError
from engine.sampling.stage import Stage
from engine.sampling.stages import min_p, penalties, temperature, top_k, top_p

STAGES: tuple[Stage, ...] = (
    penalties.STAGE,
    top_k.STAGE,
    top_p.STAGE,
    min_p.STAGE,
    temperature.STAGE,
)


def stage_named(key: str) -> Stage:
    """The stage of that key, or `KnownError`."""
    for each in STAGES:
        if each.key == key:
            return each
    known = ", ".join(each.key for each in STAGES)
    raise KnownError("There is no such sampler", value=str(key)[:80], next_step=f"use one of {known}")

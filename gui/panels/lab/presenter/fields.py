"""What the Lab's forms ask, as Fields. Limits that an answer has too are the answer's own Fields with another default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.base.fields import Field, FieldKind, FieldSet
from engine.wire.run_options import RUN_OPTIONS

MOST_COLUMNS = 32
"""So many continuations fit in one batch of the worker's."""

SAMPLE_FIELDS = FieldSet(
    (
        Field(
            key="n_samples",
            kind=FieldKind.INT,
            default=4,
            label="Samples",
            help="How many continuations are drawn, all in one batch that shares the prompt.",
            source="llama_memory_seq_cp: one sequence a continuation",
            minimum=1,
            maximum=MOST_COLUMNS,
            step=1,
        ),
        replace(
            RUN_OPTIONS["max_tokens"],
            default=64,
            minimum=1,
            soft_maximum=512,
            special=(),
            help="Each continuation ends after so many tokens, or when the context is full.",
        ),
        replace(
            RUN_OPTIONS["seed"],
            help="The first sample draws with this seed, the next with the one above it, and so "
            "on. Random draws a new first one for each run; every sample shows its own.",
        ),
        Field(
            key="with_greedy",
            kind=FieldKind.BOOL,
            default=False,
            label="Greedy",
            help="A further column: the most likely token each time, without any sampler.",
            source="llama_sampler_init_greedy",
        ),
        Field(
            key="with_best_path",
            kind=FieldKind.BOOL,
            default=False,
            label="Best path",
            help="A further column: the most likely whole continuation that a beam search finds. Its text comes at the end.",
            source="beam search; Graves 2012, Sutskever et al. 2014",
        ),
        Field(
            key="beam_width",
            kind=FieldKind.INT,
            default=4,
            label="Beam width",
            help="How many continuations the beam search keeps at each step.",
            source="beam search; Sutskever et al. 2014",
            minimum=2,
            maximum=16,
            step=1,
        ),
        Field(
            key="with_contrast",
            kind=FieldKind.BOOL,
            default=False,
            label="Contrast",
            help="A further column: contrastive search takes a likely token that is unlike what stands before.",
            source="Su et al. 2022, A Contrastive Framework for Neural Text Generation",
        ),
        Field(
            key="contrast_k",
            kind=FieldKind.INT,
            default=4,
            label="Candidates k",
            help="Among how many of the likeliest tokens contrastive search chooses.",
            source="Su et al. 2022, k",
            minimum=2,
            maximum=16,
            step=1,
        ),
        Field(
            key="contrast_alpha",
            kind=FieldKind.FLOAT,
            default=0.6,
            label="Penalty α",
            help="How much likeness counts against probability: 0 is greedy, 1 looks at likeness alone.",
            source="Su et al. 2022, α",
            minimum=0.0,
            maximum=1.0,
            step=0.05,
        ),
    )
)
"""The form of the tab Samples."""

DRAW_FIELDS = FieldSet(
    (
        Field(
            key="n_draws",
            kind=FieldKind.INT,
            default=1000,
            label="Draws",
            help="How often the next token is drawn from the same distribution. The prompt is computed once.",
            source="llama_sampler_sample, once a draw",
            minimum=1,
            maximum=100_000,
            soft_maximum=10_000,
            step=1,
            log_scale=True,
        ),
        replace(RUN_OPTIONS["seed"], help="The same seed draws the same tokens. Random takes a new one for each run."),
    )
)
"""The form of the tab Draws."""


def shown_sample_keys(values: Mapping[str, object]) -> set[str]:
    """The fields that matter with these values: what a further column is made of only when there is one."""
    hidden: set[str] = set()
    if not values.get("with_best_path"):
        hidden.add("beam_width")
    if not values.get("with_contrast"):
        hidden |= {"contrast_k", "contrast_alpha"}
    return set(SAMPLE_FIELDS.keys()) - hidden

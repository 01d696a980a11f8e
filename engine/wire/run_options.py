"""How one answer ends and where its randomness comes from, as Fields. The samplers are `engine.sampling`'s."""

from __future__ import annotations

from engine.base.fields import Field, FieldKind, FieldSet

RUN_OPTIONS = FieldSet(
    (
        Field(
            key="max_tokens",
            kind=FieldKind.INT,
            default=1024,
            label="Max tokens",
            help="The answer ends after so many tokens, or when the context is full.",
            source="the number of tokens to predict, n_predict in llama.cpp's programs",
            minimum=-1,
            maximum=16_777_216,
            soft_maximum=4096,
            step=1,
            unit="tokens",
            special=((-1, "no limit"),),
            log_scale=True,
        ),
        Field(
            key="seed",
            kind=FieldKind.INT,
            default=-1,
            label="Seed",
            help="The same seed, prompt and settings give the same answer on the same machine. "
            "Random draws a new one for each answer; it is shown under the answer.",
            source="llama_sampler_init_dist",
            minimum=-1,
            maximum=4_294_967_294,
            step=1,
            special=((-1, "random"),),
        ),
        Field(
            key="stop",
            kind=FieldKind.TEXT_LIST,
            default=(),
            label="Stop texts",
            help="The answer ends before any of these texts, one a line.",
            source="stop sequences as in the OpenAI chat API",
            advanced=True,
        ),
        Field(
            key="ignore_eos",
            kind=FieldKind.BOOL,
            default=False,
            label="Write on after the end",
            help="Never pick the model's end-of-generation tokens, so that only the other limits end the answer.",
            source="ignore_eos of llama.cpp's common parameters (a logit bias of minus infinity)",
            advanced=True,
        ),
    )
)

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
        Field(
            key="speculate",
            kind=FieldKind.CHOICE,
            default="off",
            label="Speculation",
            help="Guess the next tokens and check all of them in one call of the engine; the text stays the same, up to "
            "the rounding of a longer call. Lookup guesses that what followed the last words before will follow them "
            "again: faster where an answer repeats its prompt or itself (up to 1.3 times on a CPU), a little slower in "
            "free text. Draft lets the draft model guess, which must be loaded with this one. Both need more than one "
            "output a call (load options).",
            source="Saxena 2023, prompt lookup decoding; Leviathan et al. 2023, speculative decoding; llama.cpp "
            "examples/lookup and common/speculative.cpp",
            choices=("off", "lookup", "draft"),
            neutral="off",
            advanced=True,
        ),
        Field(
            key="draft_max",
            kind=FieldKind.INT,
            default=7,
            label="Longest guess",
            help="Most tokens that speculation guesses at once. After wrong guesses it guesses fewer, or none for a while. "
            "3, 7, 11 … are best: with the token before them they fill the engine's kernels, which take four.",
            source="draft-max of llama.cpp's common parameters",
            minimum=1,
            maximum=512,
            soft_maximum=32,
            step=1,
            unit="tokens",
            advanced=True,
        ),
        Field(
            key="draft_min",
            kind=FieldKind.INT,
            default=1,
            label="Shortest guess",
            help="Fewest tokens that speculation tries to guess at once.",
            source="draft-min of llama.cpp's common parameters",
            minimum=1,
            maximum=512,
            soft_maximum=32,
            step=1,
            unit="tokens",
            advanced=True,
        ),
        Field(
            key="draft_p_min",
            kind=FieldKind.FLOAT,
            default=0.0,
            label="Surest guesses",
            help="The draft model stops guessing at a token to which it gives less than this probability.",
            source="draft-p-min of llama.cpp's common parameters",
            minimum=0.0,
            maximum=1.0,
            step=0.05,
            neutral=0.0,
            advanced=True,
        ),
        Field(
            key="ngram_min",
            kind=FieldKind.INT,
            default=3,
            label="Shortest match",
            help="Lookup guesses only where at least so many of the last tokens stood together before.",
            source="LLAMA_NGRAM_MIN of llama.cpp's common/ngram-cache.h",
            minimum=1,
            maximum=64,
            soft_maximum=16,
            step=1,
            unit="tokens",
            advanced=True,
        ),
        Field(
            key="ngram_max",
            kind=FieldKind.INT,
            default=4,
            label="Longest match",
            help="Lookup looks for so many of the last tokens first, then for fewer.",
            source="LLAMA_NGRAM_MAX of llama.cpp's common/ngram-cache.h; max_ngram_size of Saxena 2023",
            minimum=1,
            maximum=64,
            soft_maximum=16,
            step=1,
            unit="tokens",
            advanced=True,
        ),
        Field(
            key="backend_sampling",
            kind=FieldKind.BOOL,
            default=False,
            label="Sample on the device",
            help="Let the device that computes the scores also pick the token, where it can do the whole chain; the text "
            "stays the same. Meant for GPUs; on a CPU it gains nothing to speak of. Not together with speculation, and "
            "the next token cannot be looked at meanwhile.",
            source="llama_set_sampler; backend-sampling of llama.cpp's common parameters",
            advanced=True,
        ),
    )
)

"""Adaptive-p: prefer tokens of about a given probability, and correct for what was drawn before; it draws itself.

Source: llama.cpp pull request 17927; llama.h `llama_sampler_init_adaptive_p`.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import Candidates, Given, NativeCall, Stage, Values, native_probabilities, number

OFF = -1.0
WIDTH, PEAK, SHARPNESS = 0.3, 5.0, 10.0  # constants of llama.cpp's sampler

FIELDS = FieldSet(
    (
        Field(
            key="adaptive_target",
            kind=FieldKind.FLOAT,
            default=OFF,
            label="Adaptive-p target",
            help="Prefers tokens of about this probability. Negative switches it off, 0.3 to 0.7 is usual.",
            source="llama.h llama_sampler_init_adaptive_p target",
            minimum=OFF,
            maximum=1.0,
            step=0.01,
            neutral=OFF,
            special=((OFF, "off"),),
        ),
        Field(
            key="adaptive_decay",
            kind=FieldKind.FLOAT,
            default=0.9,
            label="Adaptive-p decay",
            help="How long it remembers what was drawn: about 1 / (1 - decay) tokens.",
            source="llama.h llama_sampler_init_adaptive_p decay",
            minimum=0.0,
            maximum=0.99,
            step=0.01,
            neutral=0.9,
        ),
    )
)


def _is_neutral(values: Values) -> bool:
    return number(values, "adaptive_target") < 0.0


def _native(values: Values) -> NativeCall:
    target, decay = number(values, "adaptive_target"), number(values, "adaptive_decay")
    return NativeCall("llama_sampler_init_adaptive_p", (target, decay, Given.SEED))


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    import numpy as np

    if _is_neutral(values):
        return candidates
    target = np.float32(number(values, "adaptive_target"))
    distance = np.abs((native_probabilities(candidates.logits) - target) * np.float32(1 / WIDTH))
    curve = np.float32(PEAK) - np.float32(SHARPNESS) * distance * distance / (np.float32(1) + distance)
    return candidates.with_logits(np.where(candidates.logits > -np.inf, curve, np.float32(-np.inf)))


class _Target:
    """The target, corrected by the mean probability of what was drawn lately. Float32, as llama.cpp computes it.

    A new sampler's first target is the one that it is given.
    """

    def __init__(self, values: Values) -> None:
        import numpy as np

        self._target, self._decay = (
            np.float32(number(values, "adaptive_target")),
            np.float32(number(values, "adaptive_decay")),
        )
        self._total = np.float32(1) / (np.float32(1) - self._decay)
        self._sum = self._target / (np.float32(1) - self._decay)

    def call(self) -> NativeCall:
        import numpy as np

        corrected = float(np.clip(np.float32(2) * self._target - self._sum / self._total, 0, 1))
        return NativeCall("llama_sampler_init_adaptive_p", (corrected, float(self._decay), Given.SEED))

    def take(self, p_before: float, p_after: float) -> None:
        import numpy as np

        self._sum = np.float32(p_before) + self._decay * self._sum
        self._total = np.float32(1) + self._decay * self._total


STAGE = Stage(
    key="adaptive_p",
    label="Adaptive-p",
    help="Every token's logit is replaced by 5 - 10 d² / (1 + d), where d is the distance of its probability from the "
    "target in units of 0.3: so tokens of about that probability are likeliest, and very likely ones are held back. "
    "The target of each step is twice the given one minus the mean probability of what was drawn lately. Unlikely "
    "tokens gain much, so cut them first (min-p). It draws the token itself, so it stands at the end. What is shown "
    "for a single position is its first step, but the tokens of an answer are read with the target that each was drawn with; "
    "a change in the middle of an answer starts it anew.",
    source="llama.cpp pull request 17927; llama.h llama_sampler_init_adaptive_p",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=False,
    uses_seed=True,
    draws=True,
    follow=_Target,
)

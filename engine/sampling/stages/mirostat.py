"""Mirostat: hold the surprise of the text at a target, by moving the cut after every token; it draws the token itself.

Source: Basu et al. 2020 (arXiv 2007.14966); llama.h `llama_sampler_init_mirostat`, `llama_sampler_init_mirostat_v2`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import (
    DROP_IMPOSSIBLE,
    Candidates,
    Given,
    NativeCall,
    Stage,
    Values,
    best_first,
    native_probabilities,
    number,
    possible,
    text,
    whole,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIELDS = FieldSet(
    (
        Field(
            key="mirostat",
            kind=FieldKind.CHOICE,
            default="off",
            label="Mirostat",
            help="Holds the surprise of the text at a target instead of cutting at a fixed place. Version 2 is the usual.",
            source="llama.h llama_sampler_init_mirostat, llama_sampler_init_mirostat_v2",
            choices=("off", "1", "2"),
            neutral="off",
        ),
        Field(
            key="mirostat_tau",
            kind=FieldKind.FLOAT,
            default=5.0,
            label="Mirostat target τ",
            help="The surprise that a token should have on average. Low is focused, high is varied.",
            source="llama.h llama_sampler_init_mirostat tau",
            minimum=0.0,
            maximum=100.0,
            soft_maximum=10.0,
            step=0.1,
            unit="bits",
            neutral=5.0,
        ),
        Field(
            key="mirostat_eta",
            kind=FieldKind.FLOAT,
            default=0.1,
            label="Mirostat rate η",
            help="How fast the cut follows the error. 0 never moves it.",
            source="llama.h llama_sampler_init_mirostat eta",
            minimum=0.0,
            maximum=10.0,
            soft_maximum=1.0,
            step=0.01,
            neutral=0.1,
        ),
        Field(
            key="mirostat_m",
            kind=FieldKind.INT,
            default=100,
            label="Mirostat m",
            help="Version 1 only: from how many of the likeliest tokens the shape of the distribution is estimated.",
            source="llama.h llama_sampler_init_mirostat m",
            minimum=2,
            maximum=100_000,
            soft_maximum=1000,
            step=1,
            unit="tokens",
            neutral=100,
            advanced=True,
        ),
    )
)


def _is_neutral(values: Values) -> bool:
    return text(values, "mirostat") == "off"


def _native(values: Values) -> NativeCall:
    tau, eta = number(values, "mirostat_tau"), number(values, "mirostat_eta")
    if text(values, "mirostat") == "1":
        args = (Given.N_VOCAB, Given.SEED, tau, eta, whole(values, "mirostat_m"))
        return NativeCall("llama_sampler_init_mirostat", args)
    return NativeCall("llama_sampler_init_mirostat_v2", (Given.SEED, tau, eta))


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    import numpy as np

    if _is_neutral(values):
        return candidates
    candidates = possible(candidates)
    candidates = candidates.taken(best_first(candidates.logits, len(candidates)))
    p = native_probabilities(candidates.logits)
    mu = np.float32(2 * number(values, "mirostat_tau"))
    if text(values, "mirostat") == "2":
        too_surprising = -np.log2(p) > mu
        n_kept = int(too_surprising.argmax()) if too_surprising.any() else len(p)
    else:
        n_kept = _n_kept_v1(p, mu, whole(values, "mirostat_m"), candidates.n_vocab or int(candidates.ids.max()) + 1)
    return candidates.taken(np.arange(min(max(n_kept, 1), len(p))))


def _n_kept_v1(p: NDArray[np.float32], mu: np.float32, m: int, n_vocab: int) -> int:
    """The paper's k: from Zipf's exponent, estimated on the m likeliest tokens, and the surprise that is allowed."""
    import numpy as np

    n = min(m - 1, len(p) - 1)
    if n < 1:
        return 1
    ranks = np.arange(n, dtype=np.float32)
    t = np.log((ranks + 2) / (ranks + 1))
    b = np.log(p[:n] / p[1 : n + 1])
    s = float((t * b).sum() / (t * t).sum())
    if s <= 0.0 or s == 1.0:
        return 1
    epsilon = s - 1
    try:
        k = float(((epsilon * 2 ** float(mu)) / (1 - float(n_vocab) ** -epsilon)) ** (1 / s))
    except OverflowError:  # so much surprise is allowed that all may stay
        return len(p)
    return int(min(k, len(p)))


class _Surprise:
    """μ, which moves by η times what the surprise of a token was beside τ. Float32, as llama.cpp computes it.

    A new sampler begins with μ at twice its target, and its cut depends on μ alone.
    """

    def __init__(self, values: Values) -> None:
        import numpy as np

        self._values = dict(values)
        self._tau, self._eta = np.float32(number(values, "mirostat_tau")), np.float32(number(values, "mirostat_eta"))
        self._mu = np.float32(2) * self._tau

    def call(self) -> NativeCall:
        return _native({**self._values, "mirostat_tau": float(self._mu) / 2})

    def take(self, p_before: float, p_after: float) -> None:
        import numpy as np

        surprise = -np.log2(np.float32(p_after))
        self._mu = self._mu - self._eta * (surprise - self._tau)


STAGE = Stage(
    key="mirostat",
    label="Mirostat",
    help="Version 2 drops every token whose surprise, -log2 p, is over μ, draws one of the others, and then moves μ by "
    "η times the difference between τ and the drawn token's surprise, which llama.cpp takes among those that were left, "
    "the paper among all. μ begins at 2 τ. Version 1 does the same with a top-k whose k follows from μ and from Zipf's "
    "exponent of the m likeliest tokens. It draws the token itself, so it stands at the end. llama.cpp's programs leave out all other cuts when it is on; here those that are switched on "
    "go first. What is shown for a single position is its first step, μ = 2 τ, but the tokens of an answer are read with the "
    "μ that each was drawn with; a change in the middle of an answer starts it anew.",
    source="Basu et al. 2020, arXiv 2007.14966; llama.h llama_sampler_init_mirostat",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=True,
    uses_seed=True,
    draws=True,
    prepares=(DROP_IMPOSSIBLE,),
    follow=_Surprise,
    presets=(("mirostat_v2", {"mirostat": "2"}),),
)

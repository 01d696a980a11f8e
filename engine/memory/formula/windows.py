"""Which layers look back on a window only, and how far: from the file's pattern, else each architecture's own period.

Source: llama-model.cpp load_swa_pattern, llama-hparams.cpp set_swa_pattern, src/models/<architecture>.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from engine.gguf.header import Header

PERIODS: Mapping[str, int] = MappingProxyType(
    {
        "gemma2": 2, "gpt-oss": 2, "gemma3": 6, "gemma-embedding": 6, "gemma3n": 5, "cohere2": 4, "llama4": 4, "exaone4": 4,
        "exaone-moe": 4, "olmo2": 4, "afmoe": 4, "mellum": 4, "plamo3": 8, "muse-glimmer": 4,
        "cohere2moe": 4, "smallthinker": 4, "laguna": 4, "modern-bert": 3,
    }
)  # fmt: skip
"""Every how many layers one sees everything, where the file does not say."""

DENSE_FIRST = frozenset({"cohere2moe", "smallthinker", "laguna", "modern-bert"})
"""Here the first layer of a period sees everything, elsewhere the last."""

FROM_ARRAY = frozenset({"gemma4", "mimo2", "step35", "granite_swa", "maple", "spark2_5"})
"""Here the file must say it for each layer."""

WITHOUT_KEY: Mapping[str, int] = MappingProxyType({"gemma2": 4096, "exaone4": 4096, "exaone-moe": 128, "llama4": 8192})
FIXED: Mapping[str, int] = MappingProxyType({"smallthinker": 4096, "llama4": 8192})
EXAONE_4_WITH_WINDOW = 64


@dataclass(frozen=True, slots=True)
class Windows:
    """The window in tokens, 0 without one, and for every layer whether it has it."""

    n_window: int
    is_windowed: tuple[bool, ...]

    @property
    def is_used(self) -> bool:
        """Whether there are two caches; so it is with a window even where no layer of this file has it."""
        return self.n_window > 0


def windows_of(header: Header, name: str, n_layer_all: int, n_layer: int, n_head_kv: Sequence[int]) -> Windows:
    """The windows of a model; other architectures have the key in some files and do not use it (qwen2, llama)."""
    none = Windows(0, (False,) * n_layer_all)
    stated = header.whole(f"{name}.attention.sliding_window")
    if name in ("lfm2", "lfm2moe"):
        is_on = name == "lfm2" and bool(stated)
        return (
            Windows(stated or 0, tuple(il < n_layer and n_head_kv[il] > 0 for il in range(n_layer_all)))
            if is_on
            else none
        )
    if name not in PERIODS and name not in FROM_ARRAY:
        return none
    if name == "exaone4" and n_layer != EXAONE_4_WITH_WINDOW:
        return none
    n_window = WITHOUT_KEY.get(name, 0) if stated is None else stated
    if n_window <= 0:
        return none
    n_window = FIXED.get(name, n_window)
    pattern = header.whole_or_per_layer(f"{name}.attention.sliding_window_pattern")
    if isinstance(pattern, tuple):
        padded = [*pattern, *(0,) * n_layer_all][:n_layer_all]
        return Windows(n_window, tuple(bool(each) for each in padded))
    period = pattern if pattern is not None else PERIODS.get(name, 0)
    return Windows(n_window, tuple(il < n_layer and _has_window(il, period, name) for il in range(n_layer_all)))


def _has_window(layer: int, period: int, name: str) -> bool:
    if period == 0:
        return True
    return layer % period != 0 if name in DENSE_FIRST else layer % period < period - 1

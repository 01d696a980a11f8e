"""What a sampler is to Llamarium: a `Stage`, with its fields, its llama.h function and its exact definition in NumPy.

One description serves the form, the command line, the worker, the stored run and the laboratory's view of the chain.
A stage names the C function instead of calling it, because only the worker may import llama_cpp; what the worker alone
knows (the size of the vocabulary, of the context) stands in the arguments as a `Given`. Rejected: a class per sampler
(nothing of it would be inherited), and drawing the tokens in NumPy (the reference is there to check the native samplers
and to show what each stage does, not to replace them). NumPy is imported at first use, never when a window starts.

Source: llama.h (`llama_sampler_init_*`, `llama_token_data_array`), llama.cpp `src/llama-sampler.cpp`.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from engine.base.errors import BugError
from engine.base.fields import FieldSet, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Values: TypeAlias = Mapping[str, Value]


class Given(enum.Enum):
    """An argument of a C function that only the worker can fill in, once a model is open."""

    N_VOCAB = "n_vocab"  # llama_vocab_n_tokens
    N_CTX = "n_ctx"  # llama_n_ctx, the length of the whole context in tokens


Argument: TypeAlias = bool | int | float | Given


@dataclass(frozen=True, slots=True)
class NativeCall:
    """A call of a function of llama.h that makes one sampler: its name and its arguments, in order."""

    name: str
    args: tuple[Argument, ...] = ()

    def filled(self, given: Mapping[Given, int]) -> tuple[bool | int | float, ...]:
        """The arguments with every `Given` replaced by its number: what is passed to the C function."""
        return tuple(given[each] if isinstance(each, Given) else each for each in self.args)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The tokens that may still be chosen, in llama.cpp's order: ids int32[n], logits float32[n].

    A logit of minus infinity means: still in the list, but it cannot be drawn. The order is by id until a stage sorts.
    """

    ids: NDArray[np.int32]
    logits: NDArray[np.float32]

    @classmethod
    def of_logits(cls, logits_v: NDArray[np.float32]) -> Candidates:
        """The whole vocabulary, with the model's logits [n_vocab]. The array is copied."""
        import numpy as np

        return cls(np.arange(len(logits_v), dtype=np.int32), np.array(logits_v, dtype=np.float32))

    def __len__(self) -> int:
        return len(self.ids)

    def taken(self, positions: NDArray[np.intp]) -> Candidates:
        """The candidates at these positions, in the order of `positions`."""
        return Candidates(self.ids[positions], self.logits[positions])

    def with_logits(self, logits: NDArray[np.float32]) -> Candidates:
        """The same tokens in the same order with other logits."""
        return Candidates(self.ids, logits)

    def survivors(self) -> Candidates:
        """Only those that can be drawn."""
        import numpy as np

        if (self.logits > -np.inf).all():
            return self
        return self.taken(np.flatnonzero(self.logits > -np.inf))

    def probabilities(self) -> NDArray[np.float64]:
        """The softmax of the logits, float64[n]: sums to 1, or all 0 when no candidate can be drawn."""
        weights = self._weights()
        total = float(weights.sum())
        return weights / total if total > 0 else weights

    def entropy_bits(self) -> float:
        """How open the choice is, 0 (one token) to log2(n) (all alike). 0 as well when nothing can be drawn."""
        import numpy as np

        alive = self.survivors()
        if len(alive) == 0:
            return 0.0
        # H = ln(sum of weights) - mean of the exponents: no logarithm per token.
        weights = alive._weights()
        total = float(weights.sum())
        exponents = alive.logits.astype(np.float64) - float(alive.logits.max())
        # Not `@`: BLAS would wake its threads for this, and they wait for the cores that the worker is using.
        mean = float(np.einsum("i,i", weights, exponents)) / total
        return max(0.0, (math.log(total) - mean) / math.log(2))

    def _weights(self) -> NDArray[np.float64]:
        import numpy as np

        top = float(self.logits.max(initial=-np.inf))
        if top == -np.inf:
            return np.zeros(len(self), dtype=np.float64)
        return np.exp(self.logits.astype(np.float64) - top)


def _never(values: Values) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Stage:
    """A sampler: one step of the chain.

    Attributes:
        key: the stage's name in stored chains and presets.
        label: its name on screen.
        help: the exact definition, with the places where programs differ.
        source: the paper or pull request, the llama.h name.
        fields: its parameters. Their keys are unique over all stages.
        is_neutral: whether these values change nothing, so that the stage can be left out of the chain.
        native: the llama.h function that makes this sampler with these values.
        reference: the stage's definition in NumPy: candidates and history (token ids, oldest first: prompt and answer,
            as they were accepted) in, candidates out. It never changes its arguments.
        keeps_top: whether the most likely token always stays the most likely.
        is_greedy: whether these values leave only the most likely token.
        uses_history: whether it looks at the accepted tokens, so that a new sampler must be told of them.
        draws: whether it takes the token itself when it works, so that it must stand at the end.
    """

    key: str
    label: str
    help: str
    source: str
    fields: FieldSet
    is_neutral: Callable[[Values], bool]
    native: Callable[[Values], NativeCall]
    reference: Callable[[Candidates, Values, Sequence[int]], Candidates]
    keeps_top: bool
    is_greedy: Callable[[Values], bool] = _never
    uses_history: bool = False
    draws: bool = False

    def describe(self, values: Values) -> str:
        """Name and values on one line, “top-k 40”; of several fields only those that are not neutral."""
        if len(self.fields.fields) == 1:
            return f"{self.label.lower()} {self._formatted(values, self.fields.keys()[0])}"
        parts = [
            f"{each.label.lower()} {self._formatted(values, each.key)}"
            for each in self.fields
            if values[each.key] != each.neutral
        ]
        return f"{self.label.lower()} ({', '.join(parts)})" if parts else self.label.lower()

    def _formatted(self, values: Values, key: str) -> str:
        return self.fields[key].format(values[key])


def number(values: Values, key: str) -> float:
    """The value of a FLOAT field."""
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BugError(f"{key} is not a number: {value!r}")
    return float(value)


def whole(values: Values, key: str) -> int:
    """The value of an INT field."""
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int):
        raise BugError(f"{key} is not a whole number: {value!r}")
    return value


def best_first(logits: NDArray[np.float32], n_best: int) -> NDArray[np.intp]:
    """Positions of the `n_best` largest logits, largest first.

    Of equal logits the one that stands first comes first. llama.cpp sorts with `std::partial_sort`, which promises no
    order among equals: where equal logits straddle a cut, which of them it keeps is not defined.
    """
    import numpy as np

    n = len(logits)
    if n_best >= n:
        return _descending(logits)
    cut = np.partition(logits, n - n_best)[n - n_best]
    at_least = np.flatnonzero(logits >= cut)
    return at_least[_descending(logits[at_least])[:n_best]]


def _descending(logits: NDArray[np.float32]) -> NDArray[np.intp]:
    """A stable argsort, largest first, by sorting whole numbers made of the logit's bits and its position.

    `np.argsort(-logits, kind="stable")` gives the same and takes eight times as long on a large vocabulary (22 ms for
    262,144), which is too slow for a slider that is being dragged.
    """
    import numpy as np

    bits = (np.float32(0) - logits).view(np.uint32)  # 0 - x and not -x: so that 0 and -0 become the same
    is_negative = bits >> np.uint32(31)
    ascending = np.where(is_negative, ~bits, bits | np.uint32(1 << 31)).astype(np.uint64)
    keys = np.sort(ascending << np.uint64(32) | np.arange(len(logits), dtype=np.uint64))
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.intp)


def native_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The softmax as llama.cpp computes it inside a stage: float32, summed in the order of the list.

    A cut by cumulated probability depends on these roundings; everywhere else `Candidates.probabilities` is better.
    """
    import numpy as np

    # C's expf is correctly rounded but for one case in a hundred; NumPy's own float32 exp is up to three units off.
    weights = np.exp((logits - logits.max()).astype(np.float64)).astype(np.float32)
    total = np.cumsum(weights, dtype=np.float32)[-1]  # cumsum adds one by one, where sum() adds in pairs
    probabilities: NDArray[np.float32] = weights / total
    return probabilities

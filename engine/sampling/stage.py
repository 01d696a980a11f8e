"""What a sampler is to Llamarium: a `Stage`, with its fields, its llama.h function and its exact definition in NumPy.

One description serves the form, the command line, the worker, the stored run and the laboratory's view of the chain.
A stage names the C function instead of calling it, because only the worker may import llama_cpp; what the worker alone
knows (the vocabulary, the size of the context) stands in the arguments as a `Given`. Rejected: a class per sampler
(nothing of it would be inherited), and drawing the tokens in NumPy (the reference is there to check the native samplers
and to show what each stage does, not to replace them). NumPy is imported at first use, never when a window starts.

Source: llama.h (`llama_sampler_init_*`, `llama_token_data_array`), llama.cpp `src/llama-sampler.cpp`.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from engine.base.errors import BugError
from engine.base.fields import FieldKind, FieldSet, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Values: TypeAlias = Mapping[str, Value]


class Given(enum.Enum):
    """An argument of a C function that is known only when the chain is made."""

    N_VOCAB = "n_vocab"  # llama_vocab_n_tokens
    N_CTX = "n_ctx"  # llama_n_ctx, the length of the whole context in tokens
    VOCAB = "vocab"  # llama_model_get_vocab
    SEED = "seed"  # the run's seed; the chain fills it in


@dataclass(frozen=True, slots=True)
class Texts:
    """Two arguments: an array of C strings, and their number."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Biases:
    """Two arguments: the number of logit biases, and an array of them.

    Each is a token, by its id or as text, and what is added to its logit; the worker turns texts into tokens.
    """

    biases: tuple[tuple[int | str, float], ...]


@dataclass(frozen=True, slots=True)
class Schema:
    """One argument: the GBNF grammar of a JSON Schema. The library's converter makes it, in the worker."""

    text: str


Argument: TypeAlias = bool | int | float | str | Given | Texts | Biases | Schema


class Memory(enum.Enum):
    """Which of the accepted tokens a native sampler must be told of when it is made in the middle of a text."""

    NOTHING = "nothing"
    TEXT = "text"  # prompt and answer
    ANSWER = "answer"  # the answer alone: a grammar says nothing of the prompt


@dataclass(frozen=True, slots=True)
class NativeCall:
    """A call of a function of llama.h that makes one sampler: its name and its arguments, in order.

    `memory` says which tokens the sampler must be told of, `can_empty` whether it may leave nothing to draw: whoever
    draws must look, since llama.cpp does not.
    """

    name: str
    args: tuple[Argument, ...] = ()
    memory: Memory = Memory.NOTHING
    can_empty: bool = False

    def seeded(self, seed: int) -> NativeCall:
        """The call with the run's seed in its place."""
        if Given.SEED not in self.args:
            return self
        return replace(self, args=tuple(seed if each is Given.SEED else each for each in self.args))


class Lexicon(Protocol):
    """What a reference must know of a model's tokens; the worker's vocabulary is one."""

    @property
    def n_vocab(self) -> int:
        """How many tokens there are."""
        ...

    @property
    def end(self) -> int:
        """The token that ends a turn, or the text where the model has no such token."""
        ...

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of a token; those of control tokens only with `special`."""
        ...

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """The tokens of a text."""
        ...

    def is_end(self, token: int) -> bool:
        """Whether the token ends an answer."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The tokens that may still be chosen, in llama.cpp's order: ids int32[n], logits float32[n].

    A logit of minus infinity means: still in the list, but it cannot be drawn. The order is by id until a stage sorts.
    `n_vocab` is the size of the whole vocabulary, 0 where nobody said it.
    """

    ids: NDArray[np.int32]
    logits: NDArray[np.float32]
    n_vocab: int = 0

    @classmethod
    def of_logits(cls, logits_v: NDArray[np.float32]) -> Candidates:
        """The whole vocabulary, with the model's logits [n_vocab]. The array is copied."""
        import numpy as np

        ids = np.arange(len(logits_v), dtype=np.int32)
        return cls(ids, np.array(logits_v, dtype=np.float32), len(logits_v))

    def __len__(self) -> int:
        return len(self.ids)

    def taken(self, positions: NDArray[np.intp]) -> Candidates:
        """The candidates at these positions, in the order of `positions`."""
        return Candidates(self.ids[positions], self.logits[positions], self.n_vocab)

    def with_logits(self, logits: NDArray[np.float32]) -> Candidates:
        """The same tokens in the same order with other logits."""
        return Candidates(self.ids, logits, self.n_vocab)

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


class Following(Protocol):
    """The state of a stage that moves with every token, led through a text that is already written."""

    def call(self) -> NativeCall:
        """A sampler that begins where the state stands now."""
        ...

    def take(self, p_before: float, p_after: float) -> None:
        """A token was taken: its probability among what the stage was given, and among what it left of that.

        Both are over 0 and at most 1.
        """
        ...


def _never(values: Values) -> bool:
    return False


def _accept(values: Values) -> None:
    """Most stages take any values that their fields take."""


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
            as they were accepted) in, candidates out. It never changes its arguments. Of a stage that rolls dice or
            keeps a state it is one defined case, which its help names.
        keeps_top: whether the most likely token always stays the most likely.
        is_greedy: whether these values leave only the most likely token.
        uses_history: whether it looks at the accepted tokens, so that a new sampler must be told of them.
        uses_seed: whether it rolls dice.
        draws: whether it picks the token itself, and so ends the chain in the place of the plain draw.
        check: raises `FieldError` for values that are no good together, or that only more than a Field can judge.
        prepares: native samplers that go right before it, because it cannot do with every list; `reference` has them in.
        reference_with: the definition where it needs the model's tokens; `reference` is then what can be said without.
        follow: of a stage whose state moves with what was drawn, the state at an answer's beginning.
        presets: the stage's values in built-in presets, (preset's key, values), where they are not the defaults. They
            stand here, so that all of a parameter's numbers stand in one file.
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
    uses_seed: bool = False
    draws: bool = False
    check: Callable[[Values], None] = _accept
    prepares: tuple[NativeCall, ...] = ()
    reference_with: Callable[[Candidates, Values, Sequence[int], Lexicon], Candidates] | None = None
    follow: Callable[[Values], Following] | None = None
    presets: tuple[tuple[str, Values], ...] = ()

    def calls(self, values: Values, seed: int) -> tuple[NativeCall, ...]:
        """The native samplers of this stage, in order, with the run's seed."""
        return (*self.prepares, self.native(values).seeded(seed))

    def describe(self, values: Values) -> str:
        """Name and values on one line, “top-k 40”; of several fields only those that are not neutral, and no texts."""
        name = said = self.label.lower()
        parts = []
        for each in self.fields:
            if each.kind not in (FieldKind.INT, FieldKind.FLOAT, FieldKind.CHOICE):
                continue
            if each.label.lower() == name:
                said = f"{name} {self._formatted(values, each.key)}"
            elif values[each.key] != each.neutral:
                label = each.label.lower().removeprefix(name + " ")
                parts.append(f"{label} {self._formatted(values, each.key)}")
        return f"{said} ({', '.join(parts)})" if parts else said

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


def texts(values: Values, key: str) -> tuple[str, ...]:
    """The value of a TEXT_LIST field."""
    value = values[key]
    if not isinstance(value, tuple):
        raise BugError(f"{key} is not a list of texts: {value!r}")
    return value


def text(values: Values, key: str) -> str:
    """The value of a TEXT or CHOICE field."""
    value = values[key]
    if not isinstance(value, str):
        raise BugError(f"{key} is not a text: {value!r}")
    return value


def switch(values: Values, key: str) -> bool:
    """The value of a BOOL field."""
    value = values[key]
    if not isinstance(value, bool):
        raise BugError(f"{key} is not a switch: {value!r}")
    return value


# What is less likely than this times the most likely token has probability 0 in llama.cpp's 32-bit arithmetic. A few
# native samplers take its logarithm, and minus infinity times 0 is no number: the stages that need it drop such tokens.
SMALLEST_SHARE = 1e-37
DROP_IMPOSSIBLE = NativeCall("llama_sampler_init_min_p", (SMALLEST_SHARE, 1))


def possible(candidates: Candidates) -> Candidates:
    """What `DROP_IMPOSSIBLE` leaves."""
    import numpy as np

    least = candidates.logits.max() + np.float32(math.log(np.float32(SMALLEST_SHARE)))
    return candidates.taken(np.flatnonzero(candidates.logits >= least))


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

"""A native sampler chain: made from the calls that the stages name, told of what stands before, and made to draw.

llama.cpp asserts where nothing is left to draw, and draws anything where a logit is no number; an exception of C++ ends
the process. So a chain with stages that can cut everything is applied here sampler by sampler, with a look after each
of those; all others go through `llama_sampler_sample` and pay for one comparison.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

from engine.base.errors import BugError, KnownError, Remedy, RemedyKind
from engine.sampling.stage import Biases, Given, Memory, NativeCall, Schema, Texts
from engine.worker.binding import Vocabulary
from engine.worker.schemas import grammar_of_schema

PREFIX = "llama_sampler_init_"
LAZY = "llama_sampler_init_grammar_lazy_patterns"
CHECK_EVERY = 8
"""Every how many tokens the drawn one's logit is looked at. Logits that are no numbers stay so, for the cache holds them; and
a look takes as long as a fiftieth of a draw from 49,000 tokens."""
CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Candidates:
    """llama.cpp's candidate array over a NumPy buffer, so that its samplers can work on it: [n] of (id, logit, p)."""

    def __init__(self, logits_v: npt.NDArray[np.float32], ids: npt.NDArray[np.int32] | None = None) -> None:
        self.rows = np.zeros(len(logits_v), dtype=CANDIDATE)
        self._ids = np.arange(len(logits_v), dtype=np.int32) if ids is None else ids
        self._pointer = self.rows.ctypes.data_as(llama.llama_token_data_p)
        self.fill(logits_v)

    def fill(self, logits_v: npt.NDArray[np.float32]) -> None:
        """Begin anew with other logits of the same tokens."""
        self.rows["id"] = self._ids
        self.rows["logit"] = logits_v
        self.array = llama.llama_token_data_array(self._pointer, len(self.rows), -1, False)

    def apply(self, sampler: Any) -> None:
        """Let a native sampler (or a chain of them) work on the array in place."""
        llama.llama_sampler_apply(sampler, ctypes.byref(self.array))

    def left(self) -> npt.NDArray[Any]:
        """The candidates that are left, in llama.cpp's present order."""
        # XTC moves the array's beginning forward instead of the rows.
        address = ctypes.cast(self.array.data, ctypes.c_void_p).value or self.rows.ctypes.data
        start = (address - self.rows.ctypes.data) // CANDIDATE.itemsize
        return self.rows[start : start + self.array.size]

    @property
    def can_draw(self) -> bool:
        """Whether any candidate is left that could be drawn."""
        return self.array.size > 0 and bool(np.isfinite(self.left()["logit"]).any())

    @property
    def selected_place(self) -> int | None:
        """The place, among those that are left, of the token that a drawing stage picked."""
        return int(self.array.selected) if 0 <= self.array.selected < self.array.size else None

    @property
    def selected(self) -> int | None:
        """The id of the token that a drawing stage picked."""
        place = self.selected_place
        return None if place is None else int(self.left()["id"][place])


class SamplerChain:
    """A native sampler chain. Freed by `close`."""

    def __init__(
        self,
        calls: Iterable[NativeCall],
        *,
        n_vocab: int,
        n_ctx: int,
        banned: Sequence[int] = (),
        vocab: Vocabulary | None = None,
    ) -> None:
        """Make the samplers.

        Args:
            calls: in their order; the last one draws.
            n_vocab, n_ctx: sizes in tokens, for the stages that ask for them.
            banned: tokens that are never drawn.
            vocab: the model's tokens; stages that read texts (grammar, DRY, logit bias) need them.

        Raises:
            KnownError: a token or a grammar that this model or llama.cpp does not take.
        """
        self.before_close: Callable[[], None] | None = None
        params = llama.llama_sampler_chain_default_params()
        params.no_perf = True
        self.pointer = llama.llama_sampler_chain_init(params)
        self._vocab, self._n_vocab = vocab, n_vocab
        self._given = {Given.N_VOCAB: n_vocab, Given.N_CTX: n_ctx}
        if vocab is not None:
            self._given[Given.VOCAB] = vocab.pointer
        self._parts: list[tuple[NativeCall, Any]] = []
        self._candidates: Candidates | None = None
        self._sleeping: dict[int, _Sleeping] = {}
        self._n_unchecked = CHECK_EVERY - 1  # the first is looked at
        try:
            if banned:
                bans = Biases(tuple((token, float("-inf")) for token in banned))
                self._add(NativeCall("llama_sampler_init_logit_bias", (Given.N_VOCAB, bans)))
            for call in calls:
                self._add(call)
        except BaseException:
            self.close()
            raise
        self.needs_care = any(call.can_empty for call, _ in self._parts)

    def accept(self, tokens: Iterable[int]) -> None:
        """Tell the stages with a memory of the whole text (penalties, DRY) what stands before; a grammar not."""
        listening = [part for call, part in self._parts if call.memory is Memory.TEXT]
        if listening:
            for token in tokens:
                for part in listening:
                    llama.llama_sampler_accept(part, token)

    def accept_answer(self, tokens: Sequence[int]) -> None:
        """Tell a grammar what was already written of the answer, and only it. `KnownError` where it does not fit."""
        for at, (call, part) in enumerate(self._parts):
            if call.memory is Memory.ANSWER:
                for token in tokens:
                    self._accept_in_grammar(at, part, token)

    def leave_grammar(self) -> None:
        """From now on `apply` goes without what follows the answer alone."""
        self._parts = [(call, part) for call, part in self._parts if call.memory is not Memory.ANSWER]

    def sample(self, context: Any, place: int = -1) -> int:
        """The next token after that place of the context's last batch; the chain remembers it.

        Raises:
            KnownError: the logits are no numbers (found within `CHECK_EVERY` tokens), or the samplers leave nothing.
        """
        if self.needs_care:
            logits_v = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, place), shape=(self._n_vocab,))
            return self.draw(logits_v)
        token: int = llama.llama_sampler_sample(self.pointer, context, place)
        self._n_unchecked += 1
        if self._n_unchecked >= CHECK_EVERY:
            self._n_unchecked = 0
            if not math.isfinite(llama.llama_get_logits_ith(context, place)[token]):
                raise unusable()
        return token

    def draw(self, logits_v: npt.NDArray[np.float32]) -> int:
        """The same from given logits, float32 [n_vocab], with a look after every stage that can cut everything."""
        if self._candidates is None:
            self._candidates = Candidates(logits_v)
        else:
            self._candidates.fill(logits_v)
        candidates = self._candidates
        if not np.isfinite(candidates.rows["logit"].max()):
            raise unusable()
        for call, part in self._parts:
            candidates.apply(part)
            if call.can_empty and not candidates.can_draw:
                raise nothing_left(call)
        token = candidates.selected
        if token is None or not np.isfinite(candidates.left()["logit"][candidates.array.selected]):
            raise nothing_left(None)
        for at, (call, part) in enumerate(self._parts):
            if call.memory is Memory.ANSWER:
                self._accept_in_grammar(at, part, token)
            else:
                llama.llama_sampler_accept(part, token)
        return token

    def apply(self, candidates: Candidates) -> None:
        """Let the chain work on candidates, without remembering. `KnownError` where it leaves nothing."""
        for call, part in self._parts:
            candidates.apply(part)
            if call.can_empty and not candidates.can_draw:
                raise nothing_left(call)

    def copy(self) -> SamplerChain:
        """The same native samplers, apart from this chain, to ask what they are; to be closed on its own."""
        twin = object.__new__(SamplerChain)
        twin.before_close, twin.pointer = None, llama.llama_sampler_clone(self.pointer)
        twin._parts, twin._sleeping = [], {}
        return twin

    def close(self) -> None:
        """Free the chain with all its samplers, after `before_close` where somebody still uses it."""
        if self.before_close is not None:
            self.before_close()
            self.before_close = None
        if self.pointer:
            llama.llama_sampler_free(self.pointer)
            self.pointer = None
            self._parts.clear()
            for each in self._sleeping.values():
                llama.llama_sampler_free(each.probe)
            self._sleeping.clear()

    # -- inside

    def _add(self, call: NativeCall) -> None:
        part = make_sampler(call, self._given, self._vocab)
        if call.name == LAZY:
            eager = NativeCall("llama_sampler_init_grammar", call.args[:3])
            patterns = next(each.texts for each in call.args if isinstance(each, Texts))
            self._sleeping[len(self._parts)] = _Sleeping(make_sampler(eager, self._given, self._vocab), patterns)
        self._parts.append((call, part))
        llama.llama_sampler_chain_add(self.pointer, part)

    def _accept_in_grammar(self, at: int, part: Any, token: int) -> None:
        """Tell a grammar of a token, which must fit: llama.cpp ends the process otherwise."""
        sleeping = self._sleeping.get(at)
        if sleeping is None:
            if not _fits(part, token):
                raise does_not_fit()
        elif self._vocab is not None and sleeping.wakes(self._vocab, token):
            llama.llama_sampler_free(self._sleeping.pop(at).probe)
        llama.llama_sampler_accept(part, token)


class _Sleeping:
    """A lazy grammar that waits for its trigger: finds it as llama.cpp does, and tries whether the grammar fits then."""

    def __init__(self, probe: Any, patterns: tuple[str, ...]) -> None:
        self.probe = probe  # the same grammar, awake
        self._patterns = [re.compile(each) for each in patterns]
        self._written = b""

    def wakes(self, vocab: Vocabulary, token: int) -> bool:
        """Whether the trigger is complete with this token; `KnownError` if the grammar refuses the trigger's text."""
        self._written += vocab.piece(token, special=True)
        written = self._written.decode("latin-1")  # a character a byte, as std::regex sees it
        for pattern in self._patterns:
            found = pattern.search(written)
            if found is None:
                continue
            groups = [each for each in range(1, pattern.groups + 1) if found.start(each) < found.end(each)]
            begun = written[found.start(groups[0] if groups else 0) :].encode("latin-1")
            text = begun.decode("utf-8", errors="ignore")
            for each in vocab.tokenize(text, add_special=False, parse_special=True):
                if not _fits(self.probe, each):
                    raise KnownError(
                        "The grammar cannot begin with its trigger",
                        value=text[:80],
                        next_step="let the grammar's root begin with the trigger's text, or take another trigger",
                    )
                llama.llama_sampler_accept(self.probe, each)
            return True
        return False


def make_sampler(call: NativeCall, given: Mapping[Given, Any], vocab: Vocabulary | None) -> Any:
    """One native sampler; `KnownError` where llama.cpp refuses it."""
    arguments, _kept = native_arguments(call, given, vocab)
    sampler = getattr(llama, call.name)(*arguments)
    if not sampler:
        raise KnownError(
            "The engine does not take the grammar",
            value=", ".join(str(each) for each in call.args if isinstance(each, str))[:80],
            next_step="look for tokens in < > that this model does not have, or make the grammar simpler",
        )
    return sampler


def native_arguments(
    call: NativeCall, given: Mapping[Given, Any], vocab: Vocabulary | None
) -> tuple[list[Any], list[Any]]:
    """What is passed to the C function, and the objects that must live until it has returned.

    Raises:
        KnownError: a token that the vocabulary does not have, a schema that cannot be a grammar.
        BugError: the stage asks for something that is not given.
    """
    arguments: list[Any] = []
    for each in call.args:
        match each:
            case Given():
                if each not in given:
                    raise BugError(f"{call.name} needs {each.value}, which is not given")
                arguments.append(given[each])
            case Texts():
                array = (ctypes.c_char_p * max(1, len(each.texts)))(*(text.encode() for text in each.texts))
                # The same null pointer fits every type of array: where there are no texts, none is looked at.
                arguments += [array if each.texts else None, len(each.texts)]
            case Biases():
                biases = _biases(each, int(given[Given.N_VOCAB]), vocab)
                arguments += [len(biases), biases]
            case Schema():
                arguments.append(grammar_of_schema(each.text).gbnf.encode())
            case str():
                arguments.append(each.encode())
            case _:
                arguments.append(each)
    return arguments, list(arguments)


def unusable() -> KnownError:
    """What to tell when the logits are not numbers."""
    return KnownError(
        "The model's scores for the next token are not usable",
        value="not a number, or infinite",
        next_step="try another quantization of this model, or another device",
        remedies=(Remedy(RemedyKind.CHOOSE_MODEL, "Choose another model"),),
    )


def check_logits(logits_v: npt.NDArray[np.float32]) -> None:
    """Raise `KnownError` if any logit is NaN or plus infinity, or all are minus infinity: once at a run's beginning."""
    if not np.isfinite(logits_v.max()):  # NaN if any is
        raise unusable()


def nothing_left(call: NativeCall | None) -> KnownError:
    """What to tell when no token is left that could be drawn."""
    if call is not None and call.memory is Memory.ANSWER:
        return KnownError(
            "The grammar allows no token that could come next",
            value="of those that the samplers before it have left",
            next_step="change the grammar, put it first in the chain, or let the text end",
        )
    return KnownError(
        "The samplers leave no token that could come next",
        value="" if call is None else call.name.removeprefix(PREFIX).replace("_", " "),
        next_step="loosen this sampler, or switch it off",
    )


def does_not_fit() -> KnownError:
    """What to tell when a grammar is to hold for a text that it does not allow."""
    return KnownError(
        "The answer so far does not fit the grammar",
        next_step="write the answer anew, or switch the grammar off",
    )


def _fits(grammar: Any, token: int) -> bool:
    one = Candidates(np.zeros(1, dtype=np.float32), np.array([token], dtype=np.int32))
    one.apply(grammar)
    return one.can_draw


def _biases(wanted: Biases, n_vocab: int, vocab: Vocabulary | None) -> Any:
    """The array of `llama_logit_bias`: each token once, texts as their tokens."""
    found: dict[int, float] = {}
    for who, bias in wanted.biases:
        if isinstance(who, int):
            ids = [who]
            if not 0 <= who < n_vocab:
                raise KnownError(
                    "The logit bias names a token that this model does not have",
                    value=str(who),
                    next_step=f"use an id from 0 to {n_vocab - 1:,}, or the token's text in quotes",
                )
        else:
            if vocab is None:
                raise BugError("a text in a logit bias needs the vocabulary")
            ids = vocab.tokenize(who, add_special=False, parse_special=True)
        for token in dict.fromkeys(ids):
            found[token] = found.get(token, 0.0) + bias
    return (llama.llama_logit_bias * len(found))(*(llama.llama_logit_bias(*each) for each in found.items()))

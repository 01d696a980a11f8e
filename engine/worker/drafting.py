"""The draft model: a second, smaller model beside the main one, which guesses how its text goes on.

It has a context of its own in this process, a window on the end of the text. Its guesses are checked like any others
(`engine.worker.speculation`), so it can make an answer faster or slower and never another one. Both must cut text
into the same tokens, which is looked at as llama.cpp does. Rejected: a process of its own (a frame there and back for
each guess), and guesses that are drawn (a guess is right when it is what the chain picks, so the likeliest is the best).

Source: Leviathan et al. 2023, speculative decoding; llama.cpp `common/speculative.cpp` (draft-simple).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import psutil

from engine.base.errors import KnownError, Remedy, RemedyKind
from engine.base.fields import Value
from engine.gguf.card import Card, read_card
from engine.gguf.splits import shard_paths
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import DraftUse
from engine.worker.binding import AbortFlag, Ggml, NativeLog, Vocabulary
from engine.worker.refusals import refuse_other_kinds
from engine.worker.session import Session, open_session

SHARED_OPTIONS = (
    *("n_threads", "n_threads_batch", "n_gpu_layers", "split_mode", "main_gpu", "tensor_split", "n_batch", "n_ubatch"),
    *("offload_kqv", "op_offload", "mmap", "mlock", "use_extra_bufts"),
)
"""Load options that hold for the draft model too; what belongs to one model alone (RoPE, cache types,
tensors by name) does not."""

MOST_MORE_TOKENS = 128
FIRST_COMPARED = 5
"""How far two vocabularies may differ in size, and the first token that is compared (llama.cpp `SPEC_VOCAB_…`)."""


def open_models(
    path: Path,
    card: Card,
    options: Mapping[str, Value],
    *,
    ggml: Ggml,
    log: NativeLog,
    abort: AbortFlag,
    on_progress: Callable[[float], bool],
    base_rss_bytes: int,
    is_dry: bool = False,
) -> Session:
    """`open_session`, and beside it the draft model that the options name: it is the session's `draft`.

    The session's memory then counts both. What is wrong with the draft model's file is told before any weight is read.

    Raises:
        LoadCancelled: `on_progress` said no; nothing stays loaded.
        KnownError: one of them cannot be loaded, or they do not fit together; nothing stays loaded.
    """

    def opened(
        path: Path, card: Card, options: Mapping[str, Value], on_progress: Callable[[float], bool], base_rss: int
    ) -> Session:
        return open_session(
            path,
            card,
            options,
            ggml=ggml,
            log=log,
            abort=abort,
            on_progress=on_progress,
            base_rss_bytes=base_rss,
            is_dry=is_dry,
        )

    name = str(options["model_draft"])
    if not name:
        return opened(path, card, options, on_progress, base_rss_bytes)
    try:
        draft_path, draft_card = _read(Path(name))
    except KnownError as error:
        raise _unusable(name, error) from error
    share = card.weights_bytes / max(1, card.weights_bytes + draft_card.weights_bytes)
    session = opened(path, card, options, lambda part: on_progress(min(0.999, share * part)), base_rss_bytes)
    try:
        n_ctx = min(int(str(options["n_ctx_draft"])), session.n_ctx)
        draft_options = {**LOAD_OPTIONS.defaults(), **{key: options[key] for key in SHARED_OPTIONS}}
        # A window on the end of the text is cut all the time, so the cache must be able to go back.
        draft_options |= {"n_ctx": n_ctx, "swa_full": True}
        session.draft = opened(
            draft_path,
            draft_card,
            draft_options,
            lambda part: on_progress(share + (1 - share) * part),
            psutil.Process().memory_info().rss,
        )
        refuse_other_vocabulary(session.vocab, session.draft.vocab)
    except KnownError as error:
        session.close()
        raise _unusable(name, error) from error
    except BaseException:
        session.close()
        raise
    _tell_both(session, session.draft)
    return session


def refuse_other_vocabulary(main: Vocabulary, draft: Vocabulary) -> None:
    """Raise `KnownError` unless the guesses of one are tokens of the other (`common_speculative_are_compatible`)."""
    n_main, n_draft = main.n_vocab, draft.n_vocab
    if main.type != draft.type:
        found = "its tokenizer is of another kind"
    elif main.adds_bos != draft.adds_bos or (main.adds_bos and main.bos != draft.bos):
        found = "it begins a text with another token"
    elif main.adds_eos != draft.adds_eos or (main.adds_eos and main.eos != draft.eos):
        found = "it ends a text with another token"
    elif abs(n_main - n_draft) > MOST_MORE_TOKENS:
        found = f"it has {n_draft:,} tokens, the model {n_main:,}"
    else:
        differs = (
            token
            for token in range(FIRST_COMPARED, min(n_main, n_draft))
            if main.spelling(token) != draft.spelling(token)
        )
        token = next(differs, None)
        if token is None:
            return
        texts = [each.spelling(token).decode(errors="replace") for each in (draft, main)]
        found = f"its token {token:,} is {texts[0]!r}, the model's {texts[1]!r}"
    raise KnownError("Another vocabulary than the model's", value=found)


class ModelDrafter:
    """Guesses what the draft model finds likeliest, token by token.

    The draft context is kept in step with the text: what it has in common with the last guess is not computed again.

    Args:
        session: the draft model's.
        n_vocab: the main model's tokens; others are never guessed.
        p_min: guessing stops at a token with less probability, 0 to 1.
    """

    def __init__(self, session: Session, n_vocab: int, p_min: float) -> None:
        self._session, self._p_min = session, p_min
        self._n_common = min(n_vocab, session.vocab.n_vocab)
        self._begin = 0  # where in the text the draft context begins

    def kind(self, history: Sequence[int]) -> int:
        """There is always a guess, and all are of one sort."""
        return 1 if history else 0

    def draft(self, history: Sequence[int], n_most: int) -> Sequence[int]:
        """At most `n_most` tokens; fewer where it is not sure enough or the answer would end, perhaps none.

        Raises:
            Aborted: the abort flag was set.
            KnownError: the engine failed.
        """
        session = self._session
        room = session.n_ctx - n_most
        if room < 1:
            return ()
        if len(history) - self._begin > room:
            self._begin = len(history) - max(1, room // 2)
        # A token that only the main model has is shown as the one that ends a text.
        tokens = [each if each < self._n_common else session.vocab.eos for each in history[self._begin :]]
        session.begin(tokens)
        session.prefill(tokens, lambda _done, _total: None)
        found: list[int] = []
        while True:
            token, p = self._likeliest()
            # Nothing follows the end of an answer, so a guess of it saves no call.
            if p < self._p_min or session.vocab.is_end(token):
                return found
            found.append(token)
            if len(found) == n_most:
                return found
            session.decode_one(token)

    def _likeliest(self) -> tuple[int, float]:
        logits = self._session.logits()[: self._n_common]
        token = int(logits.argmax())
        if self._p_min <= 0.0:
            return token, 1.0
        return token, float(1.0 / np.exp(logits - logits[token]).sum())


def _read(path: Path) -> tuple[Path, Card]:
    """The file to load, of a split model the first part, and its card. Raises `KnownError`."""
    first = shard_paths(path)[0]
    card = read_card(first)
    refuse_other_kinds(card, first)
    return first, card


def _unusable(name: str, error: KnownError) -> KnownError:
    """A trouble of the draft model, told as that, with the way to do without it."""
    trouble = error.trouble
    value = f"{Path(name).name}: {trouble.what}"
    return KnownError(
        "The draft model cannot be used",
        value=f"{value}, {trouble.value}" if trouble.value else value,
        next_step="choose a smaller model of the same family as draft model, or load without one",
        remedies=(Remedy(RemedyKind.SET_OPTION, "Load without a draft model", "model_draft="),),
        details=f"{trouble.sentence()}\n{trouble.details}".rstrip(),
    )


def _largest(own: int | None, other: int | None) -> int | None:
    """Of two loads one after the other; None where one is not known."""
    return None if own is None or other is None else max(own, other)


def _tell_both(session: Session, draft: Session) -> None:
    """Count the draft model in what the session says of itself."""
    own, other = session.memory, draft.memory
    tables = None if own.vocab_bytes is None else own.vocab_bytes + (other.vocab_bytes or 0)
    session.memory = msgspec.structs.replace(
        own,
        vocab_bytes=tables,
        rss_bytes=other.rss_bytes,
        staged_bytes=_largest(own.staged_bytes, other.staged_bytes),
        awaited_bytes=min(own.awaited_bytes, other.awaited_bytes),
        peak_rss_bytes=_largest(own.peak_rss_bytes, other.peak_rss_bytes),
        file_rss_bytes=other.file_rss_bytes,
        took_s=own.took_s + other.took_s,
        draft=DraftUse(other.buffers, other.output_bytes, other.mapped_bytes, other.n_ctx),
    )
    session.facts = msgspec.structs.replace(session.facts, draft_name=draft.facts.name)

"""The answer that is being written: bytes in, text and thinking out, and what of it the store does not have yet.

It knows no bus and no store, so what becomes of a stream can be tested as a value.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from engine.base.errors import Trouble
from engine.base.fields import Value
from engine.chat.stream import Chunk, ChunkKind, ThinkingSplitter, Utf8Stream
from engine.sampling.chain import Chain
from engine.store.rows import ConversationId, MessageState, RunId
from engine.wire.messages import ChainChange, FinishReason, RunStarted, RunStats, Token
from engine.workbench.events import Figures, ThreadMessage


@dataclass(frozen=True, slots=True)
class Origin:
    """What an answer begins with: tokens of another one, and in a fork one more that somebody chose.

    Attributes:
        run_id: the run whose answer it is.
        position: how many of that answer's tokens are kept.
        is_fork: a token was chosen after them; otherwise the answer is only gone on with.
        prompt_tokens: what the model saw, the same for both.
        begun: the tokens that the new answer begins with.
        template_hash, template_stops, n_dropped_messages: of the prompt, as they were when it was made.
        model_label, model_fingerprint: the model whose tokens these are.
    """

    run_id: RunId
    position: int
    is_fork: bool
    prompt_tokens: tuple[int, ...]
    begun: tuple[int, ...]
    template_hash: str
    template_stops: tuple[str, ...]
    n_dropped_messages: int
    model_label: str
    model_fingerprint: str


@dataclass(frozen=True, slots=True)
class Unsaved:
    """What the store does not have yet: text and thinking (all of it where it `is_whole`), and all tokens until now.

    With what the store has, text and thinking are what the tokens spell; `changes` are the chains that took over.
    """

    text: str
    thinking: str
    is_whole: bool
    tokens: tuple[int, ...]
    changes: tuple[ChainChange, ...]


@dataclass(slots=True)
class Answer:
    """One answer from the command to its end.

    Attributes:
        run_id: the run's number on the pipe; `stored_run` is its id in the store.
        message: the message as it was shown first, empty.
        label: the model's name on screen.
        started: what the worker said first; until then nothing of the answer is stored.
        saved_s: when text was last sent to the store.
        origin: what it begins with, None for an answer of its own.
        tokens: its tokens, as far as they are known; `changes` the chains that took over in the middle.
    """

    run_id: int
    conversation_id: ConversationId
    message: ThreadMessage
    stored_run: RunId
    label: str
    chain: Chain
    options: Mapping[str, Value]
    saved_s: float
    started: RunStarted | None = None
    origin: Origin | None = None
    tokens: list[int] = field(default_factory=list)
    changes: list[ChainChange] = field(default_factory=list)
    _held: bytes = b""
    _has_new: bool = False
    _stored_tail: bool = False
    _utf8: Utf8Stream = field(default_factory=Utf8Stream)
    _splitter: ThinkingSplitter = field(default_factory=ThinkingSplitter)
    _text: list[str] = field(default_factory=list)
    _thinking: list[str] = field(default_factory=list)
    _unsaved: list[tuple[str, str]] = field(default_factory=list)
    _thinking_from_s: float | None = None
    _thinking_to_s: float | None = None

    def begin(self, started: RunStarted) -> None:
        """The worker has taken the prompt. Of a prompt of tokens it cannot know the template, but the origin does."""
        if self.origin is not None:
            started = msgspec.structs.replace(
                started,
                template_hash=self.origin.template_hash,
                stops=self.origin.template_stops,
                n_dropped_messages=self.origin.n_dropped_messages,
            )
        self.started = started
        self._splitter = ThinkingSplitter(starts_inside=started.starts_in_thinking)

    def take(self, event: Token, now_s: float) -> tuple[str, str]:
        """Tokens that came: the text and the thinking that they add, either may be ""."""
        self.tokens += event.tokens
        self.changes += event.changes
        self._held, self._has_new = event.held, True
        text = self._utf8.feed(event.piece)
        return self._grow(self._splitter.feed(text) if text else (), now_s)

    def drain(self, now_s: float, *, is_whole: bool) -> tuple[str, str]:
        """The end came: what was held back, the last half of a character or of a tag.

        Where it `is_whole` the engine has held nothing back; otherwise what it held is text as well.
        """
        held = b"" if is_whole else self._held
        self._held = b""
        return self._grow(_rest(self._utf8, self._splitter, held), now_s)

    def take_unsaved(self) -> Unsaved | None:
        """What the store does not have yet, once; None when it has all."""
        if not self._has_new and not self._unsaved:
            return None
        is_whole = self._stored_tail
        text, thinking = (
            ("".join(self._text), "".join(self._thinking))
            if is_whole
            else ("".join(each for each, _thinking in self._unsaved), "".join(each for _text, each in self._unsaved))
        )
        # Should the program end here, what is still held back (it may become a character, a tag, a stop text) is text.
        tail: list[Chunk] = []
        if self._held or self._utf8.holds or self._splitter.holds:
            tail = _rest(copy.deepcopy(self._utf8), copy.deepcopy(self._splitter), self._held)
        text += "".join(each.text for each in tail if each.kind is ChunkKind.ANSWER)
        thinking += "".join(each.text for each in tail if each.kind is ChunkKind.THINKING)
        self._unsaved.clear()
        self._has_new, self._stored_tail = False, bool(tail)
        return Unsaved(text, thinking, is_whole, tuple(self.tokens), tuple(self.changes))

    def finished(
        self, state: MessageState, reason: FinishReason | None, stats: RunStats | None, trouble: Trouble | None
    ) -> ThreadMessage:
        """The message as it ends."""
        started = self.started
        thinking_s = None
        # Thinking that was kept from another answer took no time here.
        if self._thinking_from_s is not None and self._thinking_to_s is not None and self.origin is None:
            thinking_s = self._thinking_to_s - self._thinking_from_s
        figures = Figures(
            self.label,
            stats,
            started.seed if started else None,
            reason,
            started.n_dropped_messages if started else 0,
            started.warnings if started else (),
            started.no_roll_back if started else False,
        )
        return replace(
            self.message,
            text="".join(self._text),
            thinking="".join(self._thinking),
            thinking_s=thinking_s,
            state=state,
            figures=figures,
            trouble=trouble,
        )

    def _grow(self, chunks: Iterable[Chunk], now_s: float) -> tuple[str, str]:
        text = thinking = ""
        for chunk in chunks:
            if chunk.kind is ChunkKind.THINKING:
                thinking += chunk.text
            else:
                text += chunk.text
        if thinking:
            self._thinking_from_s = self._thinking_from_s if self._thinking_from_s is not None else now_s
            self._thinking_to_s = now_s
            self._thinking.append(thinking)
        if text:
            self._text.append(text)
        if text or thinking:
            self._unsaved.append((text, thinking))
        return text, thinking


def _rest(utf8: Utf8Stream, splitter: ThinkingSplitter, held: bytes) -> list[Chunk]:
    """What comes of all that is held back when nothing follows it."""
    text = utf8.feed(held) + utf8.flush()
    return [*(splitter.feed(text) if text else ()), *splitter.flush()]

"""The answer that is being written: bytes in, text and thinking out, and what of it the store does not have yet.

It knows no bus and no store, so what becomes of a stream can be tested as a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from engine.base.errors import Trouble
from engine.base.fields import Value
from engine.chat.stream import Chunk, ChunkKind, ThinkingSplitter, Utf8Stream
from engine.sampling.chain import Chain
from engine.store.rows import ConversationId, MessageState, RunId
from engine.wire.messages import FinishReason, RunStarted, RunStats
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

    def take(self, piece: bytes, now_s: float) -> tuple[str, str]:
        """Bytes that came: the text and the thinking that they add, either may be ""."""
        text = self._utf8.feed(piece)
        return self._grow(self._splitter.feed(text) if text else (), now_s)

    def drain(self, now_s: float) -> tuple[str, str]:
        """The end came: what was held back, the last half of a character or of a tag."""
        rest = self._utf8.flush()
        chunks = [*(self._splitter.feed(rest) if rest else ()), *self._splitter.flush()]
        return self._grow(chunks, now_s)

    def take_unsaved(self) -> tuple[str, str] | None:
        """Text and thinking that the store does not have yet, once; None when it has all."""
        if not self._unsaved:
            return None
        text = "".join(each for each, _thinking in self._unsaved)
        thinking = "".join(each for _text, each in self._unsaved)
        self._unsaved.clear()
        return text, thinking

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

"""From the model's pieces to text on screen: whole characters, no stop string, thinking apart from the answer.

Why: a token may end in the middle of a character, of a stop string or of a tag, and what was shown cannot be taken
back. Each class holds back only what could still turn out to be something else, so the result does not depend on
where the pieces were cut. Rejected: looking for stop strings in the whole text after each token (the cost of a token
would grow with the answer), and stop strings as tokens (the same text has many tokenisations).
"""

from __future__ import annotations

import codecs
import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

THINKING_TAGS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen3, SmolLM3
    ("<thinking>", "</thinking>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker, Sky-T1
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi
)


class Utf8Stream:
    """Decodes UTF-8 piece by piece and never gives out half a character.

    The text is the same as `bytes.decode("utf-8", "replace")` of the whole, however the bytes were cut.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def holds(self) -> bool:
        """Whether the beginning of a character is held back."""
        return bool(self._decoder.getstate()[0])

    def feed(self, piece: bytes) -> str:
        """The characters that are complete with this piece."""
        return self._decoder.decode(piece)

    def flush(self) -> str:
        """What is left at the end: nothing, or U+FFFD for a character that was cut off. Ready for a new text after."""
        rest = self._decoder.decode(b"", True)
        self._decoder.reset()
        return rest


class Step(msgspec.Struct, frozen=True):
    """What one piece led to: bytes that may be shown, and the stop string that ended the text, if one did."""

    emit: bytes
    stopped: str | None = None


class StopMatcher:
    """Ends a stream of bytes at the first stop string, and never gives out a part of that string.

    The first stop string to be *complete* wins, as the model should not write on for the sake of a longer one; of
    two that end at the same byte the longer wins. This makes the result independent of how the bytes were cut.
    With nothing held back, a piece without the first byte of any stop string costs one search.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """`stops`: the stop strings; empty ones are left out."""
        self._stops = tuple((stop.encode("utf-8", "surrogatepass"), stop) for stop in dict.fromkeys(stops) if stop)
        self._longest = max((len(stop) for stop, _ in self._stops), default=0)
        first_bytes = b"".join(re.escape(stop[:1]) for stop, _ in self._stops)
        self._first_byte = re.compile(b"[" + first_bytes + b"]") if self._stops else None
        self._held = b""
        self._stopped: str | None = None

    @property
    def held(self) -> bytes:
        """What is held back now."""
        return self._held

    def feed(self, piece: bytes) -> Step:
        """Take the next piece. After a stop, everything is swallowed and the same stop is reported again."""
        if self._first_byte is None:
            return Step(piece)
        if not self._held and self._stopped is None and self._first_byte.search(piece) is None:
            return Step(piece)
        return self._look(piece)

    def flush(self) -> bytes:
        """What was held back, at the end of the text: it did not become a stop string."""
        rest, self._held = self._held, b""
        return rest

    def _look(self, piece: bytes) -> Step:
        if self._stopped is not None:
            return Step(b"", self._stopped)
        text = self._held + piece
        best: tuple[int, int, str] | None = None
        for stop, name in self._stops:
            start = text.find(stop)
            if start >= 0 and (best is None or (start + len(stop), start) < best[:2]):
                best = (start + len(stop), start, name)
        if best is not None:
            self._held, self._stopped = b"", best[2]
            return Step(text[: best[1]], self._stopped)
        cut = self._first_possible_start(text)
        self._held = text[cut:]
        return Step(text[:cut])

    def _first_possible_start(self, text: bytes) -> int:
        assert self._first_byte is not None
        for candidate in self._first_byte.finditer(text, max(0, len(text) - self._longest + 1)):
            tail = text[candidate.start() :]
            if any(stop.startswith(tail) for stop, _ in self._stops):
                return candidate.start()
        return len(text)


class ChunkKind(enum.Enum):
    """What a piece of the model's text is."""

    ANSWER = "answer"
    THINKING = "thinking"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Text of one kind."""

    kind: ChunkKind
    text: str


def opens_thinking(prompt: str) -> bool:
    """True when a rendered prompt ends inside a thinking block that the template opened itself."""
    end = prompt.rstrip()
    return any(end.endswith(opening) for opening, _ in THINKING_TAGS)


class ThinkingSplitter:
    """Tells thinking from answer by its tags, which are not part of either.

    An opening tag counts only at the start of a line (or of the text): so an answer *about* `<think>` stays an
    answer. A block ends with its own closing tag, or with the text. One that the template opened ends with any.
    """

    def __init__(self, starts_inside: bool = False, tags: Sequence[tuple[str, str]] = THINKING_TAGS) -> None:
        """`starts_inside`: the prompt already opened the block (see `opens_thinking`)."""
        self._closing_of = dict(tags)
        self._opening = _TagSet(tuple(self._closing_of))
        self._inside: _TagSet | None = _TagSet(tuple(self._closing_of.values())) if starts_inside else None
        self._line_is_blank = True
        self._held = ""

    @property
    def holds(self) -> bool:
        """Whether the beginning of a tag is held back."""
        return bool(self._held)

    def feed(self, text: str) -> tuple[Chunk, ...]:
        """Take the next text; neighbours in the result differ in kind, and none is empty."""
        chunks: list[Chunk] = []
        rest = self._held + text
        self._held = ""
        while rest:
            rest = self._inside_step(rest, chunks) if self._inside is not None else self._answer_step(rest, chunks)
        return tuple(chunks)

    def flush(self) -> tuple[Chunk, ...]:
        """What was held back, at the end of the text: it did not become a tag."""
        rest, self._held = self._held, ""
        kind = ChunkKind.ANSWER if self._inside is None else ChunkKind.THINKING
        return (Chunk(kind, rest),) if rest else ()

    def _inside_step(self, text: str, chunks: list[Chunk]) -> str:
        assert self._inside is not None
        found = self._inside.pattern.search(text)
        if found is not None:
            _add(chunks, ChunkKind.THINKING, text[: found.start()])
            self._inside = None
            self._line_is_blank = True
            return text[found.end() :]
        cut = self._inside.start_of_partial(text)
        _add(chunks, ChunkKind.THINKING, text[:cut])
        self._held = text[cut:]
        return ""

    def _answer_step(self, text: str, chunks: list[Chunk]) -> str:
        for found in self._opening.pattern.finditer(text):
            if self._starts_line(text, found.start()):
                _add(chunks, ChunkKind.ANSWER, text[: found.start()])
                self._inside = _TagSet((self._closing_of[found.group()],))
                return text[found.end() :]
        cut = self._opening.start_of_partial(text)
        if not self._starts_line(text, cut):
            cut = len(text)
        _add(chunks, ChunkKind.ANSWER, text[:cut])
        self._held = text[cut:]
        self._line_is_blank = self._starts_line(text, cut)
        return ""

    def _starts_line(self, text: str, index: int) -> bool:
        line_start = text.rfind("\n", 0, index) + 1
        before = text[line_start:index]
        return (not before or before.isspace()) and (line_start > 0 or self._line_is_blank)


class _TagSet:
    """Some tags, to be found whole, or begun at the end of a text."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        self.pattern = re.compile("|".join(re.escape(tag) for tag in tags))
        self._tags = tags
        self._longest = max(map(len, tags))
        self._first = frozenset(tag[0] for tag in tags)

    def start_of_partial(self, text: str) -> int:
        """Where the longest end of `text` that a tag may begin with starts; the text's length when there is none."""
        for start in range(max(0, len(text) - self._longest + 1), len(text)):
            if text[start] in self._first:
                tail = text[start:]
                if any(tag.startswith(tail) for tag in self._tags):
                    return start
        return len(text)


def _add(chunks: list[Chunk], kind: ChunkKind, text: str) -> None:
    if not text:
        return
    if chunks and chunks[-1].kind is kind:
        chunks[-1] = Chunk(kind, chunks[-1].text + text)
    else:
        chunks.append(Chunk(kind, text))

"""GBNF, llama.cpp's grammar language: whether a grammar is sound, where it is not, and what it allows.

llama.cpp says only that it could not parse a grammar, on stderr, and some unsound ones hang it or end the process. So
every grammar is read here first, with the place of each mistake. This reader refuses a little more than llama.cpp does:
left recursion through rules that can be empty, which llama.cpp overlooks and then fills the memory, and endless
repetitions of what can be empty. `allows_start` tells which texts can begin a match; it is what the sampler's native
result is measured against. Rejected: a parser generator (the language is small, and its messages are ours to word).

Source: llama.cpp grammars/README.md and src/llama-grammar.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

ROOT = "root"
MOST_REPETITIONS = 2000  # llama.cpp's MAX_REPETITION_THRESHOLD
HIGHEST_CODE_POINT = 0x10FFFF
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-"}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


class GbnfError(ValueError):
    """A grammar that cannot be used: `what` is wrong at `line` and `column` (from 1, in characters)."""

    def __init__(self, what: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {what}")
        self.what, self.line, self.column = what, line, column


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of `ranges` of code points (both ends belong to them), or out of all others."""

    ranges: tuple[tuple[int, int], ...]
    others: bool = False

    def has(self, code_point: int) -> bool:
        """Whether this character is meant."""
        return any(low <= code_point <= high for low, high in self.ranges) != self.others

    def has_any(self, low: int, high: int) -> bool:
        """Whether some character from `low` to `high` may be meant (llama.cpp's rule for half a character)."""
        return any(first <= high and low <= last for first, last in self.ranges) != self.others


@dataclass(frozen=True, slots=True)
class TokenIs:
    """One token, by id or by its text; or any other token."""

    token: int | str
    others: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by its name."""

    name: str


Element: TypeAlias = Chars | TokenIs | Rule
Sequence: TypeAlias = tuple[Element, ...]
ANY = Chars((), others=True)


@dataclass(frozen=True, slots=True)
class Grammar:
    """The rules: each name's alternatives. Groups and repetitions have rules of their own, named with a `*`."""

    rules: dict[str, tuple[Sequence, ...]] = field(default_factory=dict)

    def allows_start(self, text: str) -> bool:
        """Whether `text` can be the beginning of what the grammar describes (rules about tokens are not followed)."""
        states = self.start()
        for char in text:
            states = self.step(states, ord(char))
        return bool(states)

    def start(self) -> States:
        """The states before the first character."""
        return self._advanced([((each, 0), None) for each in self.rules[ROOT]])

    def step(self, states: States, code_point: int) -> States:
        """The states after one more character; none where it is not allowed."""
        found: list[Stack] = []
        for stack in states:
            if stack is None:
                continue
            (sequence, index), below = stack
            element = sequence[index]
            if isinstance(element, Chars) and element.has(code_point):
                found.append(((sequence, index + 1), below))
        return self._advanced(found)

    def _advanced(self, stacks: Iterable[Stack]) -> States:
        """Every stack opened until a character or a token stands on top; None is a match that is complete."""
        todo = list(stacks)
        seen: set[Stack] = set()
        found: set[Stack] = set()
        while todo:
            stack = todo.pop()
            if stack in seen:
                continue
            seen.add(stack)
            if stack is None:
                found.add(stack)
                continue
            (sequence, index), below = stack
            if index == len(sequence):
                todo.append(below)
                continue
            element = sequence[index]
            if isinstance(element, Rule):
                rest = below if index + 1 == len(sequence) else ((sequence, index + 1), below)
                todo += [((each, 0), rest) for each in self.rules[element.name]]
            else:
                found.add(stack)
        return frozenset(found)


Stack: TypeAlias = "tuple[tuple[Sequence, int], Stack] | None"
States: TypeAlias = "frozenset[Stack]"


def read_grammar(source: str) -> Grammar:
    """The grammar that a text describes, or `GbnfError` with the place of the first mistake."""
    return _Reader(source).read()


class _Reader:
    """Recursive descent over the text, as llama.cpp reads it: a rule ends at a line break outside parentheses."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._rules: dict[str, tuple[Sequence, ...]] = {}
        self._places: dict[str, int] = {}  # where each rule is first named
        self._defined: dict[str, int] = {}
        self._symbols: set[str] = set()

    def read(self) -> Grammar:
        if "\0" in self._source:
            self._fail("a NUL character cannot stand in a grammar", self._source.index("\0"))
        self._space(True)
        while self._at < len(self._source):
            self._rule()
        if ROOT not in self._defined:
            self._fail(f'there is no rule named "{ROOT}", with which every grammar begins', 0)
        for name, place in self._places.items():
            if name not in self._defined:
                self._fail(f'the rule "{name}" is not defined', place)
        self._refuse_left_recursion()
        return Grammar(self._rules)

    # -- the text

    def _peek(self, offset: int = 0) -> str:
        return self._source[self._at + offset : self._at + offset + 1]

    def _fail(self, what: str, place: int | None = None) -> None:
        place = self._at if place is None else place
        before = self._source[:place]
        raise GbnfError(what, before.count("\n") + 1, place - (before.rfind("\n") + 1) + 1)

    def _found(self) -> str:
        """What stands here, for a message."""
        here = self._peek()
        return {"": "the end of the text", "\n": "the end of the line", "\r": "the end of the line"}.get(
            here, f"“{here}”"
        )

    def _space(self, newline_ok: bool) -> None:
        blank = " \t\r\n" if newline_ok else " \t"
        while here := self._peek():
            if here == "#":
                while self._peek() not in ("", "\r", "\n"):
                    self._at += 1
            elif here in blank:
                self._at += 1
            else:
                return

    def _name(self) -> str:
        start = self._at
        while self._peek() in _WORD and self._peek():
            self._at += 1
        return self._source[start : self._at]

    def _number(self) -> int:
        start = self._at
        while self._peek().isascii() and self._peek().isdigit():
            self._at += 1
        if start == self._at:
            self._fail(f"expected a number, found {self._found()}")
        return int(self._source[start : self._at])

    # -- the language

    def _rule(self) -> None:
        place = self._at
        name = self._name()
        if not name:
            self._fail(f"expected the name of a rule (letters, digits and -), found {self._found()}")
        self._symbols.add(name)
        self._space(False)
        if self._source[self._at : self._at + 3] != "::=":
            self._fail(f"expected ::= after the rule's name, found {self._found()}")
        self._at += 3
        self._space(True)
        self._rules[name] = self._alternatives(name, False)
        self._defined[name] = place
        if self._peek() not in ("", "\r", "\n"):
            self._fail(
                f"expected a rule's name, a text in quotes, [, (, . or the end of the line, found {self._found()}"
            )
        self._space(True)

    def _alternatives(self, name: str, nested: bool) -> tuple[Sequence, ...]:
        found = [self._sequence(name, nested)]
        while self._peek() == "|":
            self._at += 1
            self._space(True)
            found.append(self._sequence(name, nested))
        return tuple(found)

    def _sequence(self, name: str, nested: bool) -> Sequence:
        done: list[Element] = []  # what stands before the last item
        last: list[Element] = []  # the last item, which a repetition sign repeats
        n_rules = 1  # how many rules llama.cpp has made for it
        while here := self._peek():
            if here in "*+?{":
                place = self._at
                low, high = self._times(nested)
                if not last:
                    self._fail(f"expected something to repeat before {here}", place)
                n_rules *= self._repetitions(low, high, n_rules, place)
                last = self._repeated(name, last, low, high)
                continue
            n_before = len(self._symbols)
            item = self._item(here, name)
            if item is None:
                break
            done, last, n_rules = [*done, *last], item, 1
            if here == "(":
                n_rules = max(1, len(self._symbols) - n_before)
            self._space(nested)
        return (*done, *last)

    def _item(self, here: str, name: str) -> list[Element] | None:
        if here == '"':
            return self._literal()
        if here == "[":
            return [self._chars()]
        if here in "<!":
            return [self._token()]
        if here == ".":
            self._at += 1
            return [ANY]
        if here == "(":
            return self._group(name)
        if here in _WORD:
            place = self._at
            found = self._name()
            self._symbols.add(found)
            self._places.setdefault(found, place)
            return [Rule(found)]
        return None

    def _literal(self) -> list[Element]:
        start = self._at
        self._at += 1
        found: list[Element] = []
        while self._peek() != '"':
            if not self._peek():
                self._fail("this text has no closing quote", start)
            code_point = self._char()
            found.append(Chars(((code_point, code_point),)))
        self._at += 1
        return found

    def _chars(self) -> Chars:
        start = self._at
        self._at += 1
        others = self._peek() == "^"
        self._at += others
        ranges: list[tuple[int, int]] = []
        while self._peek() != "]":
            if not self._peek():
                self._fail("this [ has no closing ]", start)
            low = high = self._char()
            if self._peek() == "-" and self._peek(1) not in ("]", ""):
                place = self._at
                self._at += 1
                high = self._char()
                if high < low:
                    self._fail("this range ends before it begins, so it allows nothing", place)
            ranges.append((low, high))
        if not ranges:
            self._fail("expected at least one character between [ and ]", start)
        self._at += 1
        return Chars(tuple(ranges), others)

    def _char(self) -> int:
        here = self._peek()
        if here != "\\":
            self._at += 1
            return ord(here)
        kind = self._peek(1)
        if kind in _HEX_DIGITS and kind:
            digits = self._source[self._at + 2 : self._at + 2 + _HEX_DIGITS[kind]]
            if len(digits) < _HEX_DIGITS[kind] or any(each not in "0123456789abcdefABCDEF" for each in digits):
                self._fail(f"expected {_HEX_DIGITS[kind]} hexadecimal digits after \\{kind}")
            self._at += 2 + len(digits)
            return int(digits, 16)
        if kind not in _ESCAPES or not kind:
            self._fail(
                f'\\{kind} is no escape; use \\n, \\r, \\t, \\\\, \\", \\[, \\], \\-, \\x.., \\u.... or \\U........'
            )
        self._at += 2
        return ord(_ESCAPES[kind])

    def _token(self) -> TokenIs:
        start = self._at
        others = self._peek() == "!"
        self._at += others
        if self._peek() != "<":
            self._fail(f"expected <, found {self._found()}")
        if self._peek(1) == "[":
            self._at += 2
            number = self._number()
            if self._source[self._at : self._at + 2] != "]>":
                self._fail(f"expected ]> after the token's id, found {self._found()}")
            self._at += 2
            return TokenIs(number, others)
        end = self._source.find(">", self._at)
        if end < 0:
            self._fail("this token has no closing >", start)
        text = self._source[self._at : end + 1]
        self._at = end + 1
        return TokenIs(text, others)

    def _group(self, name: str) -> list[Element]:
        start = self._at
        self._at += 1
        self._space(True)
        made = self._new_name(name)
        self._rules[made] = self._alternatives(name, True)
        if self._peek() != ")":
            if self._peek():
                self._fail(f"expected ) or another item, found {self._found()}")
            self._fail("this ( has no closing )", start)
        self._at += 1
        self._places.setdefault(made, start)
        self._defined[made] = start
        return [Rule(made)]

    def _times(self, nested: bool) -> tuple[int, int | None]:
        """The repetition sign that stands here: least and greatest number, None for endless."""
        here = self._peek()
        self._at += 1
        self._space(nested)
        if here != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[here]
        low = self._number()
        high: int | None = low
        self._space(nested)
        if self._peek() == ",":
            self._at += 1
            self._space(nested)
            high = self._number() if self._peek().isdigit() else None
            self._space(nested)
        if self._peek() != "}":
            self._fail(f"expected }} or a comma, found {self._found()}")
        self._at += 1
        self._space(nested)
        return low, high

    def _repetitions(self, low: int, high: int | None, n_rules: int, place: int) -> int:
        """By how much a repetition multiplies llama.cpp's rules; refuses what is too much for it."""
        if high is not None and high < low:
            self._fail(f"the greatest number, {high}, is under the least, {low}", place)
        n_times = high if high else low or 1
        if max(low, high or 0) > MOST_REPETITIONS or n_rules * n_times >= MOST_REPETITIONS:
            self._fail(f"too many repetitions for llama.cpp, which takes fewer than {MOST_REPETITIONS:,}", place)
        return n_times

    def _repeated(self, name: str, item: list[Element], low: int, high: int | None) -> list[Element]:
        """The item as often as it must be, and then rules for as often as it may be."""
        must = item * low
        if high is None:
            more = self._new_name(name)
            self._rules[more] = ((*item, Rule(more)), ())
            self._defined[more] = self._at
            return [*must, Rule(more)]
        tail: list[Element] = []
        for _ in range(high - low):
            more = self._new_name(name)
            self._rules[more] = ((*item, *tail), ())
            self._defined[more] = self._at
            tail = [Rule(more)]
        return [*must, *tail]

    def _new_name(self, name: str) -> str:
        made = f"{name}*{len(self._symbols)}"
        self._symbols.add(made)
        return made

    # -- the whole

    def _refuse_left_recursion(self) -> None:
        """A rule that can come back to itself before it has read a character would never end."""
        empty = self._can_be_empty()
        done: set[str] = set()
        for name in self._rules:
            self._visit(name, empty, done)

    def _visit(self, start: str, empty: set[str], done: set[str]) -> None:
        """Depth first over the rules that can stand first; a path that meets itself is a left recursion."""
        path: list[str] = []
        todo: list[tuple[str, Iterator[str]]] = [(start, self._firsts(start, empty))]
        if start in done:
            return
        path.append(start)
        while todo:
            name, firsts = todo[-1]
            step = next(firsts, None)
            if step is None:
                todo.pop()
                path.pop()
                done.add(name)
            elif step in path:
                self._fail_recursion([*path[path.index(step) :], step])
            elif step not in done:
                path.append(step)
                todo.append((step, self._firsts(step, empty)))

    def _fail_recursion(self, circle: list[str]) -> None:
        named = list(dict.fromkeys(each.split("*")[0] for each in circle))
        place = self._defined[circle[0]]
        if len(circle) == 2 and "*" in circle[0]:
            self._fail("what is repeated here without end can be empty, which would never end", place)
        way = " → ".join([*named, named[0]])
        self._fail(f"this rule begins with itself ({way}), which would never end; put something before it", place)

    def _firsts(self, name: str, empty: set[str]) -> Iterator[str]:
        for sequence in self._rules[name]:
            for element in sequence:
                if not isinstance(element, Rule):
                    break
                yield element.name
                if element.name not in empty:
                    break

    def _can_be_empty(self) -> set[str]:
        found: set[str] = set()
        grew = True
        while grew:
            grew = False
            for name, alternatives in self._rules.items():
                if name not in found and any(
                    all(isinstance(each, Rule) and each.name in found for each in sequence) for sequence in alternatives
                ):
                    found.add(name)
                    grew = True
        return found

"""The Jinja2 sandbox that chat templates run in: no escape, no endless loop, no memory bomb.

Why: a template comes with a file from the internet. Jinja2's own sandbox keeps it away from Python's insides, but
lets it loop 100,000 to the power of three times, or write `'a' * 10**9`. So here every loop turn, macro, call,
filter and operator passes by a `Budget`, which knows when time is up and how much text was made. The passing-by is
compiled in: the template's tree is changed before code is made from it (see `guards`), so it works in whatever thread
renders. Rejected: `sys.settrace` (slow, disturbs debuggers and coverage), an exception injected from a timer thread
(may arrive after the render), a process of its own (the worker is one already). What is left: a single C call on
texts within the limits; it ends, and the worker can be killed.
Source: jinja2.sandbox, and the environment of transformers' `chat_template_utils` (extensions and `tojson`).

This module imports jinja2; import it only from inside functions.
"""

from __future__ import annotations

import functools
import json
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import jinja2
from jinja2.filters import make_attrgetter
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.utils import Namespace

from engine.base.errors import BugError
from engine.chat.budget import INT_BITS_CAP, TEXT_CAP, WIDTH_CAP, Budget, TooLarge, check_bits, check_spec, check_widths
from engine.chat.guards import GenerationTag, GuardedCode

_LIST_ITEM_BYTES = 8
_SMALL_TEXT_BYTES = 64

# Regular expressions with bad worst cases, randomness, or no use in a prompt.
_LEFT_OUT_FILTERS = ("urlize", "xmlattr", "wordwrap", "pprint", "random", "striptags")
_LEFT_OUT_GLOBALS = ("lipsum",)
# These look at the container only, not into what it holds.
_SHALLOW_FILTERS = frozenset(
    (
        *("length", "count", "first", "last", "default", "d", "list", "items", "map", "select", "reject"),
        *("selectattr", "rejectattr", "attr", "reverse", "batch", "slice", "abs", "round", "int", "float"),
    )
)
_WIDTH_FILTERS = frozenset(["center", "indent", "batch", "slice", "round", "tojson", "filesizeformat"])
_DICT_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_COMPARING_TESTS = ("eq", "==", "equalto", "ne", "!=", "lt", "<", "le", "<=", "gt", ">", "ge", ">=", "in")
_LEFT_OUT_METHODS = frozenset(["translate", "encode", "to_bytes", "fromkeys", "maketrans"])


class ChatSandbox(ImmutableSandboxedEnvironment):
    """The environment that chat templates are compiled and rendered in, always inside `with sandbox.within(budget)`."""

    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "**", "%"])

    def __init__(self) -> None:
        @jinja2.pass_context
        def finalize(context: Context, value: object) -> str:
            return self.text_of(value)

        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", GenerationTag],
            optimized=False,
            finalize=finalize,  # with a context, so that nothing is evaluated while compiling
            autoescape=False,
            cache_size=0,
        )
        self._budget: Budget | None = None
        self.code_generator_class = GuardedCode
        self.concat = self.join_texts  # type: ignore[method-assign]
        for name in _LEFT_OUT_FILTERS:
            del self.filters[name]
        for name in _LEFT_OUT_GLOBALS:
            del self.globals[name]
        self.filters |= {"tojson": self._to_json, "join": _join, "sum": _sum, "format": self._percent_format}
        self.filters = {name: self._guarded_filter(name, call) for name, call in self.filters.items()}
        for name in _COMPARING_TESTS:
            self.tests[name] = self._guarded_test(cast(Callable[..., Any], self.tests[name]))

    @contextmanager
    def within(self, budget: Budget) -> Iterator[None]:
        """Compile and render with that budget. One render at a time."""
        self._budget = budget
        try:
            yield
        finally:
            self._budget = None

    @property
    def budget(self) -> Budget:
        """The budget of the render that goes on."""
        if self._budget is None:
            raise BugError("a template ran outside `ChatSandbox.within`")
        return self._budget

    # What compiled code and filters call. Names without an underscore: EnvironmentAttribute refers to some of them.

    def tick(self) -> bool:
        return self.budget.tick()

    def plain(self, value: Any) -> Any:
        """The value, when comparing or hashing it ends: containers may hold one another a thousand million times."""
        if isinstance(value, list | tuple | dict):
            self.weigh(value)
        return value

    def weigh(self, value: object) -> int:
        """About how many characters `str(value)` has, counting what is held twice twice. `TooLarge` beyond the cap."""
        if isinstance(value, str):
            return len(value)
        budget = self.budget
        n_chars = n_seen = 0
        waiting: list[Any] = [value]
        while waiting:
            item = waiting.pop()
            n_seen += 1
            n_chars += len(item) + 4 if isinstance(item, str) else 16
            if n_chars > TEXT_CAP:
                raise TooLarge(f"a value of more than {TEXT_CAP:,} characters")
            if n_seen % 1024 == 0:
                budget.tick()
            if isinstance(item, Namespace):
                item = object.__getattribute__(item, "_Namespace__attrs")
            if isinstance(item, Mapping):
                waiting.extend(item.keys())
                waiting.extend(item.values())
            elif isinstance(item, list | tuple | set | frozenset) or type(item) in _DICT_VIEWS:
                waiting.extend(item)
        return n_chars

    def text_of(self, value: object) -> str:
        """`str(value)`, when it is not too long."""
        if isinstance(value, str):
            return value
        if not isinstance(value, int | float | Undefined) and value is not None:
            self.budget.spend(self.weigh(value))
        return str(value)

    def join_texts(self, parts: Iterable[str]) -> str:
        """`"".join(parts)` within the budget: blocks, macros and `{% set %}…{% endset %}`."""
        budget = self.budget
        n_chars = 0
        texts: list[str] = []
        for part in parts:
            n_chars += len(part)
            budget.allow(n_chars)
            texts.append(part)
        budget.spend(n_chars)
        return "".join(texts)

    def concatenate(self, *parts: object) -> str:
        """The `~` operator."""
        return self.join_texts([self.text_of(part) for part in parts])

    def slice(self, value: Any, start: Any, stop: Any, step: Any) -> Any:
        """The `value[start:stop:step]` of a template."""
        return self.account(value[start:stop:step])

    def account(self, value: Any) -> Any:
        """The value, when it is within the limits; its memory is spent."""
        if isinstance(value, str):
            self.budget.allow(len(value))
            self.budget.spend(len(value))
        elif isinstance(value, list | tuple):
            self.budget.spend(len(value) * _LIST_ITEM_BYTES)
        elif isinstance(value, int):
            check_bits(value)
        return value

    # What Jinja2 asks of a sandbox.

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr not in _LEFT_OUT_METHODS and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        if super().wrap_str_format(value) is None:
            return None
        text = str(value.__self__)
        takes_mapping = value.__name__ == "format_map"

        def format_text(*args: Any, **kwargs: Any) -> str:
            if takes_mapping:
                (kwargs,), args = args, ()
            return _GuardedFormatter(self).vformat(text, args, kwargs)

        return format_text

    def getitem(self, obj: Any, argument: Any) -> Any:
        return super().getitem(obj, self.plain(argument) if isinstance(argument, tuple) else argument)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        __self.tick()
        if __obj is dict:
            args = tuple(map(__self.plain, args))
        elif isinstance(__obj, types.BuiltinMethodType):
            args = __self._checked_args(__obj, args, kwargs)
        return __self.account(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        self.tick()
        if isinstance(left, int) and isinstance(right, int):
            check_bits(left)
            check_bits(right)
            if operator == "**" and left.bit_length() * abs(right) > INT_BITS_CAP:
                raise TooLarge(f"a number of more than {INT_BITS_CAP:,} bits")
        elif operator == "*":
            n_times, value = (left, right) if isinstance(left, int) else (right, left)
            if isinstance(n_times, int) and isinstance(value, str | list | tuple):
                self._allow_items(value, len(value) * max(0, n_times))
        elif operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
            self._allow_items(left, len(left) + len(right))
        elif operator == "%" and isinstance(left, str):
            return self._percent(left, right)
        return self.account(super().call_binop(context, operator, left, right))

    def _allow_items(self, value: str | list[Any] | tuple[Any, ...], n_items: int) -> None:
        self.budget.allow(n_items if isinstance(value, str) else n_items * _LIST_ITEM_BYTES)

    def _checked_args(
        self, method: types.BuiltinMethodType, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        """The arguments of a method of a built-in value, when its result is not too large."""
        owner, name = method.__self__, method.__name__
        if isinstance(owner, list | tuple):
            self.plain(owner)
        elif isinstance(owner, dict):
            for argument in args[:1]:
                self.plain(argument)
        if not isinstance(owner, str):
            return args
        if name == "join" and args:
            args = (list(args[0]), *args[1:])
            self.budget.allow(self.weigh(args[0]) + len(owner) * len(args[0]))
        elif name in ("center", "ljust", "rjust", "zfill", "expandtabs"):
            check_widths(args)
            check_widths(kwargs.values())
            if name == "expandtabs":
                size = next(iter([*args, *kwargs.values()]), 8)
                self.budget.allow(len(owner) + owner.count("\t") * size)
        elif name == "replace" and len(args) >= 2:
            self._allow_replace(owner, args[0], args[1])
        elif name in ("split", "rsplit", "splitlines"):
            separator = args[0] if name != "splitlines" and args and isinstance(args[0], str) else ""
            n_parts = owner.count(separator) if separator else len(owner) // 2
            self.budget.spend(len(owner) + n_parts * _SMALL_TEXT_BYTES)
        return args

    def _allow_replace(self, text: str, old: Any, new: Any) -> None:
        if isinstance(old, str) and isinstance(new, str):
            self.budget.allow(len(text) + text.count(old) * len(new))

    def _percent(self, text: str, values: Any) -> str:
        """`text % values`; a width takes at most four digits."""
        n_fields = text.count("%")
        check_spec(text)
        if "*" in text:
            check_widths(values if isinstance(values, tuple) else (values,))
        self.budget.allow(len(text) + n_fields * (self.weigh(values) + WIDTH_CAP if n_fields else 0))
        result: str = self.account(text % values)
        return result

    def _percent_format(self, value: Any, *args: Any, **kwargs: Any) -> str:
        """The `format` filter."""
        if args and kwargs:
            raise TypeError("format takes positional or keyword arguments, not both")
        return self._percent(self.text_of(value), kwargs or args)

    def _to_json(
        self,
        value: Any,
        ensure_ascii: bool = False,
        indent: int | str | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        """The `tojson` filter as transformers has it: plain JSON, not escaped for HTML."""
        if isinstance(indent, str):
            check_widths((len(indent),))
        self.budget.spend(self.weigh(value))
        chunks = json.JSONEncoder(
            ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        ).iterencode(value)
        return self.join_texts(chunks)

    def _guarded_filter(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        shallow, has_width = name in _SHALLOW_FILTERS, name in _WIDTH_FILTERS
        n_given = 1 if hasattr(function, "jinja_pass_arg") else 0  # Jinja2 puts its context before the value

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.tick()
            value = args[n_given] if len(args) > n_given else None
            others = args[n_given + 1 :]
            if has_width:
                check_widths(others)
                check_widths(kwargs.values())
            if not shallow:
                self.weigh(value)
            if name == "list" and isinstance(value, str):
                self.budget.spend(len(value) * _SMALL_TEXT_BYTES)
            elif name == "indent":
                text = self.text_of(value)
                width = next(iter([*others, *kwargs.values()]), 4)
                n_columns = len(width) if isinstance(width, str) else int(width)
                self.budget.allow(len(text) + (text.count("\n") + 1) * n_columns)
            elif name == "replace":
                old, new = [*others, kwargs.get("old", ""), kwargs.get("new", "")][:2]
                self._allow_replace(self.text_of(value), self.text_of(old), self.text_of(new))
            return self.account(function(*args, **kwargs))

        return guarded

    def _guarded_test(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any) -> Any:
            self.tick()
            return function(*map(self.plain, args))

        return guarded


class _GuardedFormatter(SandboxedFormatter):
    """`str.format` within the budget; a width takes at most four digits."""

    def __init__(self, sandbox: ChatSandbox) -> None:
        super().__init__(sandbox)
        self._sandbox = sandbox

    def format_field(self, value: Any, format_spec: str) -> str:
        self._sandbox.tick()
        check_spec(format_spec)
        text = format(value if isinstance(value, int | float) else self._sandbox.text_of(value), format_spec)
        self._sandbox.account(text)
        return text

    def convert_field(self, value: Any, conversion: Any) -> Any:
        self._sandbox.weigh(value)
        return super().convert_field(value, conversion)


@jinja2.pass_environment
def _join(sandbox: ChatSandbox, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    """The `join` filter."""
    items = value if attribute is None else map(make_attrgetter(sandbox, attribute), value)
    parts: list[str] = []
    n_chars = 0
    for item in items:
        if parts:
            parts.append(sandbox.text_of(d))
            n_chars += len(parts[-1])
        parts.append(sandbox.text_of(item))
        n_chars += len(parts[-1])
        sandbox.budget.allow(n_chars)
    return sandbox.join_texts(parts)


@jinja2.pass_context
def _sum(context: Context, iterable: Iterable[Any], attribute: str | int | None = None, start: Any = 0) -> Any:
    """The `sum` filter."""
    sandbox = context.environment
    assert isinstance(sandbox, ChatSandbox)
    total = start
    for item in iterable if attribute is None else map(make_attrgetter(sandbox, attribute), iterable):
        total = sandbox.call_binop(context, "+", total, item)
    return total

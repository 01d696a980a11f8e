"""Renders a model's chat template: from turns to the one text that is tokenised.

Why our own and not llama.cpp's: its C function knows a fixed list of templates by their looks and renders none of
the others; the template in the file is Jinja2, so Jinja2 renders it, in a sandbox with a deadline (see `sandbox`).
Rendering happens in the worker process; nothing here is global, and jinja2 is imported by the first render.

Templates that refuse a conversation get a second chance with the same words in fewer turns, and the result says so.
Source: transformers' `apply_chat_template` (variables, filters, flags).
"""

from __future__ import annotations

import enum
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, TypeVar

from engine.base.errors import KnownError
from engine.chat.budget import TEXT_CAP, Budget, OutOfTime, RaisedByTemplate, TooLarge, raise_exception
from engine.chat.parts import Role, Turn, merge_runs, merge_system

if TYPE_CHECKING:
    import jinja2

    from engine.chat.sandbox import ChatSandbox

Result = TypeVar("Result")

SOURCE_CAP = 1024 * 1024  # characters of a template; the longest known ones have 30,000
N_CACHED = 16
DEADLINE_S = 2.0
_STRFTIME_CAP = 256
_FILE_NAME = "<chat template>"

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "chatml": (
            "{% for message in messages %}"
            "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
            "{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        ),
        "plain": (
            "{% set names = {'user': 'User: ', 'assistant': 'Assistant: ', 'tool': 'Tool: '} %}"
            "{% for message in messages %}"
            "{{ '\\n' if not loop.first }}{{ names[message.role] }}{{ message.content | trim }}"
            "{{ '\\n' if message.role == 'system' }}"
            "{% endfor %}"
            "{% if add_generation_prompt %}{{ '\\nAssistant:' }}{% endif %}"
        ),
    }
)
_STOPS: Mapping[str, tuple[str, ...]] = MappingProxyType({"chatml": ("<|im_end|>",), "plain": ("\nUser:",)})
_BOS_SPELLINGS = ("<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "<｜begin▁of▁sentence｜>")


class TemplateFault(enum.Enum):
    """Why a template gave no text."""

    SYNTAX = "syntax"
    RAISED = "raised"  # by its own `raise_exception`
    UNDEFINED = "undefined"
    SECURITY = "security"
    DEADLINE = "deadline"
    TOO_LARGE = "too_large"
    OTHER = "other"  # any other error while it ran: a wrong type, a recursion without end


class TemplateError(KnownError):
    """A template gave no text. `fault` says why, `line` where (from 1, None when unknown)."""

    def __init__(self, fault: TemplateFault, what: str, *, line: int | None = None, details: str = "") -> None:
        super().__init__(
            what,
            value="" if line is None else f"line {line}",
            next_step="choose another chat template, or the built-in ChatML, in the model's options",
            details=details,
        )
        self.fault = fault
        self.line = line


@dataclass(frozen=True, slots=True)
class Rendered:
    """The prompt; the SHA-256 of the template it was made with (hexadecimal); what the user should know about it."""

    text: str
    source_hash: str
    warnings: tuple[str, ...] = ()


class TemplateOrigin(enum.Enum):
    """Where a template comes from."""

    MODEL = "model"
    CHATML = "chatml"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class ChosenTemplate:
    """The template to use, the stop strings it needs beside the model's own end tokens, and a warning or ""."""

    source: str
    origin: TemplateOrigin
    stops: tuple[str, ...]
    warning: str


class Templates:
    """Renders templates and remembers the compiled ones. One thread at a time; two threads make two objects."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        """`now_s`: monotonic seconds, for the deadline."""
        self._now_s = now_s
        self._sandbox: ChatSandbox | None = None
        self._compiled: OrderedDict[str, jinja2.Template] = OrderedDict()

    def render(
        self,
        source: str,
        turns: Sequence[Turn],
        *,
        clock_utc: datetime,
        add_generation_prompt: bool = True,
        bos_token: str = "",
        eos_token: str = "",
        deadline_s: float = DEADLINE_S,
        extras: Mapping[str, object] = MappingProxyType({}),
    ) -> Rendered:
        """The prompt text of a conversation.

        A template that refuses the conversation is tried again with the system text in the first user turn, with
        neighbours of one role merged, and with both; a warning tells which.

        Args:
            source: the Jinja2 text of the template.
            turns: the conversation, oldest first.
            clock_utc: the time that `strftime_now` and `date_string` show.
            add_generation_prompt: end with the beginning of the assistant's turn.
            bos_token, eos_token: their text, "" when the model has none.
            deadline_s: seconds for everything, compiling and second chances included.
            extras: more variables (`enable_thinking`, `tools` …); they replace ours of the same name.

        Raises:
            TemplateError: no text; of the first try, when the others did not help.
        """
        until_s = self._now_s() + deadline_s
        variables: dict[str, object] = {
            "add_generation_prompt": add_generation_prompt,
            "bos_token": bos_token,
            "eos_token": eos_token,
            "tools": None,
            "documents": None,
            "date_string": clock_utc.strftime("%d %b %Y"),
            "strftime_now": _strftime_of(clock_utc),
            **extras,
        }
        first_error: TemplateError | None = None
        for tried, warnings in _tries(turns):
            try:
                text = self._run(source, tried, variables, until_s, deadline_s)
            except TemplateError as error:
                first_error = first_error or error
                if error.fault not in (TemplateFault.RAISED, TemplateFault.UNDEFINED, TemplateFault.OTHER):
                    break
            else:
                return Rendered(text, source_hash(source), warnings + _left_out(tried, text))
        assert first_error is not None
        raise first_error

    def check(self, source: str) -> TemplateError | None:
        """The syntax error of a template, or None."""
        try:
            self._guarded(lambda: self._template(source), self._now_s() + DEADLINE_S, DEADLINE_S)
        except TemplateError as error:
            return error
        return None

    def _run(
        self,
        source: str,
        turns: Sequence[Turn],
        variables: Mapping[str, object],
        until_s: float,
        deadline_s: float,
    ) -> str:
        messages = [{"role": turn.role.value, "content": turn.content} for turn in turns]

        def work() -> str:
            template = self._template(source)
            pieces: list[str] = []
            n_bytes = 0
            for piece in template.generate({**variables, "messages": messages, "raise_exception": raise_exception}):
                n_bytes += len(piece) if piece.isascii() else len(piece.encode("utf-8", "surrogatepass"))
                if n_bytes > TEXT_CAP:
                    raise TooLarge(f"a prompt of more than {TEXT_CAP:,} bytes")
                pieces.append(piece)
            return "".join(pieces)

        return self._guarded(work, until_s, deadline_s)

    def _template(self, source: str) -> jinja2.Template:
        key = source_hash(source)
        template = self._compiled.get(key)
        if template is None:
            if len(source) > SOURCE_CAP:
                raise TooLarge(f"up {len(source):,} characters itself; the limit is {SOURCE_CAP:,}")
            sandbox = self._environment()
            code = sandbox.compile(source, filename=_FILE_NAME)
            template = sandbox.template_class.from_code(sandbox, code, sandbox.make_globals(None))
            self._compiled[key] = template
            if len(self._compiled) > N_CACHED:
                self._compiled.popitem(last=False)
        return template

    def _environment(self) -> ChatSandbox:
        from engine.chat.sandbox import ChatSandbox

        if self._sandbox is None:
            self._sandbox = ChatSandbox()
        return self._sandbox

    def _guarded(self, work: Callable[[], Result], until_s: float, deadline_s: float) -> Result:
        """Run template code; whatever it raises comes out as `TemplateError`."""
        import jinja2
        from jinja2.exceptions import SecurityError

        try:
            with self._environment().within(Budget(self._now_s, until_s)):
                return work()
        except jinja2.TemplateSyntaxError as error:
            what = f"The chat template has a syntax error: {error.message}"
            raise TemplateError(TemplateFault.SYNTAX, what, line=error.lineno) from error
        except Exception as error:  # foreign code may raise anything; none of it is a fault of ours
            match error:
                case RaisedByTemplate():
                    fault, what = TemplateFault.RAISED, f"The chat template refused the conversation: {error}"
                case jinja2.UndefinedError():
                    fault, what = TemplateFault.UNDEFINED, f"The chat template uses what it was not given: {error}"
                case SecurityError():
                    fault, what = TemplateFault.SECURITY, f"The chat template tried something forbidden: {error}"
                case OutOfTime():
                    fault, what = TemplateFault.DEADLINE, f"The chat template did not end within {deadline_s:g} s"
                case TooLarge():
                    fault, what = TemplateFault.TOO_LARGE, f"The chat template makes {error}"
                case MemoryError():
                    fault, what = TemplateFault.TOO_LARGE, "The chat template needs more memory than there is"
                case RecursionError():
                    fault, what = TemplateFault.OTHER, "The chat template is nested, or calls itself, too deeply"
                case SyntaxError():
                    fault, what = TemplateFault.SYNTAX, f"The chat template is nested too deeply: {error.msg}"
                case _:
                    fault, what = TemplateFault.OTHER, f"The chat template failed: {error}"
            line = _line_in(error.__traceback__)
            raise TemplateError(fault, what, line=line, details=f"{type(error).__name__}: {error}") from error


def source_hash(source: str) -> str:
    """The SHA-256 of a template, hexadecimal: what is stored with a run."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


def starts_with_bos(text: str, bos: str) -> bool:
    """True when a rendered prompt already begins with the model's BOS text, so the tokenizer must not add another."""
    return bool(bos) and text.startswith(bos)


def choose(source: str | None, *, knows_chatml: bool = False, templates: Templates | None = None) -> ChosenTemplate:
    """The template to use for a model.

    Args:
        source: the GGUF's `tokenizer.chat_template`, or the name of a built-in one, or None when there is none.
        knows_chatml: the vocabulary has `<|im_start|>` as a token of its own, so ChatML is the better guess.
        templates: what will render it, so that the compiled template is kept; without it, it is compiled to be checked.
    """
    if source is not None and source.strip() in BUILT_IN:
        return _built_in(TemplateOrigin(source.strip()), "")
    guess = TemplateOrigin.CHATML if knows_chatml else TemplateOrigin.PLAIN
    instead = f"using the built-in {'ChatML' if knows_chatml else 'plain “User: … Assistant:”'} template"
    if source is None or not source.strip():
        return _built_in(guess, f"This model has no chat template (a base model?): {instead}")
    error = (templates or Templates()).check(source)
    if error is not None:
        return _built_in(guess, f"{error.trouble.what} ({error.trouble.value or 'line unknown'}): {instead}")
    return ChosenTemplate(source, TemplateOrigin.MODEL, (), "")


def lint(source: str) -> tuple[str, ...]:
    """What is wrong with a template, as sentences; nothing when it is fine. It is rendered with sample turns."""
    templates = Templates()
    error = templates.check(source)
    if error is not None:
        return (error.trouble.sentence(),)
    user, system = Turn(Role.USER, "lint-user-text"), Turn(Role.SYSTEM, "lint-system-text")
    bos = "<|lint-bos|>"

    def sample(turns: Sequence[Turn], with_prompt: bool = True) -> Rendered | TemplateError:
        clock_utc = datetime(2024, 1, 1, tzinfo=UTC)
        try:
            return templates.render(
                source, turns, clock_utc=clock_utc, bos_token=bos, add_generation_prompt=with_prompt
            )
        except TemplateError as error:
            return error

    with_user = sample([user])
    if isinstance(with_user, TemplateError):
        return (f"A single user message cannot be rendered. {with_user.trouble.sentence()}",)
    found: list[str] = []
    without_prompt = sample([user], with_prompt=False)
    if isinstance(without_prompt, Rendered) and without_prompt.text == with_user.text:
        found.append("It ignores add_generation_prompt: the answer starts right where the user message ends")
    with_system = sample([system, user])
    if isinstance(with_system, TemplateError):
        found.append(f"It refuses a system message. {with_system.trouble.sentence()}")
    else:
        found.extend(with_system.warnings)
    for spelling in (bos, *_BOS_SPELLINGS):
        if with_user.text.removeprefix(bos).startswith(spelling) and with_user.text.startswith(bos):
            found.append(f"It writes the beginning-of-text token twice (bos_token, then {spelling.replace(bos, 'it')})")
    return tuple(found)


def _built_in(origin: TemplateOrigin, warning: str) -> ChosenTemplate:
    return ChosenTemplate(BUILT_IN[origin.value], origin, _STOPS[origin.value], warning)


def _tries(turns: Sequence[Turn]) -> list[tuple[tuple[Turn, ...], tuple[str, ...]]]:
    """The conversation as it is, then with fewer turns; with each, the warning that it needs."""
    system = "This template takes no system message: the system prompt was put in front of the first user message"
    runs = "This template wants user and assistant by turns: neighbouring messages of one role were joined"
    as_is = tuple(turns)
    moved = merge_system(as_is)
    tries: list[tuple[tuple[Turn, ...], tuple[str, ...]]] = [(as_is, ())]
    for changed, warnings in (
        (moved, (system,)),
        (merge_runs(as_is), (runs,)),
        (merge_runs(moved), (system, runs)),
    ):
        if all(changed != earlier for earlier, _ in tries):
            tries.append((changed, warnings))
    return tries


def _left_out(turns: Sequence[Turn], text: str) -> tuple[str, ...]:
    """Warnings about a system message, or the last user message, that is not in the prompt."""
    last_user = next((turn for turn in reversed(turns) if turn.role is Role.USER), None)
    warnings: list[str] = []
    if any(turn.role is Role.SYSTEM and not _is_in(turn.content, text) for turn in turns):
        warnings.append("This template leaves out the system message")
    if last_user is not None and not _is_in(last_user.content, text):
        warnings.append("This template leaves out the last user message")
    return tuple(warnings)


def _is_in(content: str, text: str) -> bool:
    # Templates may trim a message or cut a flag like /no_think off one end of it.
    stripped = content.strip()
    return stripped[:40] in text or stripped[-40:] in text


def _strftime_of(clock_utc: datetime) -> Callable[[str], str]:
    def strftime_now(spec: str) -> str:
        if len(spec) > _STRFTIME_CAP:
            raise ValueError(f"a time format of {len(spec):,} characters; the limit is {_STRFTIME_CAP}")
        return clock_utc.strftime(spec)

    return strftime_now


def _line_in(trace: TracebackType | None) -> int | None:
    """The deepest line of the template in a trace that Jinja2 rewrote to the template's lines."""
    line: int | None = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE_NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line

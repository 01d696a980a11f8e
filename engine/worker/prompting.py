"""From what was asked to the tokens that are computed: template, tokens, and the choice when they do not fit.

It happens in the worker because only the model's own tokenizer can count, and because a template is a program from
the net: should it find a way to hang, it hangs a process that can be killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.base.errors import KnownError
from engine.chat.context import fit_rendered, overflow_trouble
from engine.chat.parts import Role, Turn
from engine.chat.stream import opens_thinking
from engine.chat.template import Templates, choose, starts_with_bos
from engine.wire.messages import ModelFacts, Prompt, TokenInfo
from engine.worker.binding import Vocabulary


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prompt, ready to compute.

    Attributes:
        text: the exact text that the model sees.
        tokens: its token ids, at least one.
        template_hash: of the template, "" for raw text.
        template_source: "model", the name of a built-in one, "user", or "" for raw text.
        stops: stop texts that belong to the template.
        warnings: what had to be bent.
        n_dropped: how many of the oldest messages were left out.
        starts_in_thinking: the text ends inside a thinking block.
    """

    text: str
    tokens: tuple[int, ...]
    template_hash: str
    template_source: str
    stops: tuple[str, ...]
    warnings: tuple[str, ...]
    n_dropped: int
    starts_in_thinking: bool


def prepare(
    prompt: Prompt,
    facts: ModelFacts,
    vocab: Vocabulary,
    templates: Templates,
    *,
    n_reserve: int,
    now: Callable[[], datetime],
) -> Prepared:
    """Render and tokenize a prompt.

    Args:
        n_reserve: tokens to keep free for the answer when the oldest messages may be left out.

    Raises:
        KnownError: the template fails, the prompt is empty, a token is not the model's, or it does not fit in the
            context.
    """
    if prompt.tokens:
        prepared = _of_tokens(prompt, vocab)
    elif prompt.messages:
        prepared = _of_messages(prompt, facts, vocab, templates, n_reserve, now)
    else:
        prepared = _of_text(prompt, vocab)
    if not prepared.tokens:
        raise KnownError("The prompt is empty", next_step="write something first")
    if len(prepared.tokens) >= facts.n_ctx:
        n_asked = 0 if prompt.tokens else sum(each.role == Role.USER.value for each in prompt.messages)
        can_drop = n_asked > 1 and not prompt.drop_oldest
        trouble = overflow_trouble(len(prepared.tokens), facts.n_ctx, facts.n_ctx_train or None, can_drop, 1)
        raise KnownError.of(trouble)
    return prepared


def spelled(tokens: Sequence[int], vocab: Vocabulary) -> Iterator[TokenInfo]:
    """What these tokens stand for, control tokens by their spelling; places are those in their joined bytes.

    Raises:
        KnownError: one is not the model's.
    """
    _need_known(tokens, vocab)
    place = 0
    for each in tokens:
        piece = vocab.piece(each, special=True)
        yield TokenInfo(each, piece, place, place + len(piece), vocab.is_control(each))
        place += len(piece)


def _need_known(tokens: Sequence[int], vocab: Vocabulary) -> None:
    stranger = next((each for each in tokens if not 0 <= each < vocab.n_vocab), None)
    if stranger is not None:
        raise KnownError(
            "The loaded model has no such token",
            value=f"{stranger}; its vocabulary has {vocab.n_vocab:,}",
            next_step="load the model that the tokens come from",
        )


def _of_tokens(prompt: Prompt, vocab: Vocabulary) -> Prepared:
    _need_known(prompt.tokens, vocab)
    text = b"".join(vocab.piece(each, special=True) for each in prompt.tokens).decode(errors="replace")
    return Prepared(text, prompt.tokens, "", "", (), (), 0, opens_thinking(text))


def _of_text(prompt: Prompt, vocab: Vocabulary) -> Prepared:
    tokens = vocab.tokenize(prompt.text, add_special=prompt.add_special, parse_special=True)
    if not tokens and vocab.bos >= 0:
        tokens = [vocab.bos]  # from nothing at all a base model starts at its first token
    return Prepared(prompt.text, tuple(tokens), "", "", (), (), 0, False)


def _of_messages(
    prompt: Prompt,
    facts: ModelFacts,
    vocab: Vocabulary,
    templates: Templates,
    n_reserve: int,
    now: Callable[[], datetime],
) -> Prepared:
    turns = [Turn(_role(each.role), each.content) for each in prompt.messages]
    knows_chatml = len(vocab.tokenize("<|im_start|>", add_special=False, parse_special=True)) == 1
    chosen = choose(prompt.template or facts.chat_template, knows_chatml=knows_chatml, templates=templates)
    warnings = [chosen.warning] if chosen.warning else []
    moment = now()

    def render(part: Sequence[Turn]) -> tuple[str, list[int], tuple[str, ...], str]:
        rendered = templates.render(
            chosen.source,
            part,
            bos_token=facts.bos_text,
            eos_token=facts.eos_text,
            clock_utc=moment,
            extras=prompt.extras,
        )
        add_special = prompt.add_special and not starts_with_bos(rendered.text, facts.bos_text)
        tokens = vocab.tokenize(rendered.text, add_special=add_special, parse_special=True)
        return rendered.text, tokens, rendered.warnings, rendered.source_hash

    n_dropped = 0
    if prompt.drop_oldest:
        kept = fit_rendered(
            turns,
            lambda part: len(render(part)[1]),
            n_ctx=facts.n_ctx,
            n_reserve=n_reserve,
            n_ctx_train=facts.n_ctx_train or None,
        )
        turns = [turns[index] for index in kept.kept_indices]
        n_dropped = kept.n_dropped
    text, tokens, bent, source_hash = render(turns)
    return Prepared(
        text=text,
        tokens=tuple(tokens),
        template_hash=source_hash,
        template_source="user" if prompt.template and not chosen.warning else chosen.origin.value,
        stops=chosen.stops,
        warnings=(*warnings, *bent),
        n_dropped=n_dropped,
        starts_in_thinking=opens_thinking(text),
    )


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise KnownError(
            "A message has an unknown role",
            value=text[:40],
            next_step="use system, user, assistant or tool",
        ) from None

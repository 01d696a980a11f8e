"""What of a conversation fits in the context, and what to tell the user when it does not all fit.

Why: a prompt that is cut in silence is answered with an invention (the complaint most often seen about other
programs), so nothing here cuts text. Whole exchanges are dropped, oldest first, and only when the caller asks; the
system message, the last user turn and what follows it always stay.
Rejected: llama.cpp's context shift (it forgets the middle without a word) and adding up the turns' own token counts
(the sum of parts tokenised alone is not the length of the whole), except where the caller has nothing better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.base.errors import KnownError, Remedy, RemedyKind, Trouble
from engine.chat.parts import Role, Turn

N_CTX_STEP = 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """The indices of the turns that stay, in order, and how many went."""

    kept_indices: tuple[int, ...]
    n_dropped: int


class ContextOverflow(KnownError):
    """The prompt does not fit, even without everything that may be dropped.

    Attributes:
        n_prompt: tokens of the shortest prompt that was tried.
        n_ctx: tokens the context holds.
    """

    def __init__(self, trouble: Trouble, n_prompt: int, n_ctx: int) -> None:
        super().__init__(trouble.what, value=trouble.value, next_step=trouble.next_step, remedies=trouble.remedies)
        self.n_prompt = n_prompt
        self.n_ctx = n_ctx


def fit_rendered(
    turns: Sequence[Turn],
    count: Callable[[Sequence[Turn]], int],
    *,
    n_ctx: int,
    n_reserve: int,
    n_ctx_train: int | None = None,
) -> Kept:
    """Drop as few of the oldest exchanges as make the rendered prompt fit.

    Args:
        turns: the whole conversation.
        count: tokens of the whole rendered prompt of the turns it is given. Called about log2(exchanges) + 2 times.
        n_ctx: tokens the context holds.
        n_reserve: tokens kept free for the answer.
        n_ctx_train: tokens the model was trained for, None when unknown; decides what the error offers.

    Raises:
        ContextOverflow: what may not be dropped is already too long.
    """
    choices = _choices([turn.role for turn in turns])
    return _fewest_dropped(
        choices, lambda kept: count([turns[index] for index in kept]), len(turns), n_ctx, n_reserve, n_ctx_train
    )


def fit_turns(
    counts: Sequence[int], roles: Sequence[Role], n_ctx: int, n_reserve: int, n_ctx_train: int | None = None
) -> Kept:
    """As `fit_rendered`, where the prompt's length is taken as the sum of the turns' own (`counts`, tokens).

    An estimate: tokens join over the seams, and the template adds its own. Use it to preview, not to send.

    Raises:
        ContextOverflow: what may not be dropped is already too long.
    """
    if len(counts) != len(roles):
        raise ValueError(f"{len(counts)} counts for {len(roles)} roles")
    return _fewest_dropped(
        _choices(roles), lambda kept: sum(counts[index] for index in kept), len(roles), n_ctx, n_reserve, n_ctx_train
    )


def overflow_trouble(n_prompt: int, n_ctx: int, n_ctx_train: int | None, can_drop: bool, n_reserve: int = 0) -> Trouble:
    """The choice to put before the user when a prompt is too long: a bigger context, fewer messages, or both.

    Args:
        n_prompt: tokens of the rendered prompt.
        n_ctx: tokens the context holds.
        n_ctx_train: tokens the model was trained for, None when unknown; a bigger context is not offered beyond it.
        can_drop: dropping the oldest messages would help.
        n_reserve: tokens kept free for the answer.
    """
    n_needed = n_prompt + n_reserve
    n_wanted = -(-n_needed // N_CTX_STEP) * N_CTX_STEP
    if n_ctx_train is not None:
        n_wanted = min(n_wanted, n_ctx_train)
    steps: list[str] = []
    remedies: list[Remedy] = []
    if n_needed <= n_wanted and n_wanted > n_ctx:
        steps.append(f"set the context to {n_wanted:,} tokens")
        label = f"Context {n_wanted:,}"
        remedies.append(Remedy(RemedyKind.SET_OPTION, label, f"n_ctx={n_wanted}"))
    if can_drop:
        steps.append("send without the oldest messages")
        remedies.append(Remedy(RemedyKind.DROP_OLDEST, "Drop oldest"))
    if not steps:
        if n_reserve and n_prompt < n_ctx:
            steps.append("ask for a shorter answer")
        steps.append("shorten the message")
    value = f"{n_prompt:,} tokens"
    if n_reserve:
        value += f" and {n_reserve:,} for the answer"
    value += f"; the context holds {n_ctx:,}"
    if n_ctx_train is not None and n_needed > n_ctx_train:
        value += f", the model was trained for {n_ctx_train:,}"
    return Trouble("The prompt does not fit in the context", value, " or ".join(steps), tuple(remedies))


def _choices(roles: Sequence[Role]) -> list[tuple[int, ...]]:
    """The indices kept after dropping 0, 1, 2 … of the oldest exchanges.

    An exchange begins with a user turn and goes to the next one; turns before the first user turn go with it, so
    that the first turn left beside the system's is a user turn.
    """
    users = [index for index, role in enumerate(roles) if role is Role.USER]
    cuts = users[1:] if users else []
    everything = tuple(range(len(roles)))
    return [everything] + [
        tuple(index for index in everything if index >= cut or roles[index] is Role.SYSTEM) for cut in cuts
    ]


def _fewest_dropped(
    choices: Sequence[tuple[int, ...]],
    count: Callable[[tuple[int, ...]], int],
    n_turns: int,
    n_ctx: int,
    n_reserve: int,
    n_ctx_train: int | None,
) -> Kept:
    n_prompt = count(choices[0])
    too_much, enough = 0, len(choices) - 1
    if n_prompt + n_reserve <= n_ctx:
        return Kept(choices[0], 0)
    if enough > 0:
        n_prompt = count(choices[enough])
    if n_prompt + n_reserve > n_ctx:
        trouble = overflow_trouble(n_prompt, n_ctx, n_ctx_train, can_drop=False, n_reserve=n_reserve)
        raise ContextOverflow(trouble, n_prompt, n_ctx)
    while enough - too_much > 1:
        middle = (too_much + enough) // 2
        if count(choices[middle]) + n_reserve <= n_ctx:
            enough = middle
        else:
            too_much = middle
    return Kept(choices[enough], n_turns - len(choices[enough]))

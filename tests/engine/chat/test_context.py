"""What is dropped when a conversation does not fit, and what is offered instead."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import RemedyKind
from engine.chat.context import ContextOverflow, fit_rendered, fit_turns, overflow_trouble
from engine.chat.parts import Role, Turn

S, U, A, T = Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL


def test_a_conversation_that_fits_exactly_keeps_everything() -> None:
    kept = fit_turns([10, 20, 30, 40], [S, U, A, U], n_ctx=150, n_reserve=50)
    assert kept.kept_indices == (0, 1, 2, 3)
    assert kept.n_dropped == 0


def test_one_token_too_many_drops_the_oldest_exchange() -> None:
    kept = fit_turns([10, 20, 30, 40], [S, U, A, U], n_ctx=149, n_reserve=50)
    assert kept.kept_indices == (0, 3)
    assert kept.n_dropped == 2


def test_no_more_is_dropped_than_needed() -> None:
    roles = [S, U, A, U, A, U, A, U]
    assert fit_turns([10] * 8, roles, n_ctx=60, n_reserve=0).kept_indices == (0, 3, 4, 5, 6, 7)
    assert fit_turns([10] * 8, roles, n_ctx=59, n_reserve=0).kept_indices == (0, 5, 6, 7)


def test_tool_turns_go_with_the_exchange_they_belong_to() -> None:
    assert fit_turns([10] * 6, [U, A, T, A, U, A], n_ctx=30, n_reserve=0).kept_indices == (4, 5)


def test_a_greeting_before_the_first_user_turn_goes_first() -> None:
    assert fit_turns([10] * 4, [A, U, A, U], n_ctx=20, n_reserve=0).kept_indices == (3,)


def test_a_system_turn_in_the_middle_stays() -> None:
    assert fit_turns([10] * 4, [U, S, A, U], n_ctx=20, n_reserve=0).kept_indices == (1, 3)


def test_what_may_not_be_dropped_and_does_not_fit_is_an_error_with_numbers_and_a_way_out() -> None:
    with pytest.raises(ContextOverflow) as caught:
        fit_turns([500, 900, 100, 5000], [S, U, A, U], n_ctx=4096, n_reserve=512, n_ctx_train=8192)
    trouble = caught.value.trouble
    assert caught.value.n_prompt == 5500
    assert "5,500 tokens" in trouble.value
    assert "4,096" in trouble.value
    assert [(remedy.kind, remedy.argument) for remedy in trouble.remedies] == [(RemedyKind.SET_OPTION, "n_ctx=6144")]


def test_counts_and_roles_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 counts for 1 roles"):
        fit_turns([1, 2], [U], 10, 0)


def test_the_whole_prompt_is_counted_and_few_times() -> None:
    turns = [Turn(S, "s")] + [Turn(role, "x" * 10) for _ in range(500) for role in (U, A)] + [Turn(U, "last")]
    asked: list[int] = []

    def count(kept: Sequence[Turn]) -> int:
        asked.append(len(kept))
        return 100 + sum(len(turn.content) for turn in kept)  # 100: what the template adds

    kept = fit_rendered(turns, count, n_ctx=1000, n_reserve=100)
    assert 100 + sum(len(turns[index].content) for index in kept.kept_indices) <= 900
    assert kept.kept_indices[0] == 0
    assert turns[kept.kept_indices[1]].role is U
    assert kept.kept_indices[-1] == len(turns) - 1
    assert kept.n_dropped == len(turns) - len(kept.kept_indices)
    assert len(asked) <= 12


@given(
    st.lists(st.tuples(st.sampled_from([S, U, A, T]), st.integers(0, 50)), min_size=1, max_size=20),
    st.integers(1, 400),
    st.integers(0, 50),
)
def test_the_result_fits_and_is_the_longest_that_does(
    turns: list[tuple[Role, int]], n_ctx: int, n_reserve: int
) -> None:
    roles, counts = [role for role, _ in turns], [n for _, n in turns]
    users = [index for index, role in enumerate(roles) if role is U]
    # Naively: cut before each user turn in order, keep system turns, take the first that fits.
    options = [[*range(len(roles))]]
    options += [[index for index in range(len(roles)) if index >= cut or roles[index] is S] for cut in users[1:]]
    fitting = [option for option in options if sum(counts[index] for index in option) + n_reserve <= n_ctx]
    if fitting:
        assert list(fit_turns(counts, roles, n_ctx, n_reserve).kept_indices) == fitting[0]
    else:
        with pytest.raises(ContextOverflow):
            fit_turns(counts, roles, n_ctx, n_reserve)


@pytest.mark.parametrize(
    ("n_prompt", "n_reserve", "n_ctx_train", "arguments"),
    [
        (4097, 0, 32768, ["n_ctx=5120"]),
        (5120, 0, 32768, ["n_ctx=5120"]),
        (5120, 1, 32768, ["n_ctx=6144"]),
        (4900, 0, 5000, ["n_ctx=5000"]),  # the model's own limit is not a multiple of 1,024
        (5001, 0, 5000, []),
        (9000, 0, None, ["n_ctx=9216"]),  # unknown limit: still offered
    ],
)
def test_the_offered_context_is_the_next_multiple_of_1024_the_model_can_take(
    n_prompt: int, n_reserve: int, n_ctx_train: int | None, arguments: list[str]
) -> None:
    trouble = overflow_trouble(n_prompt, 4096, n_ctx_train, can_drop=False, n_reserve=n_reserve)
    assert [remedy.argument for remedy in trouble.remedies] == arguments
    assert trouble.next_step


def test_dropping_is_offered_only_where_it_helps() -> None:
    kinds = [remedy.kind for remedy in overflow_trouble(9000, 4096, 8192, can_drop=True, n_reserve=0).remedies]
    assert kinds == [RemedyKind.DROP_OLDEST]
    hopeless = overflow_trouble(9000, 4096, 8192, can_drop=False, n_reserve=0)
    assert hopeless.remedies == ()
    assert hopeless.next_step == "shorten the message"
    assert "trained for 8,192" in hopeless.value

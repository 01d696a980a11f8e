"""Turns merge without losing a word."""

from __future__ import annotations

from engine.chat.parts import Role, Turn, merge_runs, merge_system

SYSTEM, USER, ASSISTANT = Role.SYSTEM, Role.USER, Role.ASSISTANT


def test_system_text_goes_in_front_of_the_first_user_turn() -> None:
    turns = [Turn(SYSTEM, "be brief"), Turn(ASSISTANT, "hi"), Turn(USER, "a"), Turn(USER, "b")]
    assert merge_system(turns) == (Turn(ASSISTANT, "hi"), Turn(USER, "be brief\n\na"), Turn(USER, "b"))


def test_several_system_turns_become_one_text() -> None:
    turns = [Turn(SYSTEM, "one"), Turn(USER, "a"), Turn(SYSTEM, "two")]
    assert merge_system(turns) == (Turn(USER, "one\n\ntwo\n\na"),)


def test_a_system_turn_alone_becomes_a_user_turn() -> None:
    assert merge_system([Turn(SYSTEM, "one")]) == (Turn(USER, "one"),)


def test_without_a_system_turn_nothing_changes() -> None:
    turns = (Turn(USER, "a"), Turn(ASSISTANT, "b"))
    assert merge_system(turns) == turns


def test_runs_of_one_role_become_one_turn() -> None:
    turns = [Turn(USER, "a"), Turn(USER, "b"), Turn(ASSISTANT, "c"), Turn(ASSISTANT, ""), Turn(USER, "d")]
    assert merge_runs(turns) == (Turn(USER, "a\n\nb"), Turn(ASSISTANT, "c"), Turn(USER, "d"))

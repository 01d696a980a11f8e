"""Two answers side by side: parameters, words, the first token, and the distributions where the model is there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.base.errors import Trouble
from engine.sampling.chain import Chain
from engine.store.rows import MessageId, RunId, RunRecipe, RunResult, RunRow
from engine.workbench.comparison import (
    Part,
    Words,
    chain_differences,
    first_difference,
    parameters_that_differ,
    words_that_differ,
)
from engine.workbench.recipe import InUse, json_text
from engine.workbench.records import Compared
from tests.engine.workbench.conftest import Chat


def a_run(chain: str = "", limits: str = "{}", load: str = "{}", seed: int = 1, in_use: str = "{}") -> RunRow:
    recipe = RunRecipe(
        "m.gguf", "m", "f", "b", "t", chain or json_text(Chain.default().to_wire()), limits, load, seed, in_use
    )
    return RunRow(RunId("r"), MessageId("m"), datetime(2026, 11, 23, tzinfo=UTC), recipe, RunResult())


def named(first: RunRow, second: RunRow) -> dict[str, tuple[str, str]]:
    return {each.what: (each.first, each.second) for each in parameters_that_differ(first, second)}


def test_only_what_differs_is_named_in_the_fields_own_words() -> None:
    assert named(a_run(), a_run()) == {}
    warm = json_text(Chain.default().with_value("temperature", 1.3).to_wire())
    first = a_run(limits='{"max_tokens":5}', load='{"n_ctx":512,"mmap":false}')
    second = a_run(chain=warm, limits='{"max_tokens":-1,"stop":["x"]}', load='{"n_ctx":512,"type_k":"q8_0"}', seed=2)
    default = Chain.default().value("temperature")
    assert named(first, second) == {
        "Seed": ("1", "2"),
        "Temperature": (f"{default:.2f}", "1.30"),
        "Max tokens": ("5", "no limit"),
        "Stop texts": ("", "x"),
        "KV cache type, K": ("f16", "q8_0"),
    }


def test_the_order_and_the_switches_of_a_chain_count() -> None:
    chain = Chain.default()
    moved = chain.moved("temperature", 0)
    (order,) = chain_differences(chain, moved)
    assert order.what == "Samplers"
    assert order.first != order.second
    (switched,) = chain_differences(chain, chain.with_enabled("top_k", False))
    assert switched.what == "Samplers"
    off = chain.with_enabled("top_k", False)
    assert chain_differences(off, off.with_value("top_k", 7)) == (), "what is off changes nothing"


def test_what_automatic_came_to_is_compared_where_it_is_known() -> None:
    known = a_run(in_use=json_text(InUse(n_threads=2, flash_attn=True, devices=("CPU: A",))))
    other = a_run(in_use=json_text(InUse(n_threads=4, flash_attn=False, devices=("CPU: B",))))
    assert named(known, other) == {
        "Threads in use": ("2", "4"),
        "Flash attention in use": ("on", "off"),
        "Devices": ("CPU: A", "CPU: B"),
    }
    assert named(known, a_run()) == {}


def test_a_recipe_that_is_not_understood_is_still_compared() -> None:
    strange = a_run(chain='[{"key":"magic","enabled":true,"values":{}}]', limits='{"magic":1}', load="[]")
    assert "Samplers" in named(a_run(), strange)
    assert named(a_run(), strange)["Max tokens"][1] == "not known"


@pytest.mark.parametrize(
    ("first", "second", "place"),
    [((), (), None), ((1, 2), (1, 2), None), ((1, 2), (1, 3), 1), ((1, 2), (1,), 1), ((), (5,), 0)],
)
def test_the_first_difference(first: tuple[int, ...], second: tuple[int, ...], place: int | None) -> None:
    assert first_difference(first, second) == place


def test_words_are_told_apart_with_the_white_space_before_them() -> None:
    assert words_that_differ("red, green\nand blue ", "red, green\nand black ") == (
        Words(Part.BOTH, "red, green\nand"),
        Words(Part.FIRST, " blue"),
        Words(Part.SECOND, " black"),
        Words(Part.BOTH, " "),
    )


_TEXT = st.text(alphabet="ab \n", max_size=40)


@given(_TEXT, _TEXT)
def test_both_texts_can_be_put_together_again(first: str, second: str) -> None:
    words = words_that_differ(first, second)
    assert "".join(each.text for each in words if each.part is not Part.SECOND) == first
    assert "".join(each.text for each in words if each.part is not Part.FIRST) == second


def test_two_real_answers_are_compared_with_both_distributions(chat: Chat, gemma3: Path) -> None:
    chat.limit(12, seed=1)
    first = chat.ask("Name three colours.")
    chat.workbench.set_chain(Chain.default().with_value("temperature", 1.9).with_enabled("top_k", False))
    chat.limit(12, seed=2)
    chat.workbench.answer_again(first.id)
    second = chat.answered()
    compared = chat.told(chat.workbench.compare, first.id, second.id)
    assert isinstance(compared, Compared)
    assert {each.what for each in compared.parameters} == {"Seed", "Samplers", "Temperature"}
    place = compared.first_difference
    assert place is not None
    assert compared.same_prompt is True
    one, two = chat.tokens(first.id).tokens, chat.tokens(second.id).tokens
    assert one[:place] == two[:place]
    assert one[place] != two[place]
    assert compared.first_next is not None
    assert compared.second_next is not None
    assert compared.first_next.raw == compared.second_next.raw, "the model's own distribution is one"
    assert [each.key for each in compared.first_next.stages] != [each.key for each in compared.second_next.stages]
    assert "".join(each.text for each in compared.words if each.part is not Part.SECOND) == first.text
    chat.load(gemma3)
    without = chat.told(chat.workbench.compare, first.id, second.id)
    assert (without.first_difference, without.first_next, without.second_next) == (place, None, None)


def test_a_message_that_no_model_wrote_is_not_compared(chat: Chat) -> None:
    answer = chat.ask("Name three colours.")
    chat.workbench.edit_message(answer.id, "Red.")
    told = chat.told(chat.workbench.compare, answer.id, chat.dialogue.messages[-1].id)
    assert isinstance(told, Trouble)
    assert told.what == "No model wrote this message"

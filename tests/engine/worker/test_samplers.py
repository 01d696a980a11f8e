"""Samplers in the real worker: grammars and schemas that hold, chains that fit nothing, and that none of it ends a run
without its text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import Trouble
from engine.sampling.chain import Chain
from engine.wire.messages import FinishReason, NextTaken, Prompt
from tests.support.answers import GREEDY, Answer, ask, listen
from tests.support.benches import Driver, open_bench

DEFAULT = Chain.default()
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0},
        "likes": {"type": "array", "items": {"enum": ["tea", "coffee"]}, "maxItems": 2},
    },
    "required": ["name", "age", "likes"],
}


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Driver]:
    """SmolLM2 on one thread: two would wait for each other on a busy machine."""
    with open_bench(tmp_path_factory.mktemp("bench"), start=False) as driver:
        driver.load(smollm2, n_ctx=512, n_threads=1, n_threads_batch=1)
        yield driver


def _next(driver: Driver, chain: Chain, text: str = "Once upon a time", seed: int = 5) -> NextTaken | Trouble:
    found: list[NextTaken | Trouble] = []
    driver.workbench.next_token(Prompt(text=text), found.append, found.append, chain=chain, seed=seed, n_top=5)
    driver.until(lambda: found)
    return found[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_an_answer_under_a_schema_is_json_that_the_schema_describes(single: Driver, seed: int) -> None:
    chain = DEFAULT.with_value("json_schema", json.dumps(SCHEMA))
    answer = ask(single, [("user", "Describe Ann.")], chain=chain, seed=seed, max_tokens=120)
    assert answer.reason is FinishReason.STOP
    found = json.loads(answer.text)
    assert list(found) == ["name", "age", "likes"]
    assert len(found["name"]) <= 12
    assert isinstance(found["age"], int)
    assert set(found["likes"]) <= {"tea", "coffee"}
    assert answer.started is not None
    assert [each for each in answer.started.warnings if "minimum at /properties/age" in each]


def test_a_grammar_holds_for_the_answer_and_not_for_the_prompt(single: Driver) -> None:
    chain = GREEDY.with_value("grammar", 'root ::= "yes" | "no"')
    assert ask(single, [("user", "Is the sky blue?")], chain=chain, max_tokens=20).text in ("yes", "no")


def test_a_sleeping_grammar_holds_from_its_trigger_on(single: Driver) -> None:
    question = [("user", "Name three colours.")]
    free = ask(single, question, max_tokens=40).text
    trigger = free.split()[2]
    chain = GREEDY.with_value("grammar", f'root ::= "{trigger}" "!"{{3}}').with_value(
        "grammar_trigger_words", [trigger]
    )
    answer = ask(single, question, chain=chain, max_tokens=40)
    assert answer.text == free[: free.index(trigger)] + trigger + "!!!"
    assert answer.reason is FinishReason.STOP


def test_a_trigger_that_the_grammar_refuses_fails_the_run_and_not_the_engine(single: Driver) -> None:
    question = [("user", "Name three colours.")]
    trigger = ask(single, question, max_tokens=40).text.split()[2]
    chain = GREEDY.with_value("grammar", 'root ::= "<never>"').with_value("grammar_trigger_patterns", [trigger])
    answer = ask(single, question, chain=chain, max_tokens=40)
    assert "cannot begin with its trigger" in answer.trouble.what
    assert answer.raw
    assert ask(single, question, max_tokens=5).raw


def test_a_grammar_that_finds_nothing_allowed_keeps_the_text_until_then(single: Driver) -> None:
    grammar = 'root ::= "A" .*'
    late = DEFAULT.with_value("grammar", grammar).moved("grammar", 9).with_value("top_k", 1)
    answer = ask(single, "Once upon a time", chain=late, max_tokens=10)
    assert answer.trouble.what.startswith("The grammar allows no token")
    assert answer.trouble.next_step
    begun = late.with_value("grammar", r"root ::= [^0-9]{12} [\U0010FFF0]")
    answer = ask(single, "Once upon a time", chain=begun, max_tokens=40)
    assert answer.trouble.what.startswith("The grammar allows no token")
    assert 0 < len(answer.text) <= 12


def test_a_chain_that_bans_everything_that_is_left_says_so(single: Driver) -> None:
    found = _next(single, GREEDY)
    assert isinstance(found, NextTaken)
    chain = DEFAULT.with_value("top_k", 1).with_value("logit_bias", [f"{found.picked.id}=false"]).moved("logit_bias", 9)
    answer = ask(single, "Once upon a time", chain=chain, max_tokens=5)
    assert "leave no token" in answer.trouble.what
    seen = _next(single, chain)
    assert isinstance(seen, Trouble)
    assert "leave no token" in seen.what


def test_a_banned_token_never_comes_and_a_lifted_one_does(single: Driver) -> None:
    found = _next(single, GREEDY)
    assert isinstance(found, NextTaken)
    banned = _next(single, GREEDY.with_value("logit_bias", [f"{found.picked.id}=false"]))
    assert isinstance(banned, NextTaken)
    assert banned.picked.id != found.picked.id
    lifted = _next(single, GREEDY.with_value("logit_bias", ['" zebra"=100']))
    assert isinstance(lifted, NextTaken)
    assert b" z" in lifted.picked.piece


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"logit_bias": ["49152=1"]}, "a token that this model does not have"),
        ({"grammar": "root ::= <nobody>"}, "does not take the grammar"),
        ({"json_schema": '{"type": "animal"}'}, "cannot express this JSON Schema"),
        ({"json_schema": '{"properties": {"a": {"pattern": "(", "type": "string"}}}'}, "cannot express"),
    ],
    ids=str,
)
def test_what_does_not_fit_the_model_is_refused_before_the_answer_begins(
    single: Driver, settings: dict[str, object], said: str
) -> None:
    answer = ask(single, "Hello", chain=DEFAULT.with_values(settings), max_tokens=3)
    assert said in answer.trouble.what
    assert answer.trouble.next_step
    assert answer.started is None
    assert ask(single, "Hello", max_tokens=3).raw


def test_a_schema_names_the_part_that_cannot_be_a_grammar(single: Driver) -> None:
    schema = {"properties": {"ok": {"type": "integer"}, "bad": {"properties": {"worse": {"type": "animal"}}}}}
    answer = ask(single, "Hello", chain=DEFAULT.with_value("json_schema", json.dumps(schema)), max_tokens=3)
    assert "/properties/bad/properties/worse" in answer.trouble.value


@pytest.mark.parametrize(
    "settings",
    [
        {"mirostat": "1"},
        {"mirostat": "2", "mirostat_tau": 2.0},
        {"adaptive_target": 0.5},
        {"xtc_probability": 0.7},
        {"dry_multiplier": 0.8, "repeat_penalty": 1.1},
        {"typical_p": 0.8, "top_n_sigma": 1.5},
        {"dynatemp_range": 0.5},
        {"infill": True},
    ],
    ids=str,
)
def test_every_sampler_writes_and_its_seed_writes_the_same_again(single: Driver, settings: dict[str, object]) -> None:
    chain = DEFAULT.with_values(settings)
    first = ask(single, "The sea is", chain=chain, seed=3, max_tokens=16)
    assert first.done is not None, first.failed
    assert ask(single, "The sea is", chain=chain, seed=3, max_tokens=16).raw == first.raw
    seen = _next(single, chain)
    assert isinstance(seen, NextTaken)
    assert [each.key for each in seen.stages] == [each.key for each in chain.active() if not each.stage.draws] + [
        each.key for each in chain.active() if each.stage.draws
    ]


def _changed_after(driver: Driver, n_tokens: int, chain: Chain, other: Chain) -> Answer:
    runs = listen(driver)
    run_id = driver.workbench.generate(Prompt(text="Once upon a time"), chain=chain, options={"max_tokens": 60})
    assert run_id
    driver.until(lambda: runs and (runs[0].ended or sum(1 for _ in runs[0].frames) >= n_tokens))
    driver.workbench.set_chain(other)
    driver.until(lambda: runs[0].ended)
    return runs[0]


def test_a_chain_that_does_not_fit_leaves_a_run_as_it_is(single: Driver) -> None:
    answer = _changed_after(single, 3, GREEDY, GREEDY.with_value("logit_bias", ["49152=1"]))
    single.workbench.set_chain(DEFAULT)
    assert answer.done is not None
    assert answer.text == ask(single, "Once upon a time", max_tokens=60).text


def test_a_grammar_that_is_switched_on_in_the_middle_begins_there(single: Driver) -> None:
    other = GREEDY.with_value("grammar", 'root ::= "<!>" [a-c]{2}')
    answer = _changed_after(single, 3, GREEDY, other)
    single.workbench.set_chain(DEFAULT)
    assert answer.reason is FinishReason.STOP
    assert "<!>" in answer.text
    assert set(answer.text.partition("<!>")[2]) <= set("abc")

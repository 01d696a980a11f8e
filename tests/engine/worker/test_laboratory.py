"""The decoding laboratory on real models: scores, many continuations, draws, and looks at a running answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from engine.base.errors import KnownError, Trouble
from engine.runtime.supervisor import Phase
from engine.sampling.chain import Chain
from engine.wire.messages import (
    ChainChange,
    ColumnKind,
    ColumnText,
    Drawn,
    FinishReason,
    NextTaken,
    Prompt,
    SampleColumn,
    SampledMany,
    Scored,
    TokensScored,
    TokenTrace,
)
from engine.worker.laboratory import Size, refuse_what_does_not_fit
from engine.worker.writers import distinct
from tests.support.answers import GREEDY, ask, listen
from tests.support.benches import Driver, open_bench

Answer = TypeVar("Answer")
TEXT = "The capital of France is Paris, and the capital of Italy is Rome. The capital of Spain is"
PENALISED = Chain.default().with_value("repeat_penalty", 1.4).with_value("penalty_last_n", 16)
WARM = Chain.default().with_value("temperature", 1.2)


@pytest.fixture(scope="module", params=["smollm2", "gemma3"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Each of the two models, with a context of 512 tokens and one thread."""
    path: Path = request.getfixturevalue(request.param)
    with open_bench(tmp_path_factory.mktemp("laboratory"), start=False) as driver:
        driver.load(path, n_ctx=512, n_threads=1)
        yield driver


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Driver]:
    """SmolLM2 alone, for what is the same with every model."""
    with open_bench(tmp_path_factory.mktemp("small"), start=False) as driver:
        driver.load(smollm2, n_ctx=512, n_threads=1)
        yield driver


def answer(driver: Driver, question: Callable[[Callable[[Any], None], Callable[[Trouble], None]], object]) -> Any:
    """Ask and wait; the trouble where there is one."""
    found: list[Any] = []
    question(found.append, found.append)
    driver.until(lambda: found)
    return found[0]


def tokens_of(driver: Driver, text: str, *, add_special: bool = True) -> tuple[int, ...]:
    taken = answer(driver, lambda then, failed: driver.workbench.tokenize(text, then, failed, add_special=add_special))
    return tuple(each.id for each in taken.tokens)


def forget(driver: Driver) -> None:
    """Leave nothing in the chat's cache that another prompt could use: what is computed anew is computed alike."""
    for token in (5, 6):  # the scores of the last place are kept: asked for them alone, nothing might be computed
        next_token(driver, Prompt(tokens=(token,)), GREEDY)


def score(driver: Driver, prompt: Prompt, tokens: tuple[int, ...], **more: Any) -> tuple[list[TokenTrace], Scored]:
    parts: list[TokensScored] = []
    done = answer(
        driver, lambda then, failed: driver.workbench.lab.score(prompt, tokens, then, failed, parts.append, **more)
    )
    assert isinstance(done, Scored), done
    traces = [each for part in parts for each in part.tokens]
    assert {part.n_total for part in parts} <= {len(traces)}
    return traces, done


def sample(driver: Driver, prompt: Prompt, columns: list[SampleColumn], n: int, **more: Any) -> SampledMany:
    parts: list[ColumnText] = []
    lab = driver.workbench.lab
    done = answer(driver, lambda then, failed: lab.sample_many(prompt, columns, n, then, failed, parts.append, **more))
    assert isinstance(done, SampledMany), done
    for place, column in enumerate(done.columns):
        assert b"".join(each.piece for each in parts if each.column == place) == column.text
    return done


def next_token(driver: Driver, prompt: Prompt, chain: Chain, seed: int = 1, n_top: int = 40) -> NextTaken:
    taken = answer(
        driver,
        lambda then, failed: driver.workbench.next_token(prompt, then, failed, chain=chain, seed=seed, n_top=n_top),
    )
    assert isinstance(taken, NextTaken), taken
    return taken


# ---- scores --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chain", [Chain.default(), PENALISED, GREEDY], ids=["default", "penalised", "greedy"])
def test_a_score_says_of_each_place_what_next_says_there(model: Driver, chain: Chain) -> None:
    tokens = tokens_of(model, TEXT)
    traces, _ = score(model, Prompt(tokens=tokens[:1]), tokens[1:], chain=chain, n_top=5, with_prompt=True)
    assert [each.id for each in traces] == list(tokens)
    # The engine multiplies in tiles of four tokens, and what is over otherwise: so a place that ends a tile is computed
    # in the same way as the end of a text and as a part of a longer one, and the numbers are the same.
    for place in (8, 12, 16):
        trace = traces[place]
        forget(model)
        taken = next_token(model, Prompt(tokens=tokens[:place]), chain)
        assert trace.entropy_bits == pytest.approx(taken.entropy_bits, abs=1e-3)
        assert [(each.id, pytest.approx(each.p, abs=1e-4)) for each in trace.top] == [
            (each.id, each.p) for each in taken.raw[:5]
        ]
        raw = {each.id: each.p for each in taken.raw}
        if trace.id in raw:
            assert trace.p == pytest.approx(raw[trace.id], abs=1e-4)
        kept = {each.id: each.p for each in taken.stages[-1].top} if taken.stages else {}
        if chain.is_greedy:
            kept = {taken.picked.id: 1.0}
        assert [each.p_chain for each in trace.top] == pytest.approx(
            [kept.get(each.id, 0.0) for each in trace.top], abs=1e-3
        )
        assert trace.p_chain == pytest.approx(kept.get(trace.id, 0.0), abs=1e-3)


def test_the_sum_of_the_logs_is_the_log_of_the_whole_answer(model: Driver) -> None:
    tokens = tokens_of(model, TEXT)
    traces, done = score(model, Prompt(tokens=tokens[:4]), tokens[4:], with_prompt=True)
    assert done.n_prompt == 4
    assert len(traces) == len(tokens)
    assert traces[0].p is None
    assert traces[0].top == ()
    logs = [math.log(each.p) for each in traces[4:] if each.p is not None]
    assert done.logprob == pytest.approx(sum(logs), rel=1e-6)


def test_a_rank_counts_the_tokens_that_were_likelier(model: Driver) -> None:
    tokens = tokens_of(model, TEXT)
    traces, _ = score(model, Prompt(tokens=tokens[:2]), tokens[2:], n_top=8)
    listed = 0
    for trace in traces:
        ids = [each.id for each in trace.top]
        if trace.id in ids:
            listed += 1
            assert ids.index(trace.id) == trace.rank
        else:
            assert trace.rank is not None
            assert trace.rank >= 8
    assert listed > 3


def test_a_long_text_is_scored_in_parts_that_add_up(small: Driver) -> None:
    tokens = tokens_of(small, TEXT * 25)[:240]
    traces, done = score(small, Prompt(tokens=tokens[:120]), tokens[120:], n_top=1)
    assert len(traces) == 120
    whole, _ = score(small, Prompt(tokens=tokens[:1]), tokens[1:], n_top=1)
    # Calls of other lengths round otherwise, by how much is the processor's; a place too far is 0.06 in the mean.
    apart = [abs(one.p - other.p) for one, other in zip(traces, whole[119:], strict=True) if one.p and other.p]
    assert len(apart) == 120
    assert max(apart) < 0.1
    assert sum(apart) / len(apart) < 0.005
    assert done.logprob < 0


MOVING = {
    "mirostat": Chain.default().with_values({"mirostat": "2", "mirostat_tau": 2.0, "mirostat_eta": 0.5}),
    "adaptive-p": Chain.default().with_values({"adaptive_target": 0.5, "adaptive_decay": 0.5}),
    "grammar": WARM.with_value("grammar", 'root ::= ("red" | "green" | "blue") (", " ("red" | "green" | "blue"))*'),
    "xtc": Chain.default().with_values({"xtc_probability": 0.5, "xtc_threshold": 0.05}),
}


@pytest.mark.parametrize("name", MOVING)
def test_the_chain_is_led_through_the_answer_that_it_wrote(small: Driver, name: str) -> None:
    chain, prompt = MOVING[name], tokens_of(small, "My three favourite colours are")
    written = ask(small, Prompt(tokens=prompt), chain=chain, seed=3, max_tokens=24)
    assert written.done is not None
    tokens = written.done.tokens
    assert len(tokens) > 8
    traces, done = score(small, Prompt(tokens=prompt), tokens, chain=chain, seed=3)
    assert done.warnings == ()
    # Each was drawn, so none of them was cut where it came. (The rounding of one token and of many may differ at an edge.)
    assert sum(each.p_chain == 0.0 for each in traces) <= 1
    assert any(each.p_chain != pytest.approx(each.p, abs=1e-3) for each in traces)


def test_what_the_chain_did_not_write_is_told(small: Driver) -> None:
    prompt, tokens = tokens_of(small, "Is it?"), tokens_of(small, " Perhaps, perhaps not", add_special=False)
    traces, done = score(small, Prompt(tokens=prompt), tokens, chain=MOVING["grammar"])
    assert traces[0].p_chain == 0.0
    assert len(done.warnings) == 1
    assert "Token 1 does not follow the grammar" in done.warnings[0]
    _, done = score(small, Prompt(tokens=prompt), tokens, chain=MOVING["xtc"])
    assert "seed is not known" in done.warnings[0]


def test_a_chain_that_was_changed_in_the_middle_is_changed_there(small: Driver) -> None:
    prompt, tokens = (
        tokens_of(small, "Once upon a time"),
        tokens_of(small, " there was a small red fox", add_special=False),
    )
    links = small.workbench.lab.column(GREEDY).chain
    traces, done = score(small, Prompt(tokens=prompt), tokens, chain=WARM, changes=[ChainChange(3, links)])
    assert all(0.0 <= (each.p_chain or 0.0) < 1.0 for each in traces[:3])
    assert [each.p_chain for each in traces[3:]] == [float(each.rank == 0) for each in traces[3:]]
    assert done.warnings == ()


def test_where_the_end_was_banned_it_has_no_probability_after_the_chain(small: Driver) -> None:
    facts = small.workbench.state.facts
    assert facts is not None
    prompt = tokens_of(small, "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHello!")
    end = tokens_of(small, facts.eos_text, add_special=False)
    free, _ = score(small, Prompt(tokens=prompt), end, chain=WARM)
    banned, _ = score(small, Prompt(tokens=prompt), end, chain=WARM, ignore_eos=True)
    assert (free[0].p_chain or 0.0) > 0.0
    assert banned[0].p_chain == 0.0
    assert banned[0].p == pytest.approx(free[0].p)


# ---- many at once --------------------------------------------------------------------------------------------


def test_a_greedy_column_writes_what_a_greedy_answer_writes(model: Driver) -> None:
    prompt = Prompt(text="Once upon a time")
    forget(model)
    alone = ask(model, prompt, chain=GREEDY, max_tokens=16)
    done = sample(model, prompt, [SampleColumn(ColumnKind.GREEDY), model.workbench.lab.column(GREEDY)], 16)
    assert [each.text for each in done.columns] == [alone.raw, alone.raw]
    assert done.distinct_1 == pytest.approx((done.columns[0].distinct_1 or 0) / 2)


def test_a_column_alone_is_the_answer_of_its_seed_and_chain(model: Driver) -> None:
    prompt = Prompt(text="My favourite animal is")
    forget(model)
    alone = ask(model, prompt, chain=WARM, seed=7, max_tokens=12)
    done = sample(model, prompt, [model.workbench.lab.column(WARM, seed=7)], 12)
    assert done.columns[0].text == alone.raw
    assert done.columns[0].seed == 7
    assert done.columns[0].reason is alone.reason


def test_the_log_probability_of_a_column_is_that_of_its_score(model: Driver) -> None:
    prompt = tokens_of(model, "The three primary colours are")
    done = sample(
        model,
        Prompt(tokens=prompt),
        [model.workbench.lab.column(WARM, seed=3), SampleColumn(ColumnKind.BEST_PATH, width=3)],
        10,
    )
    for column in done.columns:
        _, scored = score(model, Prompt(tokens=prompt), column.tokens)
        assert column.logprob == pytest.approx(scored.logprob, abs=0.15 * len(column.tokens) ** 0.5)


def test_the_best_path_is_at_least_as_likely_a_token_as_the_greedy_one(model: Driver) -> None:
    columns = [SampleColumn(ColumnKind.GREEDY), SampleColumn(ColumnKind.BEST_PATH, width=4)]
    greedy, best = sample(model, Prompt(text="In the middle of the night"), columns, 10).columns
    assert best.logprob / len(best.tokens) >= greedy.logprob / len(greedy.tokens) - 1e-3


def test_contrast_without_any_is_greedy_and_with_it_repeats_itself_less(small: Driver) -> None:
    prompt = Prompt(text="The wind was the wind was the wind was")
    columns = [
        SampleColumn(ColumnKind.GREEDY),
        SampleColumn(ColumnKind.CONTRAST, width=4, alpha=0.0),
        SampleColumn(ColumnKind.CONTRAST, width=4, alpha=0.6),
    ]
    greedy, plain, contrast = sample(small, prompt, columns, 24).columns
    assert plain.text == greedy.text
    assert contrast.text != greedy.text
    assert (contrast.distinct_1 or 0) > (greedy.distinct_1 or 1)


def test_columns_that_end_leave_the_others_to_go_on(small: Driver) -> None:
    prompt = Prompt(text="<|im_start|>user\nSay hello.<|im_end|>\n<|im_start|>assistant\n")
    done = sample(small, prompt, [small.workbench.lab.column(WARM, seed=seed) for seed in range(8)], 40)
    reasons = [each.reason for each in done.columns]
    assert FinishReason.STOP in reasons
    assert len({len(each.tokens) for each in done.columns}) > 1
    assert all(b"<|im_end|>" not in each.text for each in done.columns)
    assert done.tps is not None
    assert done.tps > 0
    assert not done.cancelled


def test_stop_texts_and_banned_ends_hold_for_every_kind_of_column(small: Driver) -> None:
    prompt = Prompt(text="<|im_start|>user\nSay hello.<|im_end|>\n<|im_start|>assistant\n")
    lab = small.workbench.lab
    columns = [
        lab.column(WARM, seed=2),
        SampleColumn(ColumnKind.GREEDY),
        SampleColumn(ColumnKind.BEST_PATH, width=3),
        SampleColumn(ColumnKind.CONTRAST, width=3),
    ]
    facts = small.workbench.state.facts
    assert facts is not None
    (end,) = tokens_of(small, facts.eos_text, add_special=False)
    free = sample(small, prompt, columns, 40)
    assert end in [each.tokens[-1] for each in free.columns]
    endless = sample(small, prompt, columns, 40, ignore_eos=True)
    assert all(each.reason is FinishReason.LENGTH for each in endless.columns)
    assert all(end not in each.tokens and len(each.tokens) == 40 for each in endless.columns)
    # What was banned has its probability all the same: the log-probability stays the model's own.
    _, scored = score(small, prompt, endless.columns[1].tokens, chain=Chain.default())
    assert endless.columns[1].logprob == pytest.approx(scored.logprob, abs=1.0)
    stopped = sample(small, prompt, columns, 40, stop=("o",))
    assert all(b"o" not in each.text and each.reason is FinishReason.STOP for each in stopped.columns)


def test_a_random_seed_of_a_column_is_told(small: Driver) -> None:
    prompt = Prompt(text="Once")
    first = sample(small, prompt, [small.workbench.lab.column(WARM)], 8).columns[0]
    again = sample(small, prompt, [small.workbench.lab.column(WARM, seed=first.seed)], 8).columns[0]
    assert again.text == first.text


@pytest.mark.parametrize(
    ("texts", "n", "share"),
    [
        (["a b a b"], 1, 0.5),
        (["a b a b"], 2, 2 / 3),
        (["a b", "a b"], 2, 0.5),
        (["a b", "b a"], 1, 0.5),
        (["a", "b"], 2, None),
        ([""], 1, None),
        ([" a\n b\tc "], 1, 1.0),
    ],
)
def test_distinct_n_is_the_share_of_different_ones(texts: list[str], n: int, share: float | None) -> None:
    assert distinct(texts, n) == (None if share is None else pytest.approx(share))


# ---- stopping, memory, the chat's cache ----------------------------------------------------------------------


def test_stopping_many_answers_with_what_there_is(small: Driver) -> None:
    parts: list[ColumnText] = []
    found: list[Any] = []
    lab = small.workbench.lab
    columns = [lab.column(WARM, seed=seed) for seed in range(3)]
    lab.sample_many(Prompt(text="A very long story:"), columns, 150, found.append, found.append, parts.append)
    assert small.workbench.state.phase is Phase.WORKING
    small.until(lambda: len(parts) > 2)
    small.workbench.cancel()
    small.until(lambda: found)
    done = found[0]
    assert isinstance(done, SampledMany)
    assert done.cancelled
    assert any(each.reason is FinishReason.CANCELLED for each in done.columns)
    assert any(each.text for each in done.columns)
    assert small.workbench.state.phase is Phase.READY


def test_stopping_a_score_answers_with_what_there_is(small: Driver) -> None:
    parts: list[TokensScored] = []
    found: list[Any] = []
    tokens = tokens_of(small, TEXT * 25)[:500]
    small.workbench.lab.score(Prompt(tokens=tokens[:2]), tokens[2:], found.append, found.append, parts.append)
    small.until(lambda: parts)
    small.workbench.cancel()
    small.until(lambda: found)
    done = found[0]
    assert isinstance(done, Scored)
    assert done.cancelled
    assert 0 < sum(len(part.tokens) for part in parts) < 498
    assert small.workbench.state.phase is Phase.READY


def test_what_a_question_takes_is_given_back(small: Driver) -> None:
    worker = small.worker()
    prompt = Prompt(text=TEXT)
    columns = [small.workbench.lab.column(WARM, seed=seed) for seed in range(16)]
    sample(small, prompt, columns, 4)
    before = worker.memory_info().rss
    for _ in range(4):
        sample(small, prompt, columns, 4)
        score(small, prompt, tokens_of(small, TEXT))
    # Each of these contexts takes some 30 MiB; eight that stay would be ten times the margin.
    assert worker.memory_info().rss - before < 24 * 1024 * 1024


def test_the_chats_cache_is_left_as_it_was(small: Driver) -> None:
    first = ask(small, TEXT, max_tokens=8)
    score(small, Prompt(text="Something else entirely"), tokens_of(small, " and more of it"))
    sample(small, Prompt(text="Another thing"), [SampleColumn(ColumnKind.GREEDY)], 5)
    again = ask(small, TEXT, max_tokens=8)
    assert again.raw == first.raw
    assert again.stats.n_reused == again.stats.n_prompt - 1


def test_no_context_is_begun_that_would_take_the_last_memory() -> None:
    mib = 1024 * 1024
    with pytest.raises(KnownError) as refused:
        refuse_what_does_not_fit(900 * mib, 700 * mib, Size.of(5000, 8, 8))
    assert "900 MiB" in refused.value.trouble.value
    assert "700 MiB" in refused.value.trouble.value
    assert refused.value.trouble.next_step
    refuse_what_does_not_fit(500 * mib, 700 * mib, Size.of(5000, 8, 8))


# ---- the next token: kept, drawn, looked at ------------------------------------------------------------------


def test_another_chain_at_the_same_place_changes_the_stages_and_not_the_raw_distribution(model: Driver) -> None:
    prompt = Prompt(text="The best colour is")
    first = next_token(model, prompt, Chain.default())
    hot = next_token(model, prompt, Chain.default().with_value("temperature", 2.0))
    again = next_token(model, prompt, Chain.default())
    assert first.raw == hot.raw
    assert hot.stages[-1].entropy_bits > first.stages[-1].entropy_bits
    assert (again.stages, again.picked) == (first.stages, first.picked)
    elsewhere = next_token(model, Prompt(text="The best colour is red and"), Chain.default())
    assert elsewhere.raw != first.raw


def test_stages_that_cut_nothing_keep_the_whole_mass(model: Driver) -> None:
    chain = Chain.default().with_value("temperature", 1.5)
    for key in ("top_k", "top_p", "min_p"):
        chain = chain.with_enabled(key, False)
    taken = next_token(model, Prompt(text="The best colour is"), chain, n_top=3)
    facts = model.workbench.state.facts
    assert facts is not None
    assert [each.survivors for each in taken.stages] == [facts.n_vocab]
    assert taken.stages[0].mass_kept == 1.0
    assert [each.id for each in taken.stages[0].top] == [each.id for each in taken.raw]


def test_draws_follow_the_theory(model: Driver) -> None:
    prompt = Prompt(text="The best colour is")
    drawn = answer(
        model, lambda then, failed: model.workbench.lab.draw(prompt, 10_000, then, failed, chain=WARM, seed=4)
    )
    assert isinstance(drawn, Drawn)
    assert sum(each.n for each in drawn.counts) == drawn.n_draws == 10_000
    assert sum(each.p for each in drawn.counts) == pytest.approx(1.0, abs=1e-3)
    expected = np.array([each.p for each in drawn.counts if each.p * 10_000 >= 5]) * 10_000
    counted = np.array([each.n for each in drawn.counts if each.p * 10_000 >= 5])
    chi_square = float(((counted - expected) ** 2 / expected).sum())
    freedom = len(expected) - 1
    # Wilson and Hilferty's approximation; the seed stands, so this is no matter of luck.
    assert ((chi_square / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5 < 3.5
    again = answer(
        model, lambda then, failed: model.workbench.lab.draw(prompt, 10_000, then, failed, chain=WARM, seed=4)
    )
    assert again.counts == drawn.counts


def test_draws_from_an_uncut_vocabulary_and_of_a_greedy_chain(small: Driver) -> None:
    prompt = Prompt(text="The best colour is")
    lab = small.workbench.lab
    whole = Chain.default()
    for key in ("top_k", "top_p", "min_p"):
        whole = whole.with_enabled(key, False)
    drawn = answer(small, lambda then, failed: lab.draw(prompt, 2000, then, failed, chain=whole, seed=4))
    assert sum(each.n for each in drawn.counts) == 2000
    assert abs(drawn.counts[0].n - 2000 * drawn.counts[0].p) < 4 * (2000 * drawn.counts[0].p) ** 0.5
    greedy = answer(small, lambda then, failed: lab.draw(prompt, 50, then, failed, chain=GREEDY))
    assert [(each.n, each.p) for each in greedy.counts] == [(50, 1.0)]


@pytest.mark.parametrize("chain", [WARM, PENALISED], ids=["warm", "penalised"])
def test_looking_at_a_running_answer_does_not_change_it(small: Driver, chain: Chain) -> None:
    prompt, options = Prompt(text="Tell me a story about a llama."), {"max_tokens": 40, "seed": 5, "ignore_eos": True}
    undisturbed = ask(small, prompt, chain=chain, **options)
    runs = listen(small)
    looks: list[Any] = []
    n_asked = 0
    small.workbench.generate(prompt, chain=chain, options=options)  # type: ignore[arg-type]
    while not (runs and runs[0].ended):
        if small.workbench.state.run_id and n_asked == len(looks):
            n_asked += 1
            small.workbench.lab.peek(looks.append, looks.append, chain=WARM, n_top=4)
            assert small.workbench.state.phase in (Phase.READING, Phase.WRITING)
        small.workbench.bus.wait(0.05)
    small.until(lambda: len(looks) == n_asked)
    taken = [each for each in looks if isinstance(each, NextTaken)]
    assert taken
    assert all(each.raw[0].p >= each.raw[-1].p and each.stages for each in taken)
    assert runs[0].raw == undisturbed.raw
    assert small.workbench.state.phase is Phase.READY


def test_looking_when_nothing_is_written_is_refused(small: Driver) -> None:
    with pytest.raises(KnownError):
        small.workbench.lab.peek(lambda _taken: None, lambda _trouble: None)


def test_a_prompt_of_tokens_is_computed_as_it_is(small: Driver) -> None:
    tokens = tokens_of(small, TEXT)
    assert ask(small, Prompt(tokens=tokens), max_tokens=6).raw == ask(small, TEXT, max_tokens=6).raw
    facts = small.workbench.state.facts
    assert facts is not None
    refused = ask(small, Prompt(tokens=(1, facts.n_vocab)), max_tokens=1)
    assert str(facts.n_vocab) in refused.trouble.value


# ---- bad input -----------------------------------------------------------------------------------------------

PLAIN = SampleColumn(ColumnKind.GREEDY)


@pytest.mark.parametrize(
    ("prompt", "columns", "n", "words"),
    [
        (Prompt(text=TEXT), [PLAIN] * 33, 4, "33"),
        (Prompt(text=TEXT), [], 4, "0"),
        (Prompt(text=TEXT), [PLAIN], 0, "no token"),
        (Prompt(text="word " * 600), [PLAIN], 4, "512"),
        (Prompt(text=TEXT), [SampleColumn(ColumnKind.BEST_PATH, width=1)], 4, "1"),
        (Prompt(text=TEXT), [SampleColumn(ColumnKind.CONTRAST, alpha=1.5)], 4, "1.5"),
    ],
    ids=["33 columns", "none", "no length", "long prompt", "narrow beam", "contrast over 1"],
)
def test_what_cannot_be_sampled_is_refused_with_the_number(
    small: Driver, prompt: Prompt, columns: list[SampleColumn], n: int, words: str
) -> None:
    trouble = answer(small, lambda then, failed: small.workbench.lab.sample_many(prompt, columns, n, then, failed))
    assert isinstance(trouble, Trouble)
    assert not trouble.is_bug
    assert words in f"{trouble.what} {trouble.value}"
    assert trouble.next_step
    assert small.workbench.state.phase is Phase.READY


def test_what_cannot_be_scored_or_drawn_is_refused(small: Driver) -> None:
    lab = small.workbench.lab
    prompt = Prompt(text="A")
    questions: list[Callable[[Callable[[Any], None], Callable[[Trouble], None]], object]] = [
        lambda then, failed: lab.score(prompt, (), then, failed),
        lambda then, failed: lab.score(prompt, (-1,), then, failed),
        lambda then, failed: lab.score(prompt, (5,) * 512, then, failed),
        lambda then, failed: lab.draw(prompt, 0, then, failed),
        lambda then, failed: lab.draw(prompt, 100_001, then, failed),
    ]
    for question in questions:
        trouble = answer(small, question)
        assert isinstance(trouble, Trouble)
        assert not trouble.is_bug
        assert trouble.next_step


def test_a_continuation_ends_where_the_context_ends(small: Driver) -> None:
    tokens = tokens_of(small, TEXT * 30)[:505]
    done = sample(small, Prompt(tokens=tokens), [SampleColumn(ColumnKind.GREEDY)] * 2, 50)
    for column in done.columns:
        assert column.reason is FinishReason.CONTEXT
        assert len(column.tokens) == 7

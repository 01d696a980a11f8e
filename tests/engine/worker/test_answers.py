"""Answers of a real model through the real worker: how they end, what they reuse, that text is never torn."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.cores import cores, takes_every_core
from engine.sampling.chain import Chain
from engine.wire.messages import Cancel, ChainLink, ChatMessage, FinishReason, Prompt
from engine.worker.writing import CROWDED_BUNDLE_S, HASTY_BUNDLE_S, HASTY_TPS
from tests.support.answers import GREEDY, ask, listen
from tests.support.benches import Driver, open_bench

QUESTION = [("user", "Name three colours.")]


def test_the_answer_ends_where_the_model_ends_it(loaded: Driver) -> None:
    answer = ask(loaded, QUESTION, max_tokens=200)
    assert answer.reason is FinishReason.STOP
    assert len(answer.text) > 10
    assert "<|im_end|>" not in answer.text
    assert 0 < answer.stats.n_completion < 200


def test_the_length_limit_is_exact(loaded: Driver) -> None:
    answer = ask(loaded, "Once upon a time", max_tokens=7)
    assert answer.reason is FinishReason.LENGTH
    assert answer.stats.n_completion == 7
    assert ask(loaded, "Once upon a time", max_tokens=0).stats.n_completion == 0


def test_greedy_answers_are_the_same_every_time_and_seeds_decide_the_others(loaded: Driver) -> None:
    warm = Chain.default().with_value("temperature", 1.5)
    assert ask(loaded, QUESTION, max_tokens=30).raw == ask(loaded, QUESTION, max_tokens=30).raw
    first = ask(loaded, QUESTION, chain=warm, seed=11, max_tokens=30)
    assert first.started is not None
    assert first.started.seed == 11
    assert ask(loaded, QUESTION, chain=warm, seed=11, max_tokens=30).raw == first.raw
    assert ask(loaded, QUESTION, chain=warm, seed=12, max_tokens=30).raw != first.raw


def test_a_random_seed_is_told_so_that_the_answer_can_be_had_again(loaded: Driver) -> None:
    warm = Chain.default().with_value("temperature", 1.5)
    answer = ask(loaded, QUESTION, chain=warm, seed=-1, max_tokens=20)
    assert answer.started is not None
    assert ask(loaded, QUESTION, chain=warm, seed=answer.started.seed, max_tokens=20).raw == answer.raw


def test_text_comes_in_longer_bundles_where_the_engines_threads_take_every_core(tmp_path: Path, smollm2: Path) -> None:
    with open_bench(tmp_path) as driver:
        driver.load(smollm2, n_ctx=1024, n_threads=cores())
        answer = ask(driver, "Once upon a time", max_tokens=150, ignore_eos=True)
    n_frames, decode_s = len(answer.frames), answer.stats.decode_s
    least_s = CROWDED_BUNDLE_S if 150 / decode_s < 0.9 * HASTY_TPS else HASTY_BUNDLE_S
    assert 2 < n_frames <= 3 + decode_s / (least_s if 150 / decode_s > 1.1 * HASTY_TPS else CROWDED_BUNDLE_S)


def test_whether_a_core_is_left_depends_on_threads_and_devices() -> None:
    assert takes_every_core(("CPU",), 4, 4)
    assert takes_every_core(("CPU", "CPU_REPACK"), 4, 2)
    assert not takes_every_core(("CPU",), 4, 8), "a core is left for the window"
    assert not takes_every_core(("CUDA0", "CPU"), 4, 4), "a card does the work"


@pytest.mark.parametrize("place", [3, 12, 25])
def test_a_stop_text_ends_the_answer_before_itself(loaded: Driver, place: int) -> None:
    whole = ask(loaded, QUESTION, max_tokens=60).text
    stop = whole[place : place + 5]
    answer = ask(loaded, QUESTION, max_tokens=60, stop=(stop,))
    assert answer.reason is FinishReason.STOP
    assert answer.text == whole[: whole.index(stop)]
    assert answer.done is not None
    assert answer.done.stop_text == stop


def test_ignoring_the_end_writes_on_to_the_limit(loaded: Driver) -> None:
    assert ask(loaded, QUESTION, max_tokens=80, ignore_eos=True).stats.n_completion == 80


def test_the_second_turn_computes_only_what_is_new(loaded: Driver) -> None:
    first = ask(loaded, QUESTION, max_tokens=60)
    turns = [*QUESTION, ("assistant", first.text), ("user", "Name another one.")]
    second = ask(loaded, turns, max_tokens=10)
    n_known = first.stats.n_prompt + first.stats.n_completion
    assert second.stats.n_reused >= n_known - 2
    assert second.stats.n_prompt - second.stats.n_reused < 25


def test_reusing_the_cache_does_not_change_the_answer(loaded: Driver) -> None:
    other = [("user", "What is the capital of France?")]
    fresh = ask(loaded, other, max_tokens=25)
    ask(loaded, QUESTION, max_tokens=40)
    ask(loaded, [*other, ("assistant", "It is"), ("user", "Go on.")], max_tokens=5)
    again = ask(loaded, other, max_tokens=25)
    assert again.stats.n_reused > 0
    assert again.raw == fresh.raw


def test_characters_of_several_tokens_arrive_whole(loaded: Driver) -> None:
    echo = "안녕하세요 세계, 🦙 한국어로 인사합니다. 안녕하세요 세계, 🦙 한국어로"
    answer = ask(loaded, echo, max_tokens=40)
    torn = [frame.piece for frame in answer.frames]
    assert b"".join(torn).decode(errors="ignore")
    assert any(byte >= 0x80 for byte in answer.raw)


def test_a_full_context_ends_the_answer_and_says_so(loaded: Driver) -> None:
    long = "word " * 480
    answer = ask(loaded, long, max_tokens=500, ignore_eos=True)
    assert answer.reason is FinishReason.CONTEXT
    assert answer.stats.n_prompt + answer.stats.n_completion == 512


def test_a_prompt_that_does_not_fit_is_refused_with_choices(loaded: Driver) -> None:
    answer = ask(loaded, [("user", "word " * 750)])
    assert "512" in answer.trouble.value
    assert any(each.argument.startswith("n_ctx=") for each in answer.trouble.remedies)
    assert answer.frames == []


def test_the_oldest_messages_are_left_out_only_when_asked_and_then_counted(loaded: Driver) -> None:
    turns = [("system", "Be brief.")]
    for number in range(12):
        turns += [("user", f"{number} " + "filler " * 50), ("assistant", "Noted.")]
    turns.append(("user", "What is 2 + 2?"))
    refused = ask(loaded, turns, max_tokens=20)
    assert any(each.kind.value == "drop_oldest" for each in refused.trouble.remedies)
    prompt = Prompt(
        messages=tuple(ChatMessage(role, content) for role, content in turns),
        drop_oldest=True,
    )
    answer = ask(loaded, prompt, max_tokens=20)
    assert answer.started is not None
    assert answer.started.n_dropped_messages > 0
    assert answer.stats.n_prompt < 512


def test_a_new_chain_applies_from_the_next_token(loaded: Driver) -> None:
    runs = listen(loaded)
    wild = Chain.default().with_value("temperature", 5.0).with_enabled("top_k", False).with_enabled("top_p", False)
    wild = wild.with_enabled("min_p", False)
    loaded.workbench.set_chain(wild)
    loaded.workbench.generate(Prompt(text="1, 2, 3, 4, 5,"), chain=wild, options={"max_tokens": 60, "seed": 3})
    loaded.until(lambda: runs and runs[0].frames)
    loaded.workbench.set_chain(GREEDY)
    loaded.until(lambda: runs[0].ended)
    changed = runs[0].text
    unchanged = ask(loaded, "1, 2, 3, 4, 5,", chain=wild, seed=3, max_tokens=60).text
    assert changed != unchanged


def test_an_unknown_stage_is_refused_by_name(loaded: Driver) -> None:
    runs = listen(loaded)
    loaded.workbench.supervisor.generate(Prompt(text="x"), (ChainLink("magic", True, {}),), {})
    loaded.until(lambda: runs and runs[0].ended)
    assert "magic" in runs[0].trouble.value


def test_stopping_keeps_what_was_written_and_the_next_answer_is_right(loaded: Driver) -> None:
    runs = listen(loaded)
    expected = ask(loaded, QUESTION, max_tokens=20).raw
    runs.clear()
    runs = listen(loaded)
    loaded.workbench.generate(Prompt(text="Tell a long story. "), options={"max_tokens": 900, "ignore_eos": True})
    loaded.until(lambda: runs and len(runs[0].frames) > 3)
    loaded.workbench.cancel()
    loaded.until(lambda: runs[0].ended)
    assert runs[0].reason is FinishReason.CANCELLED
    assert 0 < runs[0].stats.n_completion < 900
    assert ask(loaded, QUESTION, max_tokens=20).raw == expected


def test_stopping_while_the_prompt_is_read_takes_effect_between_graph_nodes(loaded: Driver) -> None:
    runs = listen(loaded)
    loaded.workbench.generate(Prompt(text="word " * 450), options={"max_tokens": 5})
    loaded.until(lambda: runs and runs[0].started)
    loaded.workbench.cancel()
    loaded.until(lambda: runs[0].ended)
    assert runs[0].reason is FinishReason.CANCELLED
    assert runs[0].stats.n_completion == 0


def test_text_leaves_while_it_is_written_and_counts_grow(loaded: Driver) -> None:
    answer = ask(loaded, "Once upon a time", max_tokens=60, ignore_eos=True)
    assert len(answer.frames) > 3
    counts = [frame.n_completion for frame in answer.frames]
    assert counts == sorted(counts)
    assert counts[-1] == 60


def test_tokens_of_a_text_cover_its_bytes(loaded: Driver) -> None:
    found: list[object] = []
    text = "Hello <|im_end|> 안녕 🦙"
    loaded.workbench.tokenize(text, found.append, found.append)
    loaded.until(lambda: found)
    tokens = found[0].tokens  # type: ignore[attr-defined]
    assert b"".join(each.piece for each in tokens) == text.encode()
    assert tokens[-1].end == len(text.encode())
    assert [each.piece for each in tokens if each.special] == [b"<|im_end|>"]


def test_the_next_token_is_taken_apart_as_the_chain_works(loaded: Driver) -> None:
    found: list[object] = []
    chain = Chain.default()
    loaded.workbench.next_token(
        Prompt(text="The capital of France is"), found.append, found.append, chain=chain, seed=5
    )
    loaded.until(lambda: found)
    taken = found[0]
    survivors = [each.survivors for each in taken.stages]  # type: ignore[attr-defined]
    assert survivors == sorted(survivors, reverse=True)
    assert taken.raw[0].p == max(each.p for each in taken.raw)  # type: ignore[attr-defined]
    assert [each.key for each in taken.stages] == [each.key for each in chain.active()]  # type: ignore[attr-defined]
    last = taken.stages[-1].top  # type: ignore[attr-defined]
    assert taken.picked.id in {each.id for each in last}  # type: ignore[attr-defined]


def test_a_late_cancel_does_not_hit_the_next_answer(loaded: Driver) -> None:
    first = ask(loaded, QUESTION, max_tokens=5)
    assert first.done is not None
    runs = listen(loaded)
    loaded.workbench.generate(Prompt(text="Once"), options={"max_tokens": 30, "ignore_eos": True})
    assert loaded.workbench.supervisor._client is not None
    loaded.workbench.supervisor._client.send(Cancel(first.done.run_id))
    loaded.until(lambda: runs and runs[0].ended)
    assert runs[0].reason is FinishReason.LENGTH

"""Advice from values: what would be better, in every case that a ledger can be in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.gguf.card import Card, read_card
from engine.memory.fit import Fits, Verdict, judge
from engine.memory.ledger import RAM, DeviceLedger, Entry, Ledger, Loading, Part, with_shapes
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import DeviceKind
from engine.workbench.curve import CurveLine, MemoryCurve, bends, largest_on
from gui.panels.memory.advice import AdviceKind, advice_for
from gui.panels.memory.values import Answer
from gui.panels.memory.words import ledger_rows, loading_text, shape_text, verdict_text

MIB = 1 << 20
PER_TOKEN = {"f16": 4096, "q8_0": 2176, "q4_0": 1152}


def ledger(n_ctx: int, cache: str, free_mib: int, weights_mib: int = 100) -> Ledger:
    entries = (
        Entry(Part.WEIGHTS, weights_mib * MIB, "all of them"),
        Entry(Part.KV, n_ctx * PER_TOKEN[cache], f"{n_ctx:,} tokens · {cache}"),
    )
    return Ledger(True, n_ctx, (DeviceLedger(RAM, DeviceKind.CPU, 2 * free_mib * MIB, free_mib * MIB, entries),))


def line(cache: str, free_mib: int, contexts: tuple[int, ...] = (512, 8192)) -> CurveLine:
    ledgers = tuple(ledger(each, cache, free_mib) for each in contexts)
    return CurveLine(cache, cache, ledgers, largest_on(ledgers, 0))


def curve(free_mib: int) -> MemoryCurve:
    return MemoryCurve("model.gguf", tuple(line(each, free_mib) for each in PER_TOKEN), 0)


@pytest.fixture
def card(smollm2: Path) -> Card:
    return read_card(smollm2)  # trained on 8,192


def kinds(n_ctx: int, free_mib: int, card: Card, cache: str = "f16") -> list[AdviceKind]:
    lines, now = curve(free_mib), ledger(n_ctx, cache, free_mib)
    options = {**LOAD_OPTIONS.defaults(), "n_ctx": n_ctx, "type_k": cache, "type_v": cache}
    verdict = judge(now, options)
    return [each.kind for each in advice_for(verdict, now, options, card, lines, lines.line(cache, cache))]


def test_what_does_not_fit_gets_the_engines_own_remedies_and_nothing_else(card: Card) -> None:
    assert kinds(8192, 105, card) == [AdviceKind.TOO_BIG]


def test_where_little_is_left_it_says_tight(card: Card) -> None:
    assert kinds(4096, 120, card) == [AdviceKind.TIGHT]


def test_a_longer_context_is_offered_only_where_all_of_it_fits(card: Card) -> None:
    assert AdviceKind.LONGER in kinds(4096, 4000, card)
    assert AdviceKind.LONGER not in kinds(2048, 130, card)


def test_a_smaller_cache_is_offered_with_the_context_that_it_makes_possible(card: Card) -> None:
    lines = curve(130)
    now = ledger(2048, "f16", 130)
    verdict = Verdict(Fits.YES, RAM, now.sum_bytes, 130 * MIB, ())
    options = {**LOAD_OPTIONS.defaults(), "n_ctx": 2048}
    smaller = advice_for(verdict, now, options, card, lines, lines.line("f16", "f16"))[0]
    assert smaller.kind is AdviceKind.SMALLER_CACHE
    assert smaller.saved_bytes == 2048 * (4096 - 2176)
    assert 2048 < smaller.n_ctx <= 8192
    assert lines.line("q8_0", "q8_0").at(smaller.n_ctx).sum_bytes <= 130 * MIB


def test_a_context_beyond_the_trained_one_is_warned_of(card: Card) -> None:
    assert kinds(16_384, 4000, card)[0] is AdviceKind.BEYOND


def test_a_small_cache_is_not_offered_again(card: Card) -> None:
    assert AdviceKind.SMALLER_CACHE not in kinds(4096, 4000, card, cache="q8_0")


def test_a_line_says_nothing_beyond_where_the_engine_was_asked() -> None:
    assert line("f16", 4000).at(9000) is None
    assert line("f16", 4000).max_n_ctx == 8192


def test_between_two_plans_the_cache_is_read_off_the_line_and_marked_as_an_estimate() -> None:
    between = line("f16", 4000).at(2560)
    cache = next(each for each in between.devices[0].entries if each.part is Part.KV)
    assert (cache.size_bytes, cache.is_estimate) == (2560 * 4096, True)
    assert "2,560 tokens" in cache.how
    weights = next(each for each in between.devices[0].entries if each.part is Part.WEIGHTS)
    assert not weights.is_estimate


@pytest.mark.parametrize(
    ("trained", "window", "expected"),
    [(8192, None, [512, 8192]), (32_768, 512, [512, 1024, 32_768]), (256, None, [256, 512])],
)
def test_the_engine_is_asked_at_the_ends_and_where_a_window_bends_the_line(
    trained: int, window: int | None, expected: list[int]
) -> None:
    assert list(bends(trained, window, 512)) == expected


def test_a_context_beyond_the_trained_one_is_asked_about_too() -> None:
    assert list(bends(8192, None, 512, 20_000)) == [512, 8192, 20_224]


def answer_of(fits: Fits, *, margin: float = 0.05, is_limited: bool = False) -> Answer:
    now = ledger(4096, "f16", 130)
    return Answer(now, None, Verdict(fits, RAM, 100 * MIB, 130 * MIB, (), margin, is_limited), 0, 0.1)


def test_the_verdict_names_the_margin_and_whose_limit_counts() -> None:
    assert (
        verdict_text(answer_of(Fits.YES)) == "100.0 MiB of 130.0 MiB free in RAM. 5\N{NO-BREAK SPACE}% are kept free."
    )
    assert verdict_text(answer_of(Fits.YES, margin=0.0)) == "100.0 MiB of 130.0 MiB free in RAM."
    tight = verdict_text(answer_of(Fits.TIGHT, margin=0.25, is_limited=True))
    assert tight == (
        "100.0 MiB of 130.0 MiB free in RAM by the limit of its control group. Less than 25 % of it would stay free."
    )


def test_what_only_the_load_takes_is_told_with_what_is_resident_afterwards() -> None:
    def told(planned: Loading, measured: Loading | None = None) -> str:
        now = replace(ledger(4096, "f16", 130), loading=planned)
        real = None if measured is None else replace(now, loading=measured)
        return loading_text(replace(answer_of(Fits.YES), ledger=now, measured=real))

    assert told(Loading()) == ""
    assert told(Loading(staged_bytes=0)) == "While loading, no more than afterwards."
    room = ledger(4096, "f16", 130)
    later = sum(room.devices[0].size_of(each) or 0 for each in (Part.KV, Part.COMPUTE, Part.OUTPUT))
    assert told(Loading(staged_bytes=min(MIB, later))).startswith("While loading, no more than afterwards: one tensor")
    assert told(Loading(staged_bytes=later + 3 * MIB)).startswith("While loading, RAM takes 3.0 MiB more for a moment")
    real = Loading(peak_bytes=8 * MIB, resident_bytes=6 * MIB, resident_file_bytes=5 * MIB)
    assert told(Loading(), real) == (
        "Loaded, 6.0 MiB were resident, at most 8.0 MiB on the way; 5.0 MiB are pages of files, "
        "which the system may take back."
    )
    assert "at most" not in told(Loading(), replace(real, peak_bytes=6 * MIB + 4096))
    assert told(Loading(), Loading(resident_bytes=6 * MIB)) == "Loaded, 6.0 MiB were resident."
    text = verdict_text(replace(answer_of(Fits.NO), verdict=Verdict(Fits.NO, RAM, 9 * MIB, MIB, (), 0.05, False, MIB)))
    assert text.endswith("1.0 MiB of it only while loading.")


def test_a_rows_tooltip_has_its_product_whoever_answered() -> None:
    plain = ledger(4096, "f16", 130)
    shaped = with_shapes(plain, {Part.KV: "2 layers × 4,096 cells"})
    for asked in (
        replace(answer_of(Fits.YES), ledger=shaped, is_by_formula=True),
        replace(answer_of(Fits.YES), ledger=plain, formula=shaped),
    ):
        assert shape_text(asked, Part.KV) == "2 layers × 4,096 cells"
        assert shape_text(asked, Part.WEIGHTS) == ""
        assert any("2 layers × 4,096 cells" in row.tip for row in ledger_rows(asked))

"""The ledger sums to the byte, dry and real agree, and the verdict follows what is free."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.memory.fit import Fits, judge, largest_n_ctx, locked_beyond
from engine.memory.ledger import ASSUMED, CALCULATED, DeviceLedger, Entry, Ledger, Part, ledger_of
from engine.runtime.dry_run import plan_load
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import BufferUse, DeviceInfo, DeviceKind, DraftUse, MemoryUse

GIB = 2**30


def sums(use: MemoryUse) -> tuple[int, int, int]:
    """Weights, cache and compute over all buffers, bytes."""
    return (
        sum(each.model_bytes for each in use.buffers),
        sum(each.context_bytes for each in use.buffers),
        sum(each.compute_bytes for each in use.buffers),
    )


@pytest.mark.parametrize(
    ("options", "cache", "compute"),
    [
        ({}, 94_371_840, 18_362_400),
        ({"flash_attn": "off"}, 94_371_840, 90_578_976),
        ({"type_k": "q8_0"}, 72_253_440, None),
        ({"type_k": "q8_0", "type_v": "q8_0"}, 50_135_040, None),
        ({"type_k": "q4_0", "type_v": "q4_0"}, 26_542_080, None),
        ({"type_k": "f32", "type_v": "f32"}, 188_743_680, None),
        ({"n_ctx": 1000}, 23_592_960, None),
        ({"n_ctx": 512, "n_batch": 256, "n_ubatch": 256}, 11_796_480, 7_346_208),
    ],
    ids=str,
)
def test_the_dry_run_of_smollm2_is_what_llama_cpp_allocates(
    smollm2: Path, options: dict[str, object], cache: int, compute: int | None
) -> None:
    planned, _hello = plan_load(str(smollm2), options)  # type: ignore[arg-type]
    weights, found_cache, found_compute = sums(planned.memory)
    assert (weights, found_cache) == (96_576_768, cache)
    if compute is not None:
        assert found_compute == compute


@pytest.mark.parametrize(
    ("options", "cache", "expected_compute"),
    [({}, 28_311_552, 23_875_616), ({"swa_full": True}, 75_497_472, 27_021_344)],
    ids=["window", "full-size"],
)
def test_the_dry_run_of_gemma_knows_its_sliding_window(
    gemma3: Path, options: dict[str, object], cache: int, expected_compute: int
) -> None:
    planned, _hello = plan_load(str(gemma3), options)  # type: ignore[arg-type]
    weights, found_cache, compute = sums(planned.memory)
    # Repacked or not, the weights are the same bytes; which part is repacked depends on the processor.
    assert weights == 246_587_904
    assert found_cache == cache
    # The mask of the window layers covers 1,024 cells instead of 4,096: 2 bytes · 512 tokens · 3,072 cells less.
    assert compute == expected_compute


def test_what_the_engine_refuses_to_plan_is_told_with_a_way_out(smollm2: Path) -> None:
    with pytest.raises(KnownError) as caught:
        plan_load(str(smollm2), {"type_v": "q8_0", "flash_attn": "off"})
    assert any("flash_attn=on" in each.argument for each in caught.value.trouble.remedies)


CPU = DeviceInfo("CPU", "a processor", DeviceKind.CPU, None, None)
GPU = DeviceInfo("CUDA0", "a card", DeviceKind.GPU, 8 * GIB, 6 * GIB)
SPLIT = MemoryUse(
    is_dry=True,
    buffers=(
        BufferUse("CPU", "CPU", True, 100, 0, 7),
        BufferUse("CPU_REPACK", "CPU", False, 40, 0, 0),
        BufferUse("CUDA0", "CUDA0", False, 1000, 300, 50),
        BufferUse("CUDA_Host", "CUDA0", True, 0, 0, 9),
    ),
    output_bytes=4,
    mapped_bytes=40,
    base_rss_bytes=60,
    vocab_bytes=5,
    rss_bytes=None,
    n_ctx=4096,
    took_s=0.1,
)


def test_every_byte_of_every_buffer_stands_once_in_the_ledger() -> None:
    ledger = ledger_of(SPLIT, (CPU, GPU), ram_total_bytes=32 * GIB, ram_free_bytes=16 * GIB)
    engine = sum(each.model_bytes + each.context_bytes + each.compute_bytes for each in SPLIT.buffers)
    assert ledger.sum_bytes == engine + 4 + 40 + 60 + 5
    assert [each.name for each in ledger.devices] == ["RAM", "CUDA0"]
    ram, card = ledger.devices
    assert ram.size_of(Part.WEIGHTS) == 140
    assert ram.size_of(Part.COMPUTE) == 16
    assert card.size_of(Part.KV) == 300
    assert (card.total_bytes, card.free_bytes) == (8 * GIB, 6 * GIB)
    assert card.size_of(Part.RECURRENT) is None


def test_the_words_of_a_row_carry_its_numbers() -> None:
    ram, _card = ledger_of(
        replace_use(SPLIT, base_rss_bytes=3 * 2**20, vocab_bytes=2**19, output_bytes=4 * 1000),
        (CPU, GPU),
        ram_total_bytes=None,
        ram_free_bytes=None,
    ).devices
    words = {each.part: each.how for each in ram.entries}
    assert words[Part.WEIGHTS] == "tensor by tensor, in CPU 100 B + CPU_REPACK 40 B"
    assert words[Part.COMPUTE].endswith("CPU 7 B + CUDA_Host 9 B")
    assert words[Part.OUTPUT].startswith("1,000 logits × 4 bytes")
    assert words[Part.OVERHEAD] == "the engine's process 3.0 MiB + the tokenizer 512.0 KiB, measured"
    unmeasured = ledger_of(replace_use(SPLIT, vocab_bytes=None), (CPU, GPU), ram_total_bytes=None, ram_free_bytes=None)
    assert unmeasured.devices[0].entries[-1].how == "the engine's process 60 B, measured"


def test_a_process_that_nobody_measured_is_said_to_be_assumed() -> None:
    sources = {**CALCULATED, Part.OVERHEAD: ASSUMED}
    ram, card = ledger_of(SPLIT, (CPU, GPU), ram_total_bytes=None, ram_free_bytes=None, sources=sources).devices
    process = ram.entries[-1]
    assert (process.how, process.source) == ("the engine's process 60 B + the tokenizer 5 B, assumed", ASSUMED)
    assert {each.source for each in card.entries} == {CALCULATED[Part.KV]}


def test_what_a_loaded_file_holds_twice_is_taken_from_its_mapped_buffer() -> None:
    mapped = (
        BufferUse("CPU_Mapped", "CPU", True, 140, 0, 0),
        BufferUse("CPU_REPACK", "CPU", False, 40, 0, 0),
    )
    use = replace_use(SPLIT, is_dry=False, buffers=mapped, mapped_bytes=40)
    weights = ledger_of(use, (CPU,), ram_total_bytes=None, ram_free_bytes=None).devices[0].entries[0]
    assert (weights.size_bytes, weights.how) == (140, "tensor by tensor, in CPU_Mapped 100 B + CPU_REPACK 40 B")


def test_a_mapped_file_splits_the_same_way_before_and_after() -> None:
    real = replace_use(
        SPLIT,
        is_dry=False,
        buffers=(
            BufferUse("CPU_Mapped", "CPU", True, 140, 0, 0),
            BufferUse("CPU_REPACK", "CPU", False, 40, 0, 0),
            *(each for each in SPLIT.buffers if each.device == "CUDA0"),
            BufferUse("CPU", "CPU", True, 0, 0, 7),
        ),
        rss_bytes=1,
    )
    dry = ledger_of(SPLIT, (CPU, GPU), ram_total_bytes=None, ram_free_bytes=None)
    measured = ledger_of(real, (CPU, GPU), ram_total_bytes=None, ram_free_bytes=None)
    for part in Part:
        assert dry.size_of(part) == measured.size_of(part), part


def test_a_draft_model_is_a_part_of_its_own_on_each_device_and_every_byte_of_it_stands_once() -> None:
    draft = DraftUse(
        (BufferUse("CPU", "CPU", True, 10, 2, 1), BufferUse("CUDA1", "CUDA1", False, 500, 60, 7)), 3, 8, 2048
    )
    with_draft = replace_use(SPLIT, draft=draft)
    alone = ledger_of(SPLIT, (CPU, GPU), ram_total_bytes=None, ram_free_bytes=None)
    both = ledger_of(with_draft, (CPU, GPU), ram_total_bytes=None, ram_free_bytes=None)
    assert [each.size_of(Part.DRAFT) for each in both.devices] == [10 + 2 + 1 + 3, None, 500 + 60 + 7]
    assert both.sum_bytes == alone.sum_bytes + 13 + 3 + 567 + 8
    for part in set(Part) - {Part.DRAFT, Part.MAPPED}:
        assert both.size_of(part) == alone.size_of(part), part


def test_what_does_not_fit_with_a_draft_model_may_do_without_it() -> None:
    draft = DraftUse((BufferUse("CPU", "CPU", True, GIB, 0, 0),), 0, 0, 2048)
    told = ledger_of(replace_use(SPLIT, draft=draft), (CPU,), ram_total_bytes=GIB, ram_free_bytes=GIB)
    assert "model_draft=" in [each.argument for each in judge(told, LOAD_OPTIONS.defaults()).advice]
    alone = ledger_of(replace_use(SPLIT, output_bytes=GIB), (CPU,), ram_total_bytes=GIB, ram_free_bytes=GIB)
    assert "model_draft=" not in [each.argument for each in judge(alone, LOAD_OPTIONS.defaults()).advice]


def replace_use(use: MemoryUse, **changes: object) -> MemoryUse:
    import msgspec

    return msgspec.structs.replace(use, **changes)


def ledger(needed: int, free: int | None, n_ctx: int = 4096, cache: int = 0) -> Ledger:
    entries = (Entry(Part.WEIGHTS, needed - cache, ""), Entry(Part.KV, cache, ""))
    return Ledger(True, n_ctx, (DeviceLedger("RAM", DeviceKind.CPU, 100 * GIB, free, entries),))


@pytest.mark.parametrize(
    ("locks", "lockable", "beyond"),
    [(True, 8 << 20, 10 * GIB - (8 << 20)), (True, None, None), (False, 0, None), (True, 10 * GIB, None)],
)
def test_what_a_user_may_not_lock_is_counted(locks: bool, lockable: int | None, beyond: int | None) -> None:
    options = {**LOAD_OPTIONS.defaults(), "mlock": locks}
    assert locked_beyond(ledger(12 * GIB, 50 * GIB, cache=2 * GIB), options, lockable) == beyond


def test_states_are_a_part_of_their_own_beside_the_cache() -> None:
    buffer = BufferUse("CPU", "CPU", True, 100, 60, 20, recurrent_bytes=45)
    use = replace_use(SPLIT, buffers=(buffer,))
    (ram,) = ledger_of(use, (CPU,), ram_total_bytes=GIB, ram_free_bytes=GIB).devices
    assert (ram.size_of(Part.KV), ram.size_of(Part.RECURRENT)) == (15, 45)


@pytest.mark.parametrize(
    ("needed", "free", "fits"),
    [
        (10 * GIB, 50 * GIB, Fits.YES),
        (47 * GIB, 50 * GIB, Fits.TIGHT),
        (51 * GIB, 50 * GIB, Fits.NO),
        (1 * GIB, None, Fits.UNKNOWN),
    ],
)
def test_the_verdict_follows_what_is_free(needed: int, free: int | None, fits: Fits) -> None:
    assert judge(ledger(needed, free), LOAD_OPTIONS.defaults()).fits is fits


def test_the_loaded_model_counts_as_gone() -> None:
    assert judge(ledger(51 * GIB, 50 * GIB), LOAD_OPTIONS.defaults(), freed_bytes=20 * GIB).fits is Fits.YES


def test_the_advice_names_a_context_that_fits() -> None:
    verdict = judge(ledger(60 * GIB, 50 * GIB, n_ctx=65536, cache=40 * GIB), LOAD_OPTIONS.defaults())
    argument = verdict.advice[0].argument
    n_ctx = int(argument.removeprefix("n_ctx="))
    assert n_ctx % 256 == 0
    assert 20 * GIB + 40 * GIB * n_ctx / 65536 <= 50 * GIB * 0.95
    assert verdict.advice[1].argument == "type_k=q8_0,type_v=q8_0"


def test_the_largest_context_lies_on_the_line_through_two_plans() -> None:
    low, high = ledger(11 * GIB, 20 * GIB, 4096, GIB), ledger(12 * GIB, 20 * GIB, 8192, 2 * GIB)
    found = largest_n_ctx(low, high)
    assert found is not None
    # 10 GiB of weights and a quarter GiB for 1,024 tokens, in 20 GiB of which 5 % of the whole 100 stay free.
    assert found == pytest.approx(5 * 4096, abs=256)
    assert largest_n_ctx(replace(low, devices=()), replace(high, devices=())) is None
    assert largest_n_ctx(ledger(30 * GIB, 20 * GIB, 4096, GIB), ledger(31 * GIB, 20 * GIB, 8192, GIB)) == 0


@pytest.mark.parametrize(("margin", "fits"), [(0.0, Fits.YES), (0.04, Fits.YES), (0.06, Fits.TIGHT), (0.5, Fits.TIGHT)])
def test_the_margin_is_what_the_user_wants_kept_free(margin: float, fits: Fits) -> None:
    """5 of 100 GiB stay free."""
    verdict = judge(ledger(45 * GIB, 50 * GIB), LOAD_OPTIONS.defaults(), margin=margin)
    assert (verdict.fits, verdict.margin) == (fits, margin)


def test_a_larger_margin_leaves_a_shorter_context() -> None:
    short, long = (
        ledger(20 * GIB, 50 * GIB, n_ctx=1024, cache=GIB),
        ledger(21 * GIB, 50 * GIB, n_ctx=2048, cache=2 * GIB),
    )
    limits = [largest_n_ctx(short, long, margin=margin) for margin in (0.0, 0.05, 0.5)]
    assert limits == [31_744, 26_624, 0]  # 1,024 + (room − 20) · 1,024 for 50, 45 and 0 GiB of room: 100 in all


def test_what_a_load_takes_for_a_moment_counts_only_beyond_what_comes_after_it() -> None:
    def asked(**changes: object) -> Ledger:
        use = replace_use(SPLIT, **changes)
        return ledger_of(use, (CPU, GPU), ram_total_bytes=1000, ram_free_bytes=400)

    assert asked().passing_bytes == 0, "nobody knows"
    later = 16 + 4  # compute and logits in RAM
    assert asked(staged_bytes=later).passing_bytes == 0
    assert asked(staged_bytes=later + 30).passing_bytes == 30
    assert asked(staged_bytes=later + 30, awaited_bytes=25).passing_bytes == 5

    resting = asked().devices[0].sum_bytes
    roomy = judge(asked(staged_bytes=later + 50), {}, margin=0.0)
    assert (roomy.fits, roomy.needed_bytes, roomy.passing_bytes) == (Fits.YES, resting + 50, 50)
    beyond = 400 - resting + 1
    assert judge(asked(staged_bytes=later + beyond), {}, margin=0.0).fits is Fits.NO
    assert judge(asked(staged_bytes=later + beyond - 1), {}, margin=0.0).fits is Fits.YES
    assert judge(asked(staged_bytes=later + beyond - 1), {}, margin=0.01).fits is Fits.TIGHT

"""Speeds: by hand, against published runs, and what must hold for every device."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gguf.header import Header
from engine.gguf.types import TensorType
from engine.memory.devices import GIB, Device, DeviceClass, Rates, device_named, read_devices
from engine.memory.placement import N_PROMPT, Split, place
from engine.memory.profile import LayerProfile, ModelProfile, Need, profile_of
from engine.memory.roofline import DECODE, PREFILL, speed_of
from tests.support.known_models import all_as, k_medium, llama2_7b, llama_1b, llama_8b, qwen3_8b, tinyllama

TABLE = read_devices()
Q4_0 = all_as(TensorType.Q4_0)
NO_CACHE = Need(512, 0, 0, 0)


@dataclass(frozen=True)
class Run:
    """A published llama-bench run: tokens a second, `depth` tokens into the context."""

    device: str
    header: Header
    tps: float
    source: str
    depth: int = 0
    kv_bytes_a_token: int = 0


DECODED = [
    Run("rtx-3090", llama_8b(Q4_0), 155.0, "llama.cpp, RTX 3090, 8B Q4_0"),
    Run("rtx-4090", llama_8b(Q4_0), 103.0, "llama.cpp#17505, RTX 4090, 8B Q4_0 at 32,768", 32768, 131_072),
    Run("rtx-5090", qwen3_8b(k_medium), 221.7, "CambrianTech/continuum#1627, RTX 5090, Qwen3 8B Q4_K_M"),
    Run("p40", llama2_7b(Q4_0), 56.8, "llama.cpp, P40, 7B Q4_0"),
    Run("m4-16", llama_8b(k_medium), 20.87, "brand-o/normiebench#3, M4, 8B Q4_K_M"),
    Run("m1-max-64", llama_8b(k_medium), 46.2, "brand-o/normiebench#40, M1 Max, 8B Q4_K_M"),
    Run("ddr5-6400-2ch-64", llama2_7b(Q4_0), 18.27, "llama.cpp#34, 13900K with DDR5-6400, 7B, 8 threads"),
]
READ = [
    Run("rtx-4090", llama_8b(Q4_0), 10_359.0, "RTX 4090, 8B Q4_0, pp512"),
    Run("m1-max-64", llama_8b(k_medium), 499.58, "brand-o/normiebench#40, M1 Max, 8B Q4_K_M, pp512"),
    Run("m1-ultra-128", tinyllama(k_medium), 5_587.84, "geerlingguy/ai-benchmarks#48, M1 Ultra, 1.1B Q4_K_M, pp512"),
]


def speed_on(run: Run) -> tuple[float, float, float, float]:
    profile = profile_of([run.header])
    need = Need(max(512, run.depth), run.depth * run.kv_bytes_a_token, 0, 0)
    found = speed_of(place(profile, need, [device_named(TABLE, run.device)], depth=run.depth))
    return (found.decode_low or 0, found.decode_high or 0, found.prefill_low or 0, found.prefill_high or 0)


@pytest.mark.parametrize("run", DECODED, ids=lambda run: run.source)
def test_published_decode_speeds_lie_in_the_range(run: Run, record_property) -> None:
    low, high, _, _ = speed_on(run)
    middle = (low + high) / 2
    record_property("error", f"{middle / run.tps - 1:+.0%} at the middle of {low:.1f} to {high:.1f}")
    assert low < run.tps < high, f"{run.source}: {run.tps} is not in {low:.1f} to {high:.1f}"
    assert abs(middle / run.tps - 1) < 0.35


@pytest.mark.parametrize(
    "run",
    [
        Run("m1-ultra-128", tinyllama(k_medium), 242.56, "geerlingguy/ai-benchmarks#48, M1 Ultra, 1.1B Q4_K_M"),
        Run("rtx-5090", llama_1b(all_as(TensorType.BF16, TensorType.BF16)), 652.28, "llama.cpp#24216, 5090, 1B BF16"),
    ],
    ids=lambda run: run.source,
)
def test_small_models_are_held_up_by_more_than_memory(run: Run) -> None:
    low, high, _, _ = speed_on(run)
    assert low < run.tps < high, f"{run.source}: {run.tps} is not in {low:.1f} to {high:.1f}"


@pytest.mark.parametrize("run", READ, ids=lambda run: run.source)
def test_published_prefill_speeds_lie_in_the_range(run: Run) -> None:
    _, _, low, high = speed_on(run)
    assert low < run.tps < high, f"{run.source}: {run.tps} is not in {low:.1f} to {high:.1f}"


def flat(n_layer: int, layer_gb: float, n_active: float = 1e9) -> ModelProfile:
    layer = LayerProfile(round(layer_gb * 1e9), layer_gb * 1e9, n_active, kv_width=1)
    return ModelProfile((layer,) * n_layer, LayerProfile(0, 0.0, 0.0), 0, 0, 0)


def device(gib: float, gb_s: float | None, tflops: float | None = None, kind: DeviceClass = DeviceClass.CUDA) -> Device:
    flops = (("f16", tflops * 1e12),) if tflops else ()
    return Device("d", "the device", kind, round(gib * GIB), gb_s and gb_s * 1e9, flops)


def test_one_token_is_bytes_over_the_reached_bandwidth() -> None:
    """10 GB at 1,000 GB/s: 100 a second at most, of which 56 to 94 % are reached."""
    found = speed_of(place(flat(10, 1.0), NO_CACHE, [device(24, 1000)]))
    assert found.decode_low == pytest.approx(1 / (10 / 560 + 10 * 40e-6))
    assert found.decode_high == pytest.approx(1 / (10 / 940 + 10 * 4e-6))
    assert (found.prefill_low, found.prefill_high) == (None, None)  # nobody said how fast it computes
    assert (
        found.bottleneck
        == "reading the weights, 10.0 GB a token, from the memory of the device at 1,000.0 GB/s at most"
    )


def test_layers_on_two_devices_add_up_and_inside_layers_they_may_overlap() -> None:
    """5 GB at 1,000 and 5 GB at 250 GB/s: 5 + 20 ms of a token at the peak."""
    two = [device(24, 1000), device(24, 250)]
    layers = speed_of(place(flat(9, 1.0), NO_CACHE, two))
    assert layers.decode_high == pytest.approx(1 / (5 / 940 + 4 / 235 + 9 * 4e-6))
    assert "75% of a token's time" not in layers.bottleneck
    assert "76% of a token's time" in layers.bottleneck
    inside = speed_of(place(flat(9, 1.0), NO_CACHE, two, Split.TENSOR))
    assert inside.decode_high == pytest.approx(1 / (4.5 / 235 + 9 * 4e-6))
    assert inside.decode_low == pytest.approx(0.7 / (4.5 / 560 + 4.5 / 140 + 18 * 40e-6))


def test_reading_a_prompt_is_operations_over_the_reached_peak() -> None:
    """2 · 10^10 parameters · 512 tokens at 100 TFLOP/s, of which 25 to 55 % are reached."""
    found = speed_of(place(flat(10, 1.0), NO_CACHE, [device(24, 1000, 100)]))
    assert found.prefill_low == pytest.approx(512 / (512 * 2e10 / 25e12 + 10 * 40e-6))
    assert found.prefill_high == pytest.approx(512 / (512 * 2e10 / 55e12 + 10 * 4e-6))


def test_a_prompt_is_never_read_faster_than_the_weights() -> None:
    found = speed_of(place(flat(10, 1.0, n_active=10.0), NO_CACHE, [device(24, 1000, 100)]))
    assert found.prefill_high == pytest.approx(N_PROMPT / (1 / 94 + 10 * 4e-6))


def test_a_long_context_makes_the_cache_the_bottleneck() -> None:
    need = Need(100_000, 30 * 10**9, 0, 0)
    found = speed_of(place(flat(10, 1.0), need, [device(80, 1000)], depth=100_000))
    assert found.decode_high == pytest.approx(1 / (40 / 940 + 10 * 4e-6))
    assert found.bottleneck.startswith("reading the KV cache, 30.0 GB a token")


def test_a_small_model_is_held_up_by_the_start_of_its_kernels() -> None:
    found = speed_of(place(flat(30, 0.003), NO_CACHE, [device(24, 1000)]))
    assert found.bottleneck.startswith("starting the kernels of 30 layers on the device, up to 1.2 ms a token")


def test_an_unknown_bandwidth_is_said_and_no_number_is_made_up() -> None:
    found = speed_of(place(flat(10, 1.0), NO_CACHE, [device(24, None, kind=DeviceClass.RAM)]))
    assert (found.decode_low, found.decode_high) == (None, None)
    assert "not known: measure it" in found.bottleneck


def test_what_was_measured_here_narrows_the_range_most_for_the_same_model() -> None:
    measured = replace(device(24, 1000), measured=Rates(600e9, 20e12, 0.02, "m"))
    placed = place(flat(10, 1.0), NO_CACHE, [measured])
    same, other = speed_of(placed, model="m"), speed_of(placed, model="n")
    assert (same.decode_low, same.decode_high) == (pytest.approx(54), pytest.approx(66))
    assert (other.decode_low, other.decode_high) == (pytest.approx(36), pytest.approx(102))
    assert (same.prefill_low, same.prefill_high) == (pytest.approx(900), pytest.approx(1100))
    assert (other.prefill_low, other.prefill_high) == (pytest.approx(400), pytest.approx(2500))
    assert same.is_measured
    assert "measured here" in same.bottleneck


@pytest.mark.parametrize("kind", DeviceClass)
def test_no_range_promises_more_than_there_is(kind: DeviceClass) -> None:
    for reached in (DECODE[kind], PREFILL[kind]):
        assert 0 < reached.low < reached.high < 1


rates = st.floats(20, 5000)


@given(rates, rates, st.sampled_from(DeviceClass), st.sampled_from(Split))
def test_more_bandwidth_is_never_slower(one: float, other: float, kind: DeviceClass, split: Split) -> None:
    slow, fast = sorted((one, other))
    beside = device(24, 300, 50)
    found = [
        speed_of(place(flat(9, 1.0), NO_CACHE, [beside, device(24, each, 50, kind)], split)) for each in (slow, fast)
    ]
    assert found[0].decode_low <= found[1].decode_low * (1 + 1e-12)
    assert found[1].decode_low <= found[1].decode_high
    assert found[0].decode_high <= found[1].decode_high * (1 + 1e-12)
    assert found[0].prefill_low <= found[1].prefill_low * (1 + 1e-12)


@given(st.integers(0, 90_000), st.integers(0, 90_000))
def test_a_longer_context_is_never_faster(one: int, other: int) -> None:
    short, long = sorted((one, other))
    need = Need(100_000, 10**9, 0, 0)
    found = [speed_of(place(flat(4, 1.0), need, [device(24, 500)], depth=each)) for each in (short, long)]
    assert found[0].decode_high >= found[1].decode_high

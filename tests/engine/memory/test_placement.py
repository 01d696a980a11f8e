"""What goes where: placements by hand, and what must hold for every choice of devices."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gguf.types import TensorType
from engine.memory.devices import GIB, Device, DeviceClass, device_named, read_devices
from engine.memory.fit import Fits
from engine.memory.placement import CONTEXT_BYTES, Split, place
from engine.memory.profile import LayerProfile, ModelProfile, Need, kv_read_by_layer, profile_of
from tests.support.known_models import all_as, decoder, llama_8b, mixtral_8x7b

MIB = 2**20
TABLE = read_devices()
ORDER = (Fits.YES, Fits.TIGHT, Fits.NO)


def even_model(n_layer: int = 4, layer_mib: int = 100, output_mib: int = 50, input_mib: int = 40) -> ModelProfile:
    """Layers that are all alike."""
    layer = LayerProfile(layer_mib * MIB, layer_mib * MIB, 1e6, kv_width=64)
    output = LayerProfile(output_mib * MIB, output_mib * MIB, 1e5)
    return ModelProfile((layer,) * n_layer, output, input_mib * MIB, n_head=4, head_size=16)


def card(gib: float, gb_s: float = 500, kind: DeviceClass = DeviceClass.CUDA) -> Device:
    return Device(f"{gib}@{gb_s}", "card", kind, round(gib * GIB), gb_s * 1e9)


NEED = Need(n_ctx=1000, kv_bytes=40 * MIB, compute_bytes=30 * MIB, host_bytes=20 * MIB)


def test_one_card_holds_all_but_what_stays_with_the_processor() -> None:
    found = place(even_model(), NEED, [card(2)])
    (share,) = found.shares
    assert (share.n_layers, share.has_output, found.n_offloaded) == (4, True, 5)
    assert share.weights_bytes == 450 * MIB
    assert (share.kv_bytes, share.compute_bytes, share.overhead_bytes) == (40 * MIB, 30 * MIB, CONTEXT_BYTES)
    assert found.host_bytes == 60 * MIB  # the embedding and the process, in the computer around the card
    assert found.fits is Fits.YES


def test_ram_alone_holds_everything_once() -> None:
    (share,) = place(even_model(), NEED, [card(2, 50, DeviceClass.RAM)]).shares
    assert share.sum_bytes == (450 + 40 + 40 + 30 + 20) * MIB


def test_two_alike_cards_share_by_llama_cpps_rule() -> None:
    """5 items on halves: item i goes where i/5 is below the running sum, so 0, 1 and 2 to the first."""
    first, second = place(even_model(), NEED, [card(2), card(2)]).shares
    assert (first.n_layers, second.n_layers, second.has_output) == (3, 1, True)
    assert (first.kv_bytes, second.kv_bytes) == (30 * MIB, 10 * MIB)
    assert first.compute_bytes == second.compute_bytes == 30 * MIB


def test_unequal_cards_share_in_proportion_to_their_memory() -> None:
    """5 items on 4 and 1: items with i/5 < 0.8 are 0 to 3."""
    first, second = place(even_model(), NEED, [card(4), card(1)]).shares
    assert (first.n_layers, second.n_layers, second.has_output) == (4, 0, True)


def test_what_the_cards_do_not_hold_stays_in_ram() -> None:
    """A card with room for two layers and the output beside its 542 MiB of context and compute."""
    small = card((542 + 50 + 2 * 110 + 5) / 1024)
    ram = card(16, 50, DeviceClass.RAM)
    found = place(even_model(), NEED, [small, ram], margin=0.0)
    on_card, in_ram = found.shares
    assert (on_card.n_layers, on_card.has_output, in_ram.n_layers) == (2, True, 2)
    assert found.n_offloaded == 3
    assert in_ram.weights_bytes == (200 + 40) * MIB
    assert found.host_bytes == 0
    assert found.fits is Fits.YES


def test_a_packing_is_tried_where_proportions_overflow() -> None:
    """The proportion gives 3 and 2 items; the first card has room for 2 layers only, the second for the rest."""
    first, second = card((542 + 2 * 110 + 5) / 1024), card((542 + 2 * 110 + 50 + 5) / 1024)
    found = place(even_model(), NEED, [first, second], margin=0.0)
    assert found.fits is Fits.YES
    assert found.tensor_split == (2, 3)
    assert [each.n_layers for each in found.shares] == [2, 2]


def test_rows_keep_the_cache_on_the_first_card_and_tensors_deal_it_out() -> None:
    rows = place(even_model(), NEED, [card(2), card(2)], Split.ROW).shares
    assert [each.kv_bytes for each in rows] == [40 * MIB, 0]
    assert sum(each.weights_bytes for each in rows) == 450 * MIB
    assert rows[0].weights_bytes < rows[1].weights_bytes  # so that both are filled alike
    tensors = place(even_model(), NEED, [card(2), card(2)], Split.TENSOR).shares
    assert [each.kv_bytes for each in tensors] == [20 * MIB, 20 * MIB]
    assert [each.weights_bytes for each in tensors] == [225 * MIB, 225 * MIB]


def test_a_margin_turns_yes_into_tight_and_too_much_is_no() -> None:
    whole = 450 + 40 + 30 + 512
    assert place(even_model(), NEED, [card(whole / 1024 / 0.9)], margin=0.05).fits is Fits.YES
    assert place(even_model(), NEED, [card(whole / 1024 / 0.9)], margin=0.15).fits is Fits.TIGHT
    assert place(even_model(), NEED, [card((whole - 1) / 1024)]).fits is Fits.NO


def test_the_profile_of_llama_8b_is_the_published_file() -> None:
    """Q4_0 with a Q6_K output: 4,653,375,488 bytes of tensors; the embedding is not read, the output is."""
    profile = profile_of([llama_8b(all_as(TensorType.Q4_0))])
    total = profile.weights_bytes + profile.input_bytes
    assert total == pytest.approx(4.653e9, rel=1e-3)
    assert profile.input_bytes == 128256 * 4096 // 32 * 18
    assert profile.n_active == 8_030_261_248 - 128256 * 4096 - 65 * 4096
    assert not profile.is_tied
    need = Need(8192, 8192 * 131_072, 0, 0)
    assert sum(kv_read_by_layer(profile, need, 4096)) == 4096 * 131_072


def test_of_a_mixture_one_token_reads_the_experts_that_it_uses() -> None:
    """Mixtral: 46.7 billion parameters, 12.9 of them active."""
    profile = profile_of([mixtral_8x7b(all_as(TensorType.Q4_0))])
    assert profile.n_active + 32000 * 4096 == pytest.approx(12.88e9, rel=2e-3)
    assert profile.read_bytes < 0.3 * profile.weights_bytes


def test_windowed_layers_read_no_more_than_their_window() -> None:
    shapes = {"n_layer": 6, "n_embd": 64, "n_ff": 128, "n_head": 2, "n_head_kv": 1, "n_vocab": 256}
    header = decoder(
        all_as(TensorType.F16, TensorType.F16),
        arch="gemma3",
        is_tied=True,
        extra={"gemma3.attention.sliding_window": 512},
        **shapes,
    )
    profile = profile_of([header])
    assert profile.is_tied
    assert [each.window for each in profile.layers] == [512] * 5 + [None]
    cells = 5 * 1024 + 8192  # window and one micro-batch each, and everything
    need = Need(8192, cells * 128, 0, 0)
    assert sum(kv_read_by_layer(profile, need, 8192)) == pytest.approx((5 * 512 + 8192) * 128)


def test_llama_70b_in_q4_needs_two_cards_of_24_gib() -> None:
    header = decoder(
        all_as(TensorType.Q4_0), n_layer=80, n_embd=8192, n_ff=28672, n_head=64, n_head_kv=8, n_vocab=128256
    )
    need = Need(8192, 8192 * 327_680, 300 * MIB, 200 * MIB)
    one = device_named(TABLE, "rtx-3090")
    profile = profile_of([header])
    assert place(profile, need, [one]).fits is Fits.NO
    assert place(profile, need, [one, one]).fits in (Fits.YES, Fits.TIGHT)
    assert place(profile, need, [one, device_named(TABLE, "ddr5-6000-2ch-64")]).fits is Fits.YES


devices = st.builds(
    card,
    gib=st.floats(0.3, 4).map(lambda each: round(each, 2)),
    gb_s=st.floats(10, 5000),
    kind=st.sampled_from(DeviceClass),
)
models = st.builds(
    even_model, n_layer=st.integers(1, 12), layer_mib=st.integers(1, 300), output_mib=st.integers(1, 200)
)
splits = st.sampled_from(Split)


def one_ram(chosen: list[Device]) -> list[Device]:
    """At most one RAM, and at the end, as a computer has it."""
    cards = [each for each in chosen if each.kind is not DeviceClass.RAM]
    return [*cards, *[each for each in chosen if each.kind is DeviceClass.RAM][:1]]


@given(models, st.lists(devices, min_size=1, max_size=8).map(one_ram), splits)
def test_every_byte_is_placed_once(model: ModelProfile, chosen: list[Device], split: Split) -> None:
    found = place(model, NEED, chosen, split)
    holds_host = any(each.kind.holds_host_part for each in chosen)
    placed = sum(each.weights_bytes for each in found.shares)
    assert placed == model.weights_bytes + (model.input_bytes if holds_host else 0)
    assert sum(each.kv_bytes for each in found.shares) == NEED.kv_bytes
    assert all(each.left_bytes >= 0 for each in found.shares) == (found.fits is not Fits.NO)
    assert (found.host_bytes == 0) == holds_host


@given(models, st.lists(devices, min_size=1, max_size=7).map(one_ram), st.data())
def test_one_card_more_never_makes_it_fit_less(model: ModelProfile, chosen: list[Device], data: st.DataObject) -> None:
    more = replace(data.draw(devices), kind=DeviceClass.CUDA)
    before, after = place(model, NEED, chosen), place(model, NEED, [*chosen, more])
    assert ORDER.index(after.fits) <= ORDER.index(before.fits)

"""The shape of a model: from a real header, from numbers, and what is filled in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.gguf.card import read_card
from engine.memory.training.shape import shape_of_card, shape_of_values


def test_a_real_model_is_described_by_its_header(smollm2: Path) -> None:
    shape = shape_of_card(read_card(smollm2))
    assert shape.n_params == 134_515_008
    assert shape.is_tied  # there is one table of 49,152 × 576
    assert shape.n_embedding == 49_152 * 576
    assert shape.n_blocks == 106_203_456  # what llama.cpp's trainer calls trainable
    linear = sum(each.n_params for each in shape.matrices.values()) * shape.n_layer
    assert shape.n_blocks - linear == 61 * 576  # norms: two a layer and the last
    assert shape.assumed == ()


def test_the_same_numbers_typed_in_give_the_same_shape(smollm2: Path) -> None:
    read = shape_of_card(read_card(smollm2))
    typed = shape_of_values(
        {"n_params": 0, "n_layer": 30, "n_embd": 576, "n_head": 9, "n_head_kv": 3, "n_ff": 1536, "n_vocab": 49_152,
         "tie_word_embeddings": True},
        read.name,
    )  # fmt: skip
    assert typed == read


def test_gemma_has_a_wider_head_than_its_width_says_and_is_tied(gemma3: Path) -> None:
    shape = shape_of_card(read_card(gemma3))
    assert shape.is_tied
    assert shape.head_k == 256
    linear = sum(each.n_params for each in shape.matrices.values()) * shape.n_layer
    assert 0 < shape.n_blocks - linear < 0.002 * shape.n_params


def test_a_mean_stands_for_layers_that_differ(smollm2: Path) -> None:
    card = read_card(smollm2)
    varied = replace(card, n_head_kv=tuple([1, 5] * 15), n_ff=tuple([1024, 2048] * 15))
    assert shape_of_card(varied).matrices == shape_of_card(card).matrices


def test_the_width_of_an_expert_is_what_the_parameters_leave_for_it(smollm2: Path) -> None:
    """gpt-oss-20b: 24 layers of 32 experts, each 2,880 wide, of which a token uses 4."""
    card = replace(
        read_card(smollm2), n_params=20_914_757_184, n_layer=24, n_embd=2880, n_vocab=201_088, n_head=64, n_head_kv=8,
        head_k=64, head_v=64, n_ff=None, n_expert=32, n_expert_used=4,
    )  # fmt: skip
    shape = shape_of_card(card)
    assert shape.n_ff == pytest.approx(2880, rel=0.01)
    assert not shape.is_tied


def test_a_number_of_parameters_alone_takes_the_proportions_of_llama() -> None:
    shape = shape_of_values({"n_params": 6_738_415_616})
    assert 30 <= shape.n_layer <= 34
    assert 3900 <= shape.n_embd <= 4300
    assert set(shape.assumed) == {"n_layer", "n_embd", "n_head", "n_head_kv", "n_ff", "n_vocab"}
    linear = sum(each.n_params for each in shape.matrices.values()) * shape.n_layer
    assert linear == pytest.approx(shape.n_blocks, rel=0.1)


def test_too_little_is_told(smollm2: Path) -> None:
    with pytest.raises(KnownError, match="how large the model is"):
        shape_of_values({"n_params": 0, "n_layer": 12})
    with pytest.raises(KnownError, match="embedding table alone"):
        shape_of_values({"n_params": 1_000_000, "n_embd": 4096})
    with pytest.raises(KnownError, match="layers missing in"):
        shape_of_card(replace(read_card(smollm2), n_layer=None))

"""A model from nothing but numbers: the shape that is filled in, its plan, and shapes that cannot be."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.base.fields import Value
from engine.gguf.card import ModelKind, card_of
from engine.gguf.reader import parse_header
from engine.models.header_files import HeaderFile, Part, folder_of, keep, laid_out
from engine.models.quantizing import FILE_TYPES
from engine.models.shapes import Shape, shape_of
from engine.runtime.dry_run import plan_load
from tests.support.native_gguf import NativeGguf

LLAMA_8B: dict[str, Value] = {
    "layers": 32,
    "width": 4096,
    "heads": 32,
    "kv_heads": 8,
    "ff": 14_336,
    "vocab": 128_256,
    "type": "Q4_K_M",
}


def test_llama_3_described_by_its_numbers_has_its_sizes() -> None:
    shape = shape_of(LLAMA_8B)
    head, size = shape.header()
    card = card_of(parse_header(BytesIO(head), size), Path("described.gguf"))
    assert (shape.n_params, card.n_params) == (8_030_261_248, 8_030_261_248)
    assert (card.kind, card.quantization, card.n_head, card.n_head_kv, card.head_k) == (
        ModelKind.MODEL, "Q4_K_M", 32, 8, 128,
    )  # fmt: skip
    assert card.bits_per_weight == pytest.approx(4.89, abs=0.01)  # as llama-quantize's own table says of this model


@pytest.mark.parametrize("label", FILE_TYPES)
def test_every_quantization_makes_a_header_that_the_engine_reads(label: str) -> None:
    head, size = shape_of({"layers": 2, "width": 512, "heads": 8, "vocab": 1000, "type": label}).header()
    assert NativeGguf().accepts(head + bytes(size - len(head)))


def test_a_described_model_is_planned_by_the_engine(tmp_path: Path) -> None:
    shape = shape_of(LLAMA_8B)
    head, size = shape.header()
    path = keep(folder_of(tmp_path, "x"), HeaderFile("", (Part("x.gguf", size, head),)))
    with laid_out(path) as file:
        planned = plan_load(str(file), {"n_ctx": 8192})[0]
    kv = sum(each.context_bytes for each in planned.memory.buffers)
    weights = sum(each.model_bytes for each in planned.memory.buffers)
    assert kv == 2 * 2 * 8 * 128 * 32 * 8192
    assert planned.facts.n_params == shape.n_params
    assert 0 <= weights - planned.facts.size_bytes < 1 << 16  # vectors are padded in the buffer


@pytest.mark.parametrize("params", ["360M", "1.2B", "8B", "32b", "70B", "405B", "1T"])
def test_a_number_of_parameters_alone_is_enough(params: str) -> None:
    shape = shape_of({"params": params})
    wanted = float(params[:-1]) * {"M": 1e6, "B": 1e9, "T": 1e12}[params[-1].upper()]
    assert shape.n_params == pytest.approx(wanted, rel=0.05)
    assert shape.n_embd % shape.n_head == 0
    assert 32 < shape.n_embd / shape.n_layer < 512
    assert 1.5 < shape.n_ff / shape.n_embd < 6


def test_what_is_given_stands_and_the_rest_is_made_to_fit() -> None:
    shape = shape_of({"params": "3B", "layers": 28, "vocab": 32_000})
    assert (shape.n_layer, shape.n_vocab) == (28, 32_000)
    assert shape.n_params == pytest.approx(3e9, rel=0.05)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "too little"),
        ({"layers": 32}, "too little"),
        ({"layers": 2, "width": 100, "heads": 3}, "multiple of the heads"),
        ({"layers": 2, "width": 96, "heads": 32}, "even width"),
        ({"layers": 2, "width": 1024, "heads": 8, "kv_heads": 3}, "multiple of the key/value heads"),
        ({"layers": 2, "width": 1024, "heads": 8, "kv_heads": 16}, "multiple of the key/value heads"),
        ({"layers": 513, "width": 1024}, "Layers does not take"),
        ({"layers": -1, "width": 1024}, "Layers does not take"),
        ({"params": "many"}, "Parameters does not take"),
        ({"params": "0B"}, "cannot be"),
        ({"params": "9999T"}, "cannot be"),
        ({**LLAMA_8B, "params": "70B"}, "does not have that many"),
        ({"params": "7B", "layers": 32, "type": "Q4_K_L"}, "Quantization does not take"),
    ],
)
def test_a_shape_that_cannot_be_is_refused_in_words(given: dict[str, Value], words: str) -> None:
    with pytest.raises(KnownError, match=words) as caught:
        shape_of(given)
    assert caught.value.trouble.next_step


def test_the_name_tells_shapes_apart() -> None:
    assert Shape(32, 4096, 32, 8, 14_336, 128_256, "Q8_0").name == "described-8.0B-Q8_0"

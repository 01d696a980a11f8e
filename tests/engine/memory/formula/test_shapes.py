"""The products that explain a row are the row: read as arithmetic, they give the engine's bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.base.fields import Value
from engine.gguf.splits import read_model
from engine.memory.formula.architecture import architecture_of
from engine.memory.formula.shapes import shape_texts
from engine.memory.ledger import Part
from engine.wire.load_options import LOAD_OPTIONS
from tests.support.architectures import PUBLISHED
from tests.support.dry_runs import DryRuns

OPTIONS: list[dict[str, Value]] = [
    {"n_ctx": 8192},
    {"n_ctx": 1000, "swa_full": True},
    {"n_ctx": 4096, "flash_attn": "off"},
    {"n_ctx": 4096, "type_k": "q8_0", "type_v": "q8_0"},
    {"n_ctx": 4096, "n_seq_max": 3},
    {"n_ctx": 4096, "n_seq_max": 3, "kv_unified": True},
]
WORDS = re.compile(r"\(window of [\d,]+\)|for keys and values|[a-z]+")


@pytest.fixture(scope="module")
def engine() -> Iterator[DryRuns]:
    with DryRuns() as runs:
        yield runs


def worth(text: str) -> int:
    """The bytes that a product comes to, its words left out."""
    numbers = WORDS.sub("", text.split(", padded")[0]).replace(",", "").replace("×", "*")
    assert re.fullmatch(r"[\d\s*+/()]+", numbers), text
    found = eval(re.sub(r"\d+", r"Fraction(\g<0>)", numbers), {"Fraction": Fraction})
    assert found.denominator == 1, text
    return int(found)


def explained(path: Path, options: dict[str, Value]) -> dict[Part, str]:
    return shape_texts(architecture_of(read_model(path)[0]), LOAD_OPTIONS.checked(options))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_products_of_published_models_are_the_engines_bytes(name: str, engine: DryRuns, tmp_path: Path) -> None:
    path = PUBLISHED[name].write(tmp_path / f"{name}.gguf")
    for options in OPTIONS:
        check(path, options, engine)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_so_are_those_of_models_with_weights(
    smollm2: Path, gemma3: Path, options: dict[str, Value], engine: DryRuns
) -> None:
    check(smollm2, options, engine)
    check(gemma3, options, engine)


def check(path: Path, options: dict[str, Value], engine: DryRuns) -> None:
    try:
        texts = explained(path, options)
    except KnownError:
        with pytest.raises(KnownError):
            engine.memory(path, options)
        return
    use = engine.memory(path, options)
    states = sum(each.recurrent_bytes for each in use.buffers)
    cache = sum(each.context_bytes for each in use.buffers) - states
    assert (Part.KV in texts) == bool(cache)
    assert (Part.RECURRENT in texts) == bool(states)
    if cache:
        assert worth(texts[Part.KV]) == cache, (options, texts[Part.KV])
    if states:
        told = texts[Part.RECURRENT]
        assert worth(told) <= states if "padded" in told else worth(told) == states, (options, told)


def test_without_flash_attention_the_scores_are_told_with_their_shape(smollm2: Path) -> None:
    told = explained(smollm2, {"n_ctx": 4096, "flash_attn": "off"})[Part.COMPUTE]
    assert "512 tokens × 9 heads × 4,096 cells × 4 bytes = 72.0 MiB" in told
    assert "scores" not in explained(smollm2, {"n_ctx": 4096})[Part.COMPUTE]
    assert "8 × 49,152 logits" in explained(smollm2, {"n_ctx": 4096, "n_outputs_max": 8})[Part.COMPUTE]


def test_windows_and_blocks_are_named(gemma3: Path) -> None:
    told = explained(gemma3, {"n_ctx": 8192, "type_k": "q8_0"})[Part.KV]
    assert told.startswith("3 layers × 8,192 cells × (keys 256 × 34/32 bytes + values 256 × 2 bytes) + 15 layers")
    assert "(window of 512)" in told

"""A repository without GGUF files: parameters, shape and estimates from the headers of its Safetensors files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.gguf.reader import read_header
from engine.gguf.types import TensorType
from engine.memory.formula.architecture import architecture_of
from engine.models.address import HubAddress
from engine.models.hub import Hub
from engine.models.quantizing import FILE_TYPES
from engine.models.safetensors import SafetensorsModel, read_safetensors, stand_in
from tests.support.fake_hub import FakeHub
from tests.support.safetensors_files import CONFIG, safetensors, smollm2_as_safetensors, transformers_names

REPO = HubAddress("owner/model")


def read(hub: FakeHub) -> SafetensorsModel:
    asked = Hub(hub.endpoint)
    return read_safetensors(asked, REPO, asked.list_files(REPO))


def test_a_real_models_tensors_are_counted_over_all_files(hub: FakeHub, smollm2: Path) -> None:
    tensors = transformers_names(smollm2)
    names = list(tensors)
    halves = [{name: tensors[name] for name in part} for part in (names[:150], names[150:])]
    hub.files[REPO.repo] = {
        "config.json": json.dumps(CONFIG).encode(),
        **{f"model-0000{n}-of-00002.safetensors": safetensors(half) for n, half in enumerate(halves, 1)},
        "original/consolidated.safetensors": safetensors({"x": ("F32", (10, 10))}),
    }
    found = read(hub)
    assert found.n_params == 134_515_008
    assert found.types == (("BF16", 134_515_008),)
    assert (found.n_layer, found.n_embd, found.n_head, found.n_head_kv) == (30, 576, 9, 3)
    assert (found.n_ff, found.n_vocab, found.n_ctx_train) == (1536, 49_152, 8192)
    assert found.architecture == "LlamaForCausalLM"
    assert [each.label for each in found.estimates] == list(FILE_TYPES)
    estimates = {each.label: each for each in found.estimates}
    # The real Q4_1 file of this very model, whose tied embedding llama-quantize made Q8_0.
    assert estimates["Q4_1"].size_bytes == read_header(smollm2).weights_bytes
    assert estimates["F32"].size_bytes == 4 * found.n_params


def test_only_headers_are_fetched(hub: FakeHub) -> None:
    big = {f"model.layers.{n}.mlp.up_proj.weight": ("F16", (1 << 14, 1 << 14)) for n in range(5000)}
    hub.files[REPO.repo] = {"model.safetensors": safetensors(big)}
    found = read(hub)
    assert found.n_params == 5000 << 28
    assert (found.n_layer, found.architecture) == (None, None)
    assert [each.headers["range"].partition("-")[0] for each in hub.of("store")] == ["bytes=0", f"bytes={256 << 10}"]


def test_packed_weights_have_no_estimate(hub: FakeHub) -> None:
    hub.files[REPO.repo] = {
        "model.safetensors": safetensors({"a.qweight": ("I32", (512, 4096)), "norm.weight": ("F16", (4096,))}),
        "config.json": json.dumps({"text_config": CONFIG}).encode(),
    }
    found = read(hub)
    assert found.is_packed
    assert found.estimates == ()
    assert found.n_layer == 30  # of the language part of a model with several


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"README.md": b"#"}, "no model that can be sized"),
        ({"model.safetensors": b""}, "does not have this part"),
        ({"model.safetensors": b"GGUF"}, "no Safetensors file"),
        ({"model.safetensors": struct.pack("<Q", 1 << 40) + bytes(100)}, "no Safetensors file"),
        ({"model.safetensors": struct.pack("<Q", 50) + b"[" * 100}, "not what its name says"),
        ({"model.safetensors": safetensors({"x": ("F16", (-1, 4))})}, "cannot be right"),
        (
            {"model.safetensors": safetensors({"x": ("F16", (4, 4))}), "config.json": b"<html>"},
            "not what its name says",
        ),
    ],
)
def test_files_that_cannot_be_read_are_refused_in_words(
    hub: FakeHub, files: dict[str, bytes | Path], words: str
) -> None:
    hub.files[REPO.repo] = files
    with pytest.raises(KnownError, match=words) as caught:
        read(hub)
    assert caught.value.trouble.next_step


def test_a_plain_decoder_is_planned_as_the_gguf_file_that_it_would_be(hub: FakeHub, smollm2: Path) -> None:
    hub.files[REPO.repo] = smollm2_as_safetensors(smollm2)
    shape = stand_in(read(hub), "Q4_1")
    assert shape is not None
    assert shape.n_params == 134_515_008
    assert (shape.is_tied, shape.n_ctx_train, shape.name) == (True, 8192, "model-Q4_1")
    head, size = shape.header()
    assert abs(size - len(head) - read_header(smollm2).weights_bytes) < 4096  # what lies between tensors


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": ["Gemma2ForCausalLM"]},
        {"architectures": None},
        {"intermediate_size": 2048},
        {"num_key_value_heads": 2},
        {"num_hidden_layers": None},
        {"head_dim": 128},
    ],
    ids=str,
)
def test_what_is_not_built_plainly_or_does_not_add_up_is_not_planned(
    hub: FakeHub, smollm2: Path, changes: dict[str, object]
) -> None:
    hub.files[REPO.repo] = smollm2_as_safetensors(smollm2, **changes)
    assert stand_in(read(hub), "Q4_1") is None


def test_heads_may_be_wider_than_their_share_of_the_model(tmp_path: Path) -> None:
    model = SafetensorsModel(
        REPO, 596_049_920, (("BF16", 596_049_920),), 0, "Qwen3ForCausalLM", 28, 1024, 16, 8, 3072, 151_936, 40_960,
        128, is_tied=True, is_packed=False, estimates=(),
    )  # fmt: skip
    shape = stand_in(model, "Q8_0")  # Qwen3-0.6B
    assert shape is not None
    path = tmp_path / "header.gguf"
    head, size = shape.header()
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)  # a hole for the weights
    found = architecture_of(read_header(path))
    assert found.head_k == found.head_v == (128,) * 28
    assert TensorType.F16.row_bytes(found.head_k[0] * found.n_head_kv[0]) == 2048

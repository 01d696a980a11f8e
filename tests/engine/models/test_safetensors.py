"""A repository without GGUF files: parameters, shape and estimates from the headers of its Safetensors files."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.gguf.reader import read_header
from engine.models.address import HubAddress
from engine.models.hub import Hub
from engine.models.quantizing import FILE_TYPES
from engine.models.safetensors import SafetensorsModel, read_safetensors
from tests.support.fake_hub import FakeHub

REPO = HubAddress("owner/model")
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "vocab_size": 49_152,
    "max_position_embeddings": 8192,
}
NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def safetensors(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> bytes:
    """The beginning of a Safetensors file; nobody reads its data."""
    entries = {
        name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]} for name, (dtype, shape) in tensors.items()
    }
    raw = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(4096)


def transformers_names(model: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The tensors of a GGUF llama as transformers names and orders them."""
    found = {}
    for each in read_header(model).tensors:
        steps = each.name.removesuffix(".weight").split(".")
        name = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}.get(steps[0])
        if name is None:
            name = f"model.layers.{steps[1]}.{NAMES[steps[2]]}"
        found[f"{name}.weight"] = ("BF16", tuple(reversed(each.shape)))
    return found


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

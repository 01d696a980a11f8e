"""Repositories of Safetensors files: SmolLM2 as transformers names its tensors and its numbers."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

from engine.gguf.reader import read_header

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


def smollm2_as_safetensors(model: Path, **changes: object) -> dict[str, bytes]:
    """The files of a repository with the GGUF model's tensors; `changes` are of its config."""
    config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not None}
    return {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": safetensors(transformers_names(model)),
    }

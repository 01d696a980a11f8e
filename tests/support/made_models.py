"""Makes models that the engine loads, with a real model's tokenizer: tiny ones of random weights, and a deeper one.

What a test needs beside the two real models: a second model with the same tokens, one whose tokens differ a little, one
with a state that cannot go back, and one that computes the same as a real model and takes several times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.gguf.header import MetaValue, SkippedArray, TensorInfo
from engine.gguf.reader import read_header, read_strings
from engine.gguf.types import TensorType, ValueType
from tests.support.gguf_writer import Entry, Tensor, array, entry, gguf

TOKENS, TYPES = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
ALIGNMENT = 32
NORMAL_TOKEN = 1


@dataclass(frozen=True)
class _Weights:
    """One tensor with its data."""

    name: str
    shape: tuple[int, ...]
    type: TensorType
    data: bytes


def random_llama(
    path: Path, like: Path, *, n_embd: int = 32, seed: int = 1, n_more: int = 0, renamed: int | None = None
) -> Path:
    """A llama of one layer with random weights and the tokenizer of `like`.

    Args:
        n_more: so many tokens are added at the end; negative, so many are left out.
        renamed: this token is spelled otherwise.
    """
    sizes: dict[str, MetaValue] = {
        "general.architecture": "llama",
        "general.name": "random llama",
        "llama.block_count": 1,
        "llama.context_length": 8192,
        "llama.embedding_length": n_embd,
        "llama.feed_forward_length": 2 * n_embd,
        "llama.attention.head_count": 2,
        "llama.attention.head_count_kv": 2,
        "llama.rope.dimension_count": n_embd // 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
    }
    texts, tokens = _tokenizer(like, n_more, renamed)
    shapes = {
        "token_embd.weight": (n_embd, len(texts)),
        "output_norm.weight": (n_embd,),
        **{f"blk.0.{name}_norm.weight": (n_embd,) for name in ("attn", "ffn")},
        **{f"blk.0.attn_{name}.weight": (n_embd, n_embd) for name in ("q", "k", "v", "output")},
        **{f"blk.0.ffn_{name}.weight": (n_embd, 2 * n_embd) for name in ("gate", "up")},
        "blk.0.ffn_down.weight": (2 * n_embd, n_embd),
    }
    return _write(path, {**sizes, **tokens}, texts, like, _random(shapes, seed))


def layered_llama(path: Path, n_layer: int, n_embd: int, n_head: int, n_head_kv: int, n_ff: int) -> Path:
    """A llama of several layers with random F32 weights and without a tokenizer: for a quantizer."""
    n_vocab, kv = 256, n_embd // n_head * n_head_kv
    metadata: dict[str, MetaValue] = {
        "general.architecture": "llama",
        "llama.block_count": n_layer,
        "llama.context_length": 512,
        "llama.embedding_length": n_embd,
        "llama.feed_forward_length": n_ff,
        "llama.attention.head_count": n_head,
        "llama.attention.head_count_kv": n_head_kv,
        "llama.rope.dimension_count": n_embd // n_head,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.vocab_size": n_vocab,
        "tokenizer.ggml.model": "no_vocab",
    }
    shapes = {
        "token_embd.weight": (n_embd, n_vocab),
        "output_norm.weight": (n_embd,),
        "output.weight": (n_embd, n_vocab),
    }
    for layer in range(n_layer):
        block = f"blk.{layer}."
        shapes |= {f"{block}{name}_norm.weight": (n_embd,) for name in ("attn", "ffn")}
        shapes |= {f"{block}attn_{name}.weight": (n_embd, n_embd) for name in ("q", "output")}
        shapes |= {f"{block}attn_{name}.weight": (n_embd, kv) for name in ("k", "v")}
        shapes |= {f"{block}ffn_{name}.weight": (n_embd, n_ff) for name in ("gate", "up")}
        shapes |= {f"{block}ffn_down.weight": (n_ff, n_embd)}
    return _write(path, metadata, (), path, _random(shapes, 1))


def random_mamba(path: Path, like: Path, *, n_embd: int = 32, seed: int = 1) -> Path:
    """A Mamba of one layer with random weights and the tokenizer of `like`: its state cannot go back."""
    n_inner, n_state, n_rank = 2 * n_embd, 16, 2
    sizes: dict[str, MetaValue] = {
        "general.architecture": "mamba",
        "general.name": "random mamba",
        "mamba.block_count": 1,
        "mamba.context_length": 8192,
        "mamba.embedding_length": n_embd,
        "mamba.feed_forward_length": 0,
        "mamba.attention.head_count": 0,
        "mamba.attention.layer_norm_rms_epsilon": 1e-5,
        "mamba.ssm.conv_kernel": 4,
        "mamba.ssm.inner_size": n_inner,
        "mamba.ssm.state_size": n_state,
        "mamba.ssm.time_step_rank": n_rank,
    }
    texts, tokens = _tokenizer(like, 0, None)
    shapes = {
        "token_embd.weight": (n_embd, len(texts)),
        "output_norm.weight": (n_embd,),
        "blk.0.attn_norm.weight": (n_embd,),
        "blk.0.ssm_in.weight": (n_embd, 2 * n_inner),
        "blk.0.ssm_conv1d.weight": (4, n_inner),
        "blk.0.ssm_conv1d.bias": (n_inner,),
        "blk.0.ssm_x.weight": (n_inner, n_rank + 2 * n_state),
        "blk.0.ssm_dt.weight": (n_rank, n_inner),
        "blk.0.ssm_dt.bias": (n_inner,),
        "blk.0.ssm_a": (n_state, n_inner),
        "blk.0.ssm_d": (n_inner,),
        "blk.0.ssm_out.weight": (n_inner, n_embd),
    }
    return _write(path, {**sizes, **tokens}, texts, like, _random(shapes, seed))


def unquantized(path: Path, like: Path) -> Path:
    """The model `like` of Q4_1 and Q8_0 weights with the same numbers in F32: nearly the same text, from more bytes."""
    header = read_header(like)
    weights = []
    with like.open("rb") as file:
        for each in header.tensors:
            file.seek(header.data_offset + each.offset)
            data = file.read(each.size_bytes)
            if each.type is not TensorType.F32:
                data = _numbers(each.type, data).tobytes()
            weights.append(_Weights(each.name, each.shape, TensorType.F32, data))
    return _write(path, {**header.metadata, "general.file_type": 0}, read_strings(like, TOKENS), like, weights)


def _numbers(type_: TensorType, data: bytes) -> np.ndarray:
    """The numbers of blocks of 32: an F16 scale and 8 bits each, or scale, least value and 4 bits, low halves first."""
    if type_ is TensorType.Q8_0:
        blocks = np.frombuffer(data, np.dtype([("d", "<f2"), ("qs", "i1", 32)]))
        return blocks["qs"].astype(np.float32) * blocks["d"].astype(np.float32)[:, None]
    assert type_ is TensorType.Q4_1, type_
    blocks = np.frombuffer(data, np.dtype([("d", "<f2"), ("m", "<f2"), ("qs", "u1", 16)]))
    nibbles = np.concatenate((blocks["qs"] & 15, blocks["qs"] >> 4), axis=1).astype(np.float32)
    return nibbles * blocks["d"].astype(np.float32)[:, None] + blocks["m"].astype(np.float32)[:, None]


def deeper(path: Path, like: Path, n_layer: int) -> Path:
    """The llama `like` with more layers, which add nothing to what passes through them: the same text, more slowly.

    Args:
        n_layer: how many layers it shall have.
    """
    header = read_header(like)
    n_own = header.whole("llama.block_count")
    assert n_own is not None
    weights = []
    with like.open("rb") as file:

        def read(tensor: TensorInfo) -> bytes:
            file.seek(header.data_offset + tensor.offset)
            return file.read(tensor.size_bytes)

        found = {each.name: each for each in header.tensors}
        for each in header.tensors:
            weights.append(_Weights(each.name, each.shape, each.type, read(each)))
        for layer in range(n_own, n_layer):
            prefix = f"blk.{layer % n_own}."
            for name in [each for each in found if each.startswith(prefix)]:
                each = found[name]
                # What a layer adds comes out of these two; a block of zero bytes is a block of zeros.
                adds = name.endswith(("attn_output.weight", "ffn_down.weight"))
                data = bytes(each.size_bytes) if adds else read(each)
                weights.append(_Weights(name.replace(prefix, f"blk.{layer}."), each.shape, each.type, data))
    texts = read_strings(like, TOKENS)
    return _write(path, {**header.metadata, "llama.block_count": n_layer}, texts, like, weights)


def _tokenizer(like: Path, n_more: int, renamed: int | None) -> tuple[tuple[str, ...], dict[str, MetaValue]]:
    """The tokens' texts, and the other entries of the tokenizer."""
    header = read_header(like)
    texts = list(read_strings(like, TOKENS))
    types = header.metadata[TYPES]
    assert isinstance(types, tuple)
    kinds = [int(each) for each in types]
    texts = [*texts, *(f"ĠLlamarium{number}" for number in range(n_more))][: len(texts) + n_more]
    kinds = [*kinds, *[NORMAL_TOKEN] * max(0, n_more)][: len(texts)]
    if renamed is not None:
        texts[renamed] = "ĠLlamarium"
    kept = {key: value for key, value in header.metadata.items() if key.startswith("tokenizer.")}
    return tuple(texts), {**kept, TYPES: tuple(kinds)}


def _random(shapes: Mapping[str, tuple[int, ...]], seed: int) -> list[_Weights]:
    generator = np.random.default_rng(seed)
    found = []
    for name, shape in shapes.items():
        numbers = generator.normal(0.0, 1.0 if name.startswith("token_embd") else 0.3, shape).astype(np.float32)
        if "norm" in name:
            numbers = np.ones(shape, np.float32)
        elif name.endswith("ssm_a"):
            numbers = -np.abs(numbers)
        found.append(_Weights(name, shape, TensorType.F32, numbers.tobytes()))
    return found


def _write(
    path: Path, metadata: Mapping[str, MetaValue], texts: Sequence[str], like: Path, weights: Sequence[_Weights]
) -> Path:
    entries = []
    for key, value in metadata.items():
        if key == TOKENS:
            entries.append(_strings(key, texts))
        elif isinstance(value, SkippedArray):
            entries.append(_strings(key, read_strings(like, key)))
        else:
            entries.append(_entry(key, value))
    tensors = [Tensor(each.name.encode(), each.shape, each.type) for each in weights]
    with path.open("wb") as file:
        file.write(gguf(entries, tensors, with_data=False))
        for each in weights:
            file.write(bytes(-file.tell() % ALIGNMENT))
            file.write(each.data)
    return path


def _entry(key: str, value: MetaValue) -> Entry:
    if isinstance(value, tuple):
        if value and isinstance(value[0], str):
            return _strings(key, [str(each) for each in value])
        return array(key, ValueType.INT32, value)
    assert isinstance(value, bool | int | float | str)
    kinds = {bool: ValueType.BOOL, int: ValueType.UINT32, float: ValueType.FLOAT32, str: ValueType.STRING}
    return entry(key, kinds[type(value)], value)


def _strings(key: str, texts: Sequence[str]) -> Entry:
    return array(key, ValueType.STRING, [each.encode() for each in texts])

"""A repository of Safetensors files: parameters, types and shape from headers and config.json, without the weights.

Of such a model there is no GGUF header to plan with. What each quantization of it would take is counted tensor by tensor
with llama-quantize's rules; it is an estimate, because the conversion may merge, split or drop tensors.
Source: the Safetensors format (8 bytes of length, then JSON); the names of Hugging Face's transformers.
"""

from __future__ import annotations

import re
import struct
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from engine.base.errors import KnownError
from engine.gguf.types import tensor_bytes
from engine.models.address import HubAddress
from engine.models.hub import Hub, ListedFile, json_object
from engine.models.quantizing import FILE_TYPES, QuantizedModel, tensor_type
from engine.models.shapes import TYPICAL_CONTEXT, Shape

FIRST_BYTES = 256 << 10
MAX_HEADER_BYTES = 64 << 20
MAX_FILES = 512
_PACKED = frozenset({"I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL", "F4"})
PLAIN = frozenset(
    f"{name}ForCausalLM" for name in ("Llama", "Mistral", "Qwen2", "Qwen3", "SmolLM3", "Granite", "Olmo2", "Exaone")
)
"""Transformers' names of decoders that are built like llama: the same matrices, and a cache of every token in each layer."""
SAME_WITHIN = 0.01
"""How far a shape's parameters may be from those that are there; biases and norms of heads are less."""
_ROLES = (
    (re.compile(r"(^|\.)(embed_tokens|wte|word_embeddings|tok_embeddings)\.weight$"), "token_embd"),
    (re.compile(r"(^|\.)(lm_head|embed_out)\.weight$"), "output"),
    (re.compile(r"\.v_proj\.weight$"), "attn_v"),
    (re.compile(r"\.(o_proj|out_proj)\.weight$"), "attn_output"),
    (re.compile(r"\.(down_proj|fc2|w2)(\.weight)?$"), "ffn_down"),
)
_LAYER = re.compile(r"\.(?:layers|h|blocks)\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class QuantEstimate:
    """What the weights would take in one quantization: an estimate."""

    label: str
    size_bytes: int
    bits_per_weight: float


@dataclass(frozen=True, slots=True)
class SafetensorsModel:
    """What a repository of Safetensors files holds. None means that config.json does not say.

    Attributes:
        address: the repository.
        n_params: elements of all tensors.
        types: elements by data type ("BF16"), most first.
        size_bytes: of the Safetensors files.
        architecture: transformers' name ("LlamaForCausalLM").
        n_layer, n_embd, n_head, n_head_kv, n_ff, n_vocab, n_ctx_train: as in the names of llama.h.
        n_embd_head: the width of one head where it is said apart from the model's width.
        is_tied: output and embedding are one matrix.
        is_packed: the weights are stored several in one number (GPTQ, AWQ …), so `n_params` is not the model's.
        estimates: what each quantization would take, largest first; empty where `is_packed`.
    """

    address: HubAddress
    n_params: int
    types: tuple[tuple[str, int], ...]
    size_bytes: int
    architecture: str | None
    n_layer: int | None
    n_embd: int | None
    n_head: int | None
    n_head_kv: int | None
    n_ff: int | None
    n_vocab: int | None
    n_ctx_train: int | None
    n_embd_head: int | None
    is_tied: bool
    is_packed: bool
    estimates: tuple[QuantEstimate, ...]


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    dtype: str
    shape: tuple[int, ...]


def safetensors_files(files: tuple[ListedFile, ...]) -> tuple[ListedFile, ...]:
    """Those that make up the model: at the top of the repository, where copies for other programs do not lie."""
    top = [each for each in files if each.path.endswith(".safetensors") and "/" not in each.path]
    model = [each for each in top if each.path.startswith("model")]
    chosen = model or top
    parts = [each for each in chosen if re.search(r"-\d{5}-of-\d{5}\.", each.path)]
    return tuple(parts or chosen)


def read_safetensors(
    hub: Hub,
    address: HubAddress,
    files: tuple[ListedFile, ...],
    *,
    stop: threading.Event | None = None,
    progress: Callable[[float | None, str], None] = lambda _fraction, _text: None,
) -> SafetensorsModel:
    """What the Safetensors files of a repository hold.

    Args:
        files: the repository's whole list.

    Raises:
        KnownError: there are none, one cannot be read, or the hub refuses.
    """
    chosen = safetensors_files(files)
    if not chosen:
        raise KnownError(
            "The repository holds no model that can be sized",
            value=f"{address}: neither GGUF nor Safetensors files",
            next_step="choose a repository with GGUF files",
        )
    if len(chosen) > MAX_FILES:
        raise KnownError("The model has too many parts", value=f"{len(chosen):,}", next_step="choose another one")
    tensors: list[_Tensor] = []
    for index, each in enumerate(chosen):
        progress(index / len(chosen), f"Reading the header of {each.path}")
        where = HubAddress(address.repo, each.path, address.revision)
        tensors += _tensors_of(_header(hub, where, stop), where)
    config: Mapping[str, Any] = {}
    if any(each.path == "config.json" for each in files):
        config = hub.read_json(HubAddress(address.repo, "config.json", address.revision), stop=stop)
    return _model(address, tensors, config, sum(each.size_bytes for each in chosen))


def stand_in(model: SafetensorsModel, file_type: str) -> Shape | None:
    """The shape of the GGUF file that such a model would be, to plan its load with; None where it would mislead.

    For plain decoders alone (`PLAIN`), whose caches are those of a llama with the same numbers, and only where these
    numbers come to the parameters that are there.

    Args:
        file_type: the label of the quantization ("Q4_K_M").
    """
    numbers = (model.n_layer, model.n_embd, model.n_head, model.n_head_kv, model.n_ff, model.n_vocab)
    if model.architecture not in PLAIN or model.is_packed or None in numbers:
        return None
    n_layer, n_embd, n_head, n_head_kv, n_ff, n_vocab = (each or 0 for each in numbers)
    if n_head % n_head_kv or (not model.n_embd_head and n_embd % n_head):
        return None
    title = model.address.repo.rpartition("/")[2]
    shape = Shape(
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=n_head,
        n_head_kv=n_head_kv,
        n_ff=n_ff,
        n_vocab=n_vocab,
        file_type=file_type,
        n_ctx_train=model.n_ctx_train or TYPICAL_CONTEXT,
        n_embd_head=model.n_embd_head or 0,
        is_tied=model.is_tied,
        title=title,
    )
    return shape if abs(shape.n_params - model.n_params) <= SAME_WITHIN * model.n_params else None


def _header(hub: Hub, where: HubAddress, stop: threading.Event | None) -> Mapping[str, Any]:
    data, _size = hub.read(where, 0, FIRST_BYTES, stop=stop)
    n_bytes = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if not 2 <= n_bytes <= MAX_HEADER_BYTES:
        raise KnownError(
            "This is no Safetensors file", value=f"{where}: a header of {n_bytes:,} bytes", next_step="choose another"
        )
    if len(data) < 8 + n_bytes:
        more, _size = hub.read(where, len(data), 8 + n_bytes, stop=stop)
        data += more
    return json_object(data[8 : 8 + n_bytes], where)


def _tensors_of(header: Mapping[str, Any], where: HubAddress) -> list[_Tensor]:
    found = []
    for name, each in header.items():
        if name == "__metadata__":
            continue
        try:
            shape = tuple(int(n) for n in each["shape"])
            dtype = str(each["dtype"])
        except (TypeError, KeyError, ValueError):
            shape, dtype = (-1,), ""
        if not dtype or any(not 0 <= n < 1 << 48 for n in shape) or len(shape) > 8:
            raise KnownError(
                "A tensor of the Safetensors file cannot be right",
                value=f"{name[:60]!a} in {where}",
                next_step="choose another repository of this model",
            )
        found.append(_Tensor(name, dtype, shape))
    return found


def _model(address: HubAddress, tensors: list[_Tensor], config: Mapping[str, Any], size_bytes: int) -> SafetensorsModel:
    types: Counter[str] = Counter()
    for each in tensors:
        types[each.dtype] += prod(each.shape)
    n_params = types.total()
    inner = config.get("text_config")
    sizes: Mapping[str, Any] = inner if isinstance(inner, dict) else config
    names = config.get("architectures")
    n_head = _whole(sizes, "num_attention_heads", "n_head")
    n_head_kv = _whole(sizes, "num_key_value_heads") or n_head
    n_layer = _whole(sizes, "num_hidden_layers", "n_layer")
    is_packed = sum(n for dtype, n in types.items() if dtype in _PACKED) > n_params // 20
    gqa = n_head // n_head_kv if n_head and n_head_kv else 1
    n_blocks = n_layer or 1 + max((_layer(each.name) for each in tensors), default=0)
    return SafetensorsModel(
        address=address,
        n_params=n_params,
        types=tuple(types.most_common()),
        size_bytes=size_bytes,
        architecture=str(names[0]) if isinstance(names, list) and names else None,
        n_layer=n_layer,
        n_embd=_whole(sizes, "hidden_size", "n_embd"),
        n_head=n_head,
        n_head_kv=n_head_kv,
        n_ff=_whole(sizes, "intermediate_size", "n_inner"),
        n_vocab=_whole(sizes, "vocab_size"),
        n_ctx_train=_whole(sizes, "max_position_embeddings", "n_positions"),
        n_embd_head=_whole(sizes, "head_dim"),
        is_tied=not any(_role(each.name) == "output" for each in tensors),
        is_packed=is_packed,
        estimates=() if is_packed or not n_params else _estimates(tensors, n_blocks, gqa, n_params),
    )


def _estimates(tensors: list[_Tensor], n_layer: int, gqa: int, n_params: int) -> tuple[QuantEstimate, ...]:
    is_tied = not any(_role(each.name) == "output" for each in tensors)
    found = []
    for label, file_type in FILE_TYPES.items():
        model = QuantizedModel(file_type, n_layer, gqa)
        size = 0
        for each in tensors:
            role = _role(each.name)
            if is_tied and role == "token_embd":
                role = "output"  # it stands for both, and llama-quantize treats it as the output
            shape = tuple(reversed(each.shape)) or (1,)
            size += tensor_bytes(tensor_type(model, role, shape, _layer(each.name)), shape)
        found.append(QuantEstimate(label, size, 8 * size / n_params))
    return tuple(found)


def _role(name: str) -> str:
    return next((role for pattern, role in _ROLES if pattern.search(name)), "")


def _layer(name: str) -> int:
    match = _LAYER.search(name)
    return int(match[1]) if match else 0


def _whole(sizes: Mapping[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = sizes.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None

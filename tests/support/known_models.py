"""Headers of models that many people have, made from their published shapes, so that published speeds can be checked."""

from __future__ import annotations

from collections.abc import Callable

from engine.gguf.header import Header, MetaValue, TensorInfo
from engine.gguf.types import TensorType, tensor_bytes

Choice = Callable[[str, int, int], TensorType]


def all_as(kind: TensorType, output: TensorType = TensorType.Q6_K) -> Choice:
    """Every matrix in one format but the output, as llama-quantize does."""
    return lambda name, _layer, _n_layer: output if name == "output" else kind


def k_medium(name: str, layer: int, n_layer: int) -> TensorType:
    """Q4_K_M: more bits for the output, and for values and the way down in half of the layers (llama-quant.cpp)."""
    more = layer < n_layer // 8 or layer >= 7 * n_layer // 8 or (layer - n_layer // 8) % 3 == 2
    is_finer = name == "output" or (name in ("attn_v", "ffn_down") and more)
    return TensorType.Q6_K if is_finer else TensorType.Q4_K


def decoder(
    choose: Choice,
    *,
    arch: str = "llama",
    n_layer: int,
    n_embd: int,
    n_ff: int,
    n_head: int,
    n_head_kv: int,
    n_vocab: int,
    head_size: int | None = None,
    n_expert: int = 0,
    n_used: int = 0,
    is_tied: bool = False,
    extra: dict[str, MetaValue] | None = None,
) -> Header:
    """The header of a decoder with these shapes; with `n_expert` its feed-forward part is a mixture."""
    size = head_size or n_embd // n_head
    tensors: list[TensorInfo] = []

    def add(name: str, shape: tuple[int, ...], kind: TensorType) -> None:
        tensors.append(TensorInfo(name, shape, kind, 0, tensor_bytes(kind, shape)))

    add("token_embd.weight", (n_embd, n_vocab), choose("output" if is_tied else "token_embd", 0, n_layer))
    add("output_norm.weight", (n_embd,), TensorType.F32)
    if not is_tied:
        add("output.weight", (n_embd, n_vocab), choose("output", 0, n_layer))
    experts = (n_expert,) if n_expert else ()
    for layer in range(n_layer):
        shapes: dict[str, tuple[int, ...]] = {
            "attn_q": (n_embd, n_head * size),
            "attn_k": (n_embd, n_head_kv * size),
            "attn_v": (n_embd, n_head_kv * size),
            "attn_output": (n_head * size, n_embd),
            "ffn_gate": (n_embd, n_ff, *experts),
            "ffn_up": (n_embd, n_ff, *experts),
            "ffn_down": (n_ff, n_embd, *experts),
        }
        for name, shape in shapes.items():
            suffix = "_exps" if experts and name.startswith("ffn") else ""
            add(f"blk.{layer}.{name}{suffix}.weight", shape, choose(name, layer, n_layer))
        add(f"blk.{layer}.attn_norm.weight", (n_embd,), TensorType.F32)
        add(f"blk.{layer}.ffn_norm.weight", (n_embd,), TensorType.F32)
    metadata: dict[str, MetaValue] = {
        "general.architecture": arch,
        f"{arch}.block_count": n_layer,
        f"{arch}.embedding_length": n_embd,
        f"{arch}.attention.head_count": n_head,
        f"{arch}.attention.head_count_kv": n_head_kv,
        **({f"{arch}.attention.key_length": size, f"{arch}.attention.value_length": size} if head_size else {}),
        **({f"{arch}.expert_count": n_expert, f"{arch}.expert_used_count": n_used} if n_expert else {}),
        **(extra or {}),
    }
    return Header(3, 32, metadata, tuple(tensors), 0, sum(each.size_bytes for each in tensors))


def llama_8b(choose: Choice) -> Header:
    """Llama 3.1 8B."""
    return decoder(choose, n_layer=32, n_embd=4096, n_ff=14336, n_head=32, n_head_kv=8, n_vocab=128256)


def llama_1b(choose: Choice) -> Header:
    """Llama 3.2 1B; its output is its embedding."""
    return decoder(
        choose, n_layer=16, n_embd=2048, n_ff=8192, n_head=32, n_head_kv=8, n_vocab=128256, head_size=64, is_tied=True
    )


def tinyllama(choose: Choice) -> Header:
    """TinyLlama 1.1B."""
    return decoder(choose, n_layer=22, n_embd=2048, n_ff=5632, n_head=32, n_head_kv=4, n_vocab=32000)


def llama2_7b(choose: Choice) -> Header:
    """Llama 2 7B."""
    return decoder(choose, n_layer=32, n_embd=4096, n_ff=11008, n_head=32, n_head_kv=32, n_vocab=32000)


def qwen3_8b(choose: Choice) -> Header:
    """Qwen3 8B."""
    return decoder(
        choose, arch="qwen3", n_layer=36, n_embd=4096, n_ff=12288, n_head=32, n_head_kv=8, n_vocab=151936, head_size=128
    )


def mixtral_8x7b(choose: Choice) -> Header:
    """Mixtral 8x7B: 8 experts, 2 of them used."""
    return decoder(
        choose, n_layer=32, n_embd=4096, n_ff=14336, n_head=32, n_head_kv=8, n_vocab=32000, n_expert=8, n_used=2
    )

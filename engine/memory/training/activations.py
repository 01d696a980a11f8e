"""What the forward pass leaves behind for the backward pass, and the logits, in bytes on one device.

Counted tensor by tensor of one block, as the paper does. `h` is the width, `k` and `v` the widths of all KV heads, `f`
the feed-forward width, in numbers of `c` bytes for each token:

    replicated over tensor parallel: inputs of two norms (2h), their outputs (2h)
    split by it: q, k, v, input of o; gated block: gate, up, activation, product (4f); plain block: two (2f)

The high end is a program that keeps every result: all of these; in a gated block the fp32 copies that RMSNorm upcasts to
(8h bytes each); in a plain block 2h bytes of dropout masks, which with k = v = h and f = 4h is the paper's 34h. The low end
is a compiled or fused one, which computes norms and products again from what they were made of: 2h, and half of f.
Source: Korthikanti et al. 2022, arXiv 2205.05198, equations 1 to 6.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.memory.training.recipe import Recipe
from engine.memory.training.shape import ModelShape

NORM_COPIES = 8
"""Bytes a number of width: fp32 input and normalized value that an upcasting norm keeps, 4 + 4."""

LOGIT_BYTES = {2: (4, 12), 4: (4, 12)}
"""Bytes a logit by the bytes of a number. Low: one fp32 score, or a bf16 one with its gradient (the paper counts 4). High:
score, fp32 copy, log-softmax and gradient, as transformers does it."""

N_CHUNKS = 8


@dataclass(frozen=True, slots=True)
class Span:
    """From..to, in bytes, with the formula that it comes from, its numbers in it."""

    low: float
    high: float
    how: str


def layer_bytes_per_token(shape: ModelShape, recipe: Recipe) -> tuple[float, float]:
    """Bytes that one block keeps for one token on one device, low and high, without attention scores."""
    c, t = recipe.n_bytes, recipe.tensor_parallel
    h = shape.n_embd
    kv = shape.n_head_kv * (shape.head_k + shape.head_v)
    attention = shape.n_head * (shape.head_k + shape.head_v) + kv
    inner = shape.n_ff * shape.n_expert_used * (4 if shape.is_gated else 2)
    whole_low = 2.0 * h * c
    whole_high = 4.0 * h * c + (2 * NORM_COPIES * h if shape.is_gated else 2 * h)
    if recipe.sequence_parallel:
        whole_low, whole_high = whole_low / t, whole_high / t
    return whole_low + (attention + inner / 2) * c / t, whole_high + (attention + inner) * c / t


def score_bytes_per_pair(recipe: Recipe) -> tuple[int, int]:
    """Bytes that eager attention keeps for each head and pair of tokens.

    Low: the probabilities. High: the paper's 5 (probabilities, dropout's mask and result), and fp32 of the softmax.
    """
    c = recipe.n_bytes
    return c, 2 * c + 1


def activation_span(shape: ModelShape, recipe: Recipe) -> Span:
    """All that the backward pass needs of the forward pass."""
    low, high = layer_bytes_per_token(shape, recipe)
    tokens, layers, t = recipe.n_tokens, shape.n_layer, recipe.tensor_parallel
    scores_low = scores_high = 0.0
    if recipe.attention == "eager":
        pairs = tokens * recipe.seq_length * shape.n_head / t
        scores_low, scores_high = (each * pairs for each in score_bytes_per_pair(recipe))
    block_low, block_high = tokens * low + scores_low, tokens * high + scores_high
    if recipe.recompute == "full":
        kept = recipe.n_bytes * tokens * shape.n_embd * layers
        if recipe.sequence_parallel:
            kept = kept // t
        how = (
            f"{recipe.n_bytes} B × {tokens:,} tokens × {shape.n_embd:,} wide × {layers} layers, "
            f"and one layer in full ({low:,.0f} to {high:,.0f} B a token)"
        )
        return Span(kept + block_low, kept + block_high, how + _scores_text(recipe))
    if recipe.recompute == "selective":
        # The scores of the block at hand are there while it is computed again.
        span = Span(tokens * low * layers + scores_low, tokens * high * layers + scores_high, "")
    else:
        span = Span(block_low * layers, block_high * layers, "")
    how = f"{tokens:,} tokens × {layers} layers × {low:,.0f} to {high:,.0f} B"
    return Span(span.low, span.high, how + _scores_text(recipe))


def logit_span(shape: ModelShape, recipe: Recipe) -> Span:
    """The scores of every token of the vocabulary at every place, and their gradient."""
    low, high = LOGIT_BYTES[recipe.n_bytes]
    chunks = N_CHUNKS if recipe.chunked_loss else 1
    n = recipe.n_tokens * shape.n_vocab / recipe.tensor_parallel / chunks
    how = f"{low} to {high} B × {recipe.n_tokens:,} tokens × {shape.n_vocab:,} words"
    if chunks > 1:
        how += f" ÷ {chunks} chunks"
    return Span(low * n, high * n, how)


def _scores_text(recipe: Recipe) -> str:
    if recipe.attention != "eager":
        return ""
    low, high = score_bytes_per_pair(recipe)
    where = "in one layer" if recipe.recompute != "none" else "in each layer"
    return f"; scores {low} to {high} B × heads × {recipe.seq_length:,} squared {where}"

"""A model as training sees it: its matrices by shape, from a GGUF card or typed in.

Training memory follows from parameters, layers and widths alone, so nothing of the weights is read. What nobody said is
filled in with the proportions of Llama (width 128 × layers) and named as assumed.
Source: Touvron et al. 2023, arXiv 2302.13971, table 2, for the proportions; Hu et al. 2021, arXiv 2106.09685, for LoRA.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.base.errors import KnownError
from engine.base.fields import Field, FieldKind, FieldSet, Value
from engine.gguf.card import Card, PerLayer

UNGATED = ("bloom", "falcon", "gpt2", "gptneox", "mpt", "phi2", "stablelm-epoch", "starcoder", "starcoder2")
"""Architectures whose feed-forward block is two matrices with GELU between them; all newer ones gate (three)."""

_OF_ITS_SIZE = ((0, "usual"),)


def _count(key: str, label: str, what: str, maximum: int, soft: int, unit: str = "") -> Field:
    return Field(
        key=key,
        kind=FieldKind.INT,
        default=0,
        label=label,
        help=f"{what} 0 takes what is usual for a model of that size.",
        source="Llama, arXiv 2302.13971, table 2",
        minimum=0,
        maximum=maximum,
        soft_maximum=soft,
        step=1,
        unit=unit,
        special=_OF_ITS_SIZE,
        advanced=True,
    )


SHAPE = FieldSet(
    (
        Field(
            key="n_params",
            kind=FieldKind.INT,
            default=7_000_000_000,
            label="Parameters",
            help="Weights of the model, all of them: 7,000,000,000 for a 7B model. 0 counts them from the shapes below.",
            source="elements of all tensors",
            minimum=0,
            maximum=10_000_000_000_000,
            soft_maximum=200_000_000_000,
            step=1_000_000,
            log_scale=True,
            special=((0, "from the shapes"),),
        ),
        _count("n_layer", "Layers", "Transformer blocks.", 1000, 128, "layers"),
        _count("n_embd", "Width", "Numbers in a token's hidden state.", 1_000_000, 16_384),
        _count("n_head", "Heads", "Attention heads of a layer.", 10_000, 128),
        _count(
            "n_head_kv",
            "KV heads",
            "Key and value heads of a layer; fewer than heads in grouped attention.",
            10_000,
            128,
        ),
        _count("n_ff", "Feed-forward", "Width inside the feed-forward block.", 10_000_000, 65_536),
        _count(
            "n_vocab", "Vocabulary", "Tokens that the model knows; each has a logit.", 10_000_000, 262_144, "tokens"
        ),
        Field(
            key="tie_word_embeddings",
            kind=FieldKind.BOOL,
            default=False,
            label="Tied embeddings",
            help="The output layer is the embedding table again, as in many small models.",
            source="transformers, PretrainedConfig.tie_word_embeddings",
            advanced=True,
        ),
        Field(
            key="gated_mlp",
            kind=FieldKind.BOOL,
            default=True,
            label="Gated feed-forward",
            help="Three matrices (SwiGLU and its kin), as in Llama and all that came after; off for GPT-2, BLOOM, T5.",
            source="Shazeer 2020, arXiv 2002.05202",
            advanced=True,
        ),
    )
)
"""A model that is described, not read."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A linear layer: numbers in, numbers out, and how often it is there in one block (experts)."""

    n_in: float
    n_out: float
    count: int = 1

    @property
    def n_params(self) -> float:
        return self.n_in * self.n_out * self.count


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The numbers that training memory follows from.

    Attributes:
        name: what the model is called.
        n_params: all weights.
        n_layer, n_embd, n_vocab: blocks, hidden width, tokens.
        n_head, n_head_kv: heads of a block; a mean where blocks differ.
        head_k, head_v: width of one head's key and value.
        n_ff: inner width of the feed-forward block, a mean where blocks differ.
        n_expert, n_expert_used: experts of a block and how many a token uses; 1 of 1 in a dense model.
        is_tied: the output layer is the embedding table.
        is_gated: the feed-forward block has three matrices.
        assumed: names of the numbers that were filled in.
    """

    name: str
    n_params: int
    n_layer: int
    n_embd: int
    n_vocab: int
    n_head: float
    n_head_kv: float
    head_k: float
    head_v: float
    n_ff: float
    n_expert: int = 1
    n_expert_used: int = 1
    is_tied: bool = False
    is_gated: bool = True
    assumed: tuple[str, ...] = ()

    @property
    def matrices(self) -> Mapping[str, Matrix]:
        """The linear layers of one block by their usual names, without the fused `qkv`."""
        attention = {
            "q": Matrix(self.n_embd, self.n_head * self.head_k),
            "k": Matrix(self.n_embd, self.n_head_kv * self.head_k),
            "v": Matrix(self.n_embd, self.n_head_kv * self.head_v),
            "o": Matrix(self.n_head * self.head_v, self.n_embd),
        }
        gate = {"gate": Matrix(self.n_embd, self.n_ff, self.n_expert)} if self.is_gated else {}
        return {
            **attention,
            **gate,
            "up": Matrix(self.n_embd, self.n_ff, self.n_expert),
            "down": Matrix(self.n_ff, self.n_embd, self.n_expert),
        }

    @property
    def n_embedding(self) -> int:
        """Weights of the embedding table and, where it is another one, of the output layer."""
        return min(self.n_params, self.n_vocab * self.n_embd * (1 if self.is_tied else 2))

    @property
    def n_blocks(self) -> int:
        """Weights that are not embeddings."""
        return self.n_params - self.n_embedding

    @property
    def largest_unit(self) -> int:
        """Weights of the largest piece that is gathered at once: one block, or the embedding table."""
        return min(self.n_params, max(math.ceil(self.n_blocks / self.n_layer), self.n_vocab * self.n_embd))

    @property
    def largest_matrix(self) -> int:
        """Weights of the largest single tensor among the blocks' linear layers."""
        return math.ceil(max(each.n_in * each.n_out for each in self.matrices.values()))


def n_lora_params(shape: ModelShape, rank: int, targets: tuple[str, ...]) -> int:
    """Weights of the adapters: rank × (in + out) for each targeted matrix of each block.

    Args:
        shape: the model.
        rank: r of LoRA, at least 1.
        targets: names of `ModelShape.matrices`, or `qkv` for the three in one.
    """
    per_block = sum(rank * (each.n_in + each.n_out) * each.count for each in targeted(shape, targets))
    return round(per_block * shape.n_layer)


def targeted(shape: ModelShape, targets: tuple[str, ...]) -> tuple[Matrix, ...]:
    """The matrices of one block that `targets` name; names that the model does not have are passed over."""
    matrices = shape.matrices
    found = [matrices[each] for each in targets if each in matrices]
    if "qkv" in targets:
        parts = [matrices[each] for each in ("q", "k", "v")]
        found.append(Matrix(shape.n_embd, sum(each.n_out for each in parts)))
    return tuple(found)


def shape_of_card(card: Card) -> ModelShape:
    """The shape of a GGUF model. Errors: `KnownError` when the header does not say enough."""
    missing = [
        name
        for name, value in (("parameters", card.n_params), ("layers", card.n_layer), ("hidden size", card.n_embd))
        if not value
    ]
    if missing or card.n_params is None or card.n_layer is None or card.n_embd is None:
        raise KnownError(
            "The file does not say what training would cost",
            value=f"{', '.join(missing)} missing in {card.path.name}",
            next_step="describe the model by its numbers (--params)",
        )
    n_head = _mean(card.n_head) or 1.0
    head_k = card.head_k or card.n_embd / n_head
    is_gated = card.architecture not in UNGATED
    n_vocab = card.n_vocab or 0
    shape = ModelShape(
        name=card.name,
        n_params=card.n_params,
        n_layer=card.n_layer,
        n_embd=card.n_embd,
        n_vocab=n_vocab,
        n_head=n_head,
        n_head_kv=_mean(card.n_head_kv) or n_head,
        head_k=head_k,
        head_v=card.head_v or head_k,
        n_ff=_mean(card.n_ff) or 4.0 * card.n_embd,
        n_expert=max(1, card.n_expert or 1),
        n_expert_used=max(1, card.n_expert_used or 1),
        is_gated=is_gated,
        assumed=() if card.n_ff is not None else ("n_ff",),
    )
    if shape.n_expert > 1:
        return _with_expert_width(shape)
    # The card has no list of tensors: tied is what is short of a second table.
    linear = sum(each.n_params for each in shape.matrices.values()) * shape.n_layer
    is_tied = card.n_params < linear + 1.5 * n_vocab * card.n_embd
    return replace(shape, is_tied=is_tied)


def _with_expert_width(shape: ModelShape) -> ModelShape:
    """The width of one expert from what the parameters leave for it: headers name it in many ways, or the dense layers'."""
    attention = sum(each.n_params for name, each in shape.matrices.items() if name in ("q", "k", "v", "o"))
    rest = shape.n_blocks - attention * shape.n_layer
    per_width = shape.n_layer * shape.n_expert * shape.n_embd * (3 if shape.is_gated else 2)
    return replace(shape, n_ff=max(1.0, rest / per_width), assumed=("n_ff",))


def shape_of_values(values: Mapping[str, Value], name: str = "described model") -> ModelShape:
    """The shape of a model that is described by `SHAPE`'s fields. Errors: `KnownError` when there is too little."""
    given = SHAPE.checked(values)
    whole = {each.key: int(str(given[each.key])) for each in SHAPE if each.kind is FieldKind.INT}
    is_gated, is_tied = bool(given["gated_mlp"]), bool(given["tie_word_embeddings"])
    n_params, n_layer, n_embd = whole["n_params"], whole["n_layer"], whole["n_embd"]
    if not n_params and not (n_layer and n_embd):
        raise KnownError(
            "Nothing says how large the model is", next_step="give its parameters, or its layers and its width"
        )
    assumed = [key for key in ("n_layer", "n_embd", "n_head", "n_head_kv", "n_ff", "n_vocab") if not whole[key]]
    if not n_layer:
        n_layer = max(1, round(n_params / (12 * n_embd**2) if n_embd else (n_params / (12 * 128**2)) ** (1 / 3)))
    n_embd = n_embd or max(64, 64 * round(math.sqrt(n_params / (12 * n_layer)) / 64))
    n_head = whole["n_head"] or max(1, n_embd // 128)
    n_ff = whole["n_ff"] or (256 * math.ceil(8 * n_embd / 3 / 256) if is_gated else 4 * n_embd)
    n_vocab = whole["n_vocab"] or 32_000
    if n_params and n_vocab * n_embd > n_params:
        raise KnownError(
            "The embedding table alone would be larger than the model",
            value=f"{n_vocab:,} tokens × {n_embd:,} wide, {n_params:,} parameters",
            next_step="give the width and the vocabulary of the model",
        )
    shape = ModelShape(
        name=name,
        n_params=n_params or 1,
        n_layer=n_layer,
        n_embd=n_embd,
        n_vocab=n_vocab,
        n_head=n_head,
        n_head_kv=whole["n_head_kv"] or n_head,
        head_k=n_embd / n_head,
        head_v=n_embd / n_head,
        n_ff=n_ff,
        is_tied=is_tied,
        is_gated=is_gated,
        assumed=tuple(assumed),
    )
    if n_params:
        return shape
    linear = sum(each.n_params for each in shape.matrices.values()) * n_layer
    norms = (2 * n_layer + 1) * n_embd
    return replace(shape, n_params=round(linear) + norms + n_vocab * n_embd * (1 if is_tied else 2))


def _mean(value: PerLayer | None) -> float | None:
    if isinstance(value, tuple):
        return sum(value) / len(value) if value else None
    return None if value is None else float(value)

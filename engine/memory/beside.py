"""Files that are used with a model and take memory of their own: LoRA adapters, control vectors, projectors.

    LoRA            every tensor of the adapter, padded to 32 bytes, beside the tensors that it changes
    control vector  4 bytes × embedding × (layers − 1)
    projector       every tensor of the file; what its graph takes the engine says only when it is loaded

Source: llama-adapter.cpp (`llama_adapter_lora_init`, `llama_adapter_cvec::init`), tools/mtmd/clip.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.base.errors import KnownError
from engine.gguf.card import Card, ModelKind
from engine.gguf.header import Header
from engine.memory.ledger import RAM, SOURCES, Entry, Ledger, Part

ALIGNMENT = 32


def beside(header: Header, card: Card, model: Card) -> Entry:
    """What such a file takes beside a model.

    Args:
        header, card: of the file.
        model: the card of the model that it is used with.

    Raises:
        KnownError: it is no such file, or was made for another architecture.
    """
    name = card.path.name
    match card.kind:
        case ModelKind.ADAPTER:
            if card.architecture != model.architecture:
                raise KnownError(
                    "The adapter was made for another architecture",
                    value=f"{name}: {card.architecture}, the model is {model.architecture}",
                    next_step="choose one that was made for this model",
                )
            size = sum(-(-each.size_bytes // ALIGNMENT) * ALIGNMENT for each in header.tensors)
            return Entry(Part.BESIDE, size, f"LoRA {name}: {len(header.tensors)} tensors beside those that they change")
        case ModelKind.CONTROL_VECTOR:
            width, layers = model.n_embd or 0, model.n_layer or 0
            how = f"control vector {name}: 4 bytes × {width:,} × {max(0, layers - 1)} layers"
            return Entry(Part.BESIDE, 4 * width * max(0, layers - 1), how)
        case ModelKind.PROJECTOR:
            size = sum(each.size_bytes for each in header.tensors)
            return Entry(Part.BESIDE, size, f"projector {name}: its tensors, without its graph", is_estimate=True)
    raise KnownError(
        "This file is nothing that is used beside a model",
        value=f"{name}: {card.kind.value}",
        next_step="give a LoRA adapter, a control vector or a projector (mmproj)",
    )


def with_files(ledger: Ledger, entries: Sequence[Entry]) -> Ledger:
    """The ledger with these files in it: where most of the weights are, as an estimate if that is not all in RAM."""
    if not entries:
        return ledger
    home = max(ledger.devices, key=lambda each: each.size_of(Part.WEIGHTS) or 0)
    is_rough = any(each.name != RAM and each.size_of(Part.WEIGHTS) for each in ledger.devices)
    size = sum(each.size_bytes for each in entries)
    how = "; ".join(each.how for each in entries)
    is_rough = is_rough or any(each.is_estimate for each in entries)
    found = Entry(Part.BESIDE, size, how, is_estimate=is_rough, source=SOURCES[Part.BESIDE])
    return replace(
        ledger,
        devices=tuple(
            replace(each, entries=(*each.entries, found)) if each is home else each for each in ledger.devices
        ),
    )

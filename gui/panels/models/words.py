"""The Models page's words: a row of the list, what a file is when it is no model, whether a model fits."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QCoreApplication

from engine.gguf.card import UNKNOWN, Card, ModelKind, TypeShare
from engine.memory.fit import Fits
from engine.workbench.events import Estimate
from gui.model_name import spoken_name
from gui.panels.models.presenter import STARTER, Order, Page, Row, State
from gui.theme import PlotRole
from gui.widgets.quantities import bytes_text, count_text
from gui.widgets.stacked_bar import Segment

DOT = " \N{MIDDLE DOT} "
FITS_ROLES = {Fits.YES: "good", Fits.TIGHT: "warning", Fits.NO: "bad", Fits.UNKNOWN: "text2"}
MIX_ROLES = (
    PlotRole.WEIGHTS,
    PlotRole.KV_CACHE,
    PlotRole.COMPUTE,
    PlotRole.OUTPUT,
    PlotRole.OTHER,
    PlotRole.OVERHEAD,
)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Models", text)


def row_title(row: Row) -> str:
    """A row's first line."""
    return spoken_name(row.entry.label)


def row_facts(row: Row) -> str:
    """A row's second line: what it is, or why it cannot be used."""
    card = row.entry.card
    if row.state is State.BROKEN or card is None:
        return row.entry.trouble.what if row.entry.trouble is not None else _tr("cannot be read")
    if card.kind is not ModelKind.MODEL:
        return kind_text(card.kind)
    parts = [card.architecture or "", card.size_label or ""]
    if card.n_ctx_train:
        parts.append(_tr("{n} context").format(n=count_text(card.n_ctx_train)))
    return DOT.join(each for each in parts if each)


def row_side(row: Row) -> str:
    """What stands at the end of a row's second line: its state, else where it comes from."""
    if row.state is State.LOADED:
        return _tr("loaded")
    if row.state is State.LOADING:
        return _tr("loading")
    if row.state is State.MISSING:
        return _tr("missing")
    if row.state is State.BROKEN:
        return _tr("broken")
    return origin_text(row)


def origin_text(row: Row) -> str:
    """Where a file comes from, in a word."""
    if row.is_opened:
        return _tr("opened")
    return _tr("starter") if row.entry.origin == STARTER else Path(row.entry.origin).name


def row_spoken(row: Row) -> str:
    """A row for a screen reader."""
    card = row.entry.card
    size = bytes_text(card.size_bytes) if card is not None else ""
    return ", ".join(each for each in (row_title(row), row_facts(row), size, row_side(row)) if each)


def kind_text(kind: ModelKind) -> str:
    """What a GGUF file is."""
    return {
        ModelKind.MODEL: _tr("model"),
        ModelKind.ADAPTER: _tr("adapter (LoRA)"),
        ModelKind.PROJECTOR: _tr("projector for images or sound"),
        ModelKind.IMATRIX: _tr("importance matrix"),
        ModelKind.CONTROL_VECTOR: _tr("control vector"),
        ModelKind.VOCAB_ONLY: _tr("vocabulary only"),
        ModelKind.METADATA_ONLY: _tr("metadata only"),
        ModelKind.OTHER_SHARD: _tr("later part of a split model"),
        ModelKind.UNKNOWN: _tr("not a language model"),
    }[kind]


def kind_explained(kind: ModelKind) -> str:
    """Why a file of this kind cannot be loaded by itself; "" for a model."""
    return {
        ModelKind.MODEL: "",
        ModelKind.ADAPTER: _tr("An adapter holds small changes to another model. It needs that model and is no model."),
        ModelKind.PROJECTOR: _tr("A projector turns images or sound into what a model reads. It belongs to a model."),
        ModelKind.IMATRIX: _tr("Statistics that a quantizer uses to decide which weights to keep precise."),
        ModelKind.VOCAB_ONLY: _tr("A tokenizer without weights: it can take text apart, and cannot write."),
        ModelKind.CONTROL_VECTOR: _tr(
            "Directions that are added to a model's state. It needs that model and is no model."
        ),
        ModelKind.METADATA_ONLY: _tr("A model's description without weights and without a vocabulary."),
        ModelKind.OTHER_SHARD: _tr("One of the later parts of a split model. Open its first part."),
        ModelKind.UNKNOWN: _tr("A GGUF file that names no architecture, so the engine cannot run it."),
    }[kind]


def order_text(order: Order) -> str:
    """A way of sorting."""
    return {
        Order.NAME: _tr("by name"),
        Order.SIZE: _tr("by size"),
        Order.PARAMS: _tr("by parameters"),
        Order.CONTEXT: _tr("by context"),
    }[order]


def fit_text(estimate: Estimate) -> tuple[str, str]:
    """Whether a model fits with the present load options: the word, and the sentence after it."""
    verdict = estimate.verdict
    word = {
        Fits.YES: _tr("Fits."),
        Fits.TIGHT: _tr("Tight."),
        Fits.NO: _tr("Does not fit."),
        Fits.UNKNOWN: _tr("Cannot say."),
    }[verdict.fits]
    needed, n_ctx = bytes_text(verdict.needed_bytes), count_text(estimate.ledger.n_ctx)
    if verdict.free_bytes is None:
        text = _tr("It needs {needed} with {n} context; how much is free is unknown.")
        return word, text.format(needed=needed, n=n_ctx)
    text = _tr("{needed} of {free} free in {device}, with {n} context.")
    return word, text.format(needed=needed, free=bytes_text(verdict.free_bytes), device=verdict.device, n=n_ctx)


def card_rows(card: Card) -> tuple[tuple[str, str], ...]:
    """The card's rows but the tensor types, which stand above them as a bar; of no model, only what is known."""
    is_model = card.kind is ModelKind.MODEL
    return tuple(row for row in card.rows() if row[0] != "Tensor types" and (is_model or row[1] != UNKNOWN))


def mix_segments(card: Card) -> list[Segment]:
    """The tensor types as parts of a bar, largest first; what is beyond the sixth is one part."""
    shares = list(card.mix)
    shown, rest = shares[: len(MIX_ROLES) - 1], shares[len(MIX_ROLES) - 1 :]
    segments = [
        Segment(each.type.name, each.size_bytes, int(MIX_ROLES[at]), _share_tip(each)) for at, each in enumerate(shown)
    ]
    if len(rest) == 1:
        segments.append(Segment(rest[0].type.name, rest[0].size_bytes, int(MIX_ROLES[-1]), _share_tip(rest[0])))
    elif rest:
        names = ", ".join(each.type.name for each in rest)
        segments.append(Segment(_tr("others"), sum(each.size_bytes for each in rest), int(MIX_ROLES[-1]), names))
    return segments


def mix_label(segment: Segment) -> str:
    """A tensor type in the legend: its name and size."""
    return f"{segment.label} {bytes_text(segment.amount)}"


def count_line(page: Page) -> str:
    """How many files are listed."""
    if len(page.rows) != page.n_all:
        return _tr("{n} of {all} files").format(n=len(page.rows), all=page.n_all)
    return _tr("1 file") if page.n_all == 1 else _tr("{n} files").format(n=page.n_all)


def _share_tip(share: TypeShare) -> str:
    text = _tr("{type}: {n} tensors, {params} weights, {size}")
    return text.format(
        type=share.type.name,
        n=count_text(share.n_tensors),
        params=count_text(share.n_params),
        size=bytes_text(share.size_bytes),
    )

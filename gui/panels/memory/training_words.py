"""The Train side's words: parts, verdict, the rule of thumb beside the decomposition, the rows of its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication

from engine.memory.fit import Fits
from engine.memory.training.cost import GB, DeviceCost, Item, Place, TrainingCost, TrainPart
from engine.memory.training.formats import Format
from engine.memory.training.shape import ModelShape
from engine.memory.training.verdict import TrainVerdict
from gui.theme import PlotRole
from gui.widgets.ledger_table import LedgerRow
from gui.widgets.quantities import MINUS, bytes_text, count_text, percent_text, unknown_text
from gui.widgets.stacked_bar import Segment
from gui.widgets.value_table import Cell

if TYPE_CHECKING:
    from engine.memory.training.published import Checked

GIB = 1 << 30

COLORS = {
    TrainPart.WEIGHTS: PlotRole.WEIGHTS,
    TrainPart.GRADIENTS: PlotRole.KV_CACHE,
    TrainPart.OPTIMIZER: PlotRole.OTHER,
    TrainPart.MASTER: PlotRole.OTHER,
    TrainPart.ACTIVATIONS: PlotRole.COMPUTE,
    TrainPart.LOGITS: PlotRole.OUTPUT,
    TrainPart.OVERHEAD: PlotRole.OVERHEAD,
}


def _tr(text: str) -> str:
    return QCoreApplication.translate("Training", text)


def item_text(item: Item) -> str:
    """The name of a line."""
    return {
        Item.WEIGHTS: _tr("Weights"),
        Item.ADAPTERS: _tr("Adapters"),
        Item.GRADIENTS: _tr("Gradients"),
        Item.OPTIMIZER: _tr("Optimizer"),
        Item.MASTER: _tr("Master copies"),
        Item.ACTIVATIONS: _tr("Activations"),
        Item.LOGITS: _tr("Logits"),
        Item.GATHERED: _tr("Gathered layers"),
        Item.BUCKETS: _tr("DDP buckets"),
        Item.DEQUANTIZED: _tr("Unpacked weights"),
        Item.CONTEXT: _tr("Framework"),
        Item.FRAGMENTATION: _tr("Allocator"),
    }[item]


def part_text(part: TrainPart) -> str:
    """A part's word in the legend; optimizer and master copies share a colour."""
    return {
        TrainPart.WEIGHTS: _tr("Weights"),
        TrainPart.GRADIENTS: _tr("Gradients"),
        TrainPart.OPTIMIZER: _tr("Optimizer, master copies"),
        TrainPart.MASTER: _tr("Optimizer, master copies"),
        TrainPart.ACTIVATIONS: _tr("Activations"),
        TrainPart.LOGITS: _tr("Logits"),
        TrainPart.OVERHEAD: _tr("Overhead"),
    }[part]


def bar_text(cost: DeviceCost, *, high: bool, alone: bool) -> str:
    """What a bar is of; `alone` when there is no other memory."""
    end = _tr("at most") if high else _tr("at least")
    if cost.place is Place.RAM:
        return _tr("RAM, {end}").format(end=end)
    if cost.count > 1:
        return _tr("Each of {n}, {end}").format(n=cost.count, end=end)
    return end.capitalize() if alone else _tr("Device, {end}").format(end=end)


def range_text(low: float, high: float) -> str:
    """From..to in binary units, said once where both look alike."""
    first, last = bytes_text(low), bytes_text(high)
    if first == last:
        return first
    number, _, unit = first.partition(" ")
    return f"{number} to {last}" if last.endswith(" " + unit) else f"{first} to {last}"


def verdict_word(fits: Fits) -> str:
    """The answer in a word or two."""
    return {
        Fits.YES: _tr("Fits."),
        Fits.TIGHT: _tr("May fit."),
        Fits.NO: _tr("Does not fit."),
        Fits.UNKNOWN: _tr("Cannot say."),
    }[fits]


def verdict_text(cost: TrainingCost, verdict: TrainVerdict) -> str:
    """The numbers behind the word, one memory after the other."""
    parts = []
    for each, room in zip(cost.devices, verdict.rooms, strict=True):
        if each.place is Place.DEVICE and each.count > 1:
            where = _tr("each of {n} devices").format(n=each.count)
        else:
            where = room.name or _tr("the device")
        free = unknown_text() if room.free_bytes is None else bytes_text(room.free_bytes)
        text = _tr("{range} of {free} free in {where}")
        parts.append(text.format(range=range_text(each.low, each.high), free=free, where=where))
    return ", ".join(parts) + "."


def source_text(cost: TrainingCost) -> str:
    """What was computed, and from what."""
    shape = cost.shape
    trained = _tr("{n} of {all} parameters are trained.").format(
        n=count_text(cost.n_trainable), all=count_text(shape.n_params)
    )
    if not cost.recipe.is_adapter:
        trained = _tr("All {all} parameters are trained.").format(all=count_text(shape.n_params))
    text = _tr("Computed from the model's shapes; frameworks differ, so each part is a range.") + " " + trained
    return text + (" " + assumed_text(shape) if shape.assumed else "")


def assumed_text(shape: ModelShape) -> str:
    """What was filled in, with the numbers."""
    numbers = {
        "n_layer": _tr("{n} layers").format(n=shape.n_layer),
        "n_embd": _tr("{n} wide").format(n=count_text(shape.n_embd)),
        "n_head": _tr("{n} heads").format(n=count_text(round(shape.n_head))),
        "n_head_kv": _tr("{n} KV heads").format(n=count_text(round(shape.n_head_kv))),
        "n_ff": _tr("{n} feed-forward").format(n=count_text(round(shape.n_ff))),
        "n_vocab": _tr("{n} tokens").format(n=count_text(shape.n_vocab)),
    }
    return _tr("Taken as usual for this size: {list}.").format(list=", ".join(numbers[each] for each in shape.assumed))


def segments(cost: DeviceCost, *, high: bool) -> list[Segment]:
    """The parts of one bar: the low ends, or the high ends."""
    found: dict[str, Segment] = {}
    for part in TrainPart:
        span = cost.span_of(part)
        if span is None:
            continue
        name = part_text(part)
        before = found[name].amount if name in found else 0
        found[name] = Segment(name, before + span[1 if high else 0], int(COLORS[part]))
    return [each for each in found.values() if each.amount]


def cost_rows(device: DeviceCost) -> list[LedgerRow]:
    """One row a line of the decomposition of one memory: its low and its high end, and the formula."""
    rows = []
    for each in device.lines:
        tip = _tr("{how}. Source: {source}").format(how=each.how, source=each.source)
        rows.append(
            LedgerRow(item_text(each.item), (each.low, each.high), int(COLORS[each.item.part]), each.how, tip=tip)
        )
    return rows


def rule_text(cost: TrainingCost) -> str:
    """The rule of thumb, its number, and how it stands to the decomposition."""
    rule, low, high = cost.rule, cost.total_low, cost.total_high
    text = _tr("4 bytes × {n} parameters = {weights} for the weights in fp32, × 6 to train = {total}.").format(
        n=count_text(rule.n_params), weights=bytes_text(rule.weights_bytes), total=bytes_text(rule.total_bytes)
    )
    of = _tr("The parts say {range} in all").format(range=range_text(low, high))
    if rule.total_bytes > high:
        much = _tr("the rule is {times} the high end").format(times=_times(rule.total_bytes, high))
    elif rule.total_bytes < low:
        much = _tr("the rule has only {share} of the low end").format(share=percent_text(rule.total_bytes / low))
    else:
        much = _tr("the rule lies in that range")
    return f"{text} {of}; {much}."


def rule_why() -> str:
    """What the rule stands for, and what it does not know."""
    return _tr(
        "Of its 24 bytes 16 are exact for fp32 with Adam: weights 4, gradients 4, two moments 8. The last 8 stand for "
        "activations, which do not grow with parameters but with batch and sequence. It does not know the recipe."
    )


def format_rows(formats: Sequence[Format]) -> list[tuple[Cell, ...]]:
    """The four steps in their order, then the types, most bits first."""
    rows: list[tuple[Cell, ...]] = []
    for each in formats:
        kind = _tr("nominal") if each.is_step else (_tr("GGUF, {step}").format(step=each.step) if each.step else "GGUF")
        rows.append(
            (
                Cell(each.name, each.name),
                Cell(f"{each.bits:.4g}", each.bits),
                Cell(bytes_text(each.size_bytes), each.size_bytes),
                Cell(f"{each.bits / 32:.1%}".replace("%", " %"), each.bits),
                Cell(kind, kind),
            )
        )
    return rows


def published_rows(rows: Sequence[Checked]) -> list[tuple[Cell, ...]]:
    """Published measurements with our prediction and error."""
    found: list[tuple[Cell, ...]] = []
    for each in rows:
        run = each.run
        factor, unit = (GIB, "GiB") if run.is_allocated else (GB, "GB")
        measured = f"{run.measured_bytes / factor:.1f} {unit}"
        tip = f"{run.source}. {run.remark}".rstrip(". ") + "."
        found.append(
            (
                Cell(f"{run.model}, {run.setup}", run.model, f"{run.model}, {run.setup}. {tip}"),
                Cell(f"< {measured}" if run.is_bound else measured, run.measured_bytes, tip),
                Cell(f"{_short(each.low / factor)}–{_short(each.high / factor)}", each.middle, tip),
                Cell(error_text(each.error), abs(each.error), miss_text(each)),
                Cell("–" if each.rule_error is None else error_text(each.rule_error), each.rule_error, tip),
            )
        )
    return found


def error_text(share: float) -> str:
    """An error with its sign: +5 %, −3 %."""
    percent = round(share * 100)
    return f"{percent:+d} %".replace("-", MINUS) if percent else "0 %"


def miss_text(row: Checked) -> str:
    """Whether the measurement lies in the range."""
    if row.missed_by == 0:
        return _tr("The measurement lies in the predicted range.")
    over = _tr("The measurement is above the predicted range, which ends {error} short of it.")
    under = _tr("The measurement is below the predicted range, which begins {error} above it.")
    return (over if row.missed_by < 0 else under).format(error=percent_text(abs(row.missed_by)))


def published_text(rows: Sequence[Checked]) -> str:
    """How good the prediction is, in a sentence."""
    inside = sum(each.missed_by == 0 for each in rows)
    errors = sorted(abs(each.error) for each in rows if not each.run.is_bound)
    return _tr(
        "{inside} of {n} runs that others measured lie in the predicted range; the median error of its middle is {error}."
    ).format(inside=inside, n=len(rows), error=percent_text(errors[len(errors) // 2]))


def _times(number: float, of: float) -> str:
    ratio = number / of
    return _tr("{n} times").format(n=f"{ratio:.1f}")


def _short(number: float) -> str:
    return f"{number:.1f}" if number < 99.95 else f"{number:.0f}"

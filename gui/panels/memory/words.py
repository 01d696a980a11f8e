"""The Memory page's words: the verdict, the facts of a model, the parts of a ledger, the advice.

Apart from the presenter because words are translated by Qt, apart from the view because a test reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QCoreApplication

from engine.base.errors import Remedy
from engine.base.fields import Value
from engine.gguf.card import Card, ModelKind, size_label
from engine.memory.fit import Fits, Verdict, locked_beyond
from engine.memory.ledger import ASSUMED, RAM, DeviceLedger, Entry, Ledger, Part
from engine.models.remote import RemoteModel
from engine.models.safetensors import SafetensorsModel
from engine.store.measurements import LoadMeasured
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import DeviceInfo, DeviceKind
from engine.workbench.beside_files import BesideFile
from engine.workbench.by_formula import Grid, GridCell
from engine.workbench.workbench import parse_changes
from gui.panels.memory.advice import Advice, AdviceKind
from gui.panels.memory.elsewhere_presenter import Best
from gui.panels.memory.values import KV_TYPE, Answer
from gui.theme import PlotRole
from gui.widgets.heat_table import HeatCell
from gui.widgets.ledger_table import LedgerRow
from gui.widgets.quantities import bytes_text, count_text, seconds_text, unknown_text

DOT = " \N{MIDDLE DOT} "
LAST_LOADS = 3
HARDLY_MORE = 1 << 20  # bytes; a difference that is not worth a word

PART_COLORS = {
    Part.WEIGHTS: PlotRole.WEIGHTS,
    Part.KV: PlotRole.KV_CACHE,
    Part.RECURRENT: PlotRole.OTHER,
    Part.COMPUTE: PlotRole.COMPUTE,
    Part.OUTPUT: PlotRole.OUTPUT,
    Part.DRAFT: PlotRole.OTHER,
    Part.BESIDE: PlotRole.OTHER,
    Part.OVERHEAD: PlotRole.OVERHEAD,
    Part.MAPPED: PlotRole.OTHER,
}
FITS_ROLES = {Fits.YES: "good", Fits.TIGHT: "warning", Fits.NO: "bad", Fits.UNKNOWN: "text2"}

FITS_SIGNS = {Fits.YES: "\N{CHECK MARK}", Fits.TIGHT: "!", Fits.NO: "\N{MULTIPLICATION SIGN}", Fits.UNKNOWN: "?"}


def _tr(text: str) -> str:
    return QCoreApplication.translate("Memory", text)


def part_text(part: Part) -> str:
    """A part's name."""
    return {
        Part.WEIGHTS: _tr("Weights"),
        Part.KV: _tr("KV cache"),
        Part.RECURRENT: _tr("Recurrent state"),
        Part.COMPUTE: _tr("Compute"),
        Part.OUTPUT: _tr("Output"),
        Part.DRAFT: _tr("Draft model"),
        Part.BESIDE: _tr("Adapters"),
        Part.OVERHEAD: _tr("Process, tokenizer"),
        Part.MAPPED: _tr("File pages"),
    }[part]


def device_text(name: str, devices: tuple[DeviceInfo, ...] = ()) -> str:
    """What a memory is called: RAM, or the card's own name."""
    known = next((each for each in devices if each.name == name), None)
    return name if known is None or name == RAM else known.description or name


def facts_text(card: Card) -> str:
    """The model on one line: layers, heads, window, size."""
    parts = []
    if card.n_layer is not None:
        parts.append(_tr("{n} layers").format(n=count_text(card.n_layer)))
    heads, heads_kv = _one(card.n_head), _one(card.n_head_kv)
    if heads is not None:
        text = _tr("{n} heads").format(n=heads)
        parts.append(text + (", " + _tr("{n} KV").format(n=heads_kv) if heads_kv is not None else ""))
    if card.sliding_window:
        parts.append(_tr("window of {n}").format(n=count_text(card.sliding_window)))
    if card.n_ctx_train:
        parts.append(_tr("trained on {n}").format(n=count_text(card.n_ctx_train)))
    parts.append(_tr("{size} file").format(size=bytes_text(card.size_bytes)))
    return DOT.join(parts)


def beside_text(file: BesideFile) -> str:
    """A file that is counted beside the model: what it is, what it takes, its name."""
    kind = {
        ModelKind.ADAPTER: _tr("LoRA"),
        ModelKind.CONTROL_VECTOR: _tr("Control vector"),
        ModelKind.PROJECTOR: _tr("Projector"),
    }.get(file.kind, file.kind.value)
    rough = "~" if file.entry.is_estimate else ""
    return DOT.join((kind, rough + bytes_text(file.entry.size_bytes), file.path.name))


def remote_text(model: RemoteModel) -> str:
    """A model of a repository on the hub on one line: quantization, size, parts."""
    name = model.quant or model.address.file
    parts = _tr(", {n} files").format(n=model.n_files) if model.n_files > 1 else ""
    return f"{name}{DOT}{bytes_text(model.size_bytes)}{parts}"


def weights_text(weights: SafetensorsModel) -> str:
    """A repository without GGUF files: its parameters, and what some quantizations would take."""
    if not weights.estimates:
        return _tr("No GGUF file here, and the weights are packed, so nothing can be said of a quantization.")
    size = _tr("No GGUF file here. {n} parameters; as GGUF the weights alone would take about:").format(
        n=size_label(weights.n_params)
    )
    shown = [each for each in weights.estimates if each.label in ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M")]
    return "\n".join([size, *(f"{each.label}{DOT}~ {bytes_text(each.size_bytes)}" for each in shown)])


def verdict_word(fits: Fits) -> str:
    """The answer in a word."""
    return {
        Fits.YES: _tr("Fits."),
        Fits.TIGHT: _tr("Tight."),
        Fits.NO: _tr("Does not fit."),
        Fits.UNKNOWN: _tr("Cannot say."),
    }[fits]


def verdict_text(answer: Answer, devices: tuple[DeviceInfo, ...] = ()) -> str:
    """The numbers behind the word: the memory that decides first, then the others."""
    verdict = answer.verdict
    rough = "~" if answer.is_rough else ""
    parts = [_needs(verdict, rough, devices)]
    for each in answer.ledger.devices:
        if each.name != verdict.device and each.sum_bytes:
            text = _tr("{size} in {device}").format(
                size=rough + bytes_text(each.sum_bytes), device=device_text(each.name, devices)
            )
            parts.append(text)
    text = ", ".join(parts) + "."
    if verdict.fits is Fits.TIGHT:
        text += " " + _tr("Less than {margin} % of it would stay free.").format(margin=round(verdict.margin * 100))
    if verdict.passing_bytes:
        text += " " + _tr("{size} of it only while loading.").format(size=bytes_text(verdict.passing_bytes))
    if verdict.fits is Fits.YES and verdict.margin:
        text += " " + _tr("{margin}\N{NO-BREAK SPACE}% are kept free.").format(margin=round(verdict.margin * 100))
    return text


def _needs(verdict: Verdict, rough: str, devices: tuple[DeviceInfo, ...]) -> str:
    needed, device = rough + bytes_text(verdict.needed_bytes), device_text(verdict.device, devices)
    if verdict.free_bytes is None:
        return _tr("{needed} in {device}, whose free memory is unknown").format(needed=needed, device=device)
    if verdict.is_limited:
        device = _tr("{device} by the limit of its control group").format(device=device)
    if verdict.fits is Fits.NO:
        text = _tr("It needs {needed}, and {free} are free in {device}")
    else:
        text = _tr("{needed} of {free} free in {device}")
    return text.format(needed=needed, free=bytes_text(verdict.free_bytes), device=device)


def source_text(answer: Answer, *, has_failed: bool = False) -> str:
    """Where the numbers come from. `has_failed`: the engine was asked and could not say."""
    if answer.is_by_formula and has_failed:
        text = _tr("By the formula; the engine could not say.")
    elif answer.is_by_formula:
        text = _tr("By the formula; the engine is being asked.")
    elif answer.took_s is None:
        text = _tr("Read off the curve; the engine is being asked.")
    else:
        text = _tr("Asked of the engine itself (dry run, {time}).").format(time=seconds_text(answer.took_s))
    if answer.measured is not None:
        text += " " + _tr("Loaded with exactly these options.")
    elif answer.freed_bytes:
        size = bytes_text(answer.freed_bytes)
        text += " " + _tr("The {size} of the loaded model count as free.").format(size=size)
    return text


def loading_text(answer: Answer) -> str:
    """What the load takes of RAM beside what stays; of a loaded model, what is resident. "" where nothing is known."""
    parts, loading = [], answer.ledger.loading
    if loading.staged_bytes is not None:
        parts.append(_passing_text(answer.ledger.passing_bytes, loading.staged_bytes))
    real = None if answer.measured is None else answer.measured.loading
    if real is not None and real.resident_bytes is not None:
        text = _tr("Loaded, {size} were resident").format(size=bytes_text(real.resident_bytes))
        if real.peak_bytes is not None and real.peak_bytes > real.resident_bytes + HARDLY_MORE:
            text += _tr(", at most {size} on the way").format(size=bytes_text(real.peak_bytes))
        if real.resident_file_bytes is not None:
            size = bytes_text(real.resident_file_bytes)
            text += _tr("; {size} are pages of files, which the system may take back").format(size=size)
        parts.append(text + ".")
    return " ".join(parts)


def _passing_text(passing_bytes: int, staged_bytes: int) -> str:
    if passing_bytes:
        text = _tr("While loading, RAM takes {size} more for a moment: a copy of a tensor of {tensor}.")
        return text.format(size=bytes_text(passing_bytes), tensor=bytes_text(staged_bytes))
    text = _tr("While loading, no more than afterwards")
    if staged_bytes:
        text += _tr(": one tensor at a time, of {tensor} at most").format(tensor=bytes_text(staged_bytes))
    return text + "."


def loads_text(loads: Sequence[LoadMeasured]) -> str:
    """How well the last loads were predicted: "Last 3 loads here: +0.4 %"; "" without any."""
    last = loads[:LAST_LOADS]
    if not last:
        return ""
    error = sum(each.error for each in last) / len(last)
    if len(last) == 1:
        return _tr("The last load here: {error} against what was predicted.").format(error=signed_percent(error))
    return _tr("Last {n} loads here: {error} against what was predicted.").format(
        n=len(last), error=signed_percent(error)
    )


def loads_tip(loads: Sequence[LoadMeasured]) -> str:
    """The last loads one by one."""
    line = _tr("{day}, {n} context: predicted {predicted}, measured {measured} ({error})")
    return "\n".join(
        line.format(
            day=each.loaded_utc[:10],
            n=count_text(each.n_ctx),
            predicted=bytes_text(each.predicted_bytes),
            measured=bytes_text(each.measured_bytes),
            error=signed_percent(each.error),
        )
        for each in loads[:LAST_LOADS]
    )


def signed_percent(share: float) -> str:
    """A difference: +0.4 %, −1.2 %, ±0.0 %."""
    text = f"{abs(share):.1%}".replace("%", " %")
    sign = "±" if text.startswith("0.0 ") else "+" if share > 0 else "\N{MINUS SIGN}"
    return sign + text


def left_text(device: DeviceLedger, freed_bytes: int) -> tuple[str, str]:
    """What stays free on a device, and the kind of label that says it."""
    if device.free_bytes is None:
        return unknown_text(), "mono-dim"
    left = device.free_bytes + freed_bytes - device.sum_bytes
    if left < 0:
        return _tr("{size} too much").format(size=bytes_text(-left)), "bad"
    return _tr("{size} left").format(size=bytes_text(left)), "mono"


def ledger_columns(answer: Answer, devices: tuple[DeviceInfo, ...] = ()) -> list[str]:
    """The headers of the numbers: predicted and, of a loaded model, measured, for each memory."""
    several = len(answer.ledger.devices) > 1
    columns = []
    for each in answer.ledger.devices:
        columns.append(device_text(each.name, devices) if several else _tr("Predicted"))
        if answer.measured is not None:
            columns.append(_tr("measured") if several else _tr("Measured"))
    return columns


def ledger_rows(answer: Answer) -> list[LedgerRow]:
    """The parts with their bytes in each memory."""
    rows = []
    measured = answer.measured
    for part in Part:
        entries = [(device, [e for e in device.entries if e.part is part]) for device in answer.ledger.devices]
        real = None if measured is None else {each.name: each for each in measured.devices}
        if not any(found for _, found in entries) and not (measured is not None and measured.size_of(part)):
            continue
        amounts: list[int | None] = []
        estimated: list[bool] = []
        for device, found in entries:
            amounts.append(sum(each.size_bytes for each in found))
            estimated.append(any(each.is_estimate for each in found))
            if real is not None:
                there = real.get(device.name)
                amounts.append((there.size_of(part) or 0) if there is not None else None)
                estimated.append(False)
        there_are = [(device.name, each) for device, found in entries for each in found]
        how = how_text(there_are[0][1]) if there_are else ""
        shape = shape_text(answer, part)
        tip = "\n".join([*_entry_tips(there_are, answer.ledger.n_ctx, shape), *formula_tips(answer, part)])
        rows.append(LedgerRow(part_text(part), tuple(amounts), int(PART_COLORS[part]), how, tuple(estimated), tip=tip))
    return rows


def shape_text(answer: Answer, part: Part) -> str:
    """The part as a product of the model's shapes, "" where it is none or the header is not known."""
    ledger = answer.ledger if answer.is_by_formula or answer.formula is None else answer.formula
    shapes = (each.shape for device in ledger.devices for each in device.entries if each.part is part)
    return next((each for each in shapes if each), "")


def _entry_tips(entries: Sequence[tuple[str, Entry]], n_ctx: int, shape: str) -> list[str]:
    """How a part comes about in each memory, as a product, what a token takes, and where the figures come from."""
    several = len(entries) > 1
    found = [f"{device_text(name)}: {each.how}" if several else each.how for name, each in entries]
    if shape:
        found.append(shape)
    if any(each.part is Part.KV for _, each in entries):
        a_token = sum(each.size_bytes for _, each in entries) / n_ctx
        found.append(_tr("{n} bytes a token, of {n_ctx} tokens").format(n=f"{a_token:,.0f}", n_ctx=f"{n_ctx:,}"))
    sources = dict.fromkeys(each.source for _, each in entries if each.source)
    return [*found, *(_tr("Source: {source}").format(source=each) for each in sources)]


def formula_tips(answer: Answer, part: Part) -> list[str]:
    """Where the formula and the engine differ by more than rounding, a sentence for each memory."""
    if answer.formula is None or part is Part.OVERHEAD:  # which is measured, and not calculated
        return []
    engines = {each.name: each.size_of(part) or 0 for each in answer.ledger.devices}
    found = []
    for each in answer.formula.devices:
        size, said = each.size_of(part) or 0, engines.get(each.name, 0)
        if bytes_text(size) != bytes_text(said):
            text = (
                _tr("The formula says {size} for {device}: {apart} more.")
                if size > said
                else _tr("The formula says {size} for {device}: {apart} less.")
            )
            found.append(
                text.format(size=bytes_text(size), device=device_text(each.name), apart=bytes_text(abs(size - said)))
            )
    return found


def how_text(entry: Entry) -> str:
    """Where a part's number comes from, short enough for a column; the whole is in its tooltip."""
    return {
        Part.WEIGHTS: _tr("tensor by tensor"),
        Part.COMPUTE: _tr("largest graph"),
        Part.OUTPUT: _tr("logits, 4 B each"),
        Part.OVERHEAD: _tr("assumed") if entry.source == ASSUMED else _tr("measured here"),
        Part.MAPPED: _tr("also copied"),
    }.get(entry.part, entry.how)


def limit_note(limit: int | None, n_ctx: int, n_ctx_train: int | None) -> tuple[str, str]:
    """The remark under the context: how much fits, and its kind."""
    if limit is None:
        return "", ""
    if n_ctx_train and limit >= n_ctx_train >= n_ctx:
        return _tr("all of it fits"), "good"
    if limit <= 0:
        return _tr("nothing fits"), "bad"
    return _tr("fits up to {n}").format(n=count_text(limit)), "good" if n_ctx <= limit else "bad"


def draft_note(options: Mapping[str, Value]) -> tuple[str, str]:
    """The remark under the draft model, and its kind: guesses are checked in calls with several outputs."""
    if options.get("model_draft") and options.get("n_outputs_max") == 1:
        return _tr("cannot be used with one output a call"), "warning"
    return "", ""


def lock_note(options: Mapping[str, Value], answer: Answer | None, lockable: int | None) -> tuple[str, str]:
    """The remark under “Lock in memory”, and its kind: more than this user may lock stays unlocked."""
    beyond = None if answer is None else locked_beyond(answer.ledger, options, lockable)
    if beyond is None:
        return "", ""
    text = _tr("only {size} may be locked here; raise the limit (ulimit -l) or the rest stays unlocked")
    return text.format(size=bytes_text(lockable)), "warning"


def advice_text(advice: Advice) -> tuple[str, str]:
    """A piece of advice: its headline and its sentence."""
    n_ctx = count_text(advice.n_ctx)
    match advice.kind:
        case AdviceKind.TOO_BIG:
            return _tr("To make it fit:"), _tr("each of these is enough, or gets closer.")
        case AdviceKind.TIGHT:
            return _tr("More room:"), _tr("with so little to spare other programs may be pushed out.")
        case AdviceKind.BEYOND:
            text = _tr("The model was trained on {n} tokens; beyond that answers get worse.").format(n=n_ctx)
            return _tr("Longer than trained:"), text
        case AdviceKind.SMALLER_CACHE:
            text = _tr("a q8_0 KV cache frees {size}").format(size=bytes_text(advice.saved_bytes))
            if advice.n_ctx:
                text += " " + _tr("and allows {n} context").format(n=n_ctx)
            return _tr("Could be better:"), text + _tr(", with hardly any loss.")
        case AdviceKind.LONGER:
            text = _tr("the full {n} tokens that the model was trained on need {size} and fit.")
            return _tr("Room for more:"), text.format(n=n_ctx, size=bytes_text(advice.needed_bytes))


def remedy_text(remedy: Remedy, *, is_first: bool = False) -> str:
    """A button's text: the engine's own words, or what it sets; the first of several that set is the one to take."""
    if remedy.label:
        return remedy.label
    changes = parse_changes(remedy.argument)
    text = ", ".join(f"{name}: {value}" for name, value in _named(changes))
    return _tr("Make it fit: {changes}").format(changes=text) if is_first else text


def grid_cells(grid: Grid) -> tuple[list[str], list[str], list[list[HeatCell]]]:
    """The names of the rows and columns of a grid, and its cells in words."""
    names = [type_k if type_k == type_v else f"{type_k}, {type_v}" for type_k, type_v in grid.cache_types]
    columns = [count_text(each) for each in grid.contexts]
    cells = [
        [_grid_cell(cell, name, context) for cell, context in zip(row, columns, strict=True)]
        for name, row in zip(names, grid.cells, strict=True)
    ]
    return names, columns, cells


def _grid_cell(cell: GridCell | None, name: str, context: str) -> HeatCell:
    place = _tr("{context} context, {type} cache").format(context=context, type=name)
    if cell is None:
        return HeatCell("\N{EN DASH}", "surface2", _tr("{place}: the engine refuses it").format(place=place), False)
    size = bytes_text(cell.total_bytes)
    spoken = f"{place}: {size}. {verdict_word(cell.fits)}"
    return HeatCell(f"{FITS_SIGNS[cell.fits]} {size}".strip(), FITS_ROLES[cell.fits], spoken)


def best_text(best: Best) -> str:
    """Which of a repository's quantizations is best here."""
    values = {"n": best.n_tried, "context": count_text(best.n_ctx)}
    if best.model is None:
        return _tr("None of the {n} fits with {context} tokens of context and its margin.").format(**values)
    name = best.model.quant or best.model.address.file
    return _tr("{name} has the most bits of the {n} that fits with {context} tokens.").format(name=name, **values)


def changes_text(before: Mapping[str, Value], after: Mapping[str, Value]) -> str:
    """What was changed, from what to what: "Context 4,096 → 8,192"."""
    old, new = _named(before), _named(after)
    return ", ".join(f"{name} {was} \N{RIGHTWARDS ARROW} {now}" for (name, was), (_, now) in zip(old, new, strict=True))


def _named(options: Mapping[str, Value]) -> list[tuple[str, str]]:
    """Options by their names on screen; equal cache types as the one that people choose."""
    found = []
    for key, value in options.items():
        if key == "type_v" and options.get("type_k") == value:
            continue
        is_pair = key == "type_k" and options.get("type_v") == value
        field = KV_TYPE if is_pair else LOAD_OPTIONS[key]
        found.append((field.label, field.format(value) or _tr("none")))
    return found


def deciding_device(ledger: Ledger) -> str:
    """The memory whose curve is drawn: the one that is fullest for what it has free; a GPU before RAM where unknown."""

    def fullness(device: DeviceLedger) -> float:
        if not device.free_bytes:
            return 1.0 if device.kind is not DeviceKind.CPU and device.sum_bytes else 0.0
        return device.sum_bytes / device.free_bytes

    return max(ledger.devices, key=fullness).name


def _one(value: int | tuple[int, ...] | None) -> str | None:
    if isinstance(value, tuple):
        low, high = min(value), max(value)
        return count_text(low) if low == high else f"{low} to {high}"
    return None if value is None else count_text(value)

"""The Hardware page's words: titles of plots, names of sources and kinds, the cells of the table of runs."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QDateTime, QLocale, Qt

from engine.hardware.snapshot import Device, DeviceKind
from engine.wire.messages import FinishReason
from gui.model_name import spoken_name
from gui.panels.hardware.presenter import Chart, Line, Run
from gui.widgets.quantities import bytes_of_text, count_text, quantity_text, rate_text, seconds_text, unknown_text
from gui.widgets.value_table import Cell

DASH = "\N{EN DASH}"


def _tr(text: str) -> str:
    return QCoreApplication.translate("Hardware", text)


def chart_text(chart: Chart) -> str:
    """A plot's title."""
    return {
        Chart.CPU: _tr("Processor"),
        Chart.RAM: _tr("Memory used"),
        Chart.ENGINE: _tr("The engine's memory"),
        Chart.SPEED: _tr("Writing speed"),
        Chart.GPU: _tr("GPU use"),
        Chart.VRAM: _tr("GPU memory"),
        Chart.TEMPERATURE: _tr("Temperature"),
        Chart.POWER: _tr("Power"),
        Chart.DISK: _tr("The engine reads from disk"),
    }[chart]


def chart_tip(chart: Chart) -> str:
    """Where a plot's numbers come from."""
    return {
        Chart.CPU: _tr("All cores together; the thin lines are the single cores. Source: the system's counters"),
        Chart.RAM: _tr("What is taken of the memory that we may use, without page cache. Source: the system"),
        Chart.ENGINE: _tr("Resident memory of the engine's process. Source: the system"),
        Chart.SPEED: _tr("Tokens that arrived in the window, each quarter of a second"),
        Chart.GPU: _tr("Source: the card's driver"),
        Chart.VRAM: _tr("Source: the card's driver"),
        Chart.TEMPERATURE: _tr("Source: the sensors that the system tells of"),
        Chart.POWER: _tr("Source: the card's driver"),
        Chart.DISK: _tr("Pages of a mapped model that were not in memory count too. Source: the system"),
    }[chart]


def line_text(line: Line, devices: tuple[Device, ...]) -> str:
    """A line's name: a card's, a core's number, or what it is the total of."""
    device = next((each for each in devices if each.key == line.source), None)
    if line.is_core:
        return _tr("core {n}").format(n=line.source.removeprefix("cpu"))
    if line.source == "cpu":
        return _tr("all cores")
    return (
        device.name
        if device is not None
        else {"ram": _tr("RAM"), "worker": _tr("engine")}.get(line.source, line.source or _tr("speed"))
    )


def last_text(lines: tuple[Line, ...], whole: float | None = None) -> str:
    """What stands in a plot's corner: the newest value of its main lines, of the whole where there is one."""
    mains = [each for each in lines if not each.is_core]
    if whole is not None and len(mains) == 1 and mains[0].last is not None and mains[0].unit == "B":
        return bytes_of_text(mains[0].last, whole)
    return "  ".join(quantity_text(each.last, each.unit) if each.last is not None else DASH for each in mains)


def kind_text(kind: DeviceKind) -> str:
    """A kind of device."""
    return {
        DeviceKind.CPU: _tr("Processor"),
        DeviceKind.GPU: _tr("GPU"),
        DeviceKind.IGPU: _tr("GPU in the processor"),
        DeviceKind.ACCEL: _tr("Accelerator"),
    }[kind]


def probe_text(key: str) -> str:
    """The name of a source that may be absent."""
    return {"nvidia": "NVIDIA", "amd": "AMD", "drm": _tr("Other graphics cards")}.get(key, key)


def window_text(minutes: int) -> str:
    """A length of time for the choice of the window."""
    return _tr("{n} min").format(n=minutes)


def run_cells(run: Run) -> tuple[Cell, ...]:
    """A row of the table of runs, in the order of its columns."""
    moment = QDateTime.fromSecsSinceEpoch(int(run.started.timestamp()))
    locale = QLocale()
    when = locale.toString(moment, "yyyy-MM-dd HH:mm:ss")
    read = count_text(run.n_prompt) if run.n_prompt is not None else DASH
    tip = ""
    if run.n_reused:
        tip = _tr("{n} of them were in the cache already").format(n=count_text(run.n_reused))
    return (
        Cell(when, run.started.timestamp(), moment.toString(Qt.DateFormat.ISODate)),
        Cell(spoken_name(run.model), run.model.casefold()),
        Cell(read, run.n_prompt, tip),
        Cell(count_text(run.n_completion) if run.n_completion is not None else DASH, run.n_completion),
        Cell(_rate(run.prefill_tps), run.prefill_tps),
        Cell(_rate(run.decode_tps), run.decode_tps),
        Cell(seconds_text(run.first_token_s) if run.first_token_s is not None else DASH, run.first_token_s),
        Cell(*_ending(run)),
    )


def run_titles() -> tuple[str, ...]:
    """The headers over `run_cells`."""
    return (
        _tr("Time"),
        _tr("Model"),
        _tr("Prompt"),
        _tr("Answer"),
        _tr("Reading"),
        _tr("Writing"),
        _tr("First token"),
        _tr("Ended"),
    )


def _ending(run: Run) -> tuple[str, str, str]:
    if run.trouble is not None:
        return _tr("failed"), "failed", run.trouble.sentence()
    names = {
        FinishReason.STOP: _tr("complete"),
        FinishReason.LENGTH: _tr("at the limit"),
        FinishReason.CANCELLED: _tr("stopped"),
        FinishReason.CONTEXT: _tr("context full"),
    }
    text = names[run.finish] if run.finish is not None else _tr("cut off")
    return text, text, ""


def _rate(per_second: float | None) -> str:
    text = rate_text(per_second)
    return DASH if text == unknown_text() else text

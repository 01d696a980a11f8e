"""`hardware`, `models`, `doctor`: what is on this computer, and whether everything is in order."""

from __future__ import annotations

import platform
import sys
import time
from argparse import ArgumentParser
from importlib import metadata
from pathlib import Path
from typing import Any

from engine.base.errors import KnownError
from engine.cli import what_if
from engine.cli.repositories import files, show_repository
from engine.cli.session import Session, add_fields, given_fields
from engine.gguf.card import Card
from engine.hardware import open_recorder
from engine.hardware.recorder import Recorder
from engine.hardware.snapshot import Quantity, Unit
from engine.models.header_files import card_at, is_header_file, source_of
from engine.models.library import LibraryEntry, scan
from engine.models.starter import starter_model
from engine.runtime.supervisor import Phase
from engine.settings import SETTINGS

PACKAGES = ("PySide6-Essentials", "llama-cpp-python", "huggingface-hub", "psutil", "numpy", "jinja2", "msgspec")


def add_hardware(parser: ArgumentParser) -> None:
    """Flags of `hardware`."""
    parser.add_argument("--watch", type=float, metavar="S", help="go on for so many seconds, a JSON line each time")
    parser.add_argument("--interval", type=float, default=1.0, metavar="S", help="seconds between two readings")
    parser.add_argument(
        "--table",
        nargs="?",
        const="",
        metavar="WORDS",
        help="the devices that “size --on” knows, with the source of their figures; those with these words in their name",
    )


def hardware(session: Session) -> int:
    """Devices and readings; or the table of devices that are not here."""
    arguments = session.arguments
    if arguments.table is not None:
        session.put({"table": what_if.table_document(arguments.table)}, what_if.table_lines(arguments.table))
        return 0
    if arguments.interval <= 0:
        raise KnownError("--interval must be above 0", value=str(arguments.interval), next_step="give seconds")
    recorder = open_recorder(rate_hz=min(10.0, max(1.0, 1 / arguments.interval)))
    try:
        until = time.monotonic() + (arguments.watch or 0.0)
        _wait_for_reading(recorder)
        document = {"devices": [_device(each) for each in recorder.devices()], "readings": _readings(recorder)}
        if arguments.watch is None:
            session.put(document, _hardware_lines(document))
            return 0
        while True:
            now = {"utc": _utc(), **_readings(recorder)}
            if session.as_json:
                session.put_line(now)
            else:
                print(" · ".join(_readings_text(recorder)), flush=True)
            if time.monotonic() + arguments.interval > until:
                return 0
            time.sleep(arguments.interval)
    finally:
        recorder.close()


def add_models(parser: ArgumentParser) -> None:
    """Flags of `models`."""
    parser.add_argument(
        "what",
        choices=("list", "scan", "show", "files"),
        help="list the library, scan a folder, show a model, list the files of a repository on the hub",
    )
    parser.add_argument("target", nargs="?", help="the folder, the model (hf:… too), or the repository")
    add_fields(parser, (SETTINGS["model_folders"],))


def models(session: Session) -> int:
    """The library, a folder, or one model's card."""
    arguments, workbench = session.arguments, session.workbench
    if arguments.what == "show":
        if not arguments.target:
            raise KnownError("Which model?", next_step="give a path to a GGUF file, or a name from `models list`")
        return _show(session)
    if arguments.what == "files":
        return files(session)
    if arguments.what == "scan":
        if not arguments.target:
            raise KnownError("Which folder?", next_step="give a folder to search for GGUF files")
        folder = Path(arguments.target).expanduser()
        if not folder.is_dir():
            raise KnownError("There is no such folder", value=str(folder), next_step="give a folder with GGUF files")
        entries, missing = scan([folder], None, progress=lambda count, name: session.note(f"{count:>5}  {name}"))
    else:
        extra = given_fields(arguments, (SETTINGS["model_folders"],)).get("model_folders", ())
        known = workbench.settings["model_folders"]
        folders = [*(known if isinstance(known, tuple) else ()), *(extra if isinstance(extra, tuple) else ())]
        entries, missing = scan([workbench.paths.models, *(Path(each) for each in folders)], starter_model())
        missing = tuple(each for each in missing if each != str(workbench.paths.models))
    document = {"models": [_entry(each) for each in entries], "missing_folders": list(missing)}
    session.put(document, [*(_entry_line(each) for each in entries), *(f"away: {each}" for each in missing)])
    return 0


def _show(session: Session) -> int:
    found = session.find_header(session.arguments.target)
    if not isinstance(found, Path) and found.path is None:
        return show_repository(session, found)
    path = found if isinstance(found, Path) else found.path
    assert path is not None
    card = card_at(path)
    document, rows = card_document(card), card.rows()
    if is_header_file(path):
        document["path"] = source_of(path)
        rows = (("On the hub", source_of(path)), *rows)
    session.put(document, (f"{label:<18}{text}" for label, text in rows))
    return 0


def add_doctor(parser: ArgumentParser) -> None:
    """Flags of `doctor`: none of its own."""


def doctor(session: Session) -> int:
    """Versions, devices, folders, and what to do about each fault; 1 when there is one."""
    workbench = session.workbench
    faults: list[dict[str, str]] = []

    def fault(what: str, next_step: str) -> None:
        faults.append({"what": what, "next_step": next_step})

    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
            fault(f"{name} is not installed", "run `make setup`")
    qt = versions["PySide6-Essentials"] or ""
    if qt.startswith("6.12") and sys.version_info < (3, 12):
        fault(f"PySide6 {qt} ends programs on Python {versions['python']}", "run `make setup`, which brings 6.11")
    workbench.supervisor.ensure_worker()
    state = workbench.state
    try:
        session.wait_for(lambda: workbench.state.phase in (Phase.EMPTY, Phase.LOST))
        state = workbench.state
        if state.trouble is not None:
            fault(state.trouble.sentence(), "run `make setup` again")
    except KnownError as error:
        fault(str(error), "run `make setup` again")
    starter = starter_model()
    if starter is None:
        fault("The starter model is not installed", "run `make setup`")
    recorder = open_recorder(rate_hz=10.0)
    try:
        _wait_for_reading(recorder)
        devices = [_device(each) for each in recorder.devices()]
        absent = dict(recorder.absences())
    finally:
        recorder.close()
    folders = {}
    paths = workbench.paths
    for name in ("data", "models", "logs", "cache"):
        folder: Path = getattr(paths, name)
        folders[name] = {"path": str(folder), "writable": _writable(folder)}
        if not folders[name]["writable"]:
            fault(f"{folder} cannot be written to", "allow writing there, or use --data-dir")
    document = {
        "versions": versions,
        "engine": {
            "name": state.engine or None,
            "build": state.build or None,
            "devices": [
                {"name": each.name, "description": each.description, "kind": each.kind.value, "total": each.total_bytes}
                for each in state.devices
            ],
        },
        "devices": devices,
        "absent": absent,
        "folders": folders,
        "starter": str(starter) if starter else None,
        "faults": faults,
    }
    lines = [f"{name:<22}{version or 'missing'}" for name, version in versions.items()]
    lines.append(f"{'engine':<22}{state.build or 'did not start'}")
    lines += [f"{'engine device':<22}{each.name}: {each.description}" for each in state.devices]
    lines += [f"{'device':<22}{each['name']}" for each in devices]
    lines += [f"{'no ' + key:<22}{reason}" for key, reason in absent.items()]
    lines += [f"{name:<22}{each['path']}" for name, each in folders.items()]
    lines += [f"FAULT  {each['what']}: {each['next_step']}" for each in faults] or ["all in order"]
    session.put(document, lines)
    return 1 if faults else 0


def card_document(card: Card) -> dict[str, Any]:
    """A card as the commands print it."""
    return {
        "path": str(card.path),
        "kind": card.kind.value,
        "name": card.name,
        "architecture": card.architecture,
        "n_params": card.n_params,
        "quantization": card.quantization,
        "bits_per_weight": card.bits_per_weight,
        "types": {
            share.type.name.lower(): {"tensors": share.n_tensors, "params": share.n_params, "bytes": share.size_bytes}
            for share in card.mix
        },
        "n_layer": card.n_layer,
        "n_embd": card.n_embd,
        "n_head": card.n_head,
        "n_head_kv": card.n_head_kv,
        "head_k": card.head_k,
        "head_v": card.head_v,
        "n_ff": card.n_ff,
        "n_vocab": card.n_vocab,
        "n_ctx_train": card.n_ctx_train,
        "sliding_window": card.sliding_window,
        "n_expert": card.n_expert,
        "n_expert_used": card.n_expert_used,
        "tokenizer": card.tokenizer,
        "has_chat_template": card.chat_template is not None,
        "licence": card.licence,
        "languages": list(card.languages),
        "size": card.size_bytes,
        "weights": card.weights_bytes,
        "files": card.n_files,
        "problems": list(card.problems),
    }


def _entry(entry: LibraryEntry) -> dict[str, Any]:
    found: dict[str, Any] = {"label": entry.label, "path": str(entry.path), "origin": entry.origin}
    if entry.card is not None:
        found["card"] = card_document(entry.card)
    if entry.trouble is not None:
        found["error"] = entry.trouble.sentence()
    return found


def _entry_line(entry: LibraryEntry) -> str:
    if entry.card is None:
        return f"{entry.label:<44}  {entry.trouble.sentence() if entry.trouble else ''}"
    card = entry.card
    return f"{entry.label:<44}  {card.quantization or '':<8}{card.size_bytes / 2**20:>9,.0f} MiB  {entry.path}"


def _device(device: Any) -> dict[str, Any]:
    return {
        "key": device.key,
        "name": device.name,
        "kind": device.kind.value,
        "driver": device.driver,
        "total": device.total_bytes,
        "free": device.free_bytes,
        "details": dict(device.details),
    }


def _wait_for_reading(recorder: Recorder) -> None:
    """The first processor reading needs two looks; give it a second."""
    until = time.monotonic() + 1.0
    while time.monotonic() < until and recorder.n_samples < 2:
        time.sleep(0.02)


def _readings(recorder: Recorder) -> dict[str, Any]:
    snapshot = recorder.latest()
    found: dict[str, Any] = {}
    for each in snapshot.readings if snapshot else ():
        found.setdefault(each.source, {})[each.quantity.name.lower()] = each.value
    return found


def _hardware_lines(document: dict[str, Any]) -> list[str]:
    lines = [f"{each['name']}  ({each['driver'] or 'no driver'})" for each in document["devices"]]
    for source, readings in document["readings"].items():
        for name, value in readings.items():
            lines.append(f"{source:<10}{name:<20}{_with_unit(name, value)}")
    return lines


def _readings_text(recorder: Recorder) -> list[str]:
    return [
        f"{source} {name} {_with_unit(name, value)}"
        for source, readings in _readings(recorder).items()
        for name, value in readings.items()
        if value is not None
    ]


def _with_unit(name: str, value: float | None) -> str:
    if value is None:
        return "unknown"
    unit = Quantity[name.upper()].unit
    if unit in (Unit.BYTES, Unit.BYTES_PER_S):
        return f"{value / 2**20:,.1f} Mi{unit.value}"
    return f"{value:,.1f} {unit.value}"


def _writable(folder: Path) -> bool:
    import os

    here = folder
    while not here.exists() and here != here.parent:
        here = here.parent
    return here.is_dir() and os.access(here, os.W_OK)


def _utc() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat()

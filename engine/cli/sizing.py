"""`size`: what a model takes."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.base.errors import KnownError
from engine.base.fields import Value
from engine.cli import what_if
from engine.cli.repositories import safetensors_document, safetensors_lines
from engine.cli.session import Session, add_fields, given_fields, given_load_options, load_options
from engine.cli.training import add_training, bytes_of, refuse_without_train, size_of_training
from engine.gguf.card import ModelKind
from engine.hardware.ram import lockable_bytes
from engine.memory.fit import Fits, locked_beyond
from engine.memory.fitting import Proposal
from engine.memory.formula.shapes import shape_texts
from engine.memory.ledger import DeviceLedger, Ledger, Part
from engine.models.address import is_hub_address
from engine.models.header_files import is_header_file, not_here, source_of
from engine.models.safetensors import SafetensorsModel, stand_in
from engine.models.shapes import SHAPE
from engine.wire.load_options import LOAD_OPTIONS
from engine.workbench.by_formula import FormulaEstimate, ModelFormula, best_of, differences
from engine.workbench.events import Estimate
from engine.workbench.hub_desk import OnHub, Quant

METHODS = ("dry-run", "formula", "both")


def add_size(parser: ArgumentParser) -> None:
    """Flags of `size`."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help='a GGUF file, "starter", a name from `models list`, or hf:OWNER/REPO/FILE.gguf',
    )
    add_fields(parser.add_argument_group("a model that is only described (instead of MODEL)"), SHAPE)
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="dry-run",
        help="how to find out: ask the engine (the default), calculate from the header, or both and compare",
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="NAME=BYTES",
        help="what if: a memory of this size, all of it free, such as RAM=16GiB or CUDA0=24GiB; may be given again. "
        "Devices that are not in this machine need --method formula, and stand in place of this machine's",
    )
    parser.add_argument(
        "--fit",
        action="store_true",
        help="where it does not fit, look for options that do; what is given stays as it is",
    )
    parser.add_argument(
        "--with",
        dest="beside",
        action="append",
        default=[],
        metavar="FILE",
        help="count this LoRA adapter, control vector or projector (mmproj) too; may be given again",
    )
    parser.add_argument(
        "--best",
        action="store_true",
        help="MODEL is a repository on the hub: size each of its quantizations, and name the best that fits here",
    )
    parser.add_argument("--verify", action="store_true", help="load it for real too, and print what it took")
    what_if.add_flags(parser)
    add_fields(parser, LOAD_OPTIONS)
    add_training(parser)


def size(session: Session) -> int:
    """What a load, here or on other devices, or training would take; 1 when it does not fit."""
    if session.arguments.train:
        return size_of_training(session)
    refuse_without_train(session.arguments)
    if session.arguments.best:
        return _best(session)
    path = _what_to_size(session)
    if not isinstance(path, Path):
        return _estimated(session, path)
    options = load_options(session)
    if session.arguments.verify and is_header_file(path):
        raise KnownError.of(not_here(path))
    method, sizes = session.arguments.method, _sizes(session.arguments.device)
    _count_beside(session, path)
    estimate, by_formula = _asked(session, path, options, sizes)
    ways: tuple[Proposal, ...] = ()
    first = estimate or by_formula
    assert first is not None
    if session.arguments.fit and first.verdict.fits in (Fits.NO, Fits.TIGHT):
        ways = _ways(session, path, options, sizes)
        if ways:
            options = {**options, **ways[0].changes}
            estimate, by_formula = _asked(session, path, options, sizes)
    found = estimate or by_formula
    assert found is not None
    others = what_if.asked_for(session)
    if others and estimate is None:
        raise KnownError("Other devices start from the dry run", value="--on", next_step="leave --method formula away")
    answers = (
        session.answer(
            lambda then, failed: session.workbench.figures.ask(
                what_if.question(session, path, estimate, others), then, failed
            )
        )
        if estimate is not None
        else ()
    )
    measured: Ledger | None = None
    if session.arguments.verify:
        session.load(str(path), options, check_memory=False)
        session.wait_for(lambda: session.workbench.measured is not None)
        measured = session.workbench.measured
    ledger = found.ledger
    document: dict[str, Any] = {
        "model": _model(path, found),
        "settings": {**LOAD_OPTIONS.checked(options), "n_ctx": ledger.n_ctx},
        "method": method,
        "is_here": not is_header_file(path),
        "devices": [_device(each) for each in ledger.devices],
        "estimated": sorted(
            {each.part.value for device in ledger.devices for each in device.entries if each.is_estimate}
        ),
        "total": ledger.sum_bytes,
        "resident": sum(
            each.size_bytes for device in ledger.devices for each in device.entries if each.part is not Part.MAPPED
        ),
        "staged": ledger.loading.staged_bytes,
        "passing": ledger.passing_bytes if ledger.loading.staged_bytes is not None else None,
        "fits": found.verdict.fits.value,
        "advice": [each.label for each in found.verdict.advice],
        "ways": [dict(each.changes) for each in ways],
        "max_n_ctx": found.max_n_ctx,
        "took_s": found.took_s,
        "margin": found.verdict.margin,
        "speed": what_if.speed_document(answers[0].speed) if answers else None,
    }
    for elsewhere in answers[1:]:
        document |= what_if.document(elsewhere)
        session.put(document, what_if.lines(elsewhere))
        return 1 if elsewhere.fits is Fits.NO else 0
    if estimate is not None and by_formula is not None:
        apart = differences(by_formula.ledger, estimate.ledger)
        document["formula"] = [_device(each) for each in by_formula.ledger.devices]
        document["difference"] = {part.value: apart.get(part) for part in Part}
    if measured is not None:
        document["measured"] = {
            "devices": [_device(each) for each in measured.devices],
            "total": measured.sum_bytes,
            "rss": session.workbench.state.rss_bytes,
            "rss_files": measured.loading.resident_file_bytes,
            "peak_rss": measured.loading.peak_bytes,
        }
    beside = by_formula.ledger if estimate is not None and by_formula is not None else None
    shapes = _shapes(session, path, options)
    document["shapes"] = {part.value: text for part, text in shapes.items()}
    speed = what_if.speed_lines(answers[0].speed) if answers else []
    changed = [f"{'made to fit with' if at == 0 else 'or'}: {_flags(each)}" for at, each in enumerate(ways)]
    beyond = locked_beyond(ledger, options, lockable_bytes())
    locked = [] if beyond is None else [f"{_mib(beyond)} cannot be locked: this user may lock less (ulimit -l)"]
    document["unlocked"] = beyond or 0
    session.put(document, [*_size_lines(found, measured, beside, shapes), *locked, *changed, *speed])
    return 1 if found.verdict.fits is Fits.NO else 0


def _asked(
    session: Session, path: Path, options: dict[str, Value], sizes: Mapping[str, int]
) -> tuple[Estimate | None, FormulaEstimate | None]:
    """What the engine and the formula say, as far as `--method` asks them."""
    method, formulas = session.arguments.method, session.workbench.formulas
    estimate: Estimate | None = None
    by_formula: FormulaEstimate | None = None
    if method != "formula":
        estimate = session.answer(
            lambda then, failed: session.workbench.estimate(path, options, then, failed, with_limit=True, what_if=sizes)
        )
        _refuse_unseen(estimate.ledger, sizes)
    if method != "dry-run":
        model: ModelFormula = session.answer(lambda then, failed: formulas.read(path, then, failed))
        by_formula = formulas.estimate(model, options, sizes, with_limit=method == "formula")
    return estimate, by_formula


def _count_beside(session: Session, path: Path) -> None:
    """Count the files of `--with` beside the model, in all that is asked from here on."""
    for each in session.arguments.beside:
        _count_file(session, path, Path(each).expanduser())


def _count_file(session: Session, path: Path, file: Path) -> None:
    session.answer(lambda then, failed: session.workbench.formulas.beside.add(path, file, then, failed))


def _ways(session: Session, path: Path, options: dict[str, Value], sizes: Mapping[str, int]) -> tuple[Proposal, ...]:
    """What to change so that it fits, without what the command line gives."""
    formulas, kept = session.workbench.formulas, given_load_options(session)
    model: ModelFormula = session.answer(lambda then, failed: formulas.read(path, then, failed))
    found: tuple[Proposal, ...] = session.answer(
        lambda then, failed: formulas.ways_to_fit(model, options, then, failed, kept=kept, what_if=sizes)
    )
    return found


def _flags(proposal: Proposal) -> str:
    return " ".join(f"{LOAD_OPTIONS[key].flag} {value}" for key, value in proposal.changes.items())


def _best(session: Session) -> int:
    """Every quantization of a repository by the formula; 1 when none fits with these options."""
    model, options = session.arguments.model, load_options(session)
    if not model or not is_hub_address(model):
        raise KnownError("Which repository?", value=model or "", next_step="give one: size hf:OWNER/REPO --best")
    quants: tuple[Quant, ...] = session.ask_hub(lambda then, failed: session.workbench.hub.every(model, then, failed))
    paths = [each.path for each in quants]
    estimates: tuple[FormulaEstimate, ...] = session.answer(
        lambda then, failed: session.workbench.formulas.compare(paths, options, then, failed)
    )
    best = best_of(estimates)
    rows, lines = [], []
    for at, (quant, each) in enumerate(zip(quants, estimates, strict=True)):
        bits = 8 * each.card.weights_bytes / each.card.n_params if each.card.n_params else None
        name = quant.model.quant or quant.model.address.file
        rows.append(
            {
                "address": str(quant.model.address),
                "quant": quant.model.quant,
                "size": each.card.weights_bytes,
                "bits_per_weight": bits,
                "total": each.ledger.sum_bytes,
                "fits": each.verdict.fits.value,
                "max_n_ctx": each.max_n_ctx,
                "is_best": at == best,
            }
        )
        limit = "unknown" if each.max_n_ctx is None else f"{each.max_n_ctx:,}"
        mark = "  <- best" if at == best else ""
        spelled = f"{bits:5.2f}" if bits is not None else "    ?"
        lines.append(
            f"{name:<12}{spelled} bits{_mib(each.card.weights_bytes):>16}{_mib(each.ledger.sum_bytes):>16} in all   "
            f"{each.verdict.fits.value:<8}up to {limit} tokens{mark}"
        )
    if best is None:
        lines.append("none fits with its margin: use a shorter context or a smaller KV cache type, or another model")
    session.put({"model": model, "method": "formula", "quants": rows}, lines)
    return 0 if best is not None else 1


def _model(path: Path, found: Estimate | FormulaEstimate) -> dict[str, Any]:
    """The model as its header, or the engine, describes it."""
    if isinstance(found, Estimate):
        facts = found.facts
        return {
            "path": source_of(path) or (None if is_header_file(path) else str(path)),
            "name": facts.name,
            "architecture": facts.architecture,
            "n_params": facts.n_params,
            "size": facts.size_bytes,
            "n_layer": facts.n_layer,
            "n_ctx_train": facts.n_ctx_train,
            "n_vocab": facts.n_vocab,
        }
    card = found.card
    return {
        "path": source_of(path) or (None if is_header_file(path) else str(path)),
        "name": card.name,
        "architecture": card.architecture,
        "n_params": card.n_params,
        "size": card.weights_bytes,
        "n_layer": card.n_layer,
        "n_ctx_train": card.n_ctx_train,
        "n_vocab": card.n_vocab,
    }


def _sizes(given: Sequence[str]) -> dict[str, int]:
    """`NAME=BYTES` as names and bytes."""
    found = {}
    for each in given:
        name, _, size = each.rpartition("=")
        if not name.strip():
            raise KnownError("A device is given as NAME=BYTES", value=each, next_step="write for example CUDA0=24GiB")
        found["RAM" if name.strip().upper() == "RAM" else name.strip()] = bytes_of(size)
    return found


def _refuse_unseen(ledger: Ledger, sizes: Mapping[str, int]) -> None:
    unseen = [name for name in sizes if name not in {each.name for each in ledger.devices}]
    if unseen:
        raise KnownError(
            "The engine places nothing on this device here, so the dry run cannot tell",
            value=unseen[0],
            next_step="use --method formula, which needs no such device",
        )


def _what_to_size(session: Session) -> Path | SafetensorsModel:
    """The file or header file that the command line names or describes; else what a repository holds instead."""
    model, shape = session.arguments.model, given_fields(session.arguments, SHAPE)
    if model and shape:
        raise KnownError(
            "Give a model or describe one, not both",
            value=f"{model}, {', '.join(SHAPE[key].flag for key in shape)}",
            next_step="leave out one of them",
        )
    if shape:
        path = session.answer(lambda then, failed: (session.workbench.hub.describe(shape, then, failed), None)[1])
        assert isinstance(path, Path)
        return path
    if not model:
        raise KnownError("Which model?", next_step="give a GGUF file, hf:OWNER/REPO/FILE.gguf, or --params 8B")
    found = session.find_header(model)
    if isinstance(found, Path):
        return found
    if found.path is not None:
        return found.path
    if found.weights is not None:
        return _of_weights(session, found)
    assert found.repository is not None
    quants = ", ".join(
        each.quant or each.address.file for each in found.repository.models if each.kind is ModelKind.MODEL
    )
    raise KnownError(
        "The repository holds several models", value=f"{model}: {quants}"[:400], next_step=f"give one: {model}:QUANT"
    )


def _of_weights(session: Session, found: OnHub) -> Path | SafetensorsModel:
    """A repository without GGUF files: its header as GGUF where a quantization or a whole load is asked about."""
    asked, weights = session.arguments, found.weights
    assert weights is not None
    assert found.repository is not None
    if not (found.repository.address.quant or asked.on or asked.fit or asked.beside or asked.device):
        return weights
    if found.stand_in is None:
        raise KnownError(
            "Of this repository only the weights can be estimated",
            value=f"{weights.address}: {weights.architecture or 'unknown architecture'}",
            next_step="leave out the quantization and options such as --on, or choose a repository with GGUF files",
        )
    return found.stand_in


def _estimated(session: Session, weights: SafetensorsModel) -> int:
    """What each quantization of a repository without GGUF files would take."""
    document = {"model": safetensors_document(weights), "method": "estimate"}
    whole = f"size hf:{weights.address.repo}:Q4_K_M plans a whole load of it, as a llama of these numbers"
    session.put(document, [*safetensors_lines(weights), *([whole] if stand_in(weights, "Q4_K_M") is not None else [])])
    return 0


def _device(device: DeviceLedger) -> dict[str, Any]:
    parts = {each.value: device.size_of(each) for each in Part}
    return {
        "name": device.name,
        "kind": device.kind.value,
        "total": device.total_bytes,
        "free": device.free_bytes,
        "parts": parts,
        "sources": {each.part.value: each.source for each in device.entries},
        "sum": device.sum_bytes,
    }


def _shapes(session: Session, path: Path, options: dict[str, Value]) -> dict[Part, str]:
    """The parts as products of the model's shapes; {} where the formula does not know them."""
    formulas = session.workbench.formulas
    try:
        model: ModelFormula = session.answer(lambda then, failed: formulas.read(path, then, failed))
        return shape_texts(model.formula.architecture, LOAD_OPTIONS.checked(options))
    except KnownError:
        return {}


def _size_lines(
    estimate: Estimate | FormulaEstimate,
    measured: Ledger | None,
    by_formula: Ledger | None,
    shapes: Mapping[Part, str],
) -> list[str]:
    lines = []
    for place, device in enumerate(estimate.ledger.devices):
        real = measured.devices[place] if measured is not None and place < len(measured.devices) else None
        lines.append(device.name)
        for entry in device.entries:
            rough = "~" if entry.is_estimate else ""
            line = f"  {entry.part.value:<10}{rough + _mib(entry.size_bytes):>14}"
            if real is not None:
                taken = real.size_of(entry.part)
                line += f"{_mib(taken) if taken is not None else '–':>14} measured"
            lines.append(f"{line}   {entry.how}")
        free = "unknown" if device.free_bytes is None else _mib(device.free_bytes)
        limit = ", by the limit of its control group" if device.is_limited else ""
        lines.append(f"  {'sum':<10}{_mib(device.sum_bytes):>14}   of {free} free{limit}")
    lines += [f"{part.value}: {text}" for part, text in shapes.items() if estimate.ledger.size_of(part)]
    if by_formula is not None:
        lines += [
            f"by the formula: {part.value} {apart:+,} bytes"
            for part, apart in differences(by_formula, estimate.ledger).items()
        ]
    lines += _loading_lines(estimate.ledger, measured)
    lines.append(what_if.fits_text(estimate.verdict.fits, estimate.verdict.margin))
    if estimate.max_n_ctx is not None:
        trained = (estimate.facts if isinstance(estimate, Estimate) else estimate.card).n_ctx_train or 0
        beyond = f"; the model was trained for {trained:,}" if estimate.max_n_ctx > trained > 0 else ""
        lines.append(f"largest context that fits: {estimate.max_n_ctx:,} tokens{beyond}")
    lines += [f"advice: {each.label}" for each in estimate.verdict.advice]
    return lines


def _loading_lines(predicted: Ledger, measured: Ledger | None) -> list[str]:
    """What the load takes of RAM for a moment, and what was resident afterwards, as far as it is known."""
    lines, staged = [], predicted.loading.staged_bytes
    if predicted.passing_bytes and staged is not None:
        lines.append(f"while loading: {_mib(predicted.passing_bytes)} more for a moment, to copy {_mib(staged)}")
    elif staged is not None:
        how = f", one tensor of up to {_mib(staged)} at a time" if staged else ""
        lines.append(f"while loading: no more than afterwards{how}")
    if measured is not None and measured.loading.resident_bytes is not None:
        real = measured.loading
        peak = "" if real.peak_bytes is None else f", at most {_mib(real.peak_bytes)} on the way"
        files = real.resident_file_bytes
        cache = "" if files is None else f"; {_mib(files)} of it pages of files, which the system may take back"
        lines.append(f"resident: {_mib(real.resident_bytes or 0)}{peak}{cache}")
    return lines


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.1f} MiB"

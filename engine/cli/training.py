"""`size --train`: what training a model would take, from its header or from numbers alone."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from typing import Any

from engine.base.errors import KnownError
from engine.base.fields import FieldSet, Value
from engine.cli.session import Session, add_fields, given_fields
from engine.gguf.card import read_card
from engine.hardware import open_recorder
from engine.memory.fit import Fits
from engine.memory.training.cost import DeviceCost, Place, TrainingCost, TrainPart, training_cost
from engine.memory.training.recipe import RECIPE, recipe_of
from engine.memory.training.shape import SHAPE, ModelShape, shape_of_card, shape_of_values
from engine.memory.training.verdict import Room, TrainVerdict, judge_training
from engine.models.shapes import SHAPE as DESCRIBED_SHAPE
from engine.models.shapes import parameters
from engine.workbench.training import rooms_of

_DESCRIBED = {
    "params": "n_params",
    "layers": "n_layer",
    "width": "n_embd",
    "heads": "n_head",
    "kv_heads": "n_head_kv",
    "ff": "n_ff",
    "vocab": "n_vocab",
}
"""The flags of a model that is only described, and what training calls them."""

_OWN = ("tie_word_embeddings", "gated_mlp")
"""What training asks of a described model beside those."""

_SIZES = {"K": 1, "M": 2, "G": 3, "T": 4}
_WORDS = {
    Fits.YES: "fits",
    Fits.TIGHT: "may fit: the low end does, the high end does not",
    Fits.NO: "does not fit",
    Fits.UNKNOWN: "cannot tell: the free memory is unknown",
}


def add_training(parser: ArgumentParser) -> None:
    """Flags of `size --train`."""
    parser.add_argument(
        "--train", action="store_true",
        help="what training it would take, of a MODEL or a described one; --device is then the memory of one training "
        "device, RAM=BYTES what offloaded parts may take",
    )  # fmt: skip
    add_fields(parser, RECIPE)
    add_fields(parser, _own_shape())


def _own_shape() -> FieldSet:
    return FieldSet(tuple(SHAPE[key] for key in _OWN))


def refuse_without_train(arguments: Namespace) -> None:
    """`KnownError` when a flag of training is given to a plain `size`."""
    given = [each.flag for each in (*RECIPE, *_own_shape()) if getattr(arguments, f"field_{each.key}") is not None]
    if given:
        raise KnownError("These flags are about training", value=" ".join(given), next_step="add --train")


def size_of_training(session: Session) -> int:
    """What a recipe takes; 1 when not even the low end fits."""
    arguments = session.arguments
    shape = _shape(session)
    cost = training_cost(shape, recipe_of(given_fields(arguments, RECIPE)))
    device, ram = _rooms(arguments)
    verdict = judge_training(cost, device, ram)
    session.put(_document(shape, cost, verdict, given_fields(arguments, RECIPE)), _lines(cost, verdict))
    return 1 if verdict.fits is Fits.NO else 0


def bytes_of(text: str) -> int:
    """A size in bytes: 24GiB and 24G are the same, 24GB is less; also 80e9. Errors: `KnownError`."""
    found = re.fullmatch(
        r"([0-9][0-9_,]*(?:\.[0-9]+)?(?:[eE][0-9]+)?)\s*(?:([KMGT])(i?)(B?)|B)?", text.strip(), re.IGNORECASE
    )
    if found is None:
        raise KnownError("This is no size", value=text, next_step="write it like 24GiB, 24GB or 25769803776")
    factor = 1 if found[2] is None else (1000 if found[4] and not found[3] else 1024) ** _SIZES[found[2].upper()]
    return round(float(re.sub("[_,]", "", found[1])) * factor)


def _shape(session: Session) -> ModelShape:
    arguments = session.arguments
    described = given_fields(arguments, DESCRIBED_SHAPE)
    given: dict[str, Value] = {**given_fields(arguments, _own_shape())}
    for key, name in _DESCRIBED.items():
        if key in described:
            value = described[key]
            given[name] = (parameters(value) or 0) if isinstance(value, str) else value
    if arguments.model is None:
        if not given:
            raise KnownError("Training of what?", next_step="give a MODEL, or --params N")
        # Who gives the shapes and no number of parameters wants them counted.
        return shape_of_values({"n_params": 0, **given})
    if given:
        flags = [DESCRIBED_SHAPE[key].flag for key in described] + [
            each.flag for each in _own_shape() if each.key in given
        ]
        raise KnownError(
            "The model says its own numbers", value=" ".join(flags), next_step="leave these flags or the MODEL away"
        )
    return shape_of_card(read_card(session.find_model(arguments.model)))


def _rooms(arguments: Namespace) -> tuple[Room, Room]:
    named: dict[str, int] = {}
    for each in arguments.device or ():
        name, sign, size = each.rpartition("=")
        if not sign or not name:
            raise KnownError("--device needs a name and a size", value=each, next_step="write it like A100=80GB")
        named[name] = bytes_of(size)
    others = [name for name in named if name.upper() != "RAM"]
    if len(others) > 1:
        raise KnownError(
            "All training devices are taken to be alike", value=", ".join(others),
            next_step="name the smallest, and say how many with --n-devices",
        )  # fmt: skip
    recorder = open_recorder(rate_hz=1.0)
    try:
        device, ram = rooms_of(recorder.devices())
    finally:
        recorder.close()
    for name, size in named.items():
        if name.upper() == "RAM":
            ram, device = Room(ram.name, size), (Room(ram.name, size) if device == ram and not others else device)
    for name in others:
        device = Room(name, named[name])
    return device, ram


def _document(shape: ModelShape, cost: TrainingCost, verdict: TrainVerdict, given: dict[str, Value]) -> dict[str, Any]:
    rule = cost.rule
    return {
        "model": {
            "name": shape.name,
            "n_params": shape.n_params,
            "n_layer": shape.n_layer,
            "n_embd": shape.n_embd,
            "n_vocab": shape.n_vocab,
            "assumed": list(shape.assumed),
        },
        "recipe": {**RECIPE.checked(given)},
        "n_trainable": cost.n_trainable,
        "devices": [
            _device(each, room, fits)
            for each, room, fits in zip(cost.devices, verdict.rooms, verdict.each, strict=True)
        ],
        "total_low": cost.total_low,
        "total_high": cost.total_high,
        "rule_of_thumb": {
            "bytes_per_parameter": rule.bytes_per_parameter,
            "weights": rule.weights_bytes,
            "total": rule.total_bytes,
        },
        "fits": verdict.fits.value,
    }


def _device(cost: DeviceCost, room: Room, fits: Fits) -> dict[str, Any]:
    spans = {part: cost.span_of(part) for part in TrainPart}
    return {
        "name": room.name,
        "kind": cost.place.value,
        "count": cost.count,
        "free": room.free_bytes,
        "parts": {part.value: None if span is None else span[0] for part, span in spans.items()},
        "parts_high": {part.value: None if span is None else span[1] for part, span in spans.items()},
        "low": cost.low,
        "high": cost.high,
        "fits": fits.value,
        "lines": [
            {"name": each.item.value, "low": each.low, "high": each.high, "how": each.how, "source": each.source}
            for each in cost.lines
        ],
    }


def _lines(cost: TrainingCost, verdict: TrainVerdict) -> list[str]:
    lines = []
    shape, rule = cost.shape, cost.rule
    for each, room in zip(cost.devices, verdict.rooms, strict=True):
        times = f", each of {each.count}" if each.count > 1 else ""
        lines.append(room.name + (times if each.place is Place.DEVICE else ", for all devices"))
        lines += [f"  {line.item.value:<14}{_range(line.low, line.high):>24}   {line.how}" for line in each.lines]
        free = "unknown" if room.free_bytes is None else f"{room.free_bytes / 2**30:,.2f} GiB"
        lines.append(f"  {'sum':<14}{_range(each.low, each.high):>24}   of {free} free")
    lines.append(
        f"rule of thumb: {rule.bytes_per_parameter} B × {shape.n_params:,} parameters = {rule.total_bytes / 2**30:,.2f} GiB, "
        "whatever the recipe is"
    )
    if shape.assumed:
        lines.append(f"assumed, as usual for this size: {', '.join(shape.assumed)}")
    lines.append(_WORDS[verdict.fits])
    return lines


def _range(low: int, high: int) -> str:
    if low == high:
        return f"{low / 2**30:,.2f} GiB"
    return f"{low / 2**30:,.2f} to {high / 2**30:,.2f} GiB"

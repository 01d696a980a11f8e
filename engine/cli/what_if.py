"""`size --on`: what a model would do on devices that are not here, and the speed that `size` adds for those that are."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from engine.base.errors import KnownError
from engine.cli.session import Session
from engine.memory.devices import MOST_DEVICES, Device, device_named, read_devices, search_devices
from engine.memory.fit import Fits
from engine.memory.ledger import Part
from engine.memory.placement import N_PROMPT, Share, Split
from engine.memory.roofline import Speed
from engine.workbench.events import Estimate
from engine.workbench.outlook import Configuration, Outlook, Question


def add_flags(parser: ArgumentParser) -> None:
    """Flags of `size` about other devices."""
    parser.add_argument(
        "--on",
        default="",
        metavar="NAME[,NAME…]",
        help="answer for these devices instead of this computer: names from “hardware --table”, or as in "
        "24GiB@936GB/s@142TFLOPS; 1 to 8 of them, system RAM among them",
    )
    parser.add_argument(
        "--split", choices=[each.value for each in Split], default=None, help="how several devices share the model"
    )
    parser.add_argument(
        "--at-depth", type=int, default=0, metavar="N", help="tokens in the context for the speed of writing"
    )


def asked_for(session: Session) -> tuple[Configuration, ...]:
    """The devices of `--on`. Raises `KnownError` for an unknown name, too many, or a split without them."""
    given = [each for each in session.arguments.on.split(",") if each.strip()]
    if session.arguments.at_depth < 0:
        raise KnownError("--at-depth must not be negative", next_step="give 0 or more tokens")
    if not given:
        if session.arguments.split is not None:
            raise KnownError(
                "--split is about the devices of --on", next_step="name them, as in --on rtx-3090,rtx-3090"
            )
        return ()
    if session.arguments.verify:
        raise KnownError("--verify loads the model here, not on other devices", next_step="leave out --on or --verify")
    if len(given) > MOST_DEVICES:
        raise KnownError(
            "Too many devices", value=f"{len(given)}, {MOST_DEVICES} are possible", next_step="name fewer of them"
        )
    table = read_devices()
    devices = tuple(device_named(table, each) for each in given)
    return (Configuration(devices, Split(session.arguments.split or Split.LAYER.value)),)


def question(session: Session, path: Path, estimate: Estimate, others: tuple[Configuration, ...]) -> Question:
    """What to ask of the figures about a planned load."""
    workbench = session.workbench
    return Question(
        path=path,
        ledger=estimate.ledger,
        fits=estimate.verdict.fits,
        devices=workbench.state.devices,
        others=others,
        depth=session.arguments.at_depth,
        margin=workbench.memory_margin,
    )


def document(found: Outlook) -> dict[str, Any]:
    """What takes the place of this computer's answers."""
    placement = found.placement
    return {
        "devices": [_device(each) for each in placement.shares],
        "total": sum(each.sum_bytes for each in placement.shares),
        "resident": sum(each.sum_bytes for each in placement.shares),
        "fits": found.fits.value,
        "advice": [],
        "max_n_ctx": None,
        "speed": speed_document(found.speed),
        "on": {
            "split": placement.split.value,
            "n_gpu_layers": placement.n_offloaded,
            "tensor_split": list(placement.tensor_split) or None,
            "host": placement.host_bytes,
        },
    }


def lines(found: Outlook) -> list[str]:
    """The same for people."""
    printed = []
    placement = found.placement
    for share in placement.shares:
        layers = f"{share.n_layers} layers" + (" and the output" if share.has_output else "")
        printed.append(f"{share.device.name}: {layers}")
        for name, size in _parts(share).items():
            printed.append(f"  {name:<10}{_mib(size):>14}")
        printed.append(f"  {'sum':<10}{_mib(share.sum_bytes):>14}   of {_mib(share.device.usable_bytes)}")
        printed.append(f"  from: {share.device.source}")
    if placement.host_bytes:
        printed.append(f"beside them, in the computer's RAM: {_mib(placement.host_bytes)}")
    if placement.tensor_split:
        printed.append("with --tensor-split " + ",".join(str(each) for each in placement.tensor_split))
    printed.append(fits_text(found.fits, None))
    return [*printed, *speed_lines(found.speed)]


def fits_text(fits: Fits, margin: float | None) -> str:
    """A verdict in words; `margin` is the share that was to stay free."""
    spare = "" if margin is None else f" (less than {margin:.0%} would stay free)"
    return {
        Fits.YES: "fits",
        Fits.TIGHT: f"fits, with hardly anything to spare{spare}",
        Fits.NO: "does not fit",
        Fits.UNKNOWN: "cannot tell: the free memory is unknown",
    }[fits]


def speed_document(speed: Speed) -> dict[str, Any]:
    """A speed as the commands print it; what is not known is null."""
    return {
        "decode_tps_low": speed.decode_low,
        "decode_tps_high": speed.decode_high,
        "prefill_tps_low": speed.prefill_low,
        "prefill_tps_high": speed.prefill_high,
        "prefill_n": N_PROMPT,
        "bottleneck": speed.bottleneck,
        "measured": speed.is_measured,
    }


def speed_lines(speed: Speed) -> list[str]:
    """The same for people."""
    printed = []
    if speed.decode_low is not None and speed.decode_high is not None:
        printed.append(f"writing: {speed.decode_low:,.1f} to {speed.decode_high:,.1f} tokens/s, estimated")
    if speed.prefill_low is not None and speed.prefill_high is not None:
        rates = f"{speed.prefill_low:,.0f} to {speed.prefill_high:,.0f} tokens/s"
        printed.append(f"reading {N_PROMPT} tokens: {rates}, estimated")
    return [*printed, f"what holds it up: {speed.bottleneck}"]


def table_document(text: str) -> list[dict[str, Any]]:
    """The known devices that `text` finds, all of them for ""."""
    return [_known(each) for each in search_devices(read_devices(), text)]


def table_lines(text: str) -> list[str]:
    """The same for people."""
    return [
        f"{each.key:<24}{each.memory_bytes / 2**30:>6,.0f} GiB {(each.bandwidth_bytes_s or 0) / 1e9:>8,.1f} GB/s"
        f" {'' if each.peak_flops_s is None else f'{each.peak_flops_s / 1e12:,.1f} TFLOP/s':>16}  {each.name}"
        for each in search_devices(read_devices(), text)
    ]


def _known(device: Device) -> dict[str, Any]:
    return {
        "key": device.key,
        "name": device.name,
        "kind": device.kind.value,
        "total": device.memory_bytes,
        "usable": device.usable_bytes,
        "bandwidth": device.bandwidth_bytes_s,
        "flops": dict(device.flops_s),
        "source": device.source,
        "url": device.url or None,
    }


def _device(share: Share) -> dict[str, Any]:
    return {
        "name": share.device.name,
        "kind": share.device.kind.value,
        "total": share.device.memory_bytes,
        "free": share.device.usable_bytes,
        "parts": {**dict.fromkeys(each.value for each in Part), **_parts(share)},
        "sum": share.sum_bytes,
        "n_layers": share.n_layers,
        "output": share.has_output,
        "source": share.device.source,
        "url": share.device.url or None,
    }


def _parts(share: Share) -> dict[str, int]:
    return {
        "weights": share.weights_bytes,
        "kv": share.kv_bytes,
        "compute": share.compute_bytes,
        "overhead": share.overhead_bytes,
    }


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.1f} MiB"

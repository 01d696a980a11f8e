"""`bench`: how fast a model reads and writes here, and with which threads and which attention it is fastest."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.base.errors import KnownError
from engine.base.fields import Value
from engine.cli.session import Session, add_fields, load_options
from engine.gguf.types import TensorType
from engine.runtime.supervisor import Phase
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import Bench, Benched, BenchPoint, BenchProgress

EQUAL_WITHIN = 0.05
"""Two ways to compute attention count as equally fast when neither wins by more than this share, or than their spread."""


@dataclass(frozen=True, slots=True)
class Attention:
    """What one way to compute attention gives.

    Attributes:
        flash_attn: "on" or "off".
        benched: what was measured with it.
        compute_bytes: the compute buffers of all devices with it.
    """

    flash_attn: str
    benched: Benched
    compute_bytes: int


def add_bench(parser: ArgumentParser) -> None:
    """Flags of `bench`."""
    parser.add_argument("--prefill", type=int, nargs="+", default=[128, 512], metavar="N", help="prompt sizes, tokens")
    parser.add_argument("--depth", type=int, nargs="+", default=[0, 1024], metavar="N", help="depths to write at")
    parser.add_argument("--n-decode", type=int, default=32, metavar="N", help="tokens to write at each depth")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="times each is measured; the median counts")
    parser.add_argument("--tune-threads", action="store_true", help="also write with 1, 2, 4 … threads")
    parser.add_argument(
        "--tune-flash-attn", action="store_true", help="also measure with flash attention on and off, and compare"
    )
    add_fields(parser, LOAD_OPTIONS)


def bench(session: Session) -> int:
    """How fast the model reads and writes on this machine."""
    arguments = session.arguments
    for name in ("n_decode", "repeats"):
        if getattr(arguments, name) < 1:
            raise KnownError(f"--{name.replace('_', '-')} must be at least 1", next_step="give a larger number")
    options = load_options(session)
    # What is kept as this machine's speed is the last measurement, so the user's own options come last.
    tuned = _tune_attention(session, options) if arguments.tune_flash_attn else ()
    found = _measured(session, options, tunes_threads=arguments.tune_threads)
    memory = session.workbench.state.memory
    document: dict[str, Any] = {
        "prefill": [point_document(each, "n") for each in found.prefill],
        "decode": [point_document(each, "depth") for each in found.decode],
        "threads": found.n_threads,
        "load_s": memory.took_s if memory else None,
        "peak_rss": found.peak_rss_bytes,
        "energy_j_per_token": None,
        "contended": found.contended,
    }
    if found.threads:
        document["tuned"] = [point_document(each, "threads") for each in found.threads]
    if tuned:
        document["flash_attn"] = {
            **{each.flash_attn: _attention_document(each) for each in tuned},
            "best": best(*tuned),
        }
    lines = [_row(f"prompt of {each.n:,} tokens", each) for each in found.prefill]
    lines += [_row(f"writing at depth {each.n:,}", each) for each in found.decode]
    lines += [_row(f"writing with {each.n} threads", each) for each in found.threads]
    lines.append(f"{found.n_threads} threads, {found.peak_rss_bytes / 2**20:.0f} MiB at most")
    if tuned:
        lines += _attention_lines(*tuned)
    if found.contended or any(each.benched.contended for each in tuned):
        lines.append("other programs took much of the processor: these figures are too low")
    session.put(document, lines)
    return 0


def best(on: Attention, off: Attention) -> str:
    """ "on" or "off": which writes faster at the greatest depth; "equal" when the difference is within the noise."""
    with_it, without = (max(each.benched.decode, key=lambda point: point.n) for each in (on, off))
    noise = max(EQUAL_WITHIN * max(with_it.tps, without.tps), (with_it.spread + without.spread) / 2)
    if abs(with_it.tps - without.tps) <= noise:
        return "equal"
    return "on" if with_it.tps > without.tps else "off"


def point_document(point: BenchPoint, key: str) -> dict[str, Any]:
    """A measured point as the commands print it."""
    return {key: point.n, "tps": point.tps, "spread": point.spread}


def _measured(
    session: Session, options: Mapping[str, Value], *, tunes_threads: bool = False, what: str = ""
) -> Benched:
    """Load the model with these options and measure it."""
    arguments, workbench = session.arguments, session.workbench
    if workbench.state.phase is Phase.READY:
        workbench.unload_model()
        session.wait_for(lambda: workbench.state.phase is Phase.EMPTY)
    session.load(arguments.model, dict(options))
    facts = workbench.state.facts
    assert facts is not None
    counts = _thread_counts(facts.n_threads) if tunes_threads else ()

    def progress(event: BenchProgress) -> None:
        session.note(f"{event.fraction:4.0%}  {event.text}{what}")

    found: Benched = session.answer(
        lambda then, failed: workbench.bench(
            lambda request_id: Bench(
                request_id,
                tuple(arguments.prefill),
                tuple(arguments.depth),
                arguments.n_decode,
                arguments.repeats,
                counts,
            ),
            then,
            failed,
            progress,
        )
    )
    return found


def _tune_attention(session: Session, options: Mapping[str, Value]) -> tuple[Attention, Attention]:
    """The same model with flash attention on and off."""
    type_v = str(options["type_v"])
    if TensorType[type_v.upper()].block_size > 1:
        raise KnownError(
            "A quantized V cache needs flash attention, so there is nothing to compare",
            value=f"type_v {type_v}",
            next_step="give --type-v f16, or leave --tune-flash-attn away",
        )

    def of(flash_attn: str) -> Attention:
        found = _measured(session, {**options, "flash_attn": flash_attn}, what=f", flash attention {flash_attn}")
        memory = session.workbench.state.memory
        return Attention(flash_attn, found, sum(each.compute_bytes for each in memory.buffers) if memory else 0)

    return of("on"), of("off")


def _attention_document(attention: Attention) -> dict[str, Any]:
    return {
        "prefill": [point_document(each, "n") for each in attention.benched.prefill],
        "decode": [point_document(each, "depth") for each in attention.benched.decode],
        "compute": attention.compute_bytes,
    }


def _attention_lines(on: Attention, off: Attention) -> list[str]:
    lines = []
    for text, ons, offs in (
        ("prompt of {:,} tokens", on.benched.prefill, off.benched.prefill),
        ("writing at depth {:,}", on.benched.decode, off.benched.decode),
    ):
        lines += [
            f"{text.format(with_it.n):<28}{with_it.tps:9.1f} tok/s with flash attention, {without.tps:.1f} without"
            for with_it, without in zip(ons, offs, strict=True)
        ]
    lines.append(
        f"{'compute buffers':<28}{on.compute_bytes / 2**20:9.1f} MiB   with flash attention, "
        f"{off.compute_bytes / 2**20:.1f} without"
    )
    better = best(on, off)
    if better == "equal":
        lines.append("flash attention makes no difference to writing here: leave it on automatic, it takes less memory")
    else:
        lines.append(f"writing is faster with flash attention {better}: set flash_attn to {better} for this model")
    return lines


def _row(text: str, point: BenchPoint) -> str:
    return f"{text:<28}{point.tps:9.1f} tok/s  (spread {point.spread:.1f})"


def _thread_counts(n_most: int) -> tuple[int, ...]:
    counts = [1]
    while counts[-1] * 2 < n_most:
        counts.append(counts[-1] * 2)
    return tuple(dict.fromkeys((*counts, n_most)))

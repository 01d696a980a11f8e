"""`make bench`: every promise about speed and memory, measured against a peer in the same call.

`python -m tests.benchmarks [decode|window|scan|header|formula|transcript|tokens|lab|speculation|memory …]` runs a part. Ends with 1 when a promise is not kept.
Measure on an idle machine: with every core taken, a busy neighbour costs the engine many times its speed.
"""

from __future__ import annotations

import sys

import psutil

from tests.benchmarks.report import Row, show
from tests.support import model_files

PARTS = (
    "header",
    "formula",
    "transcript",
    "tokens",
    "start",
    "decode",
    "window",
    "scan",
    "lab",
    "speculation",
    "memory",
)


def main() -> int:
    """Run the parts that were named, or all."""
    wanted = [each for each in sys.argv[1:] if each in PARTS] or list(PARTS)
    unknown = [each for each in sys.argv[1:] if each not in PARTS]
    if unknown:
        print(f"there is no part {', '.join(unknown)}: use {', '.join(PARTS)}", file=sys.stderr)
        return 2
    busy = psutil.cpu_percent(1.0)
    print(f"{psutil.cpu_count()} cores, {busy:.0f} % busy before the start")
    kept = True
    if "header" in wanted:
        from tests.benchmarks.bench_header import ratios

        rows = [Row(f"header of {name}: GGUFReader over ours", value, "≥ 50", "×") for name, value in ratios().items()]
        kept &= show(rows)
    if "formula" in wanted:
        from tests.benchmarks.bench_formula import formula_rows

        kept &= show(formula_rows())
    if "transcript" in wanted:
        kept &= show([_transcript_row()])
    if "tokens" in wanted:
        kept &= show([_strip_row()])
    if "start" in wanted:
        from tests.benchmarks.bench_window import start_row

        kept &= show([start_row()])
    if "lab" in wanted:
        from tests.benchmarks.bench_lab import batch_row, next_row, sampling_rows

        kept &= show([next_row(), *sampling_rows()])
        kept &= show(batch_row(path) for path in (model_files.smollm2(), model_files.gemma3()))
    if "decode" in wanted or "window" in wanted:
        kept &= _with_window("decode" in wanted, "window" in wanted)
    if "scan" in wanted:
        from tests.benchmarks.bench_scan import scan_rows

        kept &= show(scan_rows())
    if "speculation" in wanted:
        from tests.benchmarks.bench_speculation import all_rows

        kept &= show(all_rows((model_files.smollm2, model_files.gemma3)))
    if "memory" in wanted:
        from tests.benchmarks.bench_memory import memory_rows

        kept &= show(memory_rows((model_files.smollm2, model_files.gemma3)))
    print("all promises kept" if kept else "a promise was not kept")
    return 0 if kept else 1


def _transcript_row() -> Row:
    from tests.benchmarks.bench_transcript import answer, open_transcript, stream_cost

    cost = stream_cost(open_transcript(), answer(20_000))
    note = f"{cost.first_ms:.2f} ms of processor time an update, 99th percentile {cost.p99_ms:.1f}"
    name = "transcript: an update at 20,000 tokens over one at the start"
    return Row(name, cost.last_ms / cost.first_ms, "≤ 1.25", "×", note)


def _strip_row() -> Row:
    from tests.benchmarks.bench_tokens import strip_cost

    cost = strip_cost()
    note = f"a batch of tokens added in {cost.add_ms:.1f} ms, another width in {cost.resize_ms:.1f} ms"
    return Row("token strip: the slowest step of scrolling 4,000 tokens", cost.scroll_ms, "≤ 50", "ms", note)


def _with_window(decode: bool, streaming: bool) -> bool:
    from tests.benchmarks.bench_decode import decode_rows, second_turn_row
    from tests.benchmarks.bench_window import streaming_rows
    from tests.benchmarks.window import BenchWindow

    kept = True
    with BenchWindow(model_files.smollm2(), n_ctx=4096) as window:
        if decode:
            kept &= show(decode_rows(window, model_files.smollm2()))
            kept &= show([second_turn_row(window)])
        if streaming:
            kept &= show(streaming_rows(window))
    return kept


if __name__ == "__main__":
    sys.exit(main())

"""`chat --n N`: many answers to one prompt, written side by side in one batch."""

from __future__ import annotations

from typing import Any

from engine.base.errors import KnownError, Trouble
from engine.base.fields import Value
from engine.chat.stream import Utf8Stream
from engine.cli.session import Session
from engine.sampling.chain import HIGHEST_SEED, Chain
from engine.wire.messages import ColumnText, Prompt, SampledMany

MOST_TOKENS = 256
"""For each answer, where --max-tokens sets no limit: all of them together must fit in memory."""


def chat_many(session: Session, prompt: Prompt, chain: Chain, options: dict[str, Value]) -> int:
    """N answers of the loaded model. With --seed S they are drawn with S, S + 1, …

    Raises:
        KnownError: the engine refuses it.
    """
    arguments, workbench = session.arguments, session.workbench
    asked, limit = int(str(options["seed"])), int(str(options["max_tokens"]))
    seeds = [-1 if asked < 0 else (asked + each) % HIGHEST_SEED for each in range(arguments.n)]
    columns = [workbench.lab.column(chain, seed=each) for each in seeds]
    streams = [Utf8Stream() for _ in columns]
    found: list[SampledMany] = []
    refused: list[Trouble] = []

    def part(event: ColumnText) -> None:
        text = streams[event.column].feed(event.piece)
        if session.as_json and arguments.stream and text:
            session.put_line({"answer": event.column, "text": text})

    stops = options["stop"]
    workbench.lab.sample_many(
        prompt,
        columns,
        limit if limit >= 0 else MOST_TOKENS,
        found.append,
        refused.append,
        part,
        stop=stops if isinstance(stops, tuple) else (),
        ignore_eos=bool(options["ignore_eos"]),
    )
    try:
        session.wait_for(lambda: bool(found or refused))
    except KeyboardInterrupt:
        workbench.cancel()
        session.wait_for(lambda: bool(found or refused))
    if refused:
        raise KnownError.of(refused[0])
    done = found[0]
    document = _document(done, chain, workbench.state.memory.took_s if workbench.state.memory else None)
    if session.as_json:
        if arguments.stream:
            session.put_line(document)
        else:
            session.put(document, ())
    else:
        for number, answer in enumerate(document["answers"], 1):
            print(f"--- {number}, seed {answer['seed']} ---")
            print(answer["text"])
        session.note(_figures(done))
    return 130 if done.cancelled else 0


def refuse_bad_number(n: int) -> None:
    """Raise `KnownError` for a number of answers that is none."""
    if n < 1:
        raise KnownError("So many answers cannot be written", value=f"--n {n}", next_step="use --n 1 to 32")


def _document(done: SampledMany, chain: Chain, load_s: float | None) -> dict[str, Any]:
    return {
        "answers": [
            {
                "text": each.text.decode(errors="replace"),
                "finish_reason": each.reason.value,
                "seed": each.seed,
                "tokens": len(each.tokens),
                "logprob": each.logprob,
                "distinct_1": each.distinct_1,
                "distinct_2": each.distinct_2,
            }
            for each in done.columns
        ],
        "distinct_1": done.distinct_1,
        "distinct_2": done.distinct_2,
        "chain": chain.to_wire(),
        "prompt_tokens": done.n_prompt,
        "completion_tokens": sum(len(each.tokens) for each in done.columns),
        "load_s": load_s,
        "prefill_s": done.prefill_s,
        "decode_s": done.decode_s,
        "tps": done.tps,
        "cancelled": done.cancelled,
    }


def _figures(done: SampledMany) -> str:
    n_tokens = sum(len(each.tokens) for each in done.columns)
    parts = [f"{done.n_prompt:,} → {n_tokens:,} tokens in {len(done.columns)} answers"]
    if done.tps is not None:
        parts.append(f"writing {done.tps:.1f} tok/s over all")
    if done.distinct_1 is not None:
        parts.append(f"distinct words {done.distinct_1:.2f}")
    if done.distinct_2 is not None:
        parts.append(f"distinct pairs {done.distinct_2:.2f}")
    return " · ".join(parts)

"""`replay`: a stored run once more, token for token, and where and why it came out otherwise."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from engine.base.errors import KnownError
from engine.cli.asking import chance_document
from engine.cli.session import Session, add_fields, given_load_options
from engine.store.rows import RunRow
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import TokenInfo
from engine.workbench.recipe import load_options_of
from engine.workbench.replay import Replayed

EXIT_DIFFERS = 1
NOTE_EVERY_S = 2.0


def add_replay(parser: ArgumentParser) -> None:
    """Flags of `replay`."""
    parser.add_argument("run", metavar="RUN", help='the id of a run, the beginning of one, or "last"')
    parser.add_argument("--model", metavar="MODEL", help="use this file: the run's own was moved")
    add_fields(parser, LOAD_OPTIONS)


def replay(session: Session) -> int:
    """Load the run's model as it was loaded then, and write its answer again."""
    arguments, workbench = session.arguments, session.workbench
    run: RunRow = session.answer(lambda then, failed: workbench.records.find_run(arguments.run, then, failed))
    model = arguments.model or run.recipe.model_path
    if not arguments.model and not Path(model).exists():
        raise KnownError(
            "The model of this run is not where it was", value=model, next_step="give its place now: --model FILE"
        )
    session.load(model, {**load_options_of(run.recipe), **given_load_options(session)})
    told_s = time.monotonic()

    def progress(n_done: int, n_total: int) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= NOTE_EVERY_S:
            told_s = time.monotonic()
            session.note(f"{n_done:,} of {n_total:,} tokens")

    found: Replayed = session.answer(lambda then, failed: workbench.replay(run.id, then, failed, progress))
    session.put(_document(found), _lines(found))
    return 0 if found.same else EXIT_DIFFERS


def _document(found: Replayed) -> dict[str, Any]:
    taken = found.next_token
    return {
        "run": found.run.id,
        "model": found.run.recipe.model_label,
        "same": found.same,
        "tokens": found.n_tokens,
        "first_difference": found.first_difference,
        "expected": _token(found.expected),
        "found": _token(found.found),
        "differing": [{"what": each.what, "stored": each.first, "now": each.second} for each in found.differing],
        "next": [chance_document(each) for each in taken.raw] if taken is not None else None,
    }


def _lines(found: Replayed) -> list[str]:
    lines = [f"run {found.run.id} of {found.run.recipe.model_label}, {found.n_tokens:,} tokens"]
    if found.same:
        lines.append("the same, token for token")
    else:
        lines.append(
            f"differs at token {found.first_difference:,}: {_shown(found.expected)}, now {_shown(found.found)}"
        )
    lines += [f"not as it was: {each.what}: {each.first} → {each.second}" for each in found.differing]
    return lines


def _token(token: TokenInfo | None) -> dict[str, Any] | None:
    return {"id": token.id, "text": token.piece.decode(errors="replace")} if token is not None else None


def _shown(token: TokenInfo | None) -> str:
    return repr(token.piece.decode(errors="replace")) if token is not None else "the end"

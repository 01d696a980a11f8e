"""The command line: which commands there are, their flags, and the one door through which their errors go out."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from engine.base.errors import KnownError
from engine.cli import asking, looking, measuring, replaying, serving, sizing
from engine.cli.session import Session

EXIT_BAD, EXIT_CANCELLED = 2, 130


@dataclass(frozen=True, slots=True)
class _Command:
    """A command: its help, its flags, what it does, and whether it takes a model."""

    help: str
    add: Callable[[argparse.ArgumentParser], None]
    do: Callable[[Session], int]
    takes_model: bool = True
    uses_engine: bool = True


_COMMANDS = {
    "chat": _Command("one answer of a model", asking.add_chat, asking.chat),
    "next": _Command("the next token, taken apart stage by stage", asking.add_next, asking.next_token),
    "tokenize": _Command("a text as the model's tokens", asking.add_tokenize, asking.tokenize),
    "render": _Command("the exact prompt that the model would see", asking.add_render, asking.render),
    "replay": _Command("a stored answer once more, token for token", replaying.add_replay, replaying.replay, False),
    "size": _Command("the memory that a model takes, before loading it", sizing.add_size, sizing.size, False),
    "bench": _Command("how fast a model reads and writes here", measuring.add_bench, measuring.bench),
    "hardware": _Command("devices and what they do now", looking.add_hardware, looking.hardware, False),
    "models": _Command("the models on this computer and on the hub", looking.add_models, looking.models, False, False),
    "rpc-server": _Command(
        "this computer's devices for the engine of another one",
        serving.add_rpc_server,
        serving.rpc_server,
        False,
        False,
    ),
    "doctor": _Command("whether everything is in order", looking.add_doctor, looking.doctor, False),
}


def run(arguments: list[str]) -> int:
    """Parse and run; every error ends as one line on stderr that names the next step."""
    parser = _parser()
    try:
        given = parser.parse_args(arguments)
    except SystemExit as leaving:  # argparse has printed its line
        return int(leaving.code or 0) and EXIT_BAD
    if given.command is None:
        parser.print_help()
        return EXIT_BAD
    try:
        with Session(given) as session:
            return _COMMANDS[given.command].do(session)
    except KnownError as error:
        print(f"llamarium: {error}", file=sys.stderr)
        if error.trouble.details and given.verbose:
            print(error.trouble.details, file=sys.stderr)
        return EXIT_BAD
    except KeyboardInterrupt:
        print("llamarium: cancelled", file=sys.stderr)
        return EXIT_CANCELLED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception:
        traceback.print_exc()
        print("llamarium: this is a fault in Llamarium; please report the lines above", file=sys.stderr)
        return EXIT_BAD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llamarium",
        description="Llamarium, a workbench for local language models. Without a command it opens the window.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in _COMMANDS.items():
        sub = commands.add_parser(name, help=command.help, description=command.help, allow_abbrev=False)
        if command.takes_model:
            sub.add_argument("model", metavar="MODEL", help='a GGUF file, "starter", or a name from `models list`')
        sub.add_argument("--data-dir", metavar="DIR", help="keep all state under this folder")
        sub.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
        sub.add_argument("--verbose", action="store_true", help="print details of errors")
        if command.uses_engine:
            sub.add_argument(
                "--rpc",
                metavar="HOST:PORT",
                action="append",
                help="use the devices of this RPC server; may be repeated",
            )
        command.add(sub)
    return parser


def _version() -> str:
    try:
        return f"Llamarium {metadata.version('llamarium')}"
    except metadata.PackageNotFoundError:
        return "Llamarium, from its source"

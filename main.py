"""Llamarium's one entry: the window by default, the headless commands by name, and `--worker`, the engine's process
(`--rpc-server`, the process that lends this computer's devices to another one).

Nothing is imported before it is known which of the three is wanted: the worker loads no Qt, a command no window.
"""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run Llamarium with these arguments (default: the command line's); returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given == ["--worker"]:
        from engine.worker.loop import main as worker

        return worker()
    if given[:1] == ["--rpc-server"]:
        from engine.worker.rpc_serving import main as server

        return server(*given[1:])
    from engine.cli import COMMANDS
    from engine.cli import main as command

    if given and (given[0] in COMMANDS or given[0] in ("-h", "--help", "--version")):
        return command(given)
    from gui.app import main as window

    return window(given)


if __name__ == "__main__":
    sys.exit(main())

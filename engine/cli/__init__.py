"""The headless commands: everything that the window measures or computes, in a script, over ssh, in CI.

Thin over the workbench: a command starts what it needs, pumps the bus until it has its answer, and prints it. Flags
come from the Fields. With `--json` one document goes to stdout and nothing else; progress and notices go to stderr.
"""

COMMANDS = (
    "chat",
    "next",
    "tokenize",
    "render",
    "replay",
    "size",
    "bench",
    "hardware",
    "models",
    "rpc-server",
    "doctor",
)
"""The names that make a command line headless."""


def main(arguments: list[str]) -> int:
    """Run a command; returns the exit code: 0 done, 1 the answer is no, 2 bad use or input, 130 cancelled."""
    from engine.cli.commands import run

    return run(arguments)

"""pip inside `.venv`: the locked packages, each file checked against its hash.

No index is named here or in the lock files: pip asks whatever it is configured to ask, and the hashes decide what may
be installed. `--no-deps` everywhere, because a lock lists everything; for the model packages it also leaves out what
they would pull in. pip runs isolated from PYTHONPATH and the user's own packages (-I).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from setup_steps.console import Console, tail
from setup_steps.progress import read_pip
from setup_steps.trouble import SetupError

# Settings that would send an installation elsewhere than into the .venv.
_REDIRECTING = (
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_USER",
    "PIP_PYTHON",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_NO_DEPS",
    "PIP_DRY_RUN",
)

_NETWORK = (
    "If it was the network, run the same command again: what has come is kept. Behind a mirror or proxy, configure pip "
    "first (pip config set global.index-url …, HTTPS_PROXY)."
)
_CAUSES = (  # what pip prints, and what it means here
    (
        "DO NOT MATCH THE HASHES",
        "The index sent another file than the one that was locked. Do not go on with it: check the mirror you use.",
    ),
    (
        "No space left on device",
        "The disk is full (or /tmp is: set TMPDIR to a folder with room). Then run the same command again.",
    ),
    (
        "No matching distribution found",
        "The index that pip asks has no such file: it is out of reach or behind, or there is none for this system (Llamarium "
        "needs 64-bit Linux with glibc 2.34 on x86, 2.39 on ARM, or macOS 13).",
    ),
)


def pip_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for pip: the user's own, without what would move the installation, asking no questions."""
    kept = {key: value for key, value in environment.items() if key not in _REDIRECTING}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_ROOT_USER_ACTION": "ignore"}


def pip_command(venv: Path, *arguments: str) -> list[str]:
    """A pip command of this `.venv`."""
    return [str(venv / "bin" / "python"), "-I", "-m", "pip", *arguments]


def install_locked(venv: Path, lock: Path, raw_progress: bool = True) -> list[str]:
    """The command that installs one lock file. `raw_progress` needs pip 24.1, so not for the pip that Python brings."""
    bar = "raw" if raw_progress else "off"
    return pip_command(venv, "install", "--require-hashes", "--no-deps", f"--progress-bar={bar}", "-r", str(lock))


def next_step(output: str) -> str:
    """What to do about a pip that failed, from what it printed."""
    return next((advice for sign, advice in _CAUSES if sign in output), _NETWORK)


def run_pip(console: Console, label: str, text: str, command: list[str], log: Path) -> None:
    """Run one of the commands above. Raises SetupError with the log's tail when it fails."""
    code = console.run(label, text, command, log, read_pip, pip_environment(os.environ))
    if code != 0:
        end = tail(log)
        raise SetupError(f"{label}: pip ended with code {code}. The end of {log}:\n{end}", next_step(end))

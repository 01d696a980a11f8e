"""Which Python the program gets: 3.11, 3.12 or 3.13, the user's own default first."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from setup_steps.trouble import EXIT_BLOCKED, SetupError

OLDEST = (3, 11)
NEWEST = (3, 13)
NAMES = ("python3", "python3.11", "python3.12", "python3.13", "/usr/bin/python3", "/usr/bin/python3.11")

_ASK = (
    "import sys,json,importlib.util as u;"
    "print(json.dumps([list(sys.version_info[:3]),getattr(sys,'_base_executable',None) or sys.executable,"
    "all(u.find_spec(m) for m in ('venv','ensurepip'))]))"
)


@dataclass(frozen=True)
class Python:
    """An interpreter that answered. `path` is never inside a virtual environment; `can_venv`: venv and ensurepip are there."""

    version: tuple[int, int, int]
    path: str
    can_venv: bool

    @property
    def fits(self) -> bool:
        """Whether Llamarium runs on it."""
        return OLDEST <= self.version[:2] <= NEWEST

    @property
    def version_text(self) -> str:
        """Such as "3.11.2"."""
        return ".".join(map(str, self.version))

    @property
    def debian_venv_package(self) -> str | None:
        """The Debian package that gives this interpreter venv and ensurepip; None when it has them or is not Debian's."""
        if self.can_venv or Path(self.path).parent not in (Path("/usr/bin"), Path("/bin")):
            return None
        return f"python3.{self.version[1]}-venv"


def ask(name: str) -> Python | None:
    """The interpreter of that name or path; None when it does not run."""
    try:
        answer = subprocess.run([name, "-I", "-c", _ASK], capture_output=True, text=True, timeout=60, check=True)
        version, path, can_venv = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Python((version[0], version[1], version[2]), path, can_venv)


def choose(wanted: str, venv: Path) -> Python:
    """The interpreter to use: the wanted one, else that of the `.venv` there is, else the first that fits.

    Raises SetupError when none fits, naming what was found.
    """
    if wanted:
        python = ask(wanted)
        if python is None or not python.fits:
            found = "does not run" if python is None else f"is {python.version_text}"
            raise SetupError(f"PYTHON={wanted} {found}", "Name a Python 3.11, 3.12 or 3.13.", EXIT_BLOCKED)
        return python
    seen = []
    for name in _candidates(venv):
        python = ask(name)
        if python is not None and python.fits:
            return python
        if python is not None:
            seen.append(f"{python.version_text} ({python.path})")
    found = "found only " + ", ".join(dict.fromkeys(seen)) if seen else "none was found"
    raise SetupError(
        f"Llamarium needs Python 3.11, 3.12 or 3.13; {found}.",
        "Install one (Debian 12: apt-get install python3 python3-venv) or name one: make run PYTHON=/path/to/python3.11",
        EXIT_BLOCKED,
    )


def _candidates(venv: Path) -> Iterator[str]:
    own = venv / "bin" / "python"
    if own.exists():
        yield str(own)
    yield from NAMES

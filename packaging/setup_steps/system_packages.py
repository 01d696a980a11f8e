"""System packages: which of Debian's are missing, and installing them where this user may.

The list is packaging/debian/packages.txt. On other systems nothing is installed: the libraries are named, and the
set-up goes on. Rejected: asking the dynamic linker for each library (it cannot tell which package to install).
"""

from __future__ import annotations

import enum
import os
import shlex
import shutil
import subprocess
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from setup_steps.console import Console
from setup_steps.trouble import EXIT_BLOCKED, SetupError


class Need(enum.Enum):
    """What a system package is for; see the head of packages.txt."""

    BUILD = "build"
    RUN = "run"
    FONTS = "fonts"
    TEST = "test"
    VULKAN = "vulkan"


@dataclass(frozen=True)
class SystemPackage:
    """One line of the list: any of `names` will do, the first is what gets installed."""

    need: Need
    names: tuple[str, ...]


def parse_list(text: str) -> list[SystemPackage]:
    """The packages of packages.txt. Raises ValueError at a line that is not `NEED NAME[|NAME...]`."""
    packages = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2:
            raise ValueError(f"line {number}: expected NEED and PACKAGE, found {line!r}")
        packages.append(SystemPackage(Need(words[0]), tuple(words[1].split("|"))))
    return packages


def parse_installed(dpkg_output: str) -> set[str]:
    """The names that are installed or provided by what is, from `dpkg-query` in our format (`DPKG_FORMAT`).

    Names that are only provided count: later releases rename libraries and let the new name provide the old one.
    """
    names = set()
    for line in dpkg_output.splitlines():
        status, name, provides = line.split("\t")
        if status == "installed":
            names.add(name)
            names.update(part.split()[0] for part in provides.split(",") if part.strip())
    return names


def missing(
    packages: Iterable[SystemPackage], needs: Collection[Need], installed: Collection[str]
) -> list[SystemPackage]:
    """Those of the needed packages that neither themselves nor an alternative is installed, in the list's order."""
    return [package for package in packages if package.need in needs and not any(n in installed for n in package.names)]


def install_command(names: Sequence[str]) -> list[str]:
    """The apt-get command for these packages, without the part that makes one root."""
    return ["apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *names]


def line_to_run(names: Sequence[str], is_root: bool) -> str:
    """The one line a user can paste."""
    return f"{'' if is_root else 'sudo '}apt-get install --no-install-recommends {' '.join(names)}"


def ensure(list_file: Path, needs: Collection[Need], extra: Sequence[str], console: Console, log: Path) -> None:
    """Install what is missing, or say what to run.

    Args:
        list_file: packages.txt.
        needs: which groups count.
        extra: further package names that are known to be missing and needed.
        console: where the progress is told.
        log: where apt's own words go.

    Raises SetupError (exit code 2) when something needed is missing and this user may not install it.
    """
    packages = parse_list(list_file.read_text("utf-8"))
    if shutil.which("dpkg-query") is None or shutil.which("apt-get") is None:
        console.step(
            "system packages",
            f"not a Debian system, nothing installed; needed are what Debian calls {_named(packages, needs)}",
        )
        return
    lacking = missing(packages, needs, _installed_names())
    wanted = [package.names[0] for package in lacking if package.need is Need.FONTS]
    needed = [*extra, *(package.names[0] for package in lacking if package.need is not Need.FONTS)]
    if not needed and not wanted:
        console.step("system packages", "all there")
        return
    root = _root_prefix()
    if root is None:
        if needed:
            raise SetupError(
                f"System packages are missing, and this user may not install them: {' '.join(needed)}",
                f"Run this line, then the same command again:\n    {line_to_run([*needed, *wanted], is_root=False)}",
                EXIT_BLOCKED,
            )
        console.step(
            "system packages", f"fonts are missing, some text will be boxes: {line_to_run(wanted, is_root=False)}"
        )
        return
    console.step("system packages", f"installing {len(needed) + len(wanted)}: {' '.join([*needed, *wanted])}")
    _run_apt(root, ["apt-get", "update"], console, log)  # a failure here shows in the next command, or does not matter
    if _run_apt(root, install_command([*needed, *wanted]), console, log):
        return
    # One unknown name refuses the whole command, so what is merely wanted must not stand in the way.
    if needed and not _run_apt(root, install_command(needed), console, log):
        raise SetupError(
            "apt-get could not install the system packages",
            f"See {log}, mend the cause, or run it yourself:\n    {line_to_run(needed, is_root=os.geteuid() == 0)}",
            EXIT_BLOCKED,
        )
    if wanted:
        console.step("system packages", f"without {' '.join(wanted)}: some text will be boxes")


DPKG_FORMAT = "${db:Status-Status}\t${Package}\t${Provides}\n"


def _installed_names() -> set[str]:
    return parse_installed(
        subprocess.run(["dpkg-query", "-W", "-f", DPKG_FORMAT], capture_output=True, text=True, check=True).stdout
    )


def _root_prefix() -> list[str] | None:
    """What to put before a command to run it as root; None when this user may not, or would be asked for a password."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def _run_apt(root: list[str], command: list[str], console: Console, log: Path) -> bool:
    full = [*root, "env", "DEBIAN_FRONTEND=noninteractive", *command]
    return console.run("system packages", shlex.join(command[:2]), full, log, own_session=False) == 0


def _named(packages: Sequence[SystemPackage], needs: Collection[Need]) -> str:
    return " ".join(package.names[0] for package in packages if package.need in needs)

"""The Vulkan and SPIR-V headers of a later Debian, for a machine whose own are too old for llama.cpp.

Debian 12's Vulkan headers (1.3.239) lack what llama.cpp's Vulkan backend uses. Headers are no more than text, so those of
`SUITE` are unpacked into the user's cache folder and only this build is told of them; the system keeps its own. They come
from where this machine gets its packages: its own entry for its own release, with the release's name replaced, and signed
by a key that it trusts already. apt works with lists and a cache of its own there, so it cannot mix the two releases up.

Rejected: adding the later release to the system's sources (the next upgrade would take from it), a copy of the headers in
this tree, the vendor's SDK (400 MB for two folders of headers).
"""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from setup_steps.accelerators import names_own_vulkan_headers, vulkan_headers_suffice
from setup_steps.console import Console, tail
from setup_steps.lock_file import exclusive
from setup_steps.trouble import SetupError

LABEL = "Vulkan headers"
SUITE = "trixie"  # Debian 13: Vulkan 1.4.309
PACKAGES = ("libvulkan-dev", "spirv-headers")  # headers, CMake files and one link; nothing of theirs is run


@dataclass(frozen=True)
class Headers:
    """The unpacked headers: `root` holds the packages' own tree, and is there only when it is whole."""

    root: Path

    @property
    def cmake_options(self) -> tuple[str, ...]:
        """What tells llama.cpp's build of them. The library is the machine's own: its package of headers has the link."""
        return (
            f"-DVulkan_INCLUDE_DIR={self.root}/usr/include",
            f"-DVulkan_LIBRARY=/usr/lib/{platform.machine()}-linux-gnu/libvulkan.so.1",
            f"-DSPIRV-Headers_DIR={self.root}/usr/share/cmake/SPIRV-Headers",
        )


def wanted(
    cache: Path, user_cmake_args: str, environment: Mapping[str, str], etc: Path = Path("/etc")
) -> Headers | None:
    """The headers that a Vulkan build takes from a later Debian; None where the machine's or the user's own will do.

    Args:
        cache: the user's cache folder of Llamarium.
        user_cmake_args: CMAKE_ARGS, which may name headers of the user's own.
        environment: may name an SDK.
        etc: where the release and the package sources are told. On another system than Debian the answer is None.
    """
    if names_own_vulkan_headers(user_cmake_args, environment) or vulkan_headers_suffice():
        return None
    return Headers(cache / "vulkan-headers" / SUITE) if later_sources(etc) else None


def later_sources(etc: Path = Path("/etc")) -> str:
    """The machine's own package sources for its release of Debian, with `SUITE` in its place, in deb822 form.

    Returns "" where this is no Debian, or where no entry for its main packages can be read.
    """
    try:
        release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', (etc / "os-release").read_text("utf-8"), re.MULTILINE))
    except OSError:
        return ""
    codename = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian" or not codename:
        return ""
    apt = etc / "apt"
    one_line = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    stanzas = [stanza for file in one_line for stanza in _from_lines(_text(file))]
    stanzas += [
        stanza for file in sorted((apt / "sources.list.d").glob("*.sources")) for stanza in _from_stanzas(_text(file))
    ]
    return "\n".join(
        "".join(f"{key}: {value}\n" for key, value in {**stanza, "suites": SUITE, "components": "main"}.items())
        for stanza in stanzas
        if codename in stanza["suites"].split() and "main" in stanza["components"].split()
    )


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", errors="replace")
    except OSError:
        return ""


_KEPT = ("types", "uris", "suites", "components", "signed-by", "trusted")


def _from_stanzas(text: str) -> Iterable[dict[str, str]]:
    """The entries of a `.sources` file that are in use, keys in lower case, lines that go on joined."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for block in re.split(r"\n[ \t]*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        for key, value in re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", block, re.MULTILINE):
            fields[key.lower()] = value
        is_usable = {"types", "uris", "suites", "components"} <= fields.keys() and "deb" in fields["types"].split()
        if is_usable and fields.get("enabled", "yes").lower() not in ("no", "false"):
            yield {key: fields[key] for key in _KEPT if key in fields} | {"types": "deb"}


def _from_lines(text: str) -> Iterable[dict[str, str]]:
    """The entries of a `sources.list` file: deb [option=value ...] URI SUITE COMPONENT..."""
    for options, uri, suite, components in re.findall(
        r"^[ \t]*deb[ \t]+(?:\[([^\]]*)\][ \t]*)?(\S+)[ \t]+(\S+)[ \t]+([^#\n]+)", text, re.MULTILINE
    ):
        told = dict(option.split("=", 1) for option in options.lower().split() if "=" in option)
        stanza = {"types": "deb", "uris": uri, "suites": suite, "components": components.strip()}
        yield stanza | {key: told[key] for key in ("signed-by", "trusted") if key in told}


def apt_command(folder: Path, *arguments: str) -> list[str]:
    """An apt-get that works in `folder` alone: its sources, lists and cache; packages it downloads land there."""
    own = {
        "Dir::Etc::sourcelist": f"{folder}/later.sources",
        "Dir::Etc::sourceparts": f"{folder}/none",
        "Dir::Etc::preferences": f"{folder}/none/preferences",
        "Dir::Etc::preferencesparts": f"{folder}/none",
        "Dir::State::lists": f"{folder}/lists",
        "Dir::Cache": f"{folder}/cache",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",  # the user who asks: nobody else may write here
    }
    options = [word for key, value in own.items() for word in ("-o", f"{key}={value}")]
    return ["env", "-C", str(folder), "apt-get", *options, *arguments]


def ensure(headers: Headers, console: Console, log: Path, etc: Path = Path("/etc")) -> None:
    """Fetch and unpack the headers unless that is done. Raises SetupError with the log's tail when it fails."""
    parent = headers.root.parent
    parent.mkdir(parents=True, exist_ok=True)
    with exclusive(parent / "lock", lambda: console.step(LABEL, "being fetched by another set-up; waiting for it")):
        if headers.root.exists():
            console.step(LABEL, f"of Debian's {SUITE}, fetched before")
            return
        work = parent / "work"
        shutil.rmtree(work, ignore_errors=True)
        for name in ("lists/partial", "cache/archives/partial", "none", "root"):
            (work / name).mkdir(parents=True)
        (work / "later.sources").write_text(later_sources(etc), "utf-8")
        # One source that does not answer fails the first command; whether the others had the packages, the second shows.
        console.run(LABEL, "looking", apt_command(work, "update"), log)
        _must(console, "fetching", apt_command(work, "download", *PACKAGES), log)
        for package in sorted(work.glob("*.deb")):
            _must(console, "unpacking", ["dpkg", "-x", str(package), str(work / "root")], log)
        (work / "root").rename(headers.root)
        shutil.rmtree(work)
    console.step(LABEL, f"this machine's are too old for llama.cpp; those of Debian's {SUITE} are in {headers.root}")


def _must(console: Console, text: str, command: list[str], log: Path) -> None:
    if console.run(LABEL, text, command, log) != 0:
        raise SetupError(
            f"The Vulkan headers of Debian's {SUITE} could not be had. The end of {log}:\n{tail(log)}",
            "If it was the network, run the same command again; or name headers that you have: "
            "CMAKE_ARGS='-DVulkan_INCLUDE_DIR=… -DSPIRV-Headers_DIR=…'",
        )

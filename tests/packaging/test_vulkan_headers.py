from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest

from setup_steps.console import Console
from setup_steps.vulkan_headers import PACKAGES, SUITE, Headers, apt_command, ensure, later_sources, wanted

DEBIAN_12 = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_CODENAME=bookworm\n'
DEB822 = """\
# Debian's own
Types: deb deb-src
# the archive
URIs: http://deb.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/archive.gpg

Types: deb
URIs: http://deb.example/security
Suites: bookworm-security
Components: main
"""


def machine(tmp_path: Path, release: str = DEBIAN_12, *, one_line: str = "", deb822: str = "") -> Path:
    """A folder like /etc, with these package sources."""
    (tmp_path / "apt" / "sources.list.d").mkdir(parents=True)
    (tmp_path / "os-release").write_text(release)
    (tmp_path / "apt" / "sources.list").write_text(one_line)
    (tmp_path / "apt" / "sources.list.d" / "debian.sources").write_text(deb822)
    return tmp_path


def test_only_the_release_is_replaced_in_the_machines_own_entry(tmp_path: Path) -> None:
    assert later_sources(machine(tmp_path, deb822=DEB822)) == (
        f"types: deb\nuris: http://deb.example/debian\nsuites: {SUITE}\ncomponents: main\n"
        "signed-by: /usr/share/keyrings/archive.gpg\n"
    )


def test_an_entry_of_one_line_is_read_with_its_key(tmp_path: Path) -> None:
    lines = "# deb http://old.example bookworm main\ndeb [arch=amd64 signed-by=/keys/a.gpg] http://deb.example/debian bookworm main\n"
    assert later_sources(machine(tmp_path, one_line=lines)) == (
        f"types: deb\nuris: http://deb.example/debian\nsuites: {SUITE}\ncomponents: main\nsigned-by: /keys/a.gpg\n"
    )


@pytest.mark.parametrize(
    "sources",
    [
        "deb http://else.example/linux bookworm stable\n",  # somebody else's packages for this release
        "deb http://deb.example/debian sid main\n",
        "deb-src http://deb.example/debian bookworm main\n",
        "",
    ],
)
def test_other_entries_are_left_alone(tmp_path: Path, sources: str) -> None:
    assert later_sources(machine(tmp_path, one_line=sources)) == ""


def test_an_entry_that_is_switched_off_is_left_alone(tmp_path: Path) -> None:
    assert later_sources(machine(tmp_path, deb822=f"Enabled: no\n{DEB822}")) == ""


def test_another_system_gets_no_packages_of_debian(tmp_path: Path) -> None:
    etc = machine(tmp_path, "ID=ubuntu\nVERSION_CODENAME=jammy\n", one_line="deb http://u.example jammy main\n")
    assert later_sources(etc) == ""
    assert later_sources(tmp_path / "nowhere") == ""


def test_headers_of_the_users_own_are_taken_as_they_are(tmp_path: Path) -> None:
    etc = machine(tmp_path, one_line="deb http://deb.example/debian bookworm main\n")
    assert wanted(tmp_path, "-DVulkan_INCLUDE_DIR=/mine", {}, etc) is None
    assert wanted(tmp_path, "", {"VULKAN_SDK": "/sdk"}, etc) is None


def test_the_build_is_told_of_the_headers_and_links_to_the_machines_library() -> None:
    options = Headers(Path("/cache/h")).cmake_options
    assert "-DVulkan_INCLUDE_DIR=/cache/h/usr/include" in options
    assert "-DSPIRV-Headers_DIR=/cache/h/usr/share/cmake/SPIRV-Headers" in options
    assert any(option.startswith("-DVulkan_LIBRARY=/usr/lib/") for option in options)


def test_headers_that_are_there_are_not_fetched_again(tmp_path: Path) -> None:
    headers = Headers(tmp_path / "vulkan-headers" / SUITE)
    headers.root.mkdir(parents=True)
    out = io.StringIO()
    ensure(headers, Console(out), tmp_path / "log", tmp_path)
    assert "fetched before" in out.getvalue()
    assert not (tmp_path / "log").exists()


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is Debian's")
def test_apt_sees_nothing_but_the_folder(tmp_path: Path) -> None:
    for name in ("lists/partial", "cache/archives/partial", "none"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "later.sources").write_text("")
    updated = subprocess.run(apt_command(tmp_path, "update"), capture_output=True, text=True, check=True)
    assert updated.stderr == ""
    fetched = subprocess.run(apt_command(tmp_path, "download", *PACKAGES), capture_output=True, text=True)
    assert fetched.returncode != 0  # the machine's own sources have them, and are not asked

from __future__ import annotations

from pathlib import Path

import pytest

from setup_steps.system_packages import (
    Need,
    SystemPackage,
    install_command,
    line_to_run,
    missing,
    parse_installed,
    parse_list,
)

LIST = Path(__file__).parents[2] / "packaging" / "debian" / "packages.txt"


def test_a_line_is_a_need_and_a_package_with_alternatives_and_a_comment() -> None:
    assert parse_list("# head\n\nrun  libgl1  # why\nfonts a|b\n") == [
        SystemPackage(Need.RUN, ("libgl1",)),
        SystemPackage(Need.FONTS, ("a", "b")),
    ]


@pytest.mark.parametrize("line", ["run", "run two names", "wish libgl1"])
def test_a_line_that_is_something_else_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"line 1|wish"):
        parse_list(line)


def test_the_list_in_the_tree_is_readable_and_names_nothing_twice() -> None:
    names = [package.names[0] for package in parse_list(LIST.read_text("utf-8"))]
    assert len(names) == len(set(names))
    assert {"libxcb-cursor0", "xvfb", "g++"} <= set(names)


def test_what_is_installed_counts_and_what_it_provides_too() -> None:
    output = (
        "installed\tlibgl1\t\n"
        "installed\tlibglib2.0-0t64\tlibglib2.0-0 (= 2.80.0-6), other\n"
        "config-files\tlibegl1\t\n"
        "not-installed\txvfb\t\n"
    )
    assert parse_installed(output) == {"libgl1", "libglib2.0-0t64", "libglib2.0-0", "other"}


def test_only_the_needed_groups_are_missed_and_an_alternative_is_enough() -> None:
    packages = parse_list("run libgl1\nrun libegl1\nfonts fonts-noto-cjk|fonts-nanum\ntest xvfb")
    lacking = missing(packages, {Need.RUN, Need.FONTS}, {"libgl1", "fonts-nanum"})
    assert [package.names[0] for package in lacking] == ["libegl1"]


def test_the_line_for_the_user_is_one_line_with_sudo_only_where_it_is_needed() -> None:
    assert line_to_run(["a", "b"], is_root=False) == "sudo apt-get install --no-install-recommends a b"
    assert line_to_run(["a"], is_root=True) == "apt-get install --no-install-recommends a"


def test_the_command_asks_no_question_and_waits_for_another_apt() -> None:
    command = install_command(["libgl1"])
    assert command[:3] == ["apt-get", "install", "-y"]
    assert "DPkg::Lock::Timeout=300" in command
    assert command[-1] == "libgl1"

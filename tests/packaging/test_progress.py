from __future__ import annotations

import pytest

from setup_steps.progress import Progress, clock_text, progress_text, read_ninja, read_pip, time_left_s


def test_ninjas_counter_gives_the_fraction() -> None:
    assert read_ninja("  [30/120] /usr/bin/c++ -DGGML…", Progress()) == Progress(0.25)


def test_other_lines_leave_what_was_known() -> None:
    known = Progress(0.25)
    assert read_ninja("warning: [deprecated] x", known) is known
    assert read_pip("Collecting numpy", known) is known


def test_after_the_last_step_the_length_is_unknown_and_not_all() -> None:
    assert read_ninja("[120/120] Linking", Progress(0.99)) == Progress(None, "packing")


def test_pip_tells_the_file_and_then_its_bytes() -> None:
    file = read_pip(
        "  Downloading pyside6_essentials-6.11.3-cp310-abi3-manylinux_2_34_x86_64.whl (93.1 MB)", Progress(0.4)
    )
    assert file == Progress(None, "pyside6_essentials (93.1 MB)")
    assert read_pip("Progress 25 of 100", file) == Progress(0.25, "pyside6_essentials (93.1 MB)")


def test_a_file_of_unknown_length_has_no_fraction() -> None:
    assert read_pip("Progress 25 of 0", Progress()).fraction is None


def test_pip_tells_when_it_unpacks() -> None:
    assert read_pip("Installing collected packages: a, b", Progress(0.9, "a")) == Progress(None, "unpacking")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.9, "1:05"), (3725, "1:02:05")])
def test_times_are_minutes_and_seconds(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


def test_time_left_counts_from_where_this_run_began() -> None:
    assert time_left_s((100.0, 0.5), (160.0, 0.75)) == pytest.approx(60.0)


def test_time_left_is_unknown_while_it_would_be_a_guess() -> None:
    assert time_left_s((0.0, 0.0), (5.0, 0.5)) is None
    assert time_left_s((0.0, 0.5), (60.0, 0.5)) is None


def test_the_line_leaves_out_what_is_unknown() -> None:
    assert progress_text("compiling", Progress(), 5, None) == "compiling  0:05"
    assert progress_text("compiling", Progress(0.5), 60, 61) == "compiling   50%  1:00  about 1:01 left"

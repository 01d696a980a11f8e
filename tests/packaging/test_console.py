from __future__ import annotations

import contextlib
import io
import itertools
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from setup_steps.console import Console, tail
from setup_steps.lock_file import exclusive
from setup_steps.pip_runs import install_locked, next_step, pip_environment
from setup_steps.progress import Progress, read_ninja

PRINTS = "import sys; print('[1/2] a'); print('[2/2] b', file=sys.stderr); sys.exit(3)"


def test_a_childs_words_go_to_the_log_and_its_code_comes_back(tmp_path: Path) -> None:
    out, log = io.StringIO(), tmp_path / "log"
    code = Console(out).run("engine", "compiling", [sys.executable, "-c", PRINTS], log, read_ninja)
    assert code == 3
    assert "[1/2] a" in log.read_text()
    assert "[2/2] b" in log.read_text()
    assert "[1/2]" not in out.getvalue()


def shown_with_a_clock_of(step_s: float, tmp_path: Path) -> str:
    """What is printed when each look at the clock is `step_s` seconds later than the one before."""
    out = io.StringIO()
    clock = itertools.count(0.0, step_s)
    Console(out, lambda: next(clock)).run("engine", "compiling", ["echo", "[2/4] x"], tmp_path / "log", read_ninja)
    return out.getvalue()


def test_off_a_terminal_a_line_tells_how_far_the_work_is(tmp_path: Path) -> None:
    assert shown_with_a_clock_of(20.0, tmp_path) == "  engine           compiling   50%  0:20\n"


def test_off_a_terminal_short_work_prints_no_line(tmp_path: Path) -> None:
    assert shown_with_a_clock_of(1.0, tmp_path) == ""


def test_an_interruption_stops_the_child_and_its_descendants(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    def interrupt(line: str, before: Progress) -> Progress:
        raise KeyboardInterrupt

    # The grandchild would outlive its parent by an hour.
    script = f"sleep 3600 & echo $! > {pid_file}; echo started; wait"
    with pytest.raises(KeyboardInterrupt):
        Console(io.StringIO()).run("engine", "compiling", ["sh", "-c", script], tmp_path / "log", interrupt)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(pid_file.read_text())).wait(timeout=10)


def test_the_tail_is_the_logs_last_lines_without_empty_ones(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {n}\n\n" for n in range(100)))
    assert tail(log, 2) == "    line 98\n    line 99"


def test_the_tail_does_not_reach_into_the_command_before(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("$ first\nits words\n\n$ second\nfailed\n")
    assert tail(log) == "    second\n    failed"


def test_a_second_set_up_waits_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl,sys; f=open(sys.argv[1],'ab'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()",
            str(file),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    said = []

    def on_wait() -> None:
        said.append("waiting")
        holder.communicate("\n")  # let it end, which lets go of the lock

    with exclusive(file, on_wait):
        assert said == ["waiting"]


def test_packages_are_installed_by_hash_only_and_without_naming_an_index(tmp_path: Path) -> None:
    command = install_locked(tmp_path, tmp_path / "run.txt")
    assert {"--require-hashes", "--no-deps"} <= set(command)
    assert not any("index" in part or "://" in part for part in command)


def test_pip_keeps_the_users_settings_but_not_those_that_send_packages_elsewhere() -> None:
    environment = pip_environment({"PIP_INDEX_URL": "mirror", "PIP_TARGET": "/t", "PIP_USER": "1"})
    assert environment["PIP_INDEX_URL"] == "mirror"
    assert "PIP_TARGET" not in environment
    assert "PIP_USER" not in environment


def test_a_wrong_hash_is_never_called_a_network_fault() -> None:
    assert "locked" in next_step("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.")
    assert "network" in next_step("ReadTimeoutError")

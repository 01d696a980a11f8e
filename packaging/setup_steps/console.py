"""What the user sees: one calm line a step, and a live one while a child process works.

On a terminal the live line is rewritten in place; elsewhere (CI, a log) one is printed every ten seconds. What the
child prints goes to the log file, never to the screen; its tail is shown only when it fails.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TextIO

from setup_steps.progress import Progress, Reader, progress_text, read_nothing, time_left_s

LABEL_WIDTH = 17
LIVE_EVERY_S = 0.5  # on a terminal
LINE_EVERY_S = 10.0  # elsewhere
STOP_WITHIN_S = 3.0


class Console:
    """Prints the steps. `out` is usually stdout; `clock` gives monotonic seconds."""

    def __init__(self, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = sys.stdout if out is None else out
        self._clock = clock
        self._is_terminal = self._out.isatty()

    def say(self, text: str) -> None:
        """A line of its own."""
        print(text, file=self._out, flush=True)

    def step(self, label: str, text: str) -> None:
        """What one step did or is about to do."""
        self.say(f"  {label:<{LABEL_WIDTH}}{text}")

    def run(
        self,
        label: str,
        text: str,
        command: Sequence[str],
        log: Path,
        read: Reader = read_nothing,
        environment: Mapping[str, str] | None = None,
        own_session: bool = True,
    ) -> int:
        """Run a command with a live line; its output is appended to `log`.

        Args:
            label, text: what the line says.
            command: program and arguments.
            log: the file that its output goes to.
            read: takes progress out of the output's lines.
            environment: the child's environment; this process's when None.
            own_session: start it where an interruption can stop it with all its descendants (a compiler run has
                many). Not for sudo, whose permission may hang on the terminal.

        Returns the exit code.
        """
        with log.open("ab") as log_file:
            log_file.write(f"\n$ {' '.join(command)}\n".encode())
            log_file.flush()
            with subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                start_new_session=own_session,
            ) as child:
                assert child.stdout is not None
                try:
                    self._follow(label, text, child.stdout, log_file, read)
                    return child.wait()
                finally:
                    if child.poll() is None:
                        _stop(child, own_session)
                    self._clear()

    def _follow(self, label: str, text: str, stream: IO[bytes], log_file: IO[bytes], read: Reader) -> None:
        started = shown = self._clock()
        progress, first, rest = Progress(), None, b""
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while True:
                if selector.select(timeout=LIVE_EVERY_S):
                    block = os.read(stream.fileno(), 65536)
                    if not block:
                        return
                    log_file.write(block)
                    log_file.flush()
                    *lines, rest = (rest + block).replace(b"\r", b"\n").split(b"\n")
                    for line in lines:
                        progress = read(line.decode(errors="replace"), progress)
                now = self._clock()
                if now - shown < (LIVE_EVERY_S if self._is_terminal else LINE_EVERY_S):
                    continue
                shown, left_s = now, None
                if progress.fraction is not None:
                    first = first or (now, progress.fraction)
                    left_s = time_left_s(first, (now, progress.fraction))
                self._show(f"  {label:<{LABEL_WIDTH}}{progress_text(text, progress, now - started, left_s)}")

    def _show(self, line: str) -> None:
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{line[:width]}", end="", file=self._out, flush=True)
        else:
            print(line, file=self._out, flush=True)

    def _clear(self) -> None:
        if self._is_terminal:
            print("\r\033[K", end="", file=self._out, flush=True)


def _stop(child: subprocess.Popen[bytes], own_session: bool) -> None:
    if not own_session:
        child.terminate()
        return
    # Waiting for the descendants too: the next set-up goes on in the folders that they still write to.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        give_up_s = time.monotonic() + STOP_WITHIN_S
        while time.monotonic() < give_up_s:
            child.poll()
            os.killpg(child.pid, 0)  # raises when none of the group is left
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGKILL)


def tail(log: Path, n_lines: int = 25) -> str:
    """The last lines that the last command left in a log, indented."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 1_000_000))
        text = file.read().decode(errors="replace").replace("\r", "\n")
    lines = [line for line in text.rpartition("\n$ ")[2].splitlines() if line.strip()]
    return "\n".join(f"    {line[:300]}" for line in lines[-n_lines:])

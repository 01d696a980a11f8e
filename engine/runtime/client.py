"""One worker process and its pipe: starts it, writes commands, posts events, keeps what it printed last.

Nothing here waits on the caller's thread: a writing thread feeds the pipe (a stopped worker would block it once the
pipe is full), a reading thread posts to the bus. Rejected: QProcess (the engine knows no Qt), multiprocessing (fork
after threads, and no stderr).
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.base.bus import Bus
from engine.base.rpc_address import ENVIRONMENT
from engine.wire.frames import ProtocolFault, encode, event_reader
from engine.wire.messages import Command, Event

STDERR_LINES = 60
SPIN_COUNT = 1000  # libgomp's own is 300,000


@dataclass(frozen=True, slots=True)
class FromWorker:
    """An event of a worker. `generation` tells workers apart: what an old one still sends is dropped."""

    generation: int
    event: Event


@dataclass(frozen=True, slots=True)
class WorkerEnded:
    """A worker's process is gone.

    Attributes:
        generation: which worker.
        exit_code: as the system gave it; negative is the signal that ended it, None when it was never started.
        stderr_tail: the last lines that it printed.
        fault: what was wrong with its last frame, "" if nothing.
    """

    generation: int
    exit_code: int | None
    stderr_tail: str
    fault: str = ""


def program() -> tuple[str, ...]:
    """How to start this program, frozen or not."""
    if getattr(sys, "frozen", False):
        return (sys.executable,)
    return (sys.executable, str(Path(__file__).resolve().parents[2] / "main.py"))


def worker_command() -> tuple[str, ...]:
    """How to start a worker: the same program with `--worker`."""
    return (*program(), "--worker")


def worker_environment(*, is_patient: bool = False, rpc_servers: Sequence[str] = ()) -> dict[str, str]:
    """The worker's environment: ours, no debugger started by ggml when it gives up, RPC servers, how its threads wait.

    After each part of a graph the engine's threads wait for the slowest. libgomp lets them spin, which is fastest on an
    idle computer and no loss beside one busy program; where many want every core, a thread that lost its core waits for
    the very core on which the others spin. Patient ones sleep after `SPIN_COUNT` rounds and leave the core to who has
    work. On two cores, patient over spinning: idle 0.95, beside bursts of a fifth of a core 0.91, beside one busy
    process 1.04, beside about seven 8.8 (medians of 3 to 14 paired rounds). Whoever has set the variables of OpenMP themselves is left alone.

    Source: the libgomp manual, GOMP_SPINCOUNT.
    """
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1", "PYTHONUNBUFFERED": "1"}
    environment[ENVIRONMENT] = ",".join(rpc_servers)
    if is_patient and not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & environment.keys():
        environment["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
    return environment


class WorkerClient:
    """A running worker. Every method returns at once; the end is posted as `WorkerEnded`."""

    def __init__(
        self,
        bus: Bus,
        command: Sequence[str] | None = None,
        *,
        is_patient: bool = False,
        rpc_servers: Sequence[str] = (),
    ) -> None:
        self.generation = int.from_bytes(os.urandom(6))  # drawn, not counted: a count would be global state
        self._bus = bus
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._command = tuple(command or worker_command())
        self._environment = worker_environment(is_patient=is_patient, rpc_servers=rpc_servers)
        self._reader = threading.Thread(target=self._live, name="worker-reader", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int | None:
        """The process's number, None before it runs and after it ended."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def send(self, command: Command) -> None:
        """Queue a command. Silently dropped when the worker is gone: `WorkerEnded` tells that story."""
        self._outgoing.put(encode(command))

    def close_pipe(self) -> None:
        """Close its stdin once everything queued is written: a healthy worker ends at once."""
        self._outgoing.put(None)

    def kill(self) -> None:
        """The last rung: SIGKILL, which also ends a stopped or stuck process."""
        self._closing.set()
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the process to end and its pipes to close; for the program's own end only. True when it did."""
        self._reader.join(timeout_s)
        return not self._reader.is_alive()

    # ---- threads ------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        """The reading thread: starts the process (that takes milliseconds), reads it to its end, posts the end."""
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                start_new_session=sys.platform != "win32",
            )
        except OSError as error:
            self._bus.post(WorkerEnded(self.generation, None, str(error)))
            return
        self._process = process
        if self._closing.is_set():
            process.kill()
        writer = threading.Thread(target=self._write, args=(process,), name="worker-writer", daemon=True)
        writer.start()
        printer = threading.Thread(target=self._listen, args=(process,), name="worker-stderr", daemon=True)
        printer.start()
        assert process.stdout is not None
        reader = event_reader(process.stdout)  # type: ignore[arg-type]
        fault = ""
        try:
            while (event := reader.read()) is not None:
                self._bus.post(FromWorker(self.generation, event))
        except ProtocolFault as error:
            fault = str(error)
            process.kill()
        code = process.wait()
        process.stdout.close()
        self._outgoing.put(None)
        writer.join(1.0)
        printer.join(1.0)
        self._bus.post(WorkerEnded(self.generation, code, "\n".join(self._stderr), fault))

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        try:
            while (frame := self._outgoing.get()) is not None:
                process.stdin.write(frame)
                process.stdin.flush()
        except OSError:
            pass  # a broken pipe: the reading thread sees the end and tells it
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self._stderr.append(line.decode(errors="replace").rstrip("\n"))


def ending_in_words(exit_code: int | None) -> str:
    """An exit code for people: "signal SIGKILL", "exit code 3"."""
    if exit_code is None:
        return "could not be started"
    if exit_code < 0:
        try:
            return f"signal {signal.Signals(-exit_code).name}"
        except ValueError:
            return f"signal {-exit_code}"
    return f"exit code {exit_code}"

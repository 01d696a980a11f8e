"""The supervisor: one worker at a time, its state as a value, and what to do when it misbehaves.

It lives on the thread that pumps the bus. Cancel is a ladder: first the worker is asked (between tokens, and between
graph nodes through the abort flag); when nothing happened for `STOP_NOW_AFTER_S` the state says that stopping can be
forced; forcing kills the process. A worker that does not answer pings is told to the user, never restarted behind
their back: a long prompt on a slow machine is not a fault, and pings are answered even then.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.base.bus import Bus
from engine.base.clock import Clock
from engine.base.errors import KnownError, Remedy, RemedyKind, Trouble
from engine.base.fields import Value
from engine.runtime.client import FromWorker, WorkerClient, WorkerEnded
from engine.runtime.endings import lost_trouble
from engine.runtime.requests import LONG, Answer, Question, Requests
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import (
    PROTOCOL,
    Benched,
    BenchProgress,
    Cancel,
    ChainLink,
    ColumnText,
    Command,
    DeviceInfo,
    Drawn,
    Failed,
    Generate,
    Hello,
    Load,
    Loaded,
    LoadFailed,
    LoadProgress,
    LogLine,
    MemoryUse,
    ModelFacts,
    NextTaken,
    Peek,
    Ping,
    Pong,
    PrefillProgress,
    Prompt,
    Rendered,
    RunDone,
    RunFailed,
    RunStarted,
    SampledMany,
    Scored,
    SetChain,
    Token,
    Tokenized,
    TokensScored,
)

PING_EVERY_S = 1.0
UNRESPONSIVE_AFTER_S = 6.0
STOP_NOW_AFTER_S = 1.5
HELLO_WITHIN_S = 60.0
COUNT_EVERY_S = 0.25


class Phase(enum.Enum):
    """What the engine is doing."""

    ABSENT = "absent"  # no process
    STARTING = "starting"  # a process that has not said hello
    EMPTY = "empty"  # ready, no model
    PLANNING = "planning"  # what a load would take is being asked, in a process of its own
    LOADING = "loading"
    READY = "ready"  # a model is loaded, nothing runs
    READING = "reading"  # computing a prompt
    WRITING = "writing"  # writing tokens
    WORKING = "working"  # answering another request (bench, next token, scores, samples)
    LOST = "lost"  # the process ended by itself


DOING: Mapping[Phase, str] = {
    Phase.LOADING: "while loading the model",
    Phase.READING: "while reading the prompt",
    Phase.WRITING: "while writing",
    Phase.WORKING: "while measuring",
    Phase.STARTING: "while starting",
}
"""What the engine did when it ended, in words."""


@dataclass(frozen=True, slots=True)
class EngineState:
    """The engine at one moment. Posted on the bus whenever it changes.

    Attributes:
        phase: what it does.
        model_path: the model that is loaded or being loaded, "" without one.
        facts: what the loaded model says of itself.
        memory: what it really takes.
        load_fraction: 0 to 1 while loading.
        run_id: the answer that is being written, 0 without one.
        n_past: tokens in the cache, as far as is known.
        stopping: somebody asked to stop and it has not yet.
        can_force: stopping took so long that it may be forced.
        responsive: whether the last pings were answered.
        trouble: why it is lost, or why the last load failed.
        devices, engine, build: what the worker said of itself.
        pid, rss_bytes: its process; None while unknown.
    """

    phase: Phase = Phase.ABSENT
    model_path: str = ""
    facts: ModelFacts | None = None
    memory: MemoryUse | None = None
    load_fraction: float = 0.0
    run_id: int = 0
    n_past: int = 0
    stopping: bool = False
    can_force: bool = False
    responsive: bool = True
    trouble: Trouble | None = None
    devices: tuple[DeviceInfo, ...] = ()
    engine: str = ""
    build: str = ""
    pid: int | None = None
    rss_bytes: int | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is going on that can be stopped."""
        return self.phase in (Phase.PLANNING, Phase.LOADING, Phase.READING, Phase.WRITING, Phase.WORKING)


class Supervisor:
    """Owns the worker. All methods are for the pumping thread, and none of them waits."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        *,
        spawn: Callable[[Bus], WorkerClient] = WorkerClient,
        on_state: Callable[[EngineState], None],
    ) -> None:
        self._bus, self._clock, self._spawn, self._on_state = bus, clock, spawn, on_state
        self.state = EngineState()
        self._client: WorkerClient | None = None
        self._ids = itertools.count(1)
        self._started_s = 0.0
        self._last_ping_s = 0.0
        self._last_pong_s = 0.0
        self._stop_asked_s: float | None = None
        self._waiting_load: Load | None = None
        self._load_options: dict[str, Value] = LOAD_OPTIONS.defaults()
        self._requests = Requests()
        self._had_model = False
        self._closed = False
        self._live_run_id = 0
        self._said_hello = False
        self._counted_s = 0.0
        self._before_planning: EngineState | None = None
        bus.subscribe(FromWorker, self._from_worker)
        bus.subscribe(WorkerEnded, self._ended)

    # ---- what the workbench asks for ---------------------------------------------------------------------------

    @property
    def load_options(self) -> Mapping[str, Value]:
        """The options of the loaded model, or of the load in hand."""
        return self._load_options

    def ensure_worker(self) -> None:
        """Start a worker if there is none."""
        if self._client is None and not self._closed:
            self._client = self._spawn(self._bus)
            self._started_s = self._last_pong_s = self._clock.now_s()
            self._had_model = self._said_hello = False
            self._set(EngineState(phase=Phase.STARTING))

    def begin_planning(self, path: str) -> None:
        """A load of this model is being planned; a worker gets ready meanwhile, and what is loaded stays until then."""
        if self._live_run_id:
            self.cancel()
        self.ensure_worker()
        self._before_planning = self.state
        self._set(replace(self.state, phase=Phase.PLANNING, model_path=path, load_fraction=0.0, trouble=None))

    def end_planning(self) -> None:
        """The planned load is not done: everything is as it was before."""
        before, self._before_planning = self._before_planning, None
        if before is not None and self.state.phase is Phase.PLANNING:
            still = {"devices", "engine", "build", "pid", "rss_bytes"}
            kept = {key: getattr(self.state, key) for key in still}
            phase: Phase = Phase.EMPTY if before.phase in (Phase.STARTING, Phase.LOST, Phase.ABSENT) else before.phase
            if not self._said_hello:
                phase = Phase.STARTING
            self._set(replace(before, phase=phase, **kept))

    def load(self, path: str, options: Mapping[str, Value]) -> int:
        """Load a model in a fresh process (unloading really frees memory only so); returns the load's id."""
        self._before_planning = None
        if self._had_model:
            self._discard_worker()
        self.ensure_worker()
        self._load_options = dict(options)
        load = Load(next(self._ids), path, LOAD_OPTIONS.changed(options))
        self._had_model = True
        if not self._said_hello:
            self._waiting_load = load
        else:
            self._send(load)
        self._set(replace(self.state, phase=Phase.LOADING, model_path=path, load_fraction=0.0, trouble=None))
        return load.load_id

    def unload(self) -> None:
        """Drop the model by ending its process; a new empty worker takes its place."""
        self._discard_worker()
        self.ensure_worker()

    def generate(self, prompt: Prompt, chain: tuple[ChainLink, ...], options: Mapping[str, Value]) -> int:
        """Start an answer; returns its run id. Raises `KnownError` when no model is ready for one."""
        return self.write(lambda run_id: Generate(run_id, prompt, chain, dict(options)))

    def write(self, command: Callable[[int], Generate]) -> int:
        """Start an answer; `command` makes the message from a fresh run id. Raises `KnownError` as `generate`."""
        self._need_ready()
        run_id = next(self._ids)
        self._live_run_id = run_id
        self._send(command(run_id))
        self._set(replace(self.state, phase=Phase.READING, run_id=run_id, stopping=False, can_force=False))
        return run_id

    def set_chain(self, run_id: int, chain: tuple[ChainLink, ...]) -> None:
        """Sample with another chain from the next token on."""
        self._send(SetChain(run_id, chain))

    def request(
        self,
        command: Callable[[int], Question],
        then: Callable[[Any], None],
        failed: Callable[[Trouble], None],
        progress: Callable[[Any], None] | None = None,
    ) -> int:
        """Ask something that has one answer; `command` makes the message from a fresh id.

        `progress` takes the parts that come before the answer. A `Peek` is for the time when an answer is being
        written, everything else for when nothing is done. Raises `KnownError` where it is not the time.
        """
        message = command(next(self._ids))
        if not isinstance(message, Peek):
            self._need_ready()
        elif not message.run_id or message.run_id != self._live_run_id:
            raise KnownError("No answer is being written", next_step="look at the end of the text instead")
        self._requests.add(message, then, failed, progress)
        self._send(message)
        if isinstance(message, LONG):
            self._set(replace(self.state, phase=Phase.WORKING))
        return message.request_id

    def cancel(self) -> None:
        """Ask what is going on to stop. A load that is still waiting for the worker is simply forgotten."""
        if not self.state.is_busy:
            return
        if self._waiting_load is not None:
            self._waiting_load = None
            self._had_model = False
            self._set(replace(self.state, phase=Phase.STARTING, model_path="", load_fraction=0.0))
            return
        self._send(Cancel(0))
        if self._stop_asked_s is None:
            self._stop_asked_s = self._clock.now_s()
        self._set(replace(self.state, stopping=True))

    def force_stop(self) -> None:
        """Kill the worker, whatever it does. The end arrives as `LOST`, with the way back in its trouble."""
        if self._client is not None:
            self._client.kill()

    def restart(self) -> None:
        """A new worker in place of the old one, without a model."""
        self._discard_worker()
        self.ensure_worker()

    def tick(self) -> None:
        """Called a few times a second: pings, and the steps of the ladder that time decides."""
        client = self._client
        if client is None or self._closed:
            return
        now = self._clock.now_s()
        if not self._said_hello:
            if now - self._started_s > HELLO_WITHIN_S:
                client.kill()
            return
        if now - self._last_ping_s >= PING_EVERY_S:
            self._last_ping_s = now
            client.send(Ping(next(self._ids)))
        responsive = now - self._last_pong_s < UNRESPONSIVE_AFTER_S
        force = self._stop_asked_s is not None and now - self._stop_asked_s >= STOP_NOW_AFTER_S
        if (responsive, force) != (self.state.responsive, self.state.can_force):
            self._set(replace(self.state, responsive=responsive, can_force=force))

    def close(self, timeout_s: float = 2.0) -> None:
        """End the worker for good: the pipe first, then the knife. Waits at most `timeout_s`."""
        self._closed = True
        client, self._client = self._client, None
        if client is None:
            return
        client.close_pipe()
        if not client.wait(min(0.5, timeout_s)):
            client.kill()
            client.wait(timeout_s)

    # ---- what comes back ---------------------------------------------------------------------------------------

    def _from_worker(self, message: FromWorker) -> None:
        if self._client is None or message.generation != self._client.generation:
            return
        event = message.event
        self._last_pong_s = self._clock.now_s()
        match event:
            case Hello():
                self._hello(event)
            case Pong():
                if not self.state.responsive or self.state.rss_bytes != event.rss_bytes:
                    self._set(replace(self.state, responsive=True, rss_bytes=event.rss_bytes))
            case LoadProgress():
                self._set(replace(self.state, load_fraction=event.fraction))
            case Loaded():
                self._finish(
                    Phase.READY,
                    model_path=event.facts.path,
                    facts=event.facts,
                    memory=event.memory,
                    rss_bytes=event.memory.rss_bytes,
                    load_fraction=1.0,
                    trouble=None,
                    n_past=0,
                )
                self._bus.post(event)
            case LoadFailed():
                self._had_model = False
                trouble = None if event.cancelled else event.trouble
                self._finish(Phase.EMPTY, model_path="", facts=None, memory=None, load_fraction=0.0, trouble=trouble)
                self._bus.post(event)
            case RunStarted() | PrefillProgress() | Token() | RunDone() | RunFailed():
                self._run_event(event)
            case BenchProgress() | TokensScored() | ColumnText():
                self._requests.tell_progress(event)
            case Tokenized() | Rendered() | NextTaken() | Scored() | SampledMany() | Drawn() | Benched() | Failed():
                self._answer(event)
            case LogLine():
                self._bus.post(event)
            case _:
                pass

    def _hello(self, event: Hello) -> None:
        if event.protocol != PROTOCOL:
            assert self._client is not None
            self._client.kill()
            self._set(
                replace(
                    self.state,
                    trouble=Trouble(
                        "The engine's process is of another version",
                        f"protocol {event.protocol}, this window speaks {PROTOCOL}",
                        "close every Llamarium window and start it again",
                    ),
                )
            )
            return
        self._said_hello = True
        said = replace(
            self.state,
            devices=event.devices,
            engine=event.engine,
            build=event.build,
            pid=event.pid,
            rss_bytes=event.rss_bytes,
        )
        if self._waiting_load is not None:
            load, self._waiting_load = self._waiting_load, None
            self._send(load)
            self._set(replace(said, phase=Phase.LOADING))
        elif self.state.phase is Phase.PLANNING:
            self._set(said)
        else:
            self._set(replace(said, phase=Phase.EMPTY))
        self._bus.post(event)

    def _run_event(self, event: RunStarted | PrefillProgress | Token | RunDone | RunFailed) -> None:
        if event.run_id != self._live_run_id:
            return
        match event:
            case RunStarted():
                self._set(replace(self.state, n_past=event.n_reused))
            case Token() if self.state.phase is not Phase.PLANNING:
                state = replace(self.state, phase=Phase.WRITING, n_past=event.n_past)
                now = self._clock.now_s()
                if self.state.phase is Phase.WRITING and now - self._counted_s < COUNT_EVERY_S:
                    self.state = state  # known here, told a few times a second: nobody reads a meter faster
                else:
                    self._counted_s = now
                    self._set(state)
            case RunDone() | RunFailed():
                self._live_run_id = 0
                self._finish(Phase.READY)
            case _:
                pass
        self._bus.post(event)

    def _answer(self, event: Answer) -> None:
        tell = self._requests.take(event)
        if self.state.phase is Phase.WORKING and not self._requests.is_working:
            self._finish(Phase.READY)
        if tell is not None:
            tell()

    def _ended(self, event: WorkerEnded) -> None:
        if self._client is None or event.generation != self._client.generation:
            return
        self._client = None
        before = self.state
        trouble = lost_trouble(
            event,
            doing=DOING.get(before.phase, ""),
            has_model=bool(before.model_path),
            is_forced=before.stopping and event.exit_code == -9,
            wants_memory=before.phase in (Phase.LOADING, Phase.READING),
        )
        self._waiting_load = None
        self._had_model = False
        self._stop_asked_s = None
        run_id, self._live_run_id = self._live_run_id, 0
        self._set(EngineState(phase=Phase.LOST, model_path=before.model_path, trouble=trouble))
        if run_id:
            self._bus.post(RunFailed(run_id, trouble))
        self._requests.fail_all(trouble)

    # ---- inside ------------------------------------------------------------------------------------------------

    def _need_ready(self) -> None:
        if self.state.phase is Phase.READY:
            return
        if self.state.phase is Phase.LOST:
            raise KnownError(
                "The engine has stopped",
                next_step="load the model again",
                remedies=(Remedy(RemedyKind.RELOAD, "Load again"),),
            )
        if self.state.is_busy:
            raise KnownError("The engine is busy", value=self.state.phase.value, next_step="wait, or stop it first")
        raise KnownError(
            "No model is loaded",
            next_step="choose a model first",
            remedies=(Remedy(RemedyKind.CHOOSE_MODEL, "Choose a model"),),
        )

    def _send(self, command: Command) -> None:
        if self._client is not None:
            self._client.send(command)

    def _discard_worker(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.kill()
        run_id, self._live_run_id = self._live_run_id, 0
        self._waiting_load, self._stop_asked_s = None, None
        replaced = Trouble("The engine was restarted", next_step="ask again")
        if run_id:
            self._bus.post(RunFailed(run_id, replaced))
        self._requests.fail_all(replaced)
        self._set(EngineState())

    def _finish(self, phase: Phase, **changes: object) -> None:
        self._stop_asked_s = None
        if self.state.phase is Phase.PLANNING and self._before_planning is not None:
            # What ran on beside the plan has ended; the plan goes on.
            self._before_planning = replace(self._before_planning, phase=phase, run_id=0, stopping=False)
            return
        fresh = replace(self.state, phase=phase, run_id=0, stopping=False, can_force=False)
        self._set(replace(fresh, **changes))  # type: ignore[arg-type]

    def _set(self, state: EngineState) -> None:
        if state != self.state:
            self.state = state
            self._on_state(state)

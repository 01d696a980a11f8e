"""The workbench: what windows and commands have of the engine. It owns the bus, the jobs, the store and the worker.

Everything returns at once; results come over the bus, or to the function that was handed in, on the thread that pumps
the bus. Nothing is started by making one: `start` begins what a window needs, a command starts only what it asks for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.base.bus import Bus, Unsubscribe
from engine.base.clock import Clock, SystemClock
from engine.base.errors import KnownError, Remedy, RemedyKind, Trouble
from engine.base.fields import Value
from engine.base.jobs import JobHandle, Jobs, Task
from engine.base.paths import Paths
from engine.hardware import open_recorder
from engine.memory.fit import Fits
from engine.memory.formula.placement import RPC
from engine.memory.ledger import Ledger
from engine.models.header_files import is_header_file, not_here
from engine.models.labels import model_label
from engine.models.starter import starter_model
from engine.runtime.client import WorkerClient
from engine.runtime.supervisor import EngineState, Supervisor
from engine.sampling.chain import Chain
from engine.settings import SETTINGS, Settings, read_settings, write_settings
from engine.store.rows import MessageId, RunId, RunRow
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import (
    Bench,
    Benched,
    BenchProgress,
    Hello,
    Loaded,
    LoadFailed,
    Next,
    Planned,
    Prompt,
    Render,
    Tokenize,
)
from engine.wire.run_options import RUN_OPTIONS
from engine.workbench.by_formula import Formulas
from engine.workbench.chain_scope import BEGINNING, Chains, KeptChain, wire_chain
from engine.workbench.curve import MemoryCurve
from engine.workbench.dialogue import Dialogue
from engine.workbench.events import (
    Beat,
    EngineChanged,
    Estimate,
    LibraryChanged,
    LibraryScanned,
    MemoryChanged,
    ModelConsidered,
    RatesKept,
    SettingsChanged,
    TroubleShown,
)
from engine.workbench.figures import Figures
from engine.workbench.hub_desk import HubDesk
from engine.workbench.laboratory import Laboratory
from engine.workbench.planner import Planner, too_big
from engine.workbench.presets import OwnPresets
from engine.workbench.records import Records
from engine.workbench.store_lane import StoreLane

if TYPE_CHECKING:
    from engine.hardware.recorder import Recorder
    from engine.models.library import LibraryEntry
    from engine.workbench.branching import AnswerTokens, Forks
    from engine.workbench.monitor import Monitor
    from engine.workbench.records import Compared
    from engine.workbench.replay import Progress, Replayed

BEAT_S = 0.25
KEPT_DELETED = timedelta(days=30)
log = logging.getLogger(__name__)
Event = TypeVar("Event")


class Workbench:
    """The façade. One thread makes it, calls it and pumps its bus.

    Attributes:
        bus: where everything is posted.
        paths: where everything is kept.
        dialogue: the conversation that is open.
        figures: what a model would do on other devices, and what was measured on these.
        lab: the decoding laboratory.
        records: stored answers: their tokens, the tree of their forks, replay, two of them side by side.
        hub: models that are not here: headers from the hub, and models that are only described.
        chains: whose sampler chain holds, and where it is kept.
        presets: the user's own presets.
        load_options, run_options: what the next answer and the next load will use.
        considered: the model that somebody wants to see on the Memory page.
        predicted, measured: the ledgers of the model that is loaded or about to be.
        recorder: the last minutes of the hardware; None until `start`.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        clock: Clock | None = None,
        spawn: Callable[[Bus], WorkerClient] | None = None,
    ) -> None:
        self.paths = paths
        self._clock = clock or SystemClock()
        self.bus = Bus()
        self.bus.on_error = self._handler_failed
        self.jobs = Jobs(self.bus)
        self.settings = Settings()
        self.load_options: dict[str, Value] = LOAD_OPTIONS.defaults()
        self.run_options: dict[str, Value] = RUN_OPTIONS.defaults()
        self.considered: Path | None = None
        self.predicted: Ledger | None = None
        self.measured: Ledger | None = None
        self.library: tuple[LibraryEntry, ...] = ()
        self.missing_folders: tuple[str, ...] = ()
        self.supervisor = Supervisor(self.bus, self._clock, spawn=spawn or self._worker, on_state=self._engine_changed)
        self.lab = Laboratory(self.supervisor, lambda: self.chain)
        self._planner = Planner(
            self.jobs, lambda: self.supervisor.state, lambda: self.memory_margin, lambda: self.settings.rpc_servers
        )
        self.hub = HubDesk(self.jobs, paths.cache)
        self.formulas = Formulas(self.jobs, lambda: self._planner.devices, self._planner)
        self._in_store = StoreLane(paths.database, self.bus, self.jobs, self._clock)
        self.figures = Figures(self.jobs, self._in_store, paths.database, lambda: self.bus.post(RatesKept()))
        self.dialogue = Dialogue(self.bus, self.supervisor, self._in_store, self._clock)
        self.records = Records(self.bus, self.supervisor, self._in_store)
        self.chains = Chains(self.bus, self.dialogue, self.supervisor, self._keep_chains)
        self.presets = OwnPresets(paths.presets, self.bus, self.jobs)
        self.recorder: Recorder | None = None
        self._monitor: Monitor | None = None
        self._opening: tuple[Path, dict[str, Value]] | None = None
        self._plan_job: JobHandle[Any] | None = None
        self._scan_job: JobHandle[Any] | None = None
        self._settings_dirty = False
        self._beating = threading.Event()
        self.bus.subscribe(Beat, self._beat)
        self.bus.subscribe(Hello, self._said_hello)
        self.bus.subscribe(Loaded, self._loaded)
        self.bus.subscribe(LoadFailed, self._load_failed)

    def _worker(self, bus: Bus) -> WorkerClient:
        now = self.settings
        return WorkerClient(bus, is_patient=bool(now["patient_threads"]), rpc_servers=now.rpc_servers)

    # ---- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin what a window needs: settings, heartbeat, worker, list of chats, library."""
        self.read_settings()
        self.start_beating()
        self.supervisor.ensure_worker()
        self._in_store(lambda store: store.conversations.purge(KEPT_DELETED), title="Opening the chats")
        self.dialogue.refresh_list()
        self.presets.read()
        self.scan_library()
        self._start_recording()

    def start_beating(self) -> None:
        """Post a `Beat` a few times a second; pings, saving and the cancel ladder live on it."""

        def beat() -> None:
            while not self._beating.wait(BEAT_S):
                self.bus.post(Beat())

        threading.Thread(target=beat, name="heartbeat", daemon=True).start()

    def open_first_model(self) -> None:
        """Load the model that was loaded last, or the starter the first time."""
        last = str(self.settings["last_model"])
        if not self.settings["open_last_model"]:
            return
        path = Path(last) if last else starter_model()
        if path is not None and not path.exists():
            path = starter_model()
        if path is not None:
            self.open_model(path)

    def close(self) -> None:
        """Stop everything and keep everything: text, settings, then the worker's end. Waits a few seconds at most."""
        self._beating.set()
        self.dialogue.flush()
        if self._settings_dirty:
            self._write_settings()
        for job in (self._plan_job, self._scan_job):
            if job is not None:
                job.cancel()
        self._planner.close()
        self.hub.cancel()
        self.supervisor.close()
        if self.recorder is not None:
            self.recorder.close()
        self._in_store.close()
        self.jobs.close()

    def subscribe(self, kind: type[Event], handler: Callable[[Event], None]) -> Unsubscribe:
        """Call `handler` for every event of this type; the result ends it."""
        return self.bus.subscribe(kind, handler)

    @property
    def chain(self) -> Chain:
        """What the next token is drawn with: the open conversation's chain, else the model's, else that of all chats."""
        return self.chains.kept.chain

    @property
    def memory_margin(self) -> float:
        """The share of each memory that a model should leave free."""
        return int(str(self.settings["memory_margin"])) / 100

    @property
    def state(self) -> EngineState:
        """What the engine does now."""
        return self.supervisor.state

    # ---- models -------------------------------------------------------------------------------------------------

    def open_model(self, path: Path, options: Mapping[str, Value] | None = None, *, anyway: bool = False) -> None:
        """Load a model: plan it first and ask when it does not fit, unless `anyway`.

        What comes: `EngineChanged` all the way, `MemoryChanged` with the prediction and then the measurement,
        `TroubleShown` when it does not fit or cannot be loaded.
        """
        if is_header_file(path):
            return self.bus.post(TroubleShown(not_here(path)))
        self._drop_plan()
        wanted = LOAD_OPTIONS.checked(options if options is not None else self.load_options)
        self._opening = (path, wanted)
        if self.settings.rpc_servers or any(each.name.startswith(RPC) for each in self.state.devices):
            self.supervisor.unload()  # a server serves one program at a time, and the worker may know other servers
        self.predicted = self.measured = None
        if anyway or not self.settings["show_memory_verdict"]:
            self.supervisor.load(str(path), wanted)
            return
        self.supervisor.begin_planning(str(path))

        def plan(task: Task) -> Planned:
            return self._planner.planned(path, wanted, task, is_fresh=True)

        def then(planned: Planned) -> None:
            self._plan_job = None
            self.predicted = self._planner.ledger(planned.memory, wanted)
            verdict = self._planner.judge(self.predicted, wanted, self._planner.freed_bytes())
            self.bus.post(MemoryChanged(self.predicted, None, verdict))
            if verdict.fits is Fits.NO:
                self.supervisor.end_planning()
                self.bus.post(TroubleShown(too_big(path, verdict)))
            else:
                self.supervisor.load(str(path), wanted)

        def failed(trouble: Trouble) -> None:
            self._plan_job = None
            self.supervisor.end_planning()
            self.bus.post(TroubleShown(trouble))

        self._plan_job = self.jobs.run(
            plan, title=f"Planning {model_label(path)}", lane="plan", then=then, failed=failed
        )

    def load_anyway(self) -> None:
        """Load what was just refused for its size."""
        if self._opening is not None:
            self.open_model(*self._opening, anyway=True)

    def reload(self, changes: Mapping[str, Value] | None = None) -> None:
        """Load the model that is loaded, or was last tried, again; with these options changed."""
        path = self._opening[0] if self._opening else None
        if path is None:
            raise KnownError(
                "No model was loaded yet",
                next_step="choose a model first",
                remedies=(Remedy(RemedyKind.CHOOSE_MODEL, "Choose a model"),),
            )
        if changes:
            self.set_load_options({**self.load_options, **changes})
        self.open_model(path)

    def unload_model(self) -> None:
        """Drop the model and give its memory back."""
        self._drop_plan()
        self.predicted = self.measured = None
        self.supervisor.unload()
        self.bus.post(MemoryChanged(None, None, None))

    def cancel(self) -> None:
        """Stop what is going on: planning, loading, reading, writing, measuring."""
        if self._plan_job is not None:
            self._drop_plan()
            self.supervisor.end_planning()
        else:
            self.supervisor.cancel()

    def restart_engine(self) -> None:
        """A new worker, and the model that was loaded in it again."""
        self.supervisor.restart()
        if self._opening is not None:
            self.open_model(self._opening[0])

    def estimate(
        self,
        path: Path,
        options: Mapping[str, Value],
        then: Callable[[Estimate], None],
        failed: Callable[[Trouble], None],
        *,
        with_limit: bool = False,
        asker: str = "",
        what_if: Mapping[str, int] | None = None,
    ) -> None:
        """Plan a load without doing it; see `Planner.estimate`."""
        self._planner.estimate(path, options, then, failed, with_limit=with_limit, asker=asker, what_if=what_if)

    def memory_curve(
        self,
        path: Path,
        options: Mapping[str, Value],
        cache_types: Sequence[tuple[str, str]],
        contexts: Sequence[int],
        then: Callable[[MemoryCurve], None],
        failed: Callable[[Trouble], None],
    ) -> None:
        """Plan a load at several contexts for several cache types; see `Planner.memory_curve`."""
        self._planner.memory_curve(path, options, cache_types, contexts, then, failed)

    def look_into(self, path: Path, then: Callable[[LibraryEntry], None]) -> None:
        """Read one file's header, wherever it is; a file that cannot be read comes as an entry with its trouble."""
        from engine.models.library import entry_of

        self.jobs.run(
            lambda _task: entry_of(path, str(path.parent)),
            title=f"Reading {path.name}",
            lane="headers",
            then=then,
        )

    def consider(self, path: Path) -> None:
        """Somebody wants to know whether this model fits; posts `ModelConsidered`."""
        self.considered = path
        self.bus.post(ModelConsidered(path))

    def scan_library(self) -> None:
        """Read the headers of every model in the folders; posts `LibraryChanged`."""
        if self._scan_job is not None:
            self._scan_job.cancel()
        folders = [self.paths.models, *(Path(each).expanduser() for each in self._folder_settings())]
        own = self.paths.models
        self.bus.post(LibraryChanged(self.library, self.missing_folders, scanning=True))

        def read(task: Task) -> tuple[tuple[LibraryEntry, ...], tuple[str, ...]]:
            from engine.models.library import scan

            def told(n_files: int, name: str) -> None:
                self.bus.post(LibraryScanned(n_files, name))

            entries, missing = scan(folders, starter_model(), known=self.library, check=task.check, progress=told)
            return entries, tuple(each for each in missing if each != str(own))

        def then(found: tuple[tuple[LibraryEntry, ...], tuple[str, ...]]) -> None:
            self._scan_job = None
            self.library, self.missing_folders = found
            self.bus.post(LibraryChanged(*found))

        self._scan_job = self.jobs.run(read, title="Reading the model folders", lane="library", then=then)

    def add_model_folder(self, folder: Path) -> None:
        """Search this folder for models, now and from now on."""
        folders = [each for each in self._folder_settings() if each != str(folder)]
        self.set_setting("model_folders", (*folders, str(folder)))
        self.scan_library()

    def remove_model_folder(self, folder: str) -> None:
        """Do not search this folder any more; its files stay."""
        self.set_setting("model_folders", tuple(each for each in self._folder_settings() if each != folder))
        self.scan_library()

    # ---- asking the model ---------------------------------------------------------------------------------------

    def generate(
        self, prompt: Prompt, *, chain: Chain | None = None, options: Mapping[str, Value] | None = None
    ) -> int:
        """Continue a prompt outside any conversation; events come with the run id that is returned."""
        wanted = RUN_OPTIONS.checked(options if options is not None else self.run_options)
        return self.supervisor.generate(prompt, wire_chain(chain or self.chain), RUN_OPTIONS.changed(wanted))

    def say(self, text: str, *, drop_oldest: bool = False) -> None:
        """Say something in the open conversation. Raises `KnownError` when no model is ready; nothing is added then."""
        self.dialogue.send(text, self.chain, RUN_OPTIONS.changed(self.run_options), drop_oldest=drop_oldest)

    def answer_again(self, message_id: Any, *, drop_oldest: bool = False) -> None:
        """Another answer beside this one, or to this question."""
        self.dialogue.again(message_id, self.chain, RUN_OPTIONS.changed(self.run_options), drop_oldest=drop_oldest)

    def edit_message(self, message_id: Any, text: str) -> None:
        """Say something else in this message's place."""
        self.dialogue.edit(message_id, text, self.chain, RUN_OPTIONS.changed(self.run_options))

    def fork_answer(self, message_id: MessageId, position: int, token_id: int) -> None:
        """An answer beside this one that keeps its first `position` tokens and has `token_id` next; see `Dialogue.fork`."""
        self.dialogue.fork(message_id, position, token_id, self.chain, RUN_OPTIONS.changed(self.run_options))

    def continue_answer(self, message_id: MessageId) -> None:
        """An answer beside this one that keeps all its tokens and goes on; it was stopped, or its length was."""
        self.dialogue.go_on(message_id, self.chain, RUN_OPTIONS.changed(self.run_options))

    def forks(self, message_id: MessageId, then: Callable[[Forks], None]) -> None:
        """All answers to the question that this message answers, as a tree of forks."""
        self.records.forks(message_id, then)

    def answer_tokens(
        self, message_id: MessageId, then: Callable[[AnswerTokens], None], failed: Callable[[Trouble], None]
    ) -> None:
        """The tokens of an answer and what chose them; `failed` says why there are none."""
        self.records.answer_tokens(message_id, then, failed)

    def replay(
        self,
        run_id: RunId,
        then: Callable[[Replayed], None],
        failed: Callable[[Trouble], None],
        progress: Progress | None = None,
    ) -> None:
        """Write a stored run again with the loaded model and tell where, and why, it differs; see `Records.replay`."""
        self.records.replay(run_id, then, failed, progress)

    def compare(
        self,
        first_id: MessageId,
        second_id: MessageId,
        then: Callable[[Compared], None],
        failed: Callable[[Trouble], None],
    ) -> None:
        """Two answers side by side; see `Records.compare`."""
        self.records.compare(first_id, second_id, then, failed)

    def tokenize(
        self,
        text: str,
        then: Callable[[Any], None],
        failed: Callable[[Trouble], None],
        *,
        add_special: bool = False,
        parse_special: bool = True,
    ) -> None:
        """Take a text apart; `then` takes a `Tokenized`."""
        self.supervisor.request(lambda n: Tokenize(n, text, add_special, parse_special), then, failed)

    def render(self, prompt: Prompt, then: Callable[[Any], None], failed: Callable[[Trouble], None]) -> None:
        """The exact prompt that the model would see; `then` takes a `Rendered`."""
        self.supervisor.request(lambda n: Render(n, prompt), then, failed)

    def next_token(
        self,
        prompt: Prompt,
        then: Callable[[Any], None],
        failed: Callable[[Trouble], None],
        *,
        chain: Chain | None = None,
        seed: int = -1,
        n_top: int = 10,
    ) -> None:
        """The next token, taken apart; `then` takes a `NextTaken`."""
        links = wire_chain(chain or self.chain)
        self.supervisor.request(lambda n: Next(n, prompt, links, seed, n_top), then, failed)

    def bench(
        self,
        command: Callable[[int], Bench],
        then: Callable[[Any], None],
        failed: Callable[[Trouble], None],
        progress: Callable[[BenchProgress], None] | None = None,
    ) -> None:
        """Measure the loaded model, and keep how fast its device is; `then` takes a `Benched`."""

        def learnt(found: Benched) -> None:
            self.figures.learn(self.state, self.measured, found)
            then(found)

        self.supervisor.request(command, learnt, failed, progress)

    def recent_runs(self, then: Callable[[tuple[RunRow, ...]], None], limit: int = 200) -> None:
        """The last answers of all conversations and how they went, newest first."""
        self._in_store(lambda store: store.runs.list(limit), then=then, title="Reading the recorded runs")

    # ---- settings -----------------------------------------------------------------------------------------------

    def read_settings(self) -> None:
        """Read the settings file; what is wrong in it is told and left out."""
        try:
            self.settings = read_settings(self.paths.settings)
        except KnownError as error:
            self.bus.post(TroubleShown(error.trouble))
            return
        complaints = list(self.settings.complaints)
        for name, read in (("load", self._read_load), ("run", self._read_run), ("chain", self._read_chain)):
            try:
                read()
            except KnownError as error:
                complaints.append(f"{name}: {error.trouble.sentence()}")
        for each in complaints:
            self.bus.post(TroubleShown(Trouble("A setting was not understood", each, "its default is used")))
        self.bus.post(SettingsChanged(self.settings))

    def set_setting(self, key: str, value: object) -> None:
        """Change one setting, now and in the file. Raises `FieldError` for a value that it does not take."""
        checked = SETTINGS[key].check(value)
        self._change(replace(self.settings, values={**self.settings.values, key: checked}))
        if self.recorder is not None and isinstance(checked, int):
            if key == "samples_per_second":
                self.recorder.set_rate(checked)
            elif key == "plot_minutes":
                self.recorder.set_keep(checked)

    def set_chain(self, chain: Chain) -> None:
        """Sample with this chain: from the next token on where an answer is being written. Kept where the present one is."""
        self.chains.set(chain)

    def set_run_options(self, options: Mapping[str, Value]) -> None:
        """Limits and seed of the next answers."""
        self.run_options = RUN_OPTIONS.checked(options)
        self._change(replace(self.settings, run_options=RUN_OPTIONS.changed(self.run_options)))

    def set_load_options(self, options: Mapping[str, Value]) -> None:
        """How the next model is loaded."""
        self.load_options = LOAD_OPTIONS.checked(options)
        self._change(replace(self.settings, load_options=LOAD_OPTIONS.changed(self.load_options)))

    # ---- inside -------------------------------------------------------------------------------------------------

    def _read_load(self) -> None:
        self.load_options = LOAD_OPTIONS.checked(self.settings.load_options)

    def _read_run(self) -> None:
        self.run_options = RUN_OPTIONS.checked(self.settings.run_options)

    def _read_chain(self) -> None:
        self.chains.read(self.settings)

    def _keep_chains(self, general: KeptChain, models: Mapping[str, KeptChain]) -> None:
        chain = () if general.chain == Chain.default() else tuple(general.chain.to_wire())
        preset = "" if general.preset == BEGINNING.key else general.preset
        of_models = {path: each.to_wire() for path, each in models.items()}
        self._change(replace(self.settings, chain=chain, chain_preset=preset, model_chains=of_models))

    def _folder_settings(self) -> tuple[str, ...]:
        folders = self.settings["model_folders"]
        return folders if isinstance(folders, tuple) else ()

    def _change(self, settings: Settings) -> None:
        if settings == self.settings:
            return
        self.settings = settings
        self._settings_dirty = True
        self.bus.post(SettingsChanged(settings))

    def _write_settings(self) -> None:
        self._settings_dirty = False
        settings, path = self.settings, self.paths.settings

        def failed(trouble: Trouble) -> None:
            self.bus.post(TroubleShown(trouble))

        self.jobs.run(
            lambda _task: write_settings(path, settings),
            title="Saving the settings",
            lane="settings",
            failed=failed,
            must_finish=True,
        )

    def _start_recording(self) -> None:
        from engine.workbench.monitor import Monitor

        rate, minutes = self.settings["samples_per_second"], self.settings["plot_minutes"]
        assert isinstance(rate, int)
        assert isinstance(minutes, int)
        self.recorder = open_recorder(float(rate), minutes * 60.0, self._clock)
        self._monitor = Monitor(self.recorder)
        self._monitor.follow(self.state)

    def _beat(self, _event: Beat) -> None:
        self.supervisor.tick()
        if self._settings_dirty:
            self._write_settings()

    def _engine_changed(self, state: EngineState) -> None:
        if self._monitor is not None:
            self._monitor.follow(state)
        self.bus.post(EngineChanged(state))

    def _said_hello(self, event: Hello) -> None:
        for trouble in event.troubles:
            self.bus.post(TroubleShown(trouble))

    def _loaded(self, event: Loaded) -> None:
        self.set_setting("last_model", event.facts.path)
        self.measured = self._planner.ledger(event.memory, self.supervisor.load_options)
        self.figures.remember_load(event.facts.path, self.predicted, self.measured)
        self.bus.post(MemoryChanged(self.predicted, self.measured, None))

    def _load_failed(self, event: LoadFailed) -> None:
        self.predicted = self.measured = None
        self.bus.post(MemoryChanged(None, None, None))
        if not event.cancelled:
            self.bus.post(TroubleShown(event.trouble))

    def _drop_plan(self) -> None:
        if self._plan_job is not None:
            self._plan_job.cancel()
            self._plan_job = None

    def _handler_failed(self, error: Exception) -> None:
        log.error("a handler failed", exc_info=error)


def parse_changes(argument: str) -> dict[str, Value]:
    """The load options that a `SET_OPTION` remedy names: "n_ctx=8192" or "type_k=q8_0,type_v=q8_0"."""
    changes: dict[str, Value] = {}
    for part in argument.split(","):
        key, _, text = part.partition("=")
        changes[key] = LOAD_OPTIONS[key].parse(text)
    return changes

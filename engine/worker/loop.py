"""The worker's loop: commands in, events out, one at a time, until the pipe ends.

Two threads. The reading one answers pings, takes cancels and new chains at once, and queues the rest; it never
touches llama.cpp. The main one does the work. The end of stdin ends the process at once, so a window that died leaves
no loaded model behind.
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import signal
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import psutil

from engine.base.errors import KnownError, trouble_of
from engine.chat.template import Templates
from engine.gguf.card import Card, read_card
from engine.gguf.splits import shard_paths
from engine.hardware.rpc_servers import asked_for, greeted
from engine.wire.frames import FrameReader, ProtocolFault, command_reader, encode
from engine.wire.load_options import LOAD_OPTIONS
from engine.wire.messages import (
    PROTOCOL,
    Bench,
    BenchProgress,
    Cancel,
    ChatMessage,
    Command,
    Draw,
    Event,
    Failed,
    Generate,
    Hello,
    Load,
    Loaded,
    LoadFailed,
    LoadProgress,
    LogLine,
    Next,
    NextTaken,
    Peek,
    Ping,
    Plan,
    Planned,
    Pong,
    Prompt,
    Quit,
    Render,
    Rendered,
    RunFailed,
    SampleMany,
    Score,
    SetChain,
    TokenInfo,
    Tokenize,
    Tokenized,
    Unload,
    Unloaded,
)
from engine.worker import binding
from engine.worker.bench import measure
from engine.worker.binding import AbortFlag, Ggml, NativeLog
from engine.worker.capture import Place
from engine.worker.columns import sample_many
from engine.worker.control import Control
from engine.worker.drafting import open_models
from engine.worker.drawing import draw
from engine.worker.prompting import Prepared, prepare, spelled
from engine.worker.refusals import refuse_other_kinds
from engine.worker.scoring import score
from engine.worker.session import Aborted, LoadCancelled, Session
from engine.worker.writing import chain_of, draw_seed, write_answer

PROGRESS_STEP = 0.01


class Worker:
    """One process's end of the pipe. `run` is its whole life."""

    def __init__(self, commands: FrameReader[Command], out: BinaryIO) -> None:
        self._commands, self._out = commands, out
        self._out_lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Command, float]] = queue.SimpleQueue()
        self._process = psutil.Process()
        self._log = NativeLog()
        self._log.on_warning = lambda level, text: self._emit(LogLine(level, text))
        binding.start_backends()
        self._ggml = Ggml()
        servers, self._unreached = greeted(asked_for())
        for address in servers:
            self._ggml.add_rpc_server(address)
        self._abort = AbortFlag()
        self._control = Control(self._abort, self._emit)
        self._templates = Templates()
        self._session: Session | None = None
        self._place: Place | None = None
        self._n_load_steps = 0
        self._base_rss_bytes = self._process.memory_info().rss

    def run(self) -> int:
        """Say hello, then do what comes until Quit or the end of the pipe; returns the exit code."""
        self._emit(
            Hello(
                protocol=PROTOCOL,
                pid=os.getpid(),
                engine=binding.engine_text(),
                build=binding.build_text(),
                devices=self._ggml.devices(),
                rss_bytes=self._base_rss_bytes,
                troubles=tuple(error.trouble for error in self._unreached),
            )
        )
        threading.Thread(target=self._read, name="commands", daemon=True).start()
        while True:
            command, received_s = self._queue.get()
            if isinstance(command, Quit):
                self._drop_session()
                return 0
            self._dispatch(command, received_s)

    # ---- the reading thread ---------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            while (command := self._commands.read()) is not None:
                match command:
                    case Ping():
                        self._emit(Pong(command.ping_id, self._n_steps(), self._process.memory_info().rss))
                    case Cancel():
                        self._control.cancel(command.target_id)
                    case SetChain():
                        self._control.offer_chain(command.run_id, command.chain)
                    case Peek():
                        self._control.offer_peek(command)
                    case Quit():
                        self._abort.set()
                        self._queue.put((command, time.monotonic()))
                    case _:
                        self._queue.put((command, time.monotonic()))
        except ProtocolFault as fault:
            print(f"the window sent something that is no command: {fault}", file=sys.stderr, flush=True)
            os._exit(3)
        os._exit(0)

    def _n_steps(self) -> int:
        session = self._session
        both = (session, session.draft) if session is not None else ()
        return self._n_load_steps + sum(each.n_steps for each in both if each is not None)

    # ---- the main thread ------------------------------------------------------------------------------------

    def _dispatch(self, command: Command, received_s: float) -> None:
        """The worker's door: whatever goes wrong in here becomes an event."""
        work_id = _id_of(command)
        self._control.begin(work_id)
        try:
            self._do(command, received_s)
        except (Aborted, LoadCancelled):
            if isinstance(command, Load):
                trouble = KnownError("Loading was stopped", next_step="load it again when you want").trouble
                self._emit(LoadFailed(work_id, trouble, cancelled=True))
            else:
                self._emit(Failed(work_id, KnownError("Stopped").trouble, cancelled=True))
        except Exception as error:
            trace = traceback.format_exc()
            trouble = trouble_of(error, trace)
            if trouble.is_bug:
                print(trace, file=sys.stderr, flush=True)
            if isinstance(command, Load):
                self._drop_session()
                self._emit(LoadFailed(work_id, trouble))
            elif isinstance(command, Generate):
                self._emit(RunFailed(work_id, trouble))
            else:
                self._emit(Failed(work_id, trouble))
        finally:
            self._control.end()

    def _do(self, command: Command, received_s: float) -> None:
        match command:
            case Load():
                self._load(command)
            case Unload():
                self._drop_session()
                self._emit(Unloaded())
            case Plan():
                self._plan(command)
            case Generate():
                write_answer(self._loaded(), command, self._templates, self._control, self._emit, received_s)
            case Tokenize():
                self._tokenize(command)
            case Render():
                prepared = self._prepared(command.prompt)
                self._emit(
                    Rendered(
                        command.request_id,
                        prepared.text,
                        prepared.tokens,
                        prepared.template_source,
                        prepared.warnings,
                        prepared.n_dropped,
                    )
                )
            case Next():
                self._next(command)
            case Score():
                score(self._loaded(), command, self._prepared(command.prompt).tokens, self._control, self._emit)
            case SampleMany():
                sample_many(self._loaded(), command, self._prepared(command.prompt), self._control, self._emit)
            case Draw():
                place = self._place_after(self._prepared(command.prompt).tokens)
                self._emit(draw(self._loaded().vocab, place, command, self._control.is_cancelled))
            case Bench():
                request_id = command.request_id
                self._emit(
                    measure(
                        self._loaded(),
                        command,
                        lambda fraction, text: self._emit(BenchProgress(request_id, fraction, text)),
                    )
                )
            case _:
                raise KnownError("The worker does not take this command", value=type(command).__name__)

    def _load(self, command: Load) -> None:
        self._drop_session()
        options = LOAD_OPTIONS.checked(command.options)
        path = _first_part(Path(command.path))
        card = _card_to_load(path)
        reported = -1.0

        def on_progress(fraction: float) -> bool:
            nonlocal reported
            self._n_load_steps += 1
            if fraction - reported >= PROGRESS_STEP or fraction >= 1.0:
                reported = fraction
                self._emit(LoadProgress(command.load_id, fraction))
            return not self._control.is_cancelled()

        started = time.monotonic()
        self._session = open_models(
            path,
            card,
            options,
            ggml=self._ggml,
            log=self._log,
            abort=self._abort,
            on_progress=on_progress,
            base_rss_bytes=self._base_rss_bytes,
        )
        took_s = time.monotonic() - started
        self._emit(Loaded(command.load_id, self._session.facts, self._session.memory, took_s))
        self._warm_up()

    def _warm_up(self) -> None:
        """Compile the chat template now, so that the first answer does not wait for it; what is wrong is told then."""
        with contextlib.suppress(KnownError):
            self._prepared(Prompt(messages=(ChatMessage("user", "Hello"),)))

    def _plan(self, command: Plan) -> None:
        options = LOAD_OPTIONS.checked(command.options)
        path = _first_part(Path(command.path))
        session = open_models(
            path,
            _card_to_load(path),
            options,
            ggml=self._ggml,
            log=self._log,
            abort=self._abort,
            on_progress=lambda _fraction: not self._control.is_cancelled(),
            base_rss_bytes=self._base_rss_bytes,
            is_dry=True,
        )
        self._emit(Planned(command.request_id, session.memory, session.facts))
        session.close()

    def _tokenize(self, command: Tokenize) -> None:
        vocab = self._loaded().vocab
        if command.tokens:
            self._emit(Tokenized(command.request_id, tuple(spelled(command.tokens, vocab))))
            return
        ids = vocab.tokenize(command.text, add_special=command.add_special, parse_special=command.parse_special)
        tokens: list[TokenInfo] = []
        place = 0
        for each in ids:
            is_control = vocab.is_control(each)
            piece = vocab.piece(each, special=True)
            # A BOS that was put in front stands for no bytes of the text.
            width = 0 if is_control and not command.parse_special else len(piece)
            if is_control and not command.text.encode()[place:].startswith(piece):
                width = 0
            tokens.append(TokenInfo(each, piece, place, place + width, is_control))
            place += width
        self._emit(Tokenized(command.request_id, tuple(tokens)))

    def _next(self, command: Next) -> None:
        place = self._place_after(self._prepared(command.prompt).tokens)
        stages, picked = place.stage_views(chain_of(command.chain), draw_seed(command.seed), command.n_top)
        self._emit(NextTaken(command.request_id, place.raw_top(command.n_top), place.entropy_bits, stages, picked))

    def _place_after(self, tokens: tuple[int, ...]) -> Place:
        """The distribution after these tokens: the kept one where it is theirs, else computed and kept."""
        session = self._loaded()
        if self._place is None or self._place.tokens != tokens:
            self._place = None
            session.begin(tokens)
            session.prefill(tokens, lambda _done, _total: None)
            self._place = Place.at_end(session, tokens)
        return self._place

    def _prepared(self, prompt: Prompt) -> Prepared:
        session = self._loaded()
        return prepare(
            prompt,
            session.facts,
            session.vocab,
            self._templates,
            n_reserve=1,
            now=lambda: datetime.now(UTC),
        )

    def _loaded(self) -> Session:
        if self._session is None:
            raise KnownError("No model is loaded", next_step="choose a model first")
        return self._session

    def _drop_session(self) -> None:
        self._place = None
        if self._session is not None:
            self._session.close()
            self._session = None

    def _emit(self, event: Event) -> None:
        frame = encode(event)
        try:
            with self._out_lock:
                self._out.write(frame)
                self._out.flush()
        except (BrokenPipeError, ValueError):
            os._exit(0)  # nobody listens any more


def main() -> int:
    """The entry of `main.py --worker`: take the pipe away from stray prints, then run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is the window's to handle
    private = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = io.TextIOWrapper(os.fdopen(os.dup(2), "wb"), line_buffering=True)
    return Worker(command_reader(sys.stdin.buffer), os.fdopen(private, "wb")).run()


def _card_to_load(path: Path) -> Card:
    card = read_card(path)
    refuse_other_kinds(card, path)
    return card


def _first_part(path: Path) -> Path:
    """The file that llama.cpp must be given: of a split model the first part, whichever was chosen."""
    return shard_paths(path)[0]


def _id_of(command: Command) -> int:
    match command:
        case Load():
            return command.load_id
        case Generate():
            return command.run_id
        case Plan() | Tokenize() | Render() | Next() | Peek() | Score() | SampleMany() | Draw() | Bench():
            return command.request_id
        case _:
            return 0

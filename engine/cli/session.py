"""What every command shares: a workbench without a window, waiting for answers, and the two ways of printing."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.base.errors import KnownError, Trouble
from engine.base.fields import Field, FieldKind, FieldSet, Value
from engine.base.jobs import JobProgress
from engine.base.paths import Paths
from engine.hardware.rpc_servers import greet
from engine.models.address import is_hub_address
from engine.models.library import scan
from engine.models.starter import starter_model
from engine.runtime.supervisor import Phase
from engine.settings import SETTINGS
from engine.wire.load_options import LOAD_OPTIONS
from engine.workbench import Workbench
from engine.workbench.events import EngineChanged, TroubleShown
from engine.workbench.hub_desk import OnHub


class Session:
    """A workbench for one command; use it in a `with`, which ends the worker whatever happens.

    Args:
        arguments: the parsed command line: `data_dir`, `json` and whatever the command has.
    """

    def __init__(self, arguments: Namespace) -> None:
        self.arguments = arguments
        self.as_json: bool = arguments.json
        folder = arguments.data_dir
        self.workbench = Workbench(Paths.under(Path(folder)) if folder else Paths.of_user())
        self._trouble: Trouble | None = None
        self.workbench.subscribe(TroubleShown, self._troubled)

    def __enter__(self) -> Session:
        self.workbench.read_settings()
        self._use_servers(getattr(self.arguments, "rpc", None) or ())
        self.workbench.start_beating()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.workbench.close()

    def _use_servers(self, given: Iterable[str]) -> None:
        """Let this command's engine use these RPC servers. Raises `KnownError` for one that does not answer."""
        addresses = tuple(address for text in given for address in text.split(","))
        if not addresses:
            return
        SETTINGS["rpc_servers"].check(addresses)
        for address in addresses:
            greet(address)
        settings = self.workbench.settings
        self.workbench.settings = replace(settings, values={**settings.values, "rpc_servers": addresses})

    # ---- waiting ----------------------------------------------------------------------------------------------

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Pump the bus until `ready`. Raises `KnownError` when trouble comes first."""
        while not ready():
            self.workbench.bus.wait(0.1)
            if self._trouble is not None:
                trouble, self._trouble = self._trouble, None
                raise KnownError.of(trouble)

    def answer(self, ask: Callable[[Callable[[Any], None], Callable[[Trouble], None]], None]) -> Any:
        """Ask something that answers through two functions, and wait for the answer."""
        found: list[Any] = []
        ask(found.append, lambda trouble: setattr(self, "_trouble", trouble))
        self.wait_for(lambda: bool(found))
        return found[0]

    def load(self, model: str, options: dict[str, Value], *, check_memory: bool = True) -> None:
        """Load a model and wait until it is ready; progress goes to stderr."""
        path = self.find_model(model)
        shown = 0.0

        def report(event: EngineChanged) -> None:
            nonlocal shown
            now = time.monotonic()
            if event.state.phase is Phase.LOADING and now - shown > 0.5:
                shown = now
                self.note(f"loading {path.name}: {event.state.load_fraction:.0%}")

        forget = self.workbench.subscribe(EngineChanged, report)
        self.workbench.open_model(path, options, anyway=not check_memory)
        self.wait_for(lambda: self.workbench.state.phase in (Phase.READY, Phase.LOST))
        forget()
        if self.workbench.state.phase is Phase.LOST and self.workbench.state.trouble is not None:
            raise KnownError.of(self.workbench.state.trouble)

    def find_model(self, model: str) -> Path:
        """The file that MODEL names: a path, "starter", or the label of a model of the library."""
        if is_hub_address(model):
            raise KnownError(
                "This needs the weights, which are on the hub",
                value=model,
                next_step="download the file and give its path (`size` and `models show` take the address as it is)",
            )
        path = Path(model).expanduser()
        if path.exists() or model.endswith(".gguf") or "/" in model:
            return path
        if model == "starter":
            starter = starter_model()
            if starter is None:
                raise KnownError("The starter model is not installed", next_step="run `make setup`")
            return starter
        folders = [self.workbench.paths.models, *(Path(each) for each in _folders(self.workbench))]
        entries, _missing = scan(folders, starter_model())
        for entry in entries:
            if entry.label.casefold() == model.casefold():
                return entry.path
        raise KnownError(
            "There is no such model", value=model, next_step="give a path to a GGUF file, or see `models list`"
        )

    def find_header(self, model: str) -> Path | OnHub:
        """As `find_model` where no weights are needed: an address on the hub gives what it led to."""
        if not is_hub_address(model):
            return self.find_model(model)
        found = self.ask_hub(lambda then, failed: self.workbench.hub.find(model, then, failed))
        assert isinstance(found, OnHub)
        return found

    def ask_hub(self, ask: Callable[[Callable[[Any], None], Callable[[Trouble], None]], int]) -> Any:
        """Ask the hub and wait; progress goes to stderr."""
        told = ""

        def report(event: JobProgress) -> None:
            nonlocal told
            if event.text and event.text != told:
                told = event.text
                self.note(told)

        forget = self.workbench.subscribe(JobProgress, report)
        try:
            return self.answer(lambda then, failed: (ask(then, failed), None)[1])
        finally:
            forget()

    # ---- printing ---------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """A line for the person at the terminal, on stderr."""
        print(text, file=sys.stderr, flush=True)

    def put(self, document: Any, lines: Iterable[str]) -> None:
        """The answer: the document with --json, else the lines."""
        if self.as_json:
            print(json.dumps(document, ensure_ascii=False, indent=2))
        else:
            for line in lines:
                print(line)

    def put_line(self, document: Any) -> None:
        """One JSON line of a stream."""
        print(json.dumps(document, ensure_ascii=False), flush=True)

    def _troubled(self, event: TroubleShown) -> None:
        self._trouble = event.trouble


def add_fields(parser: Any, fields: FieldSet | Iterable[Field]) -> None:
    """A flag for every Field, named and explained by it. What is not given is not in the result."""
    for each in fields:
        text = each.help.replace("%", "%%") + f" Default: {each.format(each.default)}".replace("%", "%%")
        if each.kind is FieldKind.BOOL:
            import argparse

            parser.add_argument(
                each.flag, dest=f"field_{each.key}", action=argparse.BooleanOptionalAction, default=None, help=text
            )
        elif each.kind is FieldKind.TEXT_LIST:
            parser.add_argument(each.flag, dest=f"field_{each.key}", action="append", default=None, help=text)
        else:
            parser.add_argument(
                each.flag, dest=f"field_{each.key}", metavar=each.kind.value.upper(), default=None, help=text
            )


def given_fields(arguments: Namespace, fields: FieldSet | Iterable[Field]) -> dict[str, Value]:
    """The values of the flags that were given, checked by their Fields."""
    values: dict[str, Value] = {}
    for each in fields:
        raw = getattr(arguments, f"field_{each.key}", None)
        if raw is None:
            continue
        values[each.key] = each.parse(raw) if isinstance(raw, str) else each.check(raw)
    return values


def load_options(session: Session) -> dict[str, Value]:
    """The load options of this command: the settings' ones, changed by the flags."""
    return {**session.workbench.load_options, **given_load_options(session)}


def given_load_options(session: Session) -> dict[str, Value]:
    """The load options that the flags give; a file may be named as MODEL is."""
    given = given_fields(session.arguments, LOAD_OPTIONS)
    for key, value in given.items():
        if LOAD_OPTIONS[key].kind is FieldKind.FILE and value:
            given[key] = str(session.find_model(str(value)).absolute())
    return given


def _folders(workbench: Workbench) -> tuple[str, ...]:
    folders = workbench.settings["model_folders"]
    return folders if isinstance(folders, tuple) else ()

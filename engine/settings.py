"""Every setting of the program, as Fields, and the file they live in.

The file holds only what differs from the default, so a better default reaches everybody who never chose. Keys that we
do not know are kept. Rejected: QSettings (the engine knows no Qt), a database (people want to read and copy it).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.base.errors import KnownError, Remedy, RemedyKind
from engine.base.fields import Field, FieldError, FieldKind, FieldSet, Value
from engine.base.rpc_address import ADDRESS, ADDRESS_HINT

SETTINGS = FieldSet(
    (
        Field(
            key="theme",
            kind=FieldKind.CHOICE,
            default="system",
            label="Appearance",
            help="Follow the desktop's light or dark setting, or keep one of them.",
            choices=("system", "light", "dark"),
        ),
        Field(
            key="open_last_model",
            kind=FieldKind.BOOL,
            default=True,
            label="Load the last model at start",
            help="Begin with the model that was loaded last, or with the starter model the first time.",
        ),
        Field(
            key="last_model",
            kind=FieldKind.TEXT,
            default="",
            label="Last model",
            help="The model that was loaded last; Llamarium writes this itself.",
            advanced=True,
        ),
        Field(
            key="model_folders",
            kind=FieldKind.TEXT_LIST,
            default=(),
            label="Model folders",
            help="Folders that are searched for GGUF files, one a line. Files stay where they are.",
        ),
        Field(
            key="system_prompt",
            kind=FieldKind.TEXT,
            default="",
            label="System prompt of new chats",
            help="What every new conversation begins with; each conversation can have its own.",
        ),
        Field(
            key="show_memory_verdict",
            kind=FieldKind.BOOL,
            default=True,
            label="Check memory before loading",
            help="Ask the engine what a load will take and warn when it does not fit. Loading anyway stays possible.",
        ),
        Field(
            key="memory_margin",
            kind=FieldKind.INT,
            default=5,
            label="Memory to keep free",
            help="The share of each memory that a model should leave free; with less the answer is “tight”, and the "
            "largest context is counted up to it.",
            source="llama.cpp's own fit keeps 1 GiB or a share of the device",
            minimum=0,
            maximum=50,
            step=1,
            unit="%",
        ),
        Field(
            key="compared_devices",
            kind=FieldKind.TEXT_LIST,
            default=("rtx-4090", "2 x rtx-3090", "m4-max-40-64", "ddr5-6000-2ch-64"),
            label="Devices to compare",
            help="What the Memory page compares with this computer, one a line; several devices with + between them.",
            advanced=True,
        ),
        Field(
            key="samples_per_second",
            kind=FieldKind.INT,
            default=2,
            label="Hardware samples",
            help="How often processor, memory and GPU are read.",
            minimum=1,
            maximum=10,
            step=1,
            unit="per second",
        ),
        Field(
            key="plot_minutes",
            kind=FieldKind.INT,
            default=5,
            label="Hardware history",
            help="How much of the past the hardware plots keep.",
            minimum=1,
            maximum=60,
            step=1,
            unit="minutes",
        ),
        Field(
            key="rpc_servers",
            kind=FieldKind.TEXT_LIST,
            default=(),
            label="RPC servers",
            help="Other computers whose devices the engine uses as its own, one host:port a line; “llamarium rpc-server” starts "
            "one. They are contacted whenever the engine starts, unencrypted and without a password: use a network that you "
            "trust. From the next load of a model on.",
            source="llama.cpp ggml-rpc",
            pattern=ADDRESS,
            pattern_hint=ADDRESS_HINT,
        ),
        Field(
            key="patient_threads",
            kind=FieldKind.BOOL,
            default=False,
            label="The engine's threads sleep while they wait",
            help=(
                "Where many other programs want the processor all the time, such as a compiler on every core, the engine is "
                "several times faster so; otherwise it is up to a tenth slower. From the next load of a model on."
            ),
        ),
    )
)

RENAMED: Mapping[str, str] = {}
"""Old keys and what they are called now; the file is rewritten with the new name at the next change."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings at one moment.

    Attributes:
        values: every field's value.
        load_options: the load options that differ from the engine's defaults.
        run_options: the same for runs.
        chain: the sampler chain of all chats, as plain data; empty is the default one.
        chain_preset: the key of the preset that it began as, "" for the one that everybody begins with.
        model_chains: the chains that belong to one model, as plain data by the model's path.
        unknown: what else the file holds, kept as it is.
        complaints: what in the file was not understood, for a notice.
    """

    values: Mapping[str, Value] = field(default_factory=SETTINGS.defaults)
    load_options: Mapping[str, Any] = field(default_factory=dict)
    run_options: Mapping[str, Any] = field(default_factory=dict)
    chain: tuple[Mapping[str, Any], ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()
    chain_preset: str = ""
    model_chains: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def rpc_servers(self) -> tuple[str, ...]:
        """Addresses of other computers whose devices the engine uses."""
        found = self["rpc_servers"]
        return found if isinstance(found, tuple) else ()

    def __getitem__(self, key: str) -> Value:
        return self.values[key]


def read_settings(path: Path) -> Settings:
    """The settings in a file; the defaults when it is not there. Wrong values are complained of and left out.

    Raises:
        KnownError: the file cannot be read, or is not TOML.
    """
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise KnownError(
            "The settings file cannot be read",
            value=f"{path}: {error}",
            next_step="mend or remove the file; until then the defaults apply",
            remedies=(Remedy(RemedyKind.OPEN_FOLDER, "Open folder", str(path.parent)),),
        ) from error
    values = SETTINGS.defaults()
    unknown: dict[str, Any] = {}
    complaints: list[str] = []
    sections: dict[str, Any] = {"load": {}, "run": {}, "model_chains": {}}
    chain_preset = ""
    chain: tuple[Mapping[str, Any], ...] = ()
    for given_key, value in raw.items():
        key = RENAMED.get(given_key, given_key)
        if key in SETTINGS:
            try:
                values[key] = SETTINGS[key].check(value)
            except FieldError as error:
                complaints.append(error.trouble.sentence())
        elif key in sections and isinstance(value, dict):
            sections[key] = value
        elif key == "chain" and isinstance(value, list) and all(isinstance(each, dict) for each in value):
            chain = tuple(value)
        elif key == "chain_preset" and isinstance(value, str):
            chain_preset = value
        else:
            unknown[key] = value
    model_chains = {path: each for path, each in sections["model_chains"].items() if isinstance(each, dict)}
    told = tuple(complaints)
    return Settings(values, sections["load"], sections["run"], chain, unknown, told, chain_preset, model_chains)


def write_settings(path: Path, settings: Settings) -> None:
    """Write the file in one step: either the old one or the new one is there, never half of one.

    Raises:
        KnownError: the folder cannot be written to.
    """
    import tempfile

    import tomlkit

    document: dict[str, Any] = dict(settings.unknown)
    document |= {key: _plain(value) for key, value in SETTINGS.changed(settings.values).items()}
    if settings.load_options:
        document["load"] = {key: _plain(value) for key, value in settings.load_options.items()}
    if settings.run_options:
        document["run"] = {key: _plain(value) for key, value in settings.run_options.items()}
    if settings.chain_preset:
        document["chain_preset"] = settings.chain_preset
    if settings.chain:
        document["chain"] = [dict(each) for each in settings.chain]
    if settings.model_chains:
        document["model_chains"] = {path: dict(each) for path, each in settings.model_chains.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(tomlkit.dumps(document))
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        raise KnownError(
            "The settings could not be saved",
            value=f"{path}: {error.strerror or error}",
            next_step="make room or allow writing there; the settings hold until you close",
            remedies=(Remedy(RemedyKind.OPEN_FOLDER, "Open folder", str(path.parent)),),
        ) from error


def _plain(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value

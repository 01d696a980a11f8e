"""Where things live on this computer: data, settings, logs, models. One value, made in main.py, handed down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import platformdirs

APP_NAME = "llamarium"


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders and files of one installation. Nothing is created by making this value.

    Attributes:
        data: the folder that holds everything else.
        database: conversations and runs (SQLite).
        settings: the settings file (TOML).
        presets: the user's own sampler presets, a JSON file each.
        models: where downloaded and starter models are put.
        logs: rotating logs and crash traces.
        cache: what can be made again (header cards, remembered plans).
    """

    data: Path
    database: Path
    settings: Path
    presets: Path
    models: Path
    logs: Path
    cache: Path

    @classmethod
    def under(cls, folder: Path) -> Paths:
        """Everything below one folder: `--data-dir`, tests, a stick."""
        folder = folder.expanduser().absolute()
        return cls(
            data=folder,
            database=folder / "llamarium.sqlite3",
            settings=folder / "settings.toml",
            presets=folder / "presets",
            models=folder / "models",
            logs=folder / "logs",
            cache=folder / "cache",
        )

    @classmethod
    def of_user(cls) -> Paths:
        """The platform's own places: XDG on Linux, Application Support on macOS, AppData on Windows."""
        dirs = platformdirs.PlatformDirs(APP_NAME, appauthor=False)
        data = Path(dirs.user_data_dir)
        return cls(
            data=data,
            database=data / "llamarium.sqlite3",
            settings=Path(dirs.user_config_dir) / "settings.toml",
            presets=data / "presets",
            models=data / "models",
            logs=Path(dirs.user_log_dir),
            cache=Path(dirs.user_cache_dir),
        )

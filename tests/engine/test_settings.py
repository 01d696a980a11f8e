"""The settings file: only what differs, kept when unknown, complained of when wrong, never half written."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.settings import SETTINGS, Settings, read_settings, write_settings


def test_without_a_file_there_are_the_defaults(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "none.toml").values == SETTINGS.defaults()


def test_what_is_written_is_read_back_and_defaults_are_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.toml"
    values = {**SETTINGS.defaults(), "theme": "dark", "model_folders": ("/a", "/b 한글")}
    settings = Settings(values, {"n_ctx": 8192}, {"max_tokens": 5}, ({"key": "x", "enabled": True, "values": {}},))
    write_settings(path, settings)
    assert read_settings(path) == settings
    assert "plot_minutes" not in path.read_text("utf-8")


def test_unknown_keys_are_kept_and_wrong_values_complained_of(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('theme = "purple"\nfuture = "yes"\nplot_minutes = 9\n', "utf-8")
    settings = read_settings(path)
    assert settings["theme"] == "system"
    assert settings["plot_minutes"] == 9
    assert "purple" in settings.complaints[0]
    write_settings(path, settings)
    assert 'future = "yes"' in path.read_text("utf-8")


@pytest.mark.parametrize("raw", [b"theme = ", b"\xff\xfe", b"= 3"])
def test_a_broken_file_is_told_with_its_place(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(raw)
    with pytest.raises(KnownError) as caught:
        read_settings(path)
    assert str(path) in caught.value.trouble.value
    assert path.read_bytes() == raw


def test_a_folder_that_cannot_be_written_to_leaves_the_old_file(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(KnownError, match="could not be saved"):
        write_settings(blocked / "settings.toml", Settings())
    assert stat.S_ISREG(blocked.stat().st_mode)


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    write_settings(tmp_path / "settings.toml", Settings({**SETTINGS.defaults(), "theme": "light"}))
    assert [each.name for each in tmp_path.iterdir()] == ["settings.toml"]

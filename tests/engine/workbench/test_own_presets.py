"""The user's own presets: kept as files, named once, deleted with a way back, exchanged, and bad files refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.base.errors import KnownError
from engine.sampling.chain import Chain
from engine.sampling.presets import PRESETS, Preset
from engine.workbench.events import PresetsChanged
from engine.workbench.presets import LARGEST_FILE_BYTES, LONGEST_LABEL, free_label, key_for
from tests.support.benches import Driver

Start = Callable[[], Driver]
CHAIN = Chain.default().moved(Chain.default().keys()[0], 2)


def labels(driver: Driver) -> list[str]:
    return [each.label for each in driver.workbench.presets.presets]


def files(driver: Driver) -> list[str]:
    driver.settle("presets")
    folder = driver.workbench.paths.presets
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


def test_a_saved_preset_is_there_after_a_restart_with_its_whole_chain(start: Start) -> None:
    driver = start()
    saved = driver.workbench.presets.save("  My   Stories ", CHAIN)
    assert saved.label == "My Stories"
    assert files(driver) == ["own-my-stories.json"]
    again = start()
    assert again.workbench.presets.presets == (saved,)
    assert again.workbench.presets.named(saved.key) == saved
    assert again.troubles == []


def test_the_presets_are_told_when_they_change_and_stand_in_order(start: Start) -> None:
    driver = start()
    told = driver.collect(PresetsChanged)
    for label in ("zebra", "Äpfel", "Mango"):
        driver.workbench.presets.save(label, CHAIN)
    driver.settle("presets")
    assert len(told) == 3
    assert [each.label for each in told[-1].presets] == ["Mango", "zebra", "Äpfel"]


@pytest.mark.parametrize("label", ["", "   ", "x" * (LONGEST_LABEL + 1), PRESETS[0].label, "mine", "MINE"])
def test_a_name_that_cannot_be_had_is_refused_and_nothing_is_saved(start: Start, label: str) -> None:
    driver = start()
    driver.workbench.presets.save("Mine", CHAIN)
    with pytest.raises(KnownError):
        driver.workbench.presets.save(label, CHAIN)
    assert labels(driver) == ["Mine"]


def test_names_in_any_script_get_files_of_their_own(start: Start) -> None:
    driver = start()
    for label in ("한국어", "日本語", "../../etc/passwd", "con.json"):
        driver.workbench.presets.save(label, CHAIN)
    assert len(files(driver)) == 4
    assert all(name.startswith("own-") and "/" not in name for name in files(driver))
    assert set(labels(start())) == {"한국어", "日本語", "../../etc/passwd", "con.json"}


def test_renaming_keeps_the_key_and_the_file(start: Start) -> None:
    driver = start()
    saved = driver.workbench.presets.save("Mine", CHAIN)
    driver.workbench.presets.rename(saved.key, "MINE")
    driver.workbench.presets.rename(saved.key, "Yours")
    assert files(driver) == ["own-mine.json"]
    assert [(each.key, each.label) for each in start().workbench.presets.presets] == [("own-mine", "Yours")]


def test_a_built_in_preset_is_neither_renamed_nor_deleted(start: Start) -> None:
    presets = start().workbench.presets
    for change in (lambda: presets.rename(PRESETS[0].key, "Mine"), lambda: presets.delete(PRESETS[0].key)):
        with pytest.raises(KnownError, match="not one of yours"):
            change()


def test_a_deleted_preset_comes_back_whole_and_is_gone_for_good_only_when_forgotten(start: Start) -> None:
    driver = start()
    saved = driver.workbench.presets.save("Mine", CHAIN)
    gone = driver.workbench.presets.delete(saved.key)
    assert labels(driver) == []
    assert files(driver) == ["own-mine.json.deleted"]
    driver.workbench.presets.restore(gone)
    assert files(driver) == ["own-mine.json"]
    driver.workbench.presets.delete(saved.key)
    driver.workbench.presets.forget(gone)
    assert files(driver) == []
    assert labels(start()) == []


def test_overwriting_gives_what_was_there_so_that_it_can_be_undone(start: Start) -> None:
    driver = start()
    saved = driver.workbench.presets.save("Mine", CHAIN)
    old = driver.workbench.presets.overwrite(saved.key, Chain.default())
    assert old == saved
    driver.workbench.presets.restore(old)
    driver.settle("presets")
    assert start().workbench.presets.presets == (saved,)


def test_an_exported_preset_is_imported_under_a_free_name(start: Start, tmp_path: Path) -> None:
    driver = start()
    saved = driver.workbench.presets.save("Mine", CHAIN)
    file, told, came = tmp_path / "out" / "mine.json", list[Path](), list[Preset]()
    driver.workbench.presets.export(saved, file, told.append)
    driver.until(lambda: told)
    driver.workbench.presets.import_file(file, came.append)
    driver.until(lambda: came)
    assert (came[0].label, came[0].chain) == ("Mine (2)", CHAIN)
    assert len(start().workbench.presets.presets) == 2


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"{", "line 1"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"{}", "preset"),
        (b" " * (LARGEST_FILE_BYTES + 1), "too large"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_file_is_a_trouble_that_names_it_and_adds_nothing(
    start: Start, tmp_path: Path, contents: bytes | None, said: str
) -> None:
    driver, file = start(), tmp_path / "bad.json"
    if contents is not None:
        file.write_bytes(contents)
    driver.workbench.presets.import_file(file, lambda _preset: None)
    driver.until(lambda: driver.troubles)
    assert said in driver.troubles[0].sentence()
    assert str(file) in driver.troubles[0].value
    assert labels(driver) == []


def test_a_damaged_file_in_the_folder_is_told_and_left_and_the_others_are_there(start: Start) -> None:
    driver = start()
    driver.workbench.presets.save("Mine", CHAIN)
    driver.settle("presets")
    folder = driver.workbench.paths.presets
    (folder / "broken.json").write_text("{", "utf-8")
    (folder / f"{PRESETS[0].key}.json").write_text(PRESETS[0].to_json(), "utf-8")
    again = start()
    again.until(lambda: len(again.troubles) == 2)
    assert labels(again) == ["Mine"]
    assert (folder / "broken.json").read_text("utf-8") == "{"


def test_a_folder_that_takes_nothing_is_told_and_the_preset_holds_until_the_end(start: Start) -> None:
    driver = start()
    driver.workbench.paths.data.mkdir(parents=True, exist_ok=True)
    driver.workbench.paths.presets.write_text("not a folder")
    driver.workbench.presets.save("Mine", CHAIN)
    driver.until(lambda: driver.troubles)
    assert "could not be saved" in driver.troubles[0].what
    assert labels(driver) == ["Mine"]


def test_keys_and_labels_avoid_those_that_are_taken() -> None:
    assert key_for("A b!", {"own-a-b", "own-a-b-2"}) == "own-a-b-3"
    assert key_for("한", ()) == "own-preset"
    assert free_label("mine", {"Mine", "mine (2)"}) == "mine (3)"
    assert len(free_label("x" * 99, {"x" * LONGEST_LABEL})) <= LONGEST_LABEL

"""The library lists what is there, says what is wrong, and forgets nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from engine.models.labels import model_label
from engine.models.library import scan
from engine.models.starter import starter_model


def test_the_set_up_brought_the_starter_model() -> None:
    path = starter_model()
    assert path is not None
    assert path.suffix == ".gguf"


def test_a_folder_is_listed_by_name_with_broken_files_explained(tmp_path: Path, smollm2: Path, gemma3: Path) -> None:
    deep = tmp_path / "org" / "repo"
    deep.mkdir(parents=True)
    os.symlink(gemma3, deep / "b.gguf")
    (tmp_path / "a.gguf").write_bytes(smollm2.read_bytes()[:4000])
    (tmp_path / "notes.txt").write_text("not a model")
    entries, missing = scan([tmp_path, tmp_path / "gone"], smollm2)
    assert [each.label for each in entries] == [model_label(smollm2), "a", "b"]
    starter, broken, good = entries
    assert starter.origin == "starter"
    assert starter.is_model
    assert broken.card is None
    assert broken.trouble is not None
    assert broken.trouble.next_step
    assert good.card is not None
    assert good.card.architecture == "gemma3"
    assert missing == (str(tmp_path / "gone"),)


def test_the_same_file_is_listed_once(tmp_path: Path, smollm2: Path) -> None:
    os.symlink(smollm2, tmp_path / "link.gguf")
    entries, _missing = scan([tmp_path, tmp_path], smollm2)
    assert len(entries) == 1


def test_what_has_not_changed_is_not_read_again(tmp_path: Path, smollm2: Path, gemma3: Path) -> None:
    for name in ("kept", "changed", "gone"):
        shutil.copy(smollm2, tmp_path / f"{name}.gguf")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    before = {each.label: each for each in scan([tmp_path], None)[0]}
    shutil.copy(gemma3, tmp_path / "changed.gguf")
    shutil.copy(smollm2, tmp_path / "broken.gguf")
    (tmp_path / "gone.gguf").unlink()
    after = {each.label: each for each in scan([tmp_path], None, known=before.values())[0]}
    assert set(after) == {"broken", "changed", "kept"}
    assert after["kept"].card is before["kept"].card
    for name, architecture in (("changed", "gemma3"), ("broken", "llama")):
        card = after[name].card
        assert card is not None
        assert card.architecture == architecture


def test_a_split_model_is_read_again_as_its_other_parts_count_too(tmp_path: Path, smollm2: Path) -> None:
    path = tmp_path / "model-00001-of-00002.gguf"
    shutil.copy(smollm2, path)
    (entry,), _ = scan([tmp_path], None)
    assert entry.stamp is None


def test_a_scan_can_be_stopped_between_files(tmp_path: Path, smollm2: Path) -> None:
    for number in range(3):
        shutil.copy(smollm2, tmp_path / f"{number}.gguf")

    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        scan([tmp_path], None, check=stop)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct.Q4_1"),
        ("big-00001-of-00003.gguf", "big"),
        ("a-of-b.gguf", "a-of-b"),
    ],
)
def test_labels_tell_quantizations_apart_and_hide_part_numbers(name: str, label: str) -> None:
    assert model_label(Path(name)) == label

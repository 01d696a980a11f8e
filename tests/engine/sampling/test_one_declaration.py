"""One declaration per number: a sampler's parameter is named in the file that declares it, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.sampling import stages
from engine.sampling.stages import STAGES

ROOT = Path(stages.__file__).parents[3]
LISTING = Path(stages.__file__)

# “temperature” is an English word too, and what a sensor measures; “grammar” and “infill” are words for what they are
# about. They may stand elsewhere.
ENGLISH = {"temperature", "grammar", "infill"}
KEYS = [(stage.key, field.key) for stage in STAGES for field in stage.fields if field.key not in ENGLISH]


def _files_with_word(word: str) -> set[Path]:
    pattern = re.compile(rf"\b{re.escape(word)}\b")
    files = [*(ROOT / "engine").rglob("*.py"), *(ROOT / "gui").rglob("*.py")]
    return {each for each in files if pattern.search(each.read_text(encoding="utf-8"))}


@pytest.mark.parametrize(("stage_key", "field_key"), KEYS)
def test_a_parameter_is_named_in_one_file_beside_the_listing(stage_key, field_key):
    own = LISTING.parent / f"{stage_key}.py"
    found = _files_with_word(field_key) - {LISTING}
    assert own in found
    assert found == {own}, f"{field_key} stands in {sorted(str(each.relative_to(ROOT)) for each in found - {own})} too"

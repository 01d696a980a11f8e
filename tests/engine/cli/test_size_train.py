"""`size --train` as a script sees it: one document, the exit code, and one line that names the next step."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.base.errors import KnownError
from engine.cli.training import bytes_of
from engine.models.shapes import parameters

ROOT = Path(__file__).parents[3]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`size --train` in a process of its own."""
    command = [sys.executable, str(ROOT / "main.py"), "size", *arguments, "--data-dir", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def answer(folder: Path, *arguments: str, code: int = 0) -> Any:
    done = run(folder, "--train", "--json", *arguments)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_a_model_is_read_and_its_parts_sum_to_the_range(tmp_path: Path, smollm2: Path) -> None:
    found = answer(tmp_path, str(smollm2), "--precision", "fp32", "--seq-length", "256")
    device = found["devices"][0]
    assert device["parts"]["weights"] == device["parts"]["gradients"] == 4 * 134_515_008
    assert device["parts"]["optimizer"] == 8 * 134_515_008
    assert device["parts"]["master"] is None
    assert device["low"] == sum(value for value in device["parts"].values() if value)
    assert device["high"] == sum(value for value in device["parts_high"].values() if value)
    assert found["rule_of_thumb"] == {
        "bytes_per_parameter": 24, "weights": 4 * 134_515_008, "total": 24 * 134_515_008,
    }  # fmt: skip
    assert found["recipe"]["precision"] == "fp32"
    assert found["model"]["assumed"] == []


def test_numbers_stand_in_for_a_model_and_no_fit_is_exit_code_one(tmp_path: Path) -> None:
    found = answer(tmp_path, "--params", "70B", "--device", "A100=80GB", code=1)
    assert found["fits"] == "no"
    assert found["devices"][0]["name"] == "A100"
    assert found["devices"][0]["free"] == 80_000_000_000
    assert "n_layer" in found["model"]["assumed"]


def test_qlora_of_the_same_model_fits_the_same_device(tmp_path: Path) -> None:
    flags = ["--params", "70B", "--device", "A100=80GB", "--finetuning-type", "qlora", "--seq-length", "512"]
    found = answer(tmp_path, *flags)
    assert found["fits"] in ("yes", "tight")
    assert found["n_trainable"] < 1e9


def test_what_is_offloaded_is_held_against_ram(tmp_path: Path) -> None:
    flags = ["--params", "7B", "--sharding", "zero3", "--offload", "all", "--device", "card=24GiB"]
    found = answer(tmp_path, *flags, "--device", "RAM=64GiB", code=1)
    assert [each["kind"] for each in found["devices"]] == ["device", "ram"]
    assert [each["fits"] for each in found["devices"]] == ["yes", "no"]


def test_the_text_has_the_formula_of_each_part_and_the_rule_beside_it(tmp_path: Path) -> None:
    done = run(tmp_path, "--train", "--params", "7B", "--device", "x=1TB")
    assert done.returncode == 0, done.stderr
    assert "8 B × 7,000,000,000 trained parameters" in done.stdout
    assert "rule of thumb: 24 B × 7,000,000,000 parameters" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--train"], "give a MODEL, or --params N"),
        (["--params", "7B", "--optimizer", "sgd"], "add --train"),
        ([], "give a GGUF file"),
        (["--train", "--params", "7B", "--device", "24GB"], "A100=80GB"),
        (["--train", "--params", "7B", "--device", "a=big"], "24GiB"),
        (["--train", "--params", "7B", "--n-devices", "3", "--tensor-parallel", "2"], "multiple of tensor parallel"),
        (["--train", "--params", "seven"], "8B"),
        (["--train", "starter", "--layers", "3"], "leave these flags"),
    ],
)
def test_bad_use_ends_with_one_line_that_names_the_next_step(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_counts_and_sizes_are_read_as_people_write_them() -> None:
    assert parameters("7B") == 7_000_000_000
    assert parameters("1.7b") == 1_700_000_000
    assert parameters("135M") == 135_000_000
    assert bytes_of("24GiB") == 24 * 2**30
    assert bytes_of("24 GB") == bytes_of("24e9") == 24 * 10**9
    with pytest.raises(KnownError, match="no size"):
        bytes_of("a lot")

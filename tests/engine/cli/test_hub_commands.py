"""`size`, `models show` and `models files` of models that are not here, as a script sees them."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.gguf.reader import read_header
from tests.support.fake_hub import FakeHub, fake_hub
from tests.support.made_models import random_llama
from tests.support.safetensors_files import smollm2_as_safetensors

ROOT = Path(__file__).parents[3]
REPO, NAME = "owner/SmolLM2-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that the commands are pointed at."""
    with fake_hub() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
        monkeypatch.setenv("NO_PROXY", "localhost")
        yield served


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *arguments, "--data-dir", str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def answer(folder: Path, *arguments: str) -> Any:
    done = run(folder, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_model_on_the_hub_is_sized_as_the_file_here_is(hub: FakeHub, tmp_path: Path, smollm2: Path) -> None:
    hub.files[REPO] = {NAME: smollm2}
    away = answer(tmp_path, "size", f"hf:{REPO}/{NAME}")
    here = answer(tmp_path, "size", str(smollm2))
    assert (away["model"].pop("path"), away.pop("is_here")) == (f"hf:{REPO}/{NAME}", False)
    assert (here["model"].pop("path"), here.pop("is_here")) == (str(smollm2), True)
    assert away["model"] == here["model"]
    parts = [[each["parts"] | {"overhead": 0} for each in found["devices"]] for found in (away, here)]
    assert parts[0] == parts[1]
    assert list(tmp_path.rglob("*.gguf")) == []


def test_a_repository_names_its_models_and_one_of_them_by_quantization(
    hub: FakeHub, tmp_path: Path, smollm2: Path
) -> None:
    hub.files[REPO] = {NAME: smollm2, "SmolLM2-135M-Instruct.Q8_0.gguf": b"x" * 100, "README.md": b"#"}
    listed = answer(tmp_path, "models", "files", REPO)
    assert [(each["quantization"], each["size"]) for each in listed["models"]] == [
        ("Q8_0", 100),
        ("Q4_1", smollm2.stat().st_size),
    ]
    shown = answer(tmp_path, "models", "show", f"{hub.endpoint}/{REPO}/blob/main/{NAME}")
    assert (shown["path"], shown["n_layer"], shown["size"]) == (f"hf:{REPO}/{NAME}", 30, smollm2.stat().st_size)
    assert answer(tmp_path, "size", f"hf:{REPO}:q4_1")["model"]["n_layer"] == 30
    several = run(tmp_path, "size", f"hf:{REPO}")
    assert several.returncode == 2
    assert "Q8_0, Q4_1" in several.stderr
    assert "choose one of Q4_1, Q8_0" in run(tmp_path, "size", f"hf:{REPO}:Q2_K").stderr


def test_the_best_quantization_is_the_largest_that_fits(hub: FakeHub, tmp_path: Path, smollm2: Path) -> None:
    small, large = (random_llama(tmp_path / f"{n}.gguf", smollm2, n_embd=n) for n in (256, 512))
    hub.files[REPO] = {"llama.Q4_1.gguf": small, "llama.F16.gguf": large, "mmproj-F16.gguf": b"x" * 50}
    found = answer(tmp_path, "size", f"hf:{REPO}", "--best")["quants"]
    assert [(each["quant"], each["fits"], each["is_best"]) for each in found] == [
        ("Q4_1", "yes", False),
        ("F16", "yes", True),
    ]
    assert found[0]["size"] < found[1]["size"]
    assert found[0]["max_n_ctx"] > found[1]["max_n_ctx"] > 8192
    none = run(tmp_path, "size", f"hf:{REPO}", "--best", "--n-ctx", "16777216", "--n-seq-max", "1", "--type-k", "f32")
    assert none.returncode == 1
    assert "none fits" in none.stdout
    assert run(tmp_path, "size", str(smollm2), "--best").returncode == 2


def test_a_projector_beside_a_model_is_no_other_model(hub: FakeHub, tmp_path: Path, smollm2: Path) -> None:
    hub.files[REPO] = {NAME: smollm2, "mmproj-Q4_1.gguf": b"x" * 50, "imatrix.gguf": b"x" * 60}
    listed = answer(tmp_path, "models", "files", f"hf:{REPO}")
    assert [each["kind"] for each in listed["models"]] == ["projector", "importance matrix", "model"]
    for address in (f"hf:{REPO}", f"hf:{REPO}:Q4_1"):
        assert answer(tmp_path, "models", "show", address)["n_layer"] == 30


def test_a_repository_without_gguf_files_gives_estimates(hub: FakeHub, tmp_path: Path) -> None:
    tensors = {f"model.layers.{n}.mlp.up_proj.weight": {"dtype": "BF16", "shape": [512, 256]} for n in range(4)}
    raw = json.dumps(tensors).encode()
    hub.files[REPO] = {"model.safetensors": struct.pack("<Q", len(raw)) + raw}
    found = answer(tmp_path, "size", f"hf:{REPO}")
    assert (found["method"], found["model"]["n_params"]) == ("estimate", 4 * 512 * 256)
    q8_0 = next(each for each in found["model"]["quantizations"] if each["type"] == "Q8_0")
    assert q8_0 == {"type": "Q8_0", "weights": 4 * 512 * 256 * 34 // 32, "bits_per_weight": 8.5, "estimated": True}
    text = run(tmp_path, "models", "show", f"hf:{REPO}").stdout
    assert "estimated, weights alone" in text
    assert "no GGUF files; 1 Safetensors files" in run(tmp_path, "models", "files", REPO).stdout


def test_a_plain_model_of_safetensors_is_planned_whole_here_and_on_other_devices(
    hub: FakeHub, tmp_path: Path, smollm2: Path
) -> None:
    hub.files[REPO] = smollm2_as_safetensors(smollm2)
    assert "plans a whole load" in run(tmp_path, "size", f"hf:{REPO}").stdout
    found = answer(tmp_path, "size", f"hf:{REPO}:Q4_1")
    parts = found["devices"][0]["parts"]
    assert parts["kv"] == 94_371_840  # as of the GGUF file of this model
    assert abs(parts["weights"] - read_header(smollm2).weights_bytes) < 4096
    assert found["fits"] == "yes"
    elsewhere = answer(tmp_path, "size", f"hf:{REPO}", "--on", "rtx-3090")
    assert elsewhere["on"]["n_gpu_layers"] == 31
    assert "choose one of" in run(tmp_path, "size", f"hf:{REPO}:Q9_X").stderr
    hub.files[REPO] = smollm2_as_safetensors(smollm2, architectures=["Gemma2ForCausalLM"])
    refused = run(tmp_path, "size", f"hf:{REPO}", "--on", "rtx-3090")
    assert refused.returncode == 2
    assert "Gemma2ForCausalLM" in refused.stderr
    assert "plans a whole load" not in run(tmp_path, "size", f"hf:{REPO}").stdout


def test_a_described_model_is_sized(tmp_path: Path) -> None:
    numbers = [
        "--layers",
        "4",
        "--width",
        "1024",
        "--heads",
        "16",
        "--kv-heads",
        "4",
        "--ff",
        "2816",
        "--vocab",
        "32000",
        "--type",
        "Q4_K_M",
    ]
    found = answer(tmp_path, "size", *numbers, "--n-ctx", "2048")
    assert (found["model"]["path"], found["is_here"], found["method"]) == (None, False, "dry-run")
    assert (found["model"]["architecture"], found["model"]["n_layer"]) == ("llama", 4)
    assert found["devices"][0]["parts"]["kv"] == 2 * 2 * 4 * 64 * 4 * 2048
    assert answer(tmp_path, "size", "--params", "120M")["model"]["n_params"] == pytest.approx(120e6, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("size",), "give a GGUF file"),
        (("size", "--layers", "4"), "give the parameters"),
        (("size", "--layers", "4", "--width", "100", "--heads", "3"), "multiple of the heads"),
        (("size", "starter", "--params", "8B"), "not both"),
        (("size", "hf:nobody"), "write hf:OWNER/REPO/FILE.gguf"),
        (("size", "hf:no/body/x.gguf"), "hf auth login"),
        (("chat", f"hf:{REPO}/{NAME}", "--prompt", "Hi"), "download the file"),
        (("size", f"hf:{REPO}/{NAME}", "--verify"), "download the model"),
        (("models", "files"), "OWNER/REPO"),
        (("models", "show", f"hf:{REPO}/none.gguf"), "models files"),
    ],
)
def test_what_cannot_be_asked_ends_with_one_line_and_a_next_step(
    hub: FakeHub, tmp_path: Path, smollm2: Path, arguments: tuple[str, ...], words: str
) -> None:
    hub.files[REPO] = {NAME: smollm2}
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]
    assert done.stdout == ""
    assert "Traceback" not in done.stderr

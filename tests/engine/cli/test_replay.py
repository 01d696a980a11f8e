"""`replay` as a script sees it: the same and 0, another answer and 1, nothing to replay and 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.runtime.supervisor import Phase
from engine.sampling.chain import Chain
from engine.store.rows import RunRow
from tests.engine.cli.test_commands import run
from tests.support.benches import open_bench


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> tuple[Path, str]:
    """A folder with one answer at a temperature of 1.5, and the id of its run."""
    folder = tmp_path_factory.mktemp("chats")
    with open_bench(folder, start=False) as driver:
        driver.load(smollm2, n_ctx=256, n_threads=1, n_threads_batch=1)
        workbench = driver.workbench
        workbench.set_chain(Chain.default().with_value("temperature", 1.5))
        workbench.set_run_options({**workbench.run_options, "max_tokens": 24, "ignore_eos": True})
        workbench.say("Name three colours.")
        driver.until(lambda: not workbench.dialogue.is_writing and workbench.state.phase is Phase.READY)
        found: list[tuple[RunRow, ...]] = []
        workbench.recent_runs(found.append)
        driver.until(lambda: found)
    return folder, found[0][0].id


@pytest.mark.parametrize("name", ["last", "prefix", "id"])
def test_a_run_is_written_again_as_it_was_loaded_then(stored: tuple[Path, str], name: str) -> None:
    folder, run_id = stored
    done = run(folder, "replay", {"last": "last", "prefix": run_id[:6], "id": run_id}[name], "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["same"], found["first_difference"], found["differing"]) == (True, None, [])
    assert (found["run"], found["tokens"], found["next"]) == (run_id, 24, None)


def test_another_cache_type_is_named_and_a_difference_is_exit_code_one(stored: tuple[Path, str]) -> None:
    folder, _run_id = stored
    done = run(folder, "replay", "last", "--type-k", "q4_0", "--type-v", "q4_0", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["same"] else 1), done.stderr
    assert {each["what"] for each in found["differing"]} == {"KV cache type, K", "KV cache type, V"}
    assert found["same"] is (found["first_difference"] is None)
    if not found["same"]:
        assert found["expected"]["id"] != found["found"]["id"]
        assert found["next"][0]["p"] > 0


def test_another_model_writes_another_answer(stored: tuple[Path, str], gemma3: Path) -> None:
    folder, _run_id = stored
    done = run(folder, "replay", "last", "--model", str(gemma3), "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["same"] is False
    assert "Model file" in {each["what"] for each in found["differing"]}


def test_for_a_person_it_is_lines(stored: tuple[Path, str]) -> None:
    folder, run_id = stored
    done = run(folder, "replay", "last")
    assert done.stdout.splitlines()[0].startswith(f"run {run_id} of ")
    assert "the same, token for token" in done.stdout


def test_what_cannot_be_replayed_is_one_line_and_exit_code_two(stored: tuple[Path, str], tmp_path: Path) -> None:
    folder, _run_id = stored
    for place, name, words in (
        (folder, "nothing", "run does not exist"),
        (tmp_path, "last", "No answer is stored here"),
    ):
        done = run(place, "replay", name)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1
        assert words in done.stderr
    assert "ask something in the window first" in done.stderr

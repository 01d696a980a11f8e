"""What must survive: the worker's death at any moment, files that are not what they say, folders that refuse.

Every test has a real worker with a real model; the window's end is the workbench, pumped as a window would.
"""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.base.errors import KnownError
from engine.base.paths import Paths
from engine.runtime.supervisor import Phase
from engine.store import Store
from engine.store.rows import MessageState
from engine.wire.messages import ChatMessage, Prompt, Tokenize
from engine.workbench import Workbench
from engine.workbench.branching import AnswerTokens
from engine.workbench.events import ConversationsChanged, EngineChanged, MessageText
from tests.support.answers import ask, listen
from tests.support.benches import Driver, open_bench

SIGNALS = [signal.SIGKILL, signal.SIGABRT]


def start_writing(driver: Driver) -> None:
    """An answer that will not end by itself, with some text there already."""
    texts = driver.collect(MessageText)
    driver.workbench.set_run_options({"max_tokens": 900, "ignore_eos": True})
    driver.workbench.say("Tell a long story.")
    driver.until(lambda: len(texts) > 3)


@pytest.mark.parametrize("sig", SIGNALS, ids=lambda sig: sig.name)
def test_a_worker_that_dies_while_writing_leaves_its_text_and_the_way_back(
    tmp_path: Path, smollm2: Path, sig: signal.Signals
) -> None:
    with open_bench(tmp_path) as driver:
        driver.load(smollm2, n_ctx=1024)
        start_writing(driver)
        driver.worker().send_signal(sig)
        driver.until(lambda: driver.workbench.state.phase is Phase.LOST)
        driver.until(lambda: not driver.workbench.dialogue.is_writing and driver.troubles)
        message = driver.workbench.dialogue.messages[-1]
        assert message.state is MessageState.FAILED
        assert message.text
        assert sig.name in driver.troubles[0].value
        assert any(each.kind.value == "reload" for each in driver.troubles[0].remedies)
        driver.workbench.reload()
        driver.until(lambda: driver.workbench.state.phase is Phase.READY)
        assert ask(driver, "One, two,", max_tokens=3).text
    rows = sqlite3.connect(tmp_path / "llamarium.sqlite3").execute(
        "SELECT content, state FROM messages WHERE role='assistant'"
    )
    assert rows.fetchone() == (message.text, "failed")


@pytest.mark.parametrize("sig", SIGNALS, ids=lambda sig: sig.name)
def test_a_worker_that_dies_while_it_reads_the_prompt_is_told_as_such(
    tmp_path: Path, gemma3: Path, sig: signal.Signals
) -> None:
    with open_bench(tmp_path) as driver:
        driver.load(gemma3, n_ctx=4096)
        runs = listen(driver)
        driver.workbench.generate(Prompt(text="word " * 3500))
        driver.until(lambda: runs and runs[0].started)
        driver.worker().send_signal(sig)
        driver.until(lambda: runs[0].ended)
        assert driver.workbench.state.phase is Phase.LOST
        assert "reading the prompt" in runs[0].trouble.what


@pytest.mark.parametrize("sig", SIGNALS, ids=lambda sig: sig.name)
def test_a_worker_that_dies_while_loading_is_told_as_such(tmp_path: Path, gemma3: Path, sig: signal.Signals) -> None:
    with open_bench(tmp_path) as driver:
        driver.workbench.set_setting("show_memory_verdict", False)
        driver.until(lambda: driver.workbench.state.phase is Phase.EMPTY)
        driver.workbench.open_model(gemma3, {"n_ctx": 32768, "mmap": False})
        driver.until(lambda: driver.workbench.state.phase is Phase.LOADING)
        driver.worker().send_signal(sig)
        driver.until(lambda: driver.workbench.state.phase is Phase.LOST)
        trouble = driver.workbench.state.trouble
        assert trouble is not None
        assert "while loading" in trouble.what
        driver.workbench.reload()
        driver.until(lambda: driver.workbench.state.phase is Phase.READY)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be halted by a signal on Windows")
def test_a_halted_worker_is_noticed_and_can_be_forced(tmp_path: Path, smollm2: Path) -> None:
    with open_bench(tmp_path) as driver:
        driver.load(smollm2, n_ctx=1024)
        start_writing(driver)
        driver.worker().suspend()
        driver.until(lambda: not driver.workbench.state.responsive, 20)
        driver.workbench.cancel()
        driver.until(lambda: driver.workbench.state.can_force, 20)
        driver.workbench.supervisor.force_stop()
        driver.until(lambda: not driver.workbench.dialogue.is_writing)
        assert driver.workbench.state.phase is Phase.LOST
        assert driver.workbench.dialogue.messages[-1].text


def test_a_worker_that_was_halted_for_a_while_goes_on(tmp_path: Path, smollm2: Path) -> None:
    with open_bench(tmp_path) as driver:
        driver.load(smollm2, n_ctx=1024)
        runs = listen(driver)
        driver.workbench.generate(Prompt(text="Once"), options={"max_tokens": 60, "ignore_eos": True})
        driver.until(lambda: runs and runs[0].frames)
        worker = driver.worker()
        worker.suspend()
        driver.until(lambda: not driver.workbench.state.responsive, 20)
        worker.resume()
        driver.until(lambda: runs[0].ended)
        assert runs[0].stats.n_completion == 60
        driver.until(lambda: driver.workbench.state.responsive)


def broken_files(folder: Path, real: Path) -> dict[str, Path]:
    """Files that are no models, by what is wrong with them."""
    head = real.read_bytes()[: 4 * 1024 * 1024]
    files = {
        "empty": b"",
        "four bytes": b"GGUF",
        "cut in the header": head[:5000],
        "cut in the weights": head,
        "not GGUF": b"PK\x03\x04" + head[:1000],
        "text": b"<html>404</html>",
        "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 1, 1) + bytes(64),
        "huge counts": b"GGUF" + struct.pack("<IQQ", 3, 2**62, 2**62) + bytes(64),
    }
    found = {}
    for name, content in files.items():
        found[name] = folder / f"{name}.gguf"
        found[name].write_bytes(content)
    found["missing"] = folder / "nowhere.gguf"
    found["a folder"] = folder / "folder.gguf"
    found["a folder"].mkdir()
    return found


@pytest.mark.parametrize("ask_first", [True, False], ids=["planned first", "loaded at once"])
def test_files_that_are_no_models_are_refused_in_words_and_the_loaded_model_stays_usable(
    tmp_path: Path, smollm2: Path, ask_first: bool
) -> None:
    with open_bench(tmp_path / "data") as driver:
        driver.workbench.set_setting("show_memory_verdict", ask_first)
        for name, path in broken_files(tmp_path, smollm2).items():
            driver.troubles.clear()
            driver.workbench.open_model(path)
            driver.until(lambda: driver.troubles)
            trouble = driver.troubles[0]
            assert trouble.next_step, name
            assert not trouble.is_bug, (name, trouble)
            assert driver.workbench.state.phase is not Phase.LOST, name
        driver.troubles.clear()
        driver.load(smollm2, n_ctx=512)
        assert ask(driver, "One, two,", max_tokens=3).text


def test_a_model_that_is_deleted_while_loaded_goes_on_answering(tmp_path: Path, smollm2: Path) -> None:
    copy = tmp_path / "copy.gguf"
    shutil.copy(smollm2, copy)
    with open_bench(tmp_path / "data") as driver:
        driver.load(copy, n_ctx=512)
        copy.unlink()
        assert ask(driver, "One, two,", max_tokens=5).text
        driver.workbench.reload()
        driver.until(lambda: driver.troubles)
        assert "copy.gguf" in driver.troubles[0].sentence()


def test_a_hundred_stops_at_random_moments_leave_a_worker_that_answers_right(tmp_path: Path, smollm2: Path) -> None:
    numbers = random.Random(20261123)
    with open_bench(tmp_path, start=False) as driver:
        driver.load(smollm2, n_ctx=1024)
        expected = ask(driver, "One, two, three,", max_tokens=8).raw
        pid = driver.workbench.state.pid
        for _ in range(100):
            runs = listen(driver)
            prompt = Prompt(text="Count: " + "and " * numbers.randrange(1, 200))
            driver.workbench.generate(prompt, options={"max_tokens": 400, "ignore_eos": True})
            moment = time.monotonic() + numbers.random() * 0.12
            driver.until(lambda moment=moment, runs=runs: time.monotonic() > moment or (runs and runs[0].ended))
            driver.workbench.cancel()
            driver.until(lambda runs=runs: runs and runs[0].ended)
            assert runs[0].done is not None, runs[0].failed
        assert driver.workbench.state.pid == pid
        assert ask(driver, "One, two, three,", max_tokens=8).raw == expected


def test_stopping_a_load_leaves_an_engine_that_loads(tmp_path: Path, gemma3: Path, smollm2: Path) -> None:
    with open_bench(tmp_path, start=False) as driver:
        states = driver.collect(EngineChanged)
        driver.workbench.open_model(gemma3, {"mmap": False})
        driver.until(lambda: any(each.state.phase is Phase.PLANNING for each in states))
        driver.workbench.cancel()
        driver.until(lambda: not driver.workbench.state.is_busy)
        driver.workbench.open_model(gemma3, {"mmap": False}, anyway=True)
        driver.until(lambda: driver.workbench.state.phase is Phase.LOADING and driver.workbench.state.load_fraction > 0)
        driver.workbench.cancel()
        driver.until(lambda: not driver.workbench.state.is_busy)
        assert driver.troubles == []
        driver.load(smollm2, n_ctx=512)


@pytest.mark.parametrize("moment", ["starting", "planning", "loading", "reading", "writing", "idle"])
def test_closing_leaves_no_worker_behind_whatever_it_does(tmp_path: Path, smollm2: Path, moment: str) -> None:
    before = {each.pid for each in psutil.Process().children(recursive=True)}
    with open_bench(tmp_path) as driver:
        workbench = driver.workbench
        if moment == "planning":
            workbench.open_model(smollm2)
        elif moment == "loading":
            workbench.open_model(smollm2, {"n_ctx": 65536, "mmap": False}, anyway=True)
            driver.until(lambda: workbench.state.phase is Phase.LOADING)
        elif moment != "starting":
            driver.load(smollm2, n_ctx=2048)
            if moment == "reading":
                workbench.say("word " * 1500)
            elif moment == "writing":
                start_writing(driver)
    after = [each for each in psutil.Process().children(recursive=True) if each.pid not in before]
    _gone, alive = psutil.wait_procs(after, timeout=5)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []


def test_a_window_that_is_killed_leaves_no_worker_and_loses_at_most_the_last_second(
    tmp_path: Path, smollm2: Path
) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.e2e.test_survival import start_writing\n"
        "from tests.support.benches import open_bench\n"
        "with open_bench(Path(sys.argv[1])) as driver:\n"
        "    driver.load(Path(sys.argv[2]), n_ctx=1024)\n"
        "    start_writing(driver)\n"
        "    begun = time.monotonic()\n"
        "    driver.until(lambda: time.monotonic() > begun + 1.5)\n"
        "    text = driver.workbench.dialogue._writing._text\n"
        "    print(driver.workbench.state.pid, len(''.join(text)), flush=True)\n"
        "    driver.until(lambda: False)\n"
    )
    window = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(smollm2)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert window.stdout is not None
    pid, n_written = window.stdout.readline().split()
    worker = psutil.Process(int(pid))
    window.kill()
    window.wait()
    window.stdout.close()
    worker.wait(10)
    saved = sqlite3.connect(tmp_path / "llamarium.sqlite3").execute(
        "SELECT content FROM messages WHERE role='assistant'"
    )
    content = saved.fetchone()[0]
    assert content
    assert len(content) <= int(n_written) + 200
    with open_bench(tmp_path) as driver:
        rows = []
        driver.workbench.subscribe(ConversationsChanged, lambda event: rows.extend(event.rows))
        driver.until(lambda: rows)
        driver.workbench.dialogue.open(rows[0].id)
        driver.until(lambda: driver.workbench.dialogue.messages)
        assert driver.workbench.dialogue.messages[-1].state is MessageState.STOPPED
        assert driver.workbench.dialogue.messages[-1].text == content
        # Its tokens are there too, and spell what was saved of it.
        found: list[object] = []
        driver.workbench.answer_tokens(driver.workbench.dialogue.messages[-1].id, found.append, found.append)
        driver.until(lambda: found)
        assert isinstance(found[0], AnswerTokens), found
        tokens = found[0].tokens
        driver.load(smollm2, n_ctx=256)
        spelled: list[Any] = []
        driver.workbench.supervisor.request(
            lambda n: Tokenize(n, "", False, False, tokens), spelled.append, spelled.append
        )
        driver.until(lambda: spelled)
        assert b"".join(each.piece for each in spelled[0].tokens).decode(errors="replace") == content


def test_a_data_folder_that_refuses_is_told_and_the_chat_goes_on(tmp_path: Path, smollm2: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    with open_bench(blocked / "data") as driver:
        driver.until(lambda: driver.troubles)
        assert "not being saved" in driver.troubles[0].what
        driver.troubles.clear()
        driver.load(smollm2, n_ctx=512)
        driver.workbench.set_run_options({"max_tokens": 5})
        driver.workbench.say("Hello")
        driver.until(lambda: not driver.workbench.dialogue.is_writing)
        assert driver.workbench.dialogue.messages[-1].text


def test_a_disk_that_fills_up_while_writing_is_told_once_and_the_answer_goes_on(tmp_path: Path, smollm2: Path) -> None:
    with open_bench(tmp_path) as driver:
        workbench = driver.workbench
        driver.load(smollm2, n_ctx=2048)
        workbench.set_run_options({"max_tokens": 400, "ignore_eos": True})
        workbench.say("Tell a long story.")
        driver.until(lambda: workbench.state.phase is Phase.WRITING)

        def fill(store: Store) -> None:
            # SQLite itself says that the disk is full: no page more than there are.
            (n_pages,) = store.database.connection.execute("PRAGMA page_count").fetchone()
            store.database.connection.execute(f"PRAGMA max_page_count = {n_pages}")

        workbench._in_store(fill)
        driver.until(lambda: not workbench.dialogue.is_writing)
        driver.until(lambda: driver.troubles)
        assert workbench.dialogue.messages[-1].state is MessageState.COMPLETE
        assert len(workbench.dialogue.messages[-1].text) > 500
        driver.until(lambda: len(driver.troubles) >= 1)
        assert len({each.what for each in driver.troubles}) == len(driver.troubles)
        assert "full" in driver.troubles[0].sentence()


def test_two_windows_on_one_folder_both_write_and_see_each_other(tmp_path: Path, smollm2: Path) -> None:
    first, second = Workbench(Paths.under(tmp_path)), Workbench(Paths.under(tmp_path))
    try:
        drivers = [Driver(first), Driver(second)]
        for driver in drivers:
            driver.workbench.start()
            driver.load(smollm2, n_ctx=512)
            driver.workbench.set_run_options({"max_tokens": 10})
        for number, driver in enumerate(drivers):
            driver.workbench.say(f"Window {number}")
        for driver in drivers:
            driver.until(lambda driver=driver: not driver.workbench.dialogue.is_writing)
            assert driver.troubles == []
        rows = drivers[0].collect(ConversationsChanged)
        first.dialogue.refresh_list()
        drivers[0].until(lambda: rows)
        assert {each.title for each in rows[-1].rows} == {"Window 0", "Window 1"}
    finally:
        first.close()
        second.close()


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("{{ raise_exception('no tools here') }}", "no tools here"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "did not end within"),
        ("{{ messages.__class__.__mro__ }}", "template"),
    ],
    ids=["raises", "loops", "reaches out"],
)
def test_a_template_that_misbehaves_fails_in_words_and_the_worker_lives(
    tmp_path: Path, smollm2: Path, template: str, word: str
) -> None:
    with open_bench(tmp_path, start=False) as driver:
        driver.load(smollm2, n_ctx=512)
        answer = ask(driver, Prompt(messages=(ChatMessage("user", "Hi"),), template=template))
        assert word in answer.trouble.sentence().lower()
        assert not answer.trouble.is_bug
        assert ask(driver, "One, two,", max_tokens=3).text


def test_a_template_that_cannot_be_read_is_replaced_and_the_answer_says_so(tmp_path: Path, smollm2: Path) -> None:
    with open_bench(tmp_path, start=False) as driver:
        driver.load(smollm2, n_ctx=512)
        prompt = Prompt(messages=(ChatMessage("user", "Hi"),), template="{% if %}")
        answer = ask(driver, prompt, max_tokens=3)
        assert answer.started is not None
        assert any("template" in each for each in answer.started.warnings)


def test_memory_is_given_back_when_the_model_goes(tmp_path: Path, smollm2: Path) -> None:
    with open_bench(tmp_path, start=False) as driver:
        driver.load(smollm2, n_ctx=4096)
        pid = driver.workbench.state.pid
        driver.workbench.unload_model()
        driver.until(lambda: driver.workbench.state.phase is Phase.EMPTY)
        assert driver.workbench.state.pid != pid
        assert not psutil.pid_exists(pid or 0) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        with pytest.raises(KnownError, match="No model"):
            driver.workbench.say("Hello")
        assert driver.workbench.dialogue.messages == ()

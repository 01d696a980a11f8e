"""Events are handed out on the pumping thread; jobs run elsewhere, in order, and come back there."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from engine.base.bus import Bus
from engine.base.errors import KnownError, Trouble
from engine.base.jobs import JobProgress, Jobs, Task


@dataclass(frozen=True, slots=True)
class Said:
    text: str


def pump_until(bus: Bus, ready: object) -> None:
    for _ in range(500):
        if ready:
            return
        bus.wait(0.02)
    raise TimeoutError


def test_an_event_reaches_every_subscriber_until_it_unsubscribes() -> None:
    bus, first, second = Bus(), list[str](), list[str]()
    leave = bus.subscribe(Said, lambda event: first.append(event.text))
    bus.subscribe(Said, lambda event: second.append(event.text))
    bus.post(Said("a"))
    bus.pump()
    leave()
    bus.post(Said("b"))
    bus.pump()
    assert (first, second) == (["a"], ["a", "b"])


def test_a_failing_handler_does_not_silence_the_others() -> None:
    bus, heard, errors = Bus(), list[str](), list[Exception]()
    bus.on_error = errors.append

    def fail(_event: Said) -> None:
        raise RuntimeError("broken panel")

    bus.subscribe(Said, fail)
    bus.subscribe(Said, lambda event: heard.append(event.text))
    bus.post(Said("a"))
    bus.pump()
    assert heard == ["a"]
    assert [str(each) for each in errors] == ["broken panel"]


def test_a_job_runs_on_another_thread_and_its_result_arrives_on_the_pumping_one() -> None:
    bus = Bus()
    jobs, seen = Jobs(bus), list[tuple[str, str]]()
    jobs.run(
        lambda _task: threading.current_thread().name,
        title="t",
        lane="disk",
        then=lambda name: seen.append((name, threading.current_thread().name)),
    )
    pump_until(bus, seen)
    assert seen == [("lane-disk", threading.current_thread().name)]
    jobs.close()


def test_jobs_of_a_lane_keep_their_order() -> None:
    bus = Bus()
    jobs, done = Jobs(bus), list[int]()
    for number in range(50):
        jobs.run(lambda _task, n=number: n, title="t", lane="store", then=done.append)  # type: ignore[misc]
    while len(done) < 50:
        assert bus.wait(5)
    assert done == list(range(50))
    jobs.close()


def test_a_known_error_arrives_as_its_trouble_and_a_bug_says_it_is_one() -> None:
    bus = Bus()
    jobs, troubles = Jobs(bus), list[Trouble]()

    def refuse(_task: Task) -> None:
        raise KnownError("Disk full", value="/data", next_step="make room")

    def break_down(_task: Task) -> None:
        raise ZeroDivisionError

    jobs.run(refuse, title="t", failed=troubles.append)
    jobs.run(break_down, title="t", failed=troubles.append)
    while len(troubles) < 2:
        assert bus.wait(5)
    assert troubles[0].sentence() == "Disk full (/data): make room"
    assert troubles[1].is_bug
    assert "ZeroDivisionError" in troubles[1].details
    jobs.close()


def test_a_cancelled_job_stops_and_does_not_answer() -> None:
    bus = Bus()
    jobs, answers, begun = Jobs(bus), list[object](), threading.Event()
    steps: list[JobProgress] = []
    bus.subscribe(JobProgress, steps.append)

    def work(task: Task) -> str:
        task.progress(0.5, "half")
        begun.set()
        task.stop.wait(5)
        task.check()
        return "never"

    handle = jobs.run(work, title="t", then=answers.append)
    assert begun.wait(5)
    handle.cancel()
    jobs.run(lambda _task: "next", title="t", then=answers.append)
    pump_until(bus, answers)
    assert answers == ["next"]
    assert steps[0].fraction == pytest.approx(0.5)
    jobs.close()


def test_closing_finishes_what_must_be_finished() -> None:
    bus = Bus()
    jobs, written, gate = Jobs(bus), list[int](), threading.Event()
    jobs.run(lambda _task: gate.wait(5), title="slow", lane="store", must_finish=True)
    for number in range(5):
        jobs.run(lambda _task, n=number: written.append(n), title="w", lane="store", must_finish=True)  # type: ignore[misc]
    gate.set()
    jobs.close()
    assert written == [0, 1, 2, 3, 4]

"""The bridge: hands events over in order, in bounded time, and rests when nothing happens."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from PySide6.QtCore import QCoreApplication

from engine.base.bus import Bus
from gui.bridge import BUSY_MS, IDLE_MS, QUIET_AFTER_S, Bridge, Pace


@dataclass(frozen=True, slots=True)
class Piece:
    """An event."""

    number: int


class SteppingClock:
    """A clock that goes on by `step_s` at each look."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.time_s, self.step_s = 100.0, step_s

    def __call__(self) -> float:
        self.time_s += self.step_s
        return self.time_s


def test_events_of_another_thread_arrive_in_order_on_this_one(qtbot) -> None:
    bus, seen = Bus(), []
    bus.subscribe(Piece, lambda piece: seen.append((piece.number, threading.get_ident())))
    bridge = Bridge(bus)
    bridge.start()
    thread = threading.Thread(target=lambda: [bus.post(Piece(number)) for number in range(500)])
    thread.start()
    qtbot.waitUntil(lambda: len(seen) == 500, timeout=3000)
    thread.join()
    bridge.stop()
    assert [number for number, _ in seen] == list(range(500))
    assert {ident for _, ident in seen} == {threading.get_ident()}


def test_a_flood_is_cut_at_the_budget_and_the_rest_comes_next(qapp) -> None:
    bus, seen, clock = Bus(), [], SteppingClock()

    def slow(piece: Piece) -> None:
        clock.time_s += 0.001  # each event costs one millisecond
        seen.append(piece.number)

    bus.subscribe(Piece, slow)
    bridge = Bridge(bus, budget_ms=8, now_s=clock)
    for number in range(200):
        bus.post(Piece(number))
    first = bridge.pump_now()
    assert 8 <= first < 60
    while bridge.pump_now():
        pass
    assert seen == list(range(200))


def test_it_slows_down_after_two_quiet_seconds_and_wakes_with_the_first_event(qtbot) -> None:
    bus, clock = Bus(), SteppingClock()
    bridge = Bridge(bus, now_s=clock)
    bridge.start()
    assert bridge.interval_ms == BUSY_MS
    clock.time_s += QUIET_AFTER_S + 0.1
    qtbot.waitUntil(lambda: bridge.interval_ms == IDLE_MS, timeout=3000)
    bus.post(Piece(1))
    qtbot.waitUntil(lambda: bridge.interval_ms == BUSY_MS, timeout=3000)
    bridge.stop()
    assert not bridge.is_running


def test_it_keeps_the_short_tick_while_a_run_is_active(qtbot) -> None:
    clock = SteppingClock()
    bridge = Bridge(Bus(), now_s=clock)
    bridge.set_active(True)
    bridge.start()
    clock.time_s += QUIET_AFTER_S + 5
    n_before = len(bridge.delays_ms())
    qtbot.waitUntil(lambda: len(bridge.delays_ms()) >= n_before + 3, timeout=3000)
    assert bridge.interval_ms == BUSY_MS
    bridge.set_active(False)
    qtbot.waitUntil(lambda: bridge.interval_ms == IDLE_MS, timeout=3000)
    bridge.stop()


@pytest.mark.parametrize("pace", [Pace.WRITING, Pace.CROWDED, Pace.HASTY])
def test_while_an_answer_is_written_the_tick_is_longer(qtbot, pace: Pace) -> None:
    bus = Bus()
    bridge = Bridge(bus)
    bridge.set_active(True, pace)
    bridge.start()
    n_before = len(bridge.delays_ms())
    bus.post(Piece(1))
    qtbot.waitUntil(lambda: len(bridge.delays_ms()) >= n_before + 3, timeout=3000)
    assert bridge.interval_ms == pace, "text that came does not shorten it"
    bridge.set_active(True)
    assert bridge.interval_ms == BUSY_MS
    bridge.stop()


def test_what_the_window_posts_itself_is_handed_out_soon_and_the_pace_is_kept(qtbot) -> None:
    bus, seen = Bus(), []
    bus.subscribe(Piece, lambda piece: seen.append(piece.number))
    bridge = Bridge(bus)
    bridge.set_active(True, Pace.HASTY)
    bridge.start()
    qtbot.waitUntil(lambda: len(bridge.delays_ms()) >= 1, timeout=3000)  # from here on this thread is the pumping one
    bus.post(Piece(1))
    assert bridge.interval_ms == BUSY_MS
    qtbot.waitUntil(lambda: seen == [1], timeout=3000)
    assert bridge.interval_ms == Pace.HASTY
    threading.Thread(target=bus.post, args=(Piece(2),)).start()
    qtbot.waitUntil(lambda: seen == [1, 2], timeout=3000)
    assert bridge.interval_ms == Pace.HASTY, "what another thread posts can wait for the next tick"
    bridge.soon()
    assert bridge.interval_ms == BUSY_MS
    qtbot.waitUntil(lambda: bridge.interval_ms == Pace.HASTY, timeout=3000)
    bridge.stop()


def test_while_a_prompt_is_read_a_post_of_another_thread_needs_no_tick(qtbot) -> None:
    bus, seen = Bus(), []
    bus.subscribe(Piece, lambda piece: seen.append((piece.number, threading.get_ident())))
    bridge = Bridge(bus)  # not started: it never ticks

    def post() -> None:
        for number in range(3):
            bus.post(Piece(number))

    bridge.set_active(True, Pace.READING)
    thread = threading.Thread(target=post)
    thread.start()
    qtbot.waitUntil(lambda: len(seen) == 3, timeout=3000)
    thread.join()
    assert seen == [(number, threading.get_ident()) for number in range(3)]
    bridge.set_active(True, Pace.WRITING)
    thread = threading.Thread(target=post)
    thread.start()
    thread.join()
    QCoreApplication.sendPostedEvents()
    assert len(seen) == 3, "while text comes, the tick decides"
    bridge.pump_now()
    assert len(seen) == 6


def test_what_a_handler_posts_is_handed_out_in_the_same_pump(qtbot) -> None:
    bus, seen, woken = Bus(), [], []
    bus.on_own_post = lambda: woken.append(1)

    def first(piece: Piece) -> None:
        seen.append(piece.number)
        if piece.number < 3:
            bus.post(Piece(piece.number + 1))

    bus.subscribe(Piece, first)
    bus.post(Piece(1))
    assert bus.pump() == 3
    assert seen == [1, 2, 3]
    assert woken == []
    bus.post(Piece(9))
    assert woken == [1]


def test_a_tick_that_was_put_off_by_another_pace_is_not_late(qtbot) -> None:
    clock = SteppingClock()
    bridge = Bridge(Bus(), now_s=clock)
    bridge.set_active(True)
    bridge.start()
    bridge.set_active(True, Pace.HASTY)
    clock.time_s += Pace.HASTY / 1000
    qtbot.waitUntil(lambda: len(bridge.delays_ms()) >= 1, timeout=3000)
    bridge.stop()
    assert bridge.delays_ms()[0] < 1


def test_what_a_budget_left_does_not_wait_for_a_long_tick(qtbot) -> None:
    bus, clock, seen = Bus(), SteppingClock(), []

    def slow(piece: Piece) -> None:
        clock.time_s += 0.001
        seen.append(piece.number)

    bus.subscribe(Piece, slow)
    bridge = Bridge(bus, now_s=clock)
    bridge.set_active(True, Pace.HASTY)
    for number in range(100):
        bus.post(Piece(number))
    bridge.start()
    qtbot.waitUntil(lambda: bool(seen), timeout=3000)
    assert len(seen) < 100
    assert bridge.interval_ms == BUSY_MS
    qtbot.waitUntil(lambda: len(seen) == 100, timeout=3000)
    qtbot.waitUntil(lambda: bridge.interval_ms == Pace.HASTY, timeout=3000)
    bridge.stop()


def test_late_ticks_are_measured(qtbot) -> None:
    clock = SteppingClock()
    bridge = Bridge(Bus(), now_s=clock)
    bridge.start()
    clock.time_s += 0.216  # the window's thread was away for 216 ms, so a 16 ms tick is 200 ms late
    qtbot.waitUntil(lambda: len(bridge.delays_ms()) >= 1, timeout=3000)
    bridge.stop()
    assert abs(bridge.delays_ms()[0] - 200) < 1
    bridge.forget_delays()
    assert bridge.delays_ms() == ()


def test_a_handler_that_fails_does_not_stop_the_others(qtbot) -> None:
    bus, seen, errors = Bus(), [], []
    bus.on_error = errors.append

    def broken(piece: Piece) -> None:
        raise RuntimeError("broken")

    bus.subscribe(Piece, broken)
    bus.subscribe(Piece, lambda piece: seen.append(piece.number))
    bridge = Bridge(bus)
    bus.post(Piece(7))
    assert bridge.pump_now() == 1
    assert seen == [7]
    assert [str(error) for error in errors] == ["broken"]

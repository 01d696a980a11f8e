"""Work that is shared among threads is all done when the call returns, and what went wrong is not lost."""

from __future__ import annotations

import threading

import pytest

from engine.worker.side_by_side import SideBySide


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n_works", [0, 1, 8, 100])
def test_every_piece_is_done_once_before_it_returns(n_threads: int, n_works: int) -> None:
    threads = SideBySide(n_threads)
    done: list[int] = []
    for _ in range(3):
        done.clear()
        threads.run([lambda each=each: done.append(each) for each in range(n_works)])  # type: ignore[misc]
        assert sorted(done) == list(range(n_works))
    threads.close()


def test_two_pieces_are_done_at_the_same_time() -> None:
    threads = SideBySide(2)
    both = threading.Barrier(2, timeout=10)
    threads.run([both.wait, both.wait])
    assert not both.broken, "one after the other would break the barrier"
    threads.close()


@pytest.mark.parametrize("bad", [0, 3, 7])
def test_an_error_comes_when_all_threads_have_ended(bad: int) -> None:
    threads = SideBySide(2)
    running: list[int] = []

    def work(number: int) -> None:
        running.append(number)
        try:
            if number == bad:
                raise ValueError(str(number))
        finally:
            running.remove(number)

    with pytest.raises(ValueError, match=str(bad)):
        threads.run([lambda each=each: work(each) for each in range(8)])  # type: ignore[misc]
    assert running == []
    threads.close()

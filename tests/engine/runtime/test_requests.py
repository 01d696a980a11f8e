"""The questions that are open: who is told, what counts as work, and what gives way."""

from __future__ import annotations

from engine.base.errors import Trouble
from engine.runtime.requests import Requests
from engine.wire.messages import Bench, BenchProgress, Failed, Next, Peek, Prompt, Rendered


def test_what_gives_way_is_no_work_and_is_named_to_be_dropped() -> None:
    requests, failed = Requests(), []
    requests.add(Next(4, Prompt(text="x"), (), -1, 10), lambda _event: None, failed.append, gives_way=True)
    assert not requests.is_working
    assert requests.giving_way() == (4,)
    requests.add(Next(5, Prompt(text="x"), (), -1, 10), lambda _event: None, failed.append)
    assert requests.is_working
    assert requests.giving_way() == (4,)
    tell = requests.take(Failed(4, Trouble("Stopped"), cancelled=True))
    assert tell is not None
    tell()
    assert failed == [Trouble("Stopped")]
    assert requests.giving_way() == ()
    assert requests.is_working


def test_a_peek_is_no_work_and_gives_no_way() -> None:
    requests = Requests()
    requests.add(Peek(7, 3, (), 10), lambda _event: None, lambda _trouble: None)
    assert not requests.is_working
    assert requests.giving_way() == ()


def test_an_answer_closes_its_question_and_an_unknown_one_tells_nobody() -> None:
    requests, told, parts = Requests(), [], []
    requests.add(Bench(1, (8,), (0,), 4, 1), told.append, lambda _trouble: None, parts.append)
    requests.tell_progress(BenchProgress(1, 0.5, "half"))
    requests.tell_progress(BenchProgress(2, 0.5, "of another"))
    assert [each.text for each in parts] == ["half"]
    rendered = Rendered(2, "", (), "", (), 0)
    assert requests.take(rendered) is None
    assert requests.is_working
    requests.fail_all(Trouble("The engine was restarted"))
    assert not requests.is_working
    assert told == []

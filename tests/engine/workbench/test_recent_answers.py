"""The list of stored answers with their first words."""

from __future__ import annotations

from pathlib import Path

from engine.store import Store
from engine.store.rows import MessageState, Role, RunRecipe
from engine.workbench.records import N_WORDS_SHOWN, StoredAnswer
from tests.support.benches import open_bench

RECIPE = RunRecipe("/m.gguf", "m", "", "", "", "[]", "{}", "{}", 1)


def test_answers_come_newest_first_with_their_first_words_on_one_line(tmp_path: Path) -> None:
    texts = ("The first\n\nanswer", "x " * 300, "")

    def write(store: Store) -> None:
        conversation = store.conversations.create()
        for text in texts:
            message = store.messages.add(conversation.id, None, Role.ASSISTANT, text, state=MessageState.COMPLETE)
            store.runs.start(message.id, RECIPE)

    found: list[tuple[StoredAnswer, ...]] = []
    with open_bench(tmp_path, start=False) as driver:
        driver.workbench._in_store(write, title="test")
        driver.workbench.records.recent_answers(found.append)
        driver.until(lambda: bool(found))
    newest, long, first = (each.words for each in found[0])
    assert newest == ""
    assert len(long) <= N_WORDS_SHOWN
    assert long.endswith("x…")
    assert first == "The first answer"

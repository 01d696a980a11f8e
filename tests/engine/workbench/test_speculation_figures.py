"""How the guesses went is kept with the answer, and stands under it again when the chat is opened later."""

from __future__ import annotations

from pathlib import Path

from engine.workbench.events import Figures
from tests.engine.workbench.conftest import Chat, Start


def figures_of(chat: Chat) -> Figures:
    found = chat.dialogue.messages[-1].figures
    assert found is not None
    return found


def test_the_share_of_right_guesses_is_there_after_a_new_start(start: Start, smollm2: Path) -> None:
    chat = Chat(start())
    chat.load(smollm2, n_outputs_max=8, model_draft=str(smollm2))
    chat.limit(12)
    chat.workbench.set_run_options({**chat.workbench.run_options, "speculate": "draft", "backend_sampling": True})
    chat.ask("Say hello.")
    told = figures_of(chat).stats
    assert told is not None
    assert told.acceptance_rate is not None
    assert "No backend sampling" in told.no_shortcut
    conversation = chat.dialogue.conversation_id
    assert conversation is not None
    chat = Chat(start())
    chat.dialogue.open(conversation)
    chat.driver.until(lambda: chat.dialogue.messages)
    again = figures_of(chat).stats
    assert again is not None
    assert (again.n_drafted, again.n_accepted) == (told.n_drafted, told.n_accepted)
    assert again.no_shortcut == told.no_shortcut


def test_an_answer_without_guesses_says_nothing_of_them(start: Start, smollm2: Path) -> None:
    chat = Chat(start())
    chat.load(smollm2)
    chat.limit(4)
    chat.ask("Say hello.")
    conversation = chat.dialogue.conversation_id
    assert conversation is not None
    chat = Chat(start())
    chat.dialogue.open(conversation)
    chat.driver.until(lambda: chat.dialogue.messages)
    again = figures_of(chat).stats
    assert again is not None
    assert (again.n_drafted, again.n_accepted, again.no_shortcut) == (None, None, "")

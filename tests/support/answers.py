"""Asking a loaded model and waiting for the whole answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.base.errors import Trouble
from engine.sampling.chain import Chain
from engine.wire.messages import ChatMessage, FinishReason, Prompt, RunDone, RunFailed, RunStarted, RunStats, Token
from tests.support.benches import Driver

GREEDY = Chain.default().with_value("temperature", 0)


@dataclass
class Answer:
    """What came for one run."""

    raw: bytes = b""
    started: RunStarted | None = None
    done: RunDone | None = None
    failed: RunFailed | None = None
    frames: list[Token] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.raw.decode()

    @property
    def stats(self) -> RunStats:
        assert self.done is not None, self.failed
        return self.done.stats

    @property
    def reason(self) -> FinishReason:
        assert self.done is not None, self.failed
        return self.done.reason

    @property
    def trouble(self) -> Trouble:
        assert self.failed is not None, self.text
        return self.failed.trouble

    @property
    def ended(self) -> bool:
        return self.done is not None or self.failed is not None


def listen(driver: Driver) -> list[Answer]:
    """Collect runs from now on, in order."""
    runs: dict[int, Answer] = {}
    found: list[Answer] = []

    def run(run_id: int) -> Answer:
        if run_id not in runs:
            runs[run_id] = Answer()
            found.append(runs[run_id])
        return runs[run_id]

    def token(event: Token) -> None:
        answer = run(event.run_id)
        answer.raw += event.piece
        answer.frames.append(event)

    driver.workbench.subscribe(RunStarted, lambda event: setattr(run(event.run_id), "started", event))
    driver.workbench.subscribe(Token, token)
    driver.workbench.subscribe(RunDone, lambda event: setattr(run(event.run_id), "done", event))
    driver.workbench.subscribe(RunFailed, lambda event: setattr(run(event.run_id), "failed", event))
    return found


def ask(
    driver: Driver,
    prompt: Prompt | str | list[tuple[str, str]],
    *,
    chain: Chain = GREEDY,
    **options: object,
) -> Answer:
    """One answer: raw text, a list of (role, content), or a whole prompt."""
    if isinstance(prompt, str):
        prompt = Prompt(text=prompt)
    elif isinstance(prompt, list):
        prompt = Prompt(messages=tuple(ChatMessage(role, content) for role, content in prompt))
    runs = listen(driver)
    driver.workbench.generate(prompt, chain=chain, options=options)  # type: ignore[arg-type]
    driver.until(lambda: runs and runs[0].ended)
    return runs[0]

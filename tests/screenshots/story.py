"""The conversations in the pictures: one with everything that an answer can hold, and others of several ages.

They are written into a real store with a clock that stands where each was said, so the list has its groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from engine.models.library import model_label
from engine.sampling.chain import Chain
from engine.store import Store, open_store
from engine.store.rows import ConversationId, MessageId, MessageState, Role, RunRecipe, RunResult
from engine.wire.messages import FinishReason

MAIN_TITLE = "Why softmax needs a temperature"
NEXT_QUESTION = "And if I combine it with top-p 0.9?"

THOUGHTS = """The user asks for two things: what the temperature does, and a few lines of Python.

Dividing the logits before the softmax changes how peaked the distribution is, never the order of the tokens. \
I should say that 0 is a limit and not a division. Then NumPy, with the maximum taken off first so that exp cannot \
overflow."""

FIRST_ANSWER = """Temperature divides the logits before the softmax. Below 1 the distribution sharpens towards the \
most likely token; above 1 it flattens, so rarer tokens are drawn more often.

```python
import numpy as np

def softmax(logits, temperature=1.0):
    z = logits / temperature          # 0.5 sharpens, 2.0 flattens
    e = np.exp(z - z.max())
    return e / e.sum()
```

At temperature 0 only the largest logit remains, which is **greedy** decoding."""

SECOND_ANSWER = """With `logits = [2, 1, 0, -1]` the formula is

p_i = exp(z_i / T) / Σ_j exp(z_j / T)

| T   | first | second | third | last  |
|----:|------:|-------:|------:|------:|
| 0.5 | 0.865 |  0.117 | 0.016 | 0.002 |
| 1.0 | 0.644 |  0.237 | 0.087 | 0.032 |
| 2.0 | 0.455 |  0.276 | 0.167 | 0.102 |

1. **낮은 온도**는 가장 그럴듯한 토큰에 확률을 모읍니다.
2. **높은 온도**는 분포를 평평하게 만들어 드문 토큰도 자주 나옵니다.
3. The order of the tokens never changes:
   - greedy decoding is the same at every temperature;
   - only *sampling* notices.

> 온도는 순서를 바꾸지 않고, 차이의 크기만 바꿉니다."""


@dataclass(frozen=True, slots=True)
class _Said:
    """One question and its answer."""

    question: str
    answer: str
    thinking: str = ""
    n_prompt: int = 64
    n_completion: int = 80
    prefill_tps: float = 212.0
    decode_tps: float = 78.0
    state: MessageState = MessageState.COMPLETE
    thinking_s: float | None = None


MAIN = (
    _Said(
        "What does temperature do to the next-token distribution? Show it in a few lines of Python.",
        FIRST_ANSWER,
        THOUGHTS,
        n_prompt=66,
        n_completion=148,
        thinking_s=1.84,
    ),
    _Said(
        "온도가 0.5, 1, 2일 때 확률이 어떻게 변하는지 표로 보여 줘. Answer in both languages.",
        SECOND_ANSWER,
        n_prompt=288,
        n_completion=311,
        decode_tps=76.4,
    ),
)
EARLIER_ANSWER = "It scales the logits. A higher value makes the text more random, a lower value more predictable."

# Days ago, title, what was said. Chats of one day stand some minutes apart.
OTHERS: tuple[tuple[int, str, tuple[_Said, ...]], ...] = (
    (
        0,
        "Median of a stream in Python",
        (_Said("How do I keep the median of a stream of numbers?", "Keep two heaps of the same size."),),
    ),
    (
        1,
        "Top-p against min-p, short stories with a surprising end",
        (_Said("Which one is better for short stories?", "Min-p follows the model's confidence.", n_completion=9),),
    ),
    (
        1,
        "한국어 날짜를 찾는 정규식",
        (_Said("2026년 11월 23일 같은 날짜를 찾는 정규식을 알려 줘.", "`\\d{4}년 \\d{1,2}월 \\d{1,2}일`"),),
    ),
    (1, "", (_Said("What fits in 8 GB?", "A model of seven billion", state=MessageState.STOPPED, n_completion=6),)),
    (4, "Recipe translated three ways", (_Said("Translate this recipe.", "Gern: 200 g Mehl, zwei Eier …"),)),
    (6, "", (_Said("Explain RAID 5 to a child", "Imagine three friends who share a puzzle."),)),
    (24, "Names for a cat", (_Said("Ten names for a grey cat, please.", "1. Ash\n2. Fog\n3. Slate"),)),
)


class _PastClock:
    """Stands at a moment of the past; each look moves it on by a second, so that rows have an order."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def now_s(self) -> float:
        return self.moment.timestamp()

    def utc(self) -> datetime:
        self.moment += timedelta(seconds=1)
        return self.moment


def write_story(database: Path, model: Path) -> ConversationId:
    """Write every conversation into the store at `database`; returns the main one's id.

    Args:
        database: the file of a data folder that no window has open.
        model: the file that the answers' runs name.
    """
    now = datetime.now().astimezone()
    clock = _PastClock()
    store = open_store(database, clock=clock)
    try:
        for place, (days, title, said) in enumerate(reversed(OTHERS)):
            clock.moment = _moment(now, days, len(OTHERS) - place)
            _tell(store, title, said, model)
        clock.moment = _moment(now, 0, 0)
        main_id = _tell(store, MAIN_TITLE, MAIN, model)
        _add_earlier_answer(store, main_id, model)
    finally:
        store.close()
    return main_id


def _moment(now: datetime, days: int, place: int) -> datetime:
    """A time on that day: for today between midnight and now, whatever the hour is."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if days == 0:
        return (midnight + (now - midnight) * (0.95 - 0.2 * place)).astimezone(UTC)
    return (midnight - timedelta(days=days - 1, hours=3, minutes=17 * place)).astimezone(UTC)


def _tell(store: Store, title: str, said: tuple[_Said, ...], model: Path) -> ConversationId:
    conversation = store.conversations.create(model_path=str(model))
    parent: MessageId | None = None
    for each in said:
        question = store.messages.add(conversation.id, parent, Role.USER, each.question)
        parent = _answer(store, conversation.id, question.id, each, model)
    if title:
        store.conversations.rename(conversation.id, title)
    return conversation.id


def _answer(
    store: Store, conversation_id: ConversationId, question_id: MessageId, said: _Said, model: Path
) -> MessageId:
    answer = store.messages.add(conversation_id, question_id, Role.ASSISTANT, state=MessageState.WRITING)
    recipe = RunRecipe(
        model_path=str(model),
        model_label=model_label(model),
        model_fingerprint="",
        engine_build="llama.cpp",
        template_hash="",
        chain=msgspec.json.encode(Chain.default().to_wire()).decode(),
        limits="{}",
        load_options="{}",
        seed=42,
    )
    run = store.runs.start(answer.id, recipe)
    store.messages.finish(
        answer.id, said.state, content=said.answer, thinking=said.thinking, thinking_s=said.thinking_s
    )
    prefill_s = said.n_prompt / said.prefill_tps
    reason = FinishReason.CANCELLED if said.state is MessageState.STOPPED else FinishReason.STOP
    result = RunResult(
        finish_reason=reason,
        n_prompt=said.n_prompt,
        n_reused=0,
        n_completion=said.n_completion,
        n_dropped_messages=0,
        first_token_s=prefill_s + 0.013,
        prefill_s=prefill_s,
        decode_s=said.n_completion / said.decode_tps,
    )
    store.runs.finish(run.id, result)
    return answer.id


def _add_earlier_answer(store: Store, conversation_id: ConversationId, model: Path) -> None:
    """Another answer to the first question, on a branch that is not shown: the first answer is one of two."""
    thread = store.messages.thread(conversation_id)
    _answer(store, conversation_id, thread[0].id, _Said("", EARLIER_ANSWER, n_completion=21), model)
    store.messages.set_head(conversation_id, thread[-1].id)

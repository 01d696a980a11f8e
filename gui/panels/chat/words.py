"""The Chat page's words: figures under an answer, names of periods and states, as they stand on screen.

Apart from the presenter because words are translated by Qt, and apart from the view because a test reads them.
Every number has its unit, what is unknown is left out and never drawn as 0.
"""

from __future__ import annotations

import re

from PySide6.QtCore import QCoreApplication, QDate, QLocale

from engine.base.errors import Trouble
from engine.runtime.supervisor import Phase
from engine.store.rows import ConversationRow, MessageState, Role
from engine.wire.messages import FinishReason
from engine.workbench.events import Figures, ThreadMessage
from gui.model_name import split_name, spoken_name
from gui.panels.chat.grouping import Group, Period
from gui.panels.chat.states import Doing, Header, Progress
from gui.widgets.quantities import count_text, percent_text, rate_text, seconds_text, tokens_text
from gui.widgets.transcript.values import MessageState as ShownState
from gui.widgets.transcript.values import MessageValue
from gui.widgets.transcript.values import Role as ShownRole

ARROW = "\N{RIGHTWARDS ARROW}"
DOT = "\N{MIDDLE DOT}"

_STATES = {
    MessageState.WRITING: ShownState.WRITING,
    MessageState.COMPLETE: ShownState.DONE,
    MessageState.STOPPED: ShownState.STOPPED,
    MessageState.FAILED: ShownState.FAILED,
}
_ROLES = {Role.USER: ShownRole.USER, Role.ASSISTANT: ShownRole.ASSISTANT, Role.SYSTEM: ShownRole.SYSTEM}


def _tr(text: str) -> str:
    return QCoreApplication.translate("Chat", text)


def message_value(message: ThreadMessage) -> MessageValue:
    """A message as the transcript shows it."""
    figures = message.figures
    if message.role is Role.USER:
        label = _tr("You")
    elif message.role is Role.SYSTEM:
        label = _tr("System")
    else:
        label = _tr("Your words") if figures is None else split_name(figures.label)[0] or _tr("Model")
    return MessageValue(
        id=str(message.id),
        role=_ROLES[message.role],
        label=label,
        text=message.text,
        thinking=message.thinking,
        thinking_s=message.thinking_s,
        stats=stats_texts(figures) if message.state is not MessageState.WRITING else (),
        state=_STATES[message.state],
        sibling_index=message.sibling_index,
        sibling_count=message.sibling_count,
        stats_tip=stats_tip(figures),
    )


def stats_texts(figures: Figures | None) -> tuple[str, ...]:
    """The short line under an answer: speeds, first token, count, seed, and why it ended if that is worth a word."""
    if figures is None:
        return ()
    parts: list[str] = []
    stats = figures.stats
    if stats is not None:
        writing = stats.decode_tps
        if writing is not None:
            reading = stats.prefill_tps
            head = "" if reading is None else rate_text(reading).removesuffix(" tok/s") + f" {ARROW} "
            parts.append(head + rate_text(writing))
        if stats.first_token_s is not None:
            parts.append(_tr("first token {time}").format(time=seconds_text(stats.first_token_s)))
        parts.append(tokens_text(stats.n_completion))
        if stats.acceptance_rate is not None and stats.n_drafted is not None:
            parts.append(
                _tr("accepted {share} of {n} drafted").format(
                    share=percent_text(stats.acceptance_rate), n=count_text(stats.n_drafted)
                )
            )
    if figures.seed is not None:
        parts.append(_tr("seed {n}").format(n=figures.seed))
    if figures.reason is FinishReason.LENGTH:
        parts.append(_tr("length limit reached"))
    elif figures.reason is FinishReason.CONTEXT:
        parts.append(_tr("context full"))
    if figures.n_dropped_messages:
        parts.append(dropped_text(figures.n_dropped_messages))
    return tuple(parts)


def stats_tip(figures: Figures | None) -> str:
    """The same with everything that is known, a line each."""
    if figures is None or figures.stats is None:
        return ""
    stats = figures.stats
    lines = [
        _tr("Prompt: {n}, of which {k} were still in the cache").format(
            n=tokens_text(stats.n_prompt), k=count_text(stats.n_reused)
        ),
        _tr("Reading the rest took {time}").format(time=seconds_text(stats.prefill_s)),
        _tr("Answer: {n} in {time} after the first token").format(
            n=tokens_text(stats.n_completion), time=seconds_text(stats.decode_s)
        ),
    ]
    if figures.no_roll_back:
        lines.append(_tr("The cache of this model cannot be rolled back, so the whole prompt was read anew."))
    if stats.no_shortcut:
        lines.append(stats.no_shortcut)
    if stats.n_drafted is not None and stats.n_accepted is not None:
        lines.append(
            _tr("Speculation guessed {n}, of which {k} were right").format(
                n=tokens_text(stats.n_drafted), k=count_text(stats.n_accepted)
            )
        )
    if stats.cpu_share is not None:
        lines.append(
            _tr("The engine got {share} of the processor time it asked for").format(share=percent_text(stats.cpu_share))
        )
    lines += [_tr("Template: {warning}").format(warning=each) for each in figures.warnings]
    return "\n".join(lines)


def dropped_text(n_messages: int) -> str:
    """How many messages the model did not see."""
    if n_messages == 1:
        return _tr("the oldest message was left out")
    return _tr("the {n} oldest messages were left out").format(n=count_text(n_messages))


def bent_template(warnings: tuple[str, ...]) -> Trouble:
    """The notice that the model's template could not take the conversation as it is."""
    return Trouble(
        _tr("The conversation was changed to fit the model's chat template"),
        "; ".join(warnings),
        _tr("read the answer with that in mind, or use another model"),
    )


_MARKS = re.compile(r"\*\*|__|`+|(?:(?<=\s)|^)#{1,6}\s")


def plain_snippet(snippet: str, matches: tuple[tuple[int, int], ...]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A search's snippet without Markdown's marks, and where the matches are then; a mark that was searched stays.

    Args:
        snippet: one line of Markdown.
        matches: (start, end) in characters, in order, not overlapping.
    """
    gone = [
        mark.span()
        for mark in _MARKS.finditer(snippet)
        if all(mark.end() <= start or end <= mark.start() for start, end in matches)
    ]

    def moved(place: int) -> int:
        return place - sum(end - start for start, end in gone if end <= place)

    kept, place = [], 0
    for start, end in gone:
        kept.append(snippet[place:start])
        place = end
    return "".join([*kept, snippet[place:]]), tuple((moved(start), moved(end)) for start, end in matches)


def group_text(group: Group) -> str:
    """The heading of a group of chats."""
    if group.period is Period.MONTH:
        return QLocale().toString(QDate(group.year, group.month, 1), "MMMM yyyy")
    return {
        Period.PINNED: _tr("Pinned"),
        Period.TODAY: _tr("Today"),
        Period.YESTERDAY: _tr("Yesterday"),
        Period.WEEK: _tr("Previous 7 days"),
    }[group.period]


def title_text(row: ConversationRow) -> str:
    """A chat's name in the list: its title, else what is drafted in it."""
    if row.title:
        return row.title
    words = " ".join(row.draft.split())
    return _tr("Draft: {words}").format(words=words) if words else _tr("New chat")


def progress_text(progress: Progress) -> str:
    """The line over the composer."""
    label = split_name(progress.label)[0]
    match progress.doing:
        case Doing.STARTING:
            return _tr("Starting the engine")
        case Doing.PLANNING:
            return _tr("Asking the engine what {model} takes").format(model=label)
        case Doing.LOADING:
            percent = round((progress.fraction or 0) * 100)
            text = _tr("Loading {model} … {percent} %").format(model=label, percent=percent)
            if progress.remaining_s is not None:
                text += f" {DOT} " + _tr("about {time} left").format(time=seconds_text(progress.remaining_s))
            return text
        case Doing.READING if progress.n_total:
            return _tr("Reading the prompt: {n} of {total}").format(
                n=count_text(progress.n_done), total=tokens_text(progress.n_total)
            )
        case Doing.READING:
            return _tr("Reading the prompt")
        case Doing.STOPPING:
            return _tr("Stopping")
        case Doing.UNRESPONSIVE:
            return _tr("The engine has not answered for some seconds")
    return ""


def model_button_text(header: Header) -> str:
    """The model button: name and what it does if that is worth a word."""
    if not header.model_path:
        return _tr("No model")
    name = spoken_name(header.model_label)
    # That the engine stopped is said over the composer; here it would only shorten the name.
    return f"{name} {DOT} {header.load_percent} %" if header.phase is Phase.LOADING else name

"""The words of the tab Compare: answers in a list, what two of them are to each other, tokens that might have come."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QDateTime, QLocale

from engine.workbench.comparison import Difference
from gui.model_name import spoken_name
from gui.panels.lab.presenter.comparison import AnswerChoice, ComparePage, Comparison, Doing, Outcome, Parting, TokenRow
from gui.panels.lab.words import DASH, DOT, piece_text
from gui.widgets.quantities import count_text, tokens_text
from gui.widgets.value_table import Cell

N_LETTERS = 26
"""Of an answer's words in the list; all of them stand in the tooltip."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("Lab", text)


# ---- the list of answers


def answer_text(answer: AnswerChoice) -> str:
    """An answer in a list: when, and its first words or its model; short enough for the column."""
    words = answer.words or spoken_name(answer.model)
    if len(words) > N_LETTERS:
        words = words[: N_LETTERS - 1].rstrip() + "…"
    moment = _moment(answer)
    is_today = moment.date() == QDateTime.currentDateTime().date()
    return f"{QLocale().toString(moment, 'HH:mm' if is_today else 'MM-dd HH:mm')}  {words}"


def answer_tip(answer: AnswerChoice) -> str:
    """The whole of it on hover."""
    when = QLocale().toString(_moment(answer), "yyyy-MM-dd HH:mm:ss")
    return "\n".join(each for each in (when, answer.words, answer_facts(answer)) if each)


def _moment(answer: AnswerChoice) -> QDateTime:
    return QDateTime.fromSecsSinceEpoch(int(answer.started.timestamp()))


def answer_facts(answer: AnswerChoice) -> str:
    """Model, length and seed."""
    parts = [spoken_name(answer.model)]
    if answer.n_tokens is not None:
        parts.append(tokens_text(answer.n_tokens))
    if answer.seed is not None:
        parts.append(_tr("seed {seed}").format(seed=answer.seed))
    if answer.is_here:
        parts.append(_tr("in the open chat"))
    return f" {DOT} ".join(parts)


# ---- the result


def doing_text(page: ComparePage) -> str:
    """What goes on."""
    if page.doing is Doing.REPLAYING:
        return _tr("Writing the answer again")
    return _tr("Comparing")


def comparison_title(comparison: Comparison) -> str:
    """What they are to each other, in a sentence."""
    if comparison.outcome is Outcome.SAME:
        if comparison.is_replay:
            return _tr("The same, token for token.")
        return _tr("The two answers are the same.")
    if comparison.parting is None:
        return _tr("The texts differ.")
    n = comparison.parting.position
    if n == 0:
        return _tr("They differ from the first token on.")
    return _tr("The same up to token {n}, then different.").format(n=count_text(n))


def comparison_caption(comparison: Comparison) -> str:
    """What was compared, and what else has to be known of it."""
    parts = []
    if comparison.n_tokens is not None and comparison.is_replay:
        parts.append(_tr("The stored answer has {tokens}.").format(tokens=tokens_text(comparison.n_tokens)))
        if comparison.outcome is Outcome.DIFFERENT:
            parts.append(
                _tr("What differs below may be the reason.")
                if comparison.setup
                else _tr("Nothing of the set-up differs: the engine does not compute the same twice here.")
            )
    if comparison.same_prompt is False:
        parts.append(_tr("They answer different prompts."))
    return " ".join(parts)


def side_names(comparison: Comparison) -> tuple[str, str]:
    """What the two sides are called."""
    if comparison.is_replay:
        return _tr("stored answer"), _tr("replay")
    return _tr("first answer"), _tr("second answer")


def setup_titles(*, is_replay: bool = False) -> tuple[str, str, str]:
    """The headers over `setup_cells`."""
    if is_replay:
        return _tr("Parameter"), _tr("Then"), _tr("Now")
    return _tr("Parameter"), _tr("First"), _tr("Second")


def setup_cells(row: Difference) -> tuple[Cell, ...]:
    """A parameter that is not the same."""
    return Cell(row.what), Cell(row.first or DASH), Cell(row.second or DASH)


def parting_text(comparison: Comparison, parting: Parting) -> str:
    """Where they part, and what stands there on either side."""
    first, second = side_names(comparison)
    end = _tr("the end")
    said = _tr("Token {n}: {one} in the {first}, {other} in the {second}.").format(
        n=count_text(parting.position + 1),
        one=_quoted(parting.first_piece, end),
        other=_quoted(parting.second_piece, end),
        first=first,
        second=second,
    )
    if parting.has_model:
        return said
    missing = _tr("What else might have come there is told by the model that wrote both: load it and compare again.")
    return f"{said} {missing}" if parting.first_piece is not None or parting.second_piece is not None else missing


def token_titles() -> tuple[str, ...]:
    """The headers over `token_cells`."""
    return _tr("Token"), _tr("Model"), _tr("After the chain")


def token_cells(row: TokenRow) -> tuple[Cell, ...]:
    """A token that might have come; the one that came has an arrow."""
    token = piece_text(row.piece)
    text = _tr("{token}  ← came").format(token=token) if row.is_chosen else token
    return Cell(text, token), _chance(row.p), _chance(row.p_chain)


def _chance(p: float | None) -> Cell:
    if p is None:
        return Cell(DASH)
    if p == 0:
        return Cell(_tr("cut"), 0.0)
    percent = p * 100
    text = "<0.01 %" if percent < 0.005 else f"{percent:.2f} %"
    return Cell(text, p, f"{p:.6g}")


def _quoted(piece: bytes | None, end: str) -> str:
    return end if piece is None else f"“{piece_text(piece)}”"

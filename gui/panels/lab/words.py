"""The Lab page's words: titles of columns, figures as text, what a fit means, and everything that is copied."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from engine.base.fields import FieldKind
from engine.sampling.chain import Chain
from engine.wire.messages import ColumnKind, FinishReason
from gui.panels.lab.presenter.draws import DrawRow, DrawsPage
from gui.panels.lab.presenter.prompt import PromptFault, PromptKind
from gui.panels.lab.presenter.samples import Column, Order, RunState, SamplesPage
from gui.widgets.count_bars import CountBar
from gui.widgets.quantities import MINUS, count_text, percent_text, rate_text, seconds_text, tokens_text, unknown_text
from gui.widgets.value_table import Cell

DASH = "\N{EN DASH}"
DOT = "\N{MIDDLE DOT}"
LEAST_P = 1e-4
"""Smaller p-values are said to be below it: their digits mean nothing."""
DOUBTFUL_P, REFUTED_P = 0.05, 0.001


def _tr(text: str) -> str:
    return QCoreApplication.translate("Lab", text)


# ---- the prompt


def kind_text(kind: PromptKind) -> str:
    """How the text reaches the model."""
    return {PromptKind.CHAT: _tr("Chat question"), PromptKind.RAW: _tr("Raw text")}[kind]


def fault_text(fault: PromptFault | None, kind: PromptKind) -> str:
    """What is wrong with the prompt and what to do; "" for nothing."""
    if fault is None:
        return ""
    if kind is PromptKind.CHAT:
        return _tr("There is no question yet: write what the model is to answer")
    return _tr("There is no text yet: write what the model is to continue")


def chain_text(chain: Chain) -> str:
    """What the next run draws with: the stages that change anything, with the values that are not neutral."""
    parts = []
    for link in chain.active():
        values = [
            each.format(link.values[each.key])
            for each in link.stage.fields
            if each.kind in (FieldKind.INT, FieldKind.FLOAT) and link.values[each.key] != each.neutral
        ]
        parts.append(" ".join([link.stage.label, *values[:1]]))
    if not parts:
        return _tr("Drawn from the model's own distribution: no sampler is on. The chain is set beside the chat.")
    said = _tr("Drawn with {samplers}. The chain is set beside the chat.").format(samplers=", ".join(parts))
    if any(each.is_greedy for each in chain.links):
        said += " " + _tr("It is greedy: every sample will be the same.")
    return said


# ---- samples


def column_text(column: Column) -> str:
    """A column's title."""
    match column.kind:
        case ColumnKind.CHAIN:
            return _tr("Sample {n}").format(n=column.place + 1)
        case ColumnKind.GREEDY:
            return _tr("Greedy")
        case ColumnKind.BEST_PATH:
            return _tr("Best path, width {n}").format(n=column.width)
        case ColumnKind.CONTRAST:
            return _tr("Contrast, k {k}, α {alpha}").format(k=column.width, alpha=f"{column.alpha:.2f}")


def column_tip(column: Column) -> str:
    """What a kind of column is."""
    return {
        ColumnKind.CHAIN: _tr("Drawn by the sampler chain with the seed that stands here"),
        ColumnKind.GREEDY: _tr("The most likely token each time"),
        ColumnKind.BEST_PATH: _tr("The most likely whole continuation that a beam search found"),
        ColumnKind.CONTRAST: _tr("Likely, and unlike what stands before (Su et al. 2022)"),
    }[column.kind]


def order_text(order: Order) -> str:
    """A way to sort."""
    return {
        Order.ASKED: _tr("As asked"),
        Order.LIKELIEST: _tr("Likeliest"),
        Order.LONGEST: _tr("Longest"),
    }[order]


def reason_text(reason: FinishReason) -> str:
    """Why a continuation ended."""
    return {
        FinishReason.STOP: _tr("complete"),
        FinishReason.LENGTH: _tr("at the limit"),
        FinishReason.CANCELLED: _tr("stopped"),
        FinishReason.CONTEXT: _tr("context full"),
    }[reason]


def number_text(value: float | None, decimals: int) -> str:
    """A plain number; a dash where there is none."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def perplexity_text(value: float | None) -> str:
    """A perplexity with as many digits as it bears."""
    return number_text(value, 2 if value is None or value < 100 else 0)


def figures_names() -> tuple[tuple[str, str], ...]:
    """The names of a card's figures and their definitions, in the order of `figures_values`."""
    return (
        (_tr("Tokens"), _tr("How many tokens were written, with the one that ended it")),
        (_tr("Words"), _tr("Pieces of text between white space")),
        (_tr("log p a token"), _tr("Mean natural log of the model's own probability, before any sampler")),
        (_tr("Perplexity"), _tr("exp of minus the mean log probability: among how many equal choices it chose")),
        (_tr("Distinct-2"), _tr("Share of different pairs of words (Li et al. 2016): 1 is no repetition")),
        (_tr("Ended"), _tr("Why the text ends here")),
    )


def figures_values(column: Column, *, is_running: bool) -> tuple[str, ...]:
    """A column's figures; what is not known yet is a dash."""
    figures = column.figures
    if figures is None:
        ended = _tr("writing") if is_running else _tr("cut off")
        n_tokens = count_text(column.n_tokens) if column.n_tokens or is_running else DASH
        return n_tokens, DASH, DASH, DASH, DASH, ended
    return (
        count_text(figures.n_tokens),
        count_text(figures.n_words),
        number_text(figures.mean_logprob, 3),
        perplexity_text(figures.perplexity),
        number_text(figures.distinct_2, 2),
        reason_text(figures.reason),
    )


def summary_names() -> tuple[tuple[str, str], ...]:
    """The names of the figures over all columns and their definitions, in the order of `summary_values`."""
    return (
        (_tr("Distinct-1"), _tr("Share of different words over all columns (Li et al. 2016)")),
        (_tr("Distinct-2"), _tr("Share of different pairs of words over all columns (Li et al. 2016)")),
        (_tr("Mean length"), _tr("Tokens of a column")),
        (_tr("Speed, all together"), _tr("Tokens a second over all columns")),
        (_tr("Prompt"), _tr("Computed once and shared by all columns")),
    )


def summary_values(page: SamplesPage) -> tuple[str, ...]:
    """The figures over all columns; dashes while there are none."""
    summary = page.summary
    if summary is None:
        return (DASH,) * 5
    mean = summary.mean_tokens
    tps = rate_text(summary.tps)
    return (
        number_text(summary.distinct_1, 2),
        number_text(summary.distinct_2, 2),
        _tr("{n} tokens").format(n=number_text(mean, 1)) if mean is not None else DASH,
        DASH if tps == unknown_text() else tps,
        _tr("{tokens} in {time}").format(tokens=tokens_text(summary.n_prompt), time=seconds_text(summary.prefill_s)),
    )


def samples_title(page: SamplesPage) -> str:
    """What stands over the cards."""
    n = len(page.columns)
    columns = _tr("1 continuation") if n == 1 else _tr("{n} continuations").format(n=n)
    match page.state:
        case RunState.RUNNING:
            return _tr("Writing {columns}").format(columns=columns)
        case RunState.STOPPED:
            return _tr("{columns}, stopped").format(columns=columns)
        case RunState.FAILED:
            return _tr("{columns}, cut off").format(columns=columns)
        case _:
            return columns


def samples_tsv(page: SamplesPage) -> str:
    """A table with one row a column: its figures, its seed, its text on one line."""
    head = [_tr("Column"), _tr("Seed"), *(name for name, _ in figures_names()), _tr("Text")]
    rows = [
        [column_text(each), _seed(each), *figures_values(each, is_running=False), each.text] for each in page.columns
    ]
    return _tsv([head, *rows])


def samples_markdown(page: SamplesPage) -> str:
    """The columns one after another, each with its figures and its text as a quotation, and what holds for all."""
    parts = []
    if page.summary is not None:
        pairs = zip(summary_names(), summary_values(page), strict=True)
        parts.append(f" {DOT} ".join(f"{name}: {value}" for (name, _), value in pairs))
    for each in page.columns:
        pairs = zip(figures_names(), figures_values(each, is_running=False), strict=True)
        figures = [f"{name}: {value}" for (name, _), value in pairs]
        seed = [_tr("Seed: {seed}").format(seed=_seed(each))] if each.seed is not None else []
        quoted = "\n".join(f"> {line}".rstrip() for line in each.text.strip("\n").split("\n"))
        parts.append(f"### {column_text(each)}\n\n{quoted}\n\n{f' {DOT} '.join([*seed, *figures])}")
    return "\n\n".join(parts) + "\n"


def _seed(column: Column) -> str:
    return str(column.seed) if column.seed is not None else ""


# ---- draws


def piece_text(piece: bytes) -> str:
    """A token so that all of it can be seen: blanks as ␣, line ends as ⏎, bytes of half a character in hexadecimal."""
    text = piece.decode("utf-8", "backslashreplace")
    return text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥") or "∅"


def p_value_text(p_value: float | None) -> str:
    """A p-value with two digits that mean something."""
    if p_value is None:
        return DASH
    if p_value < LEAST_P:
        return f"< {LEAST_P:.4f}"
    return f"{p_value:.2f}" if p_value >= 0.1 else f"{p_value:.2g}"


def verdict_text(page: DrawsPage) -> tuple[str, str]:
    """What the test says, in a sentence, and the colour's role."""
    fit = page.fit
    if fit is None or fit.p_value is None:
        return _tr("One token has nearly all of the probability, so there is nothing to test."), "text1"
    if fit.p_value >= DOUBTFUL_P:
        return _tr("The counts are what the probabilities lead one to expect."), "text1"
    if fit.p_value >= REFUTED_P:
        sentence = _tr("The counts are a little off: by chance alone one run in {n} is.")
        return sentence.format(n=count_text(round(1 / fit.p_value))), "warning"
    return _tr("The counts do not follow the probabilities."), "bad"


def draws_caption(page: DrawsPage) -> str:
    """How the figures come about."""
    fit = page.fit
    if fit is None:
        return ""
    said = _tr("{n} draws of the next token, after the chain, seed {seed}.").format(
        n=count_text(page.n_draws), seed=page.seed
    )
    if fit.chi_square is None:
        return said
    cells = _tr("Pearson's χ² over {n} cells, the tail summed exactly").format(n=count_text(fit.degrees + 1))
    if fit.n_pooled:
        rare = _tr("one rare token is") if fit.n_pooled == 1 else _tr("{n} rare tokens are").format(n=fit.n_pooled)
        cells += _tr("; {rare} counted together (fewer than 5 expected of each)").format(rare=rare)
    return f"{said} {cells}."


def fit_names() -> tuple[tuple[str, str], ...]:
    """The names of a fit's figures and their definitions, in the order of `fit_values`."""
    return (
        (
            _tr("Total variation"),
            _tr("Half the sum of the differences between shares and probabilities: 0 is the same"),
        ),
        (_tr("χ²"), _tr("Pearson's sum of (drawn − expected)² / expected over the cells")),
        (_tr("Degrees"), _tr("Degrees of freedom: cells less one")),
        (_tr("p-value"), _tr("The chance of a χ² at least so large if the draws follow the probabilities")),
        (_tr("Different tokens"), _tr("How many tokens were drawn at least once")),
    )


def fit_values(page: DrawsPage) -> tuple[str, ...]:
    """A fit's figures."""
    fit = page.fit
    if fit is None:
        return (DASH,) * 5
    return (
        number_text(fit.total_variation, 4),
        number_text(fit.chi_square, 1),
        count_text(fit.degrees) if fit.chi_square is not None else DASH,
        p_value_text(fit.p_value),
        count_text(sum(each.n > 0 for each in page.rows)),
    )


def draw_bar(row: DrawRow) -> CountBar:
    """A token as a bar."""
    expected = f"{row.expected:,.1f} ± {2 * row.deviation:,.1f}"
    tip = _tr("{token}: {n} drawn, {expected} expected (two standard deviations)").format(
        token=piece_text(row.piece), n=count_text(row.n), expected=expected
    )
    return CountBar(piece_text(row.piece), row.n, row.expected, row.deviation, count_text(row.n), tip)


def draw_titles() -> tuple[str, ...]:
    """The headers over `draw_cells`."""
    return _tr("Token"), _tr("Id"), _tr("Probability"), _tr("Expected"), _tr("±2σ"), _tr("Drawn"), _tr("Off by")


def draw_cells(row: DrawRow) -> tuple[Cell, ...]:
    """A token's row in the table."""
    off = f"{number_text(row.z, 2)} σ" if row.z is not None else DASH
    return (
        Cell(piece_text(row.piece), row.piece.decode("utf-8", "replace"), repr(row.piece)),
        Cell(str(row.id), row.id),
        Cell(percent_text(row.p) if row.p >= 0.0005 else "<0.1 %", row.p, f"{row.p:.6g}"),
        Cell(number_text(row.expected, 1), row.expected),
        Cell(number_text(2 * row.deviation, 1), row.deviation),
        Cell(count_text(row.n), row.n),
        Cell(off, row.z),
    )


def draws_tsv(page: DrawsPage) -> str:
    """All rows with full numbers: what is computed with elsewhere needs every digit."""
    head = ["token", "id", "p", "expected", "deviation", "drawn", "z"]
    rows = [
        [
            repr(each.piece.decode("utf-8", "backslashreplace")),
            str(each.id),
            f"{each.p:.9g}",
            f"{each.expected:.9g}",
            f"{each.deviation:.9g}",
            str(each.n),
            f"{each.z:.6g}" if each.z is not None else "",
        ]
        for each in page.rows
    ]
    return _tsv([head, *rows])


def _tsv(rows: Sequence[Sequence[str]]) -> str:
    return "".join("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows)

"""Tokens on screen: their text, their colours, the strip of thousands of them, bars, steps and branches."""

from __future__ import annotations

from itertools import pairwise

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from gui.theme import LIGHT, N_STEPS, Mode, Theme, contrast
from gui.widgets.branch_list import Branch, BranchList
from gui.widgets.chain_steps import ChainSteps, Step
from gui.widgets.distribution_bars import Bar, DistributionBars
from gui.widgets.token_popup import TokenPopup
from gui.widgets.token_scale import Colouring, StepLegend, Surprise, step_of, step_texts
from gui.widgets.token_strip import StripToken, TokenStrip
from gui.widgets.token_text import flowing_text, probability_text, visible_text

# ---- text


@pytest.mark.parametrize(
    ("piece", "seen", "flowing"),
    [
        (b" first", "␣first", " first"),
        (b"\n", "↵", "↵"),
        (b"\n\n", "↵↵", "↵↵"),
        (b"    ", "␣␣␣␣", "␣␣␣␣"),
        (b"\tx", "⇥x", "⇥x"),
        (b"\xe2\x82", "⟨e2 82⟩", "⟨e2 82⟩"),
        ("한".encode(), "한", "한"),
        (b"\x00", "⟨U+0000⟩", "⟨U+0000⟩"),
        ("\u200d".encode(), "⟨U+200d⟩", "⟨U+200d⟩"),
        (b"", "⟨⟩", "⟨⟩"),
    ],
)
def test_what_cannot_be_seen_of_a_token_is_made_visible(piece: bytes, seen: str, flowing: str) -> None:
    assert visible_text(piece) == seen
    assert flowing_text(piece) == flowing


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (None, "unknown"),
        (0.0, "0"),
        (1.0, "1.000"),
        (0.9999, ">0.999"),
        (0.41, "0.410"),
        (0.00034, "3e−4"),
        (2e-12, "2e−12"),
    ],
)
def test_only_certainty_is_one_and_only_the_impossible_is_nothing(p: float | None, text: str) -> None:
    assert probability_text(p) == text


# ---- colours


@pytest.mark.parametrize("mode", [Mode.DARK, Mode.LIGHT])
def test_the_steps_of_surprise_can_be_read_and_told_apart_without_colours(theme: Theme, mode: Mode) -> None:
    theme.set_mode(mode)
    pairs = [theme.step_colors(step) for step in range(N_STEPS)]
    for back, ink in pairs:
        assert contrast(back.name(), ink.name()) >= 4.5
    lightness = [back.lightnessF() for back, _ink in pairs]
    assert lightness in (sorted(lightness), sorted(lightness, reverse=True))
    for (one, _), (other, _) in pairwise(pairs):
        assert contrast(one.name(), other.name()) >= 1.2


def test_a_step_beyond_the_scale_is_its_end(theme: Theme) -> None:
    assert theme.step_colors(99) == theme.step_colors(N_STEPS - 1)
    assert theme.step_colors(-1) == theme.step_colors(0)


@pytest.mark.parametrize(
    ("colouring", "figures", "steps"),
    [
        (Colouring.PROBABILITY, [(p, None, None) for p in (1.0, 0.9, 0.89, 0.5, 0.1, 0.0999, 0.01, 0.009)], "00112334"),
        (Colouring.RANK, [(None, n, None) for n in (0, 1, 4, 5, 19, 20, 99, 100)], "01122334"),
        (Colouring.ENTROPY, [(None, None, n) for n in (0.0, 0.5, 1.5, 3.0, 5.0)], "01234"),
    ],
)
def test_a_token_has_the_step_that_the_legend_names(
    colouring: Colouring, figures: list[tuple[float | None, int | None, float | None]], steps: str
) -> None:
    assert "".join(str(step_of(Surprise(*each), colouring)) for each in figures) == steps
    assert step_of(Surprise(), colouring) == 0, "what is not known is not surprising"
    assert len(step_texts(colouring)) == N_STEPS


def test_the_legend_explains_the_chosen_scale(theme: Theme, qtbot) -> None:
    legend = StepLegend(theme)
    qtbot.addWidget(legend)
    legend.set_colouring(Colouring.RANK)
    assert legend.texts() == ("1", "2–5", "6–20", "21–100", ">100")
    assert "Place of the token" in legend.accessibleName()
    legend.resize(300, 18)
    image = legend.grab().toImage()
    for step in range(N_STEPS):
        assert image.pixelColor(step * 60 + 4, 9) == theme.step_colors(step)[0]


# ---- the strip


def words(n: int) -> list[StripToken]:
    pieces = [f" word{each % 700}".encode() if each % 40 else b"\n" for each in range(1, n + 1)]
    return [StripToken(piece, Surprise((at % 10) / 10, at % 130, (at % 60) / 10)) for at, piece in enumerate(pieces)]


@pytest.fixture
def strip(theme: Theme, qtbot) -> TokenStrip:
    strip = TokenStrip(theme, "Tokens of the answer", tip_of=lambda place: f"token {place}\nprobability")
    qtbot.addWidget(strip)
    strip.resize(290, 200)
    with qtbot.waitExposed(strip):
        strip.show()
    return strip


def test_four_thousand_tokens_are_laid_out_only_where_they_are_seen(strip: TokenStrip) -> None:
    strip.set_tokens(words(4000))
    strip.grab()
    assert strip.n_lines() > 500
    n_seen = strip.viewport().height() // strip.rect_of(0).height() + 2
    bar = strip.verticalScrollBar()
    for value in range(0, bar.maximum(), max(1, bar.maximum() // 50)):
        bar.setValue(value)
        strip.grab()
        assert 0 < strip.n_laid_out() <= n_seen
    bar.setValue(bar.maximum())
    strip.grab()
    last = strip.rect_of(3999)
    assert strip.viewport().rect().contains(last)
    assert strip.token_at(last.center()) == 3999


def test_every_token_is_hit_where_it_stands_and_none_beside_it(strip: TokenStrip) -> None:
    strip.set_tokens(words(200))
    for place in range(200):
        assert strip.token_at(strip.rect_of(place).center()) == place
    assert strip.token_at(QPoint(1, strip.rect_of(0).center().y())) == -1
    assert strip.token_at(QPoint(20, 100_000)) == -1
    for one, other in zip(range(199), range(1, 200), strict=True):
        assert not strip.rect_of(one).intersects(strip.rect_of(other))


def test_a_line_ends_where_the_text_does(strip: TokenStrip) -> None:
    strip.set_tokens([StripToken(each) for each in (b"one", b"\n", b"two", b".\n\n", b"three")])
    assert [strip.line_of(place) for place in range(5)] == [0, 0, 1, 1, 2]


def test_tokens_that_come_later_continue_the_last_line(strip: TokenStrip) -> None:
    whole = words(300)
    strip.set_tokens(whole)
    together = [strip.rect_of(place) for place in range(300)]
    strip.set_tokens(whole[:7])
    for begin in range(7, 300, 50):
        strip.add_tokens(whole[begin : begin + 50])
    assert [strip.rect_of(place) for place in range(300)] == together


def test_a_token_wider_than_the_strip_stays_inside(strip: TokenStrip) -> None:
    strip.set_tokens([StripToken(b" " * 400), StripToken(b"x")])
    assert strip.rect_of(0).right() <= strip.viewport().width()
    assert strip.line_of(1) == 1


def test_a_token_is_painted_in_its_step_and_another_colouring_paints_anew(strip: TokenStrip, theme: Theme) -> None:
    strip.set_tokens([StripToken(b"aaaa", Surprise(0.001, 0, 9.0)), StripToken(b"bbbb", Surprise(0.99, 500, 0.1))])

    def colour(place: int) -> str:
        rect = strip.rect_of(place)
        return strip.viewport().grab().toImage().pixelColor(rect.left() + 2, rect.top() + 2).name()

    assert colour(0) == theme.step_colors(N_STEPS - 1)[0].name()
    assert colour(1) == theme.color("surface1").name()
    strip.set_colouring(Colouring.RANK)
    assert [colour(0), colour(1)] == [theme.color("surface1").name(), theme.step_colors(N_STEPS - 1)[0].name()]
    theme.set_mode(Mode.LIGHT)
    assert colour(0) == LIGHT.surface1


def test_arrow_keys_go_from_token_to_token_and_from_line_to_line(strip: TokenStrip, qtbot) -> None:
    strip.set_tokens(words(400))
    gone: list[int] = []
    strip.selected.connect(gone.append)
    qtbot.keyClick(strip, Qt.Key.Key_Right)
    qtbot.keyClick(strip, Qt.Key.Key_Right)
    assert gone == [0, 1]
    qtbot.keyClick(strip, Qt.Key.Key_Down)
    assert strip.line_of(strip.place) == 1
    assert abs(strip.rect_of(strip.place).center().x() - strip.rect_of(1).center().x()) < 60
    qtbot.keyClick(strip, Qt.Key.Key_Up)
    assert strip.place == 1
    qtbot.keyClick(strip, Qt.Key.Key_End)
    assert strip.place == 399
    assert strip.viewport().rect().contains(strip.rect_of(399)), "the selected token is brought on screen"
    assert strip.accessibleDescription() == "token 399, probability"
    entered: list[int] = []
    strip.activated.connect(entered.append)
    qtbot.keyClick(strip, Qt.Key.Key_Return)
    assert entered == [399]


def test_a_click_selects_and_enters_and_so_does_a_second_one(strip: TokenStrip, qtbot) -> None:
    strip.set_tokens(words(30))
    gone, entered = [], []
    strip.selected.connect(gone.append)
    strip.activated.connect(entered.append)
    for _ in range(2):
        QTest.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, pos=strip.rect_of(5).center())
    assert (gone, entered) == ([5], [5, 5])


def test_the_popup_takes_a_choice_with_one_click_or_with_enter_and_goes_away(
    strip: TokenStrip, theme: Theme, qtbot
) -> None:
    strip.set_tokens(words(30))
    popup = TokenPopup(theme, strip, "Another token here", "Write on from here")
    chosen: list[int] = []
    popup.chosen.connect(chosen.append)
    bars = [Bar(1, "one", 0.6, 0.7, is_picked=True), Bar(2, "two", 0.3, 0.3), Bar(3, "three", 0.1, None, is_cut=True)]
    popup.open_under(strip.rect_of(5), "In place of token 6", bars)
    assert popup.isVisible()
    assert popup.bars.row == 1, "the likeliest other token is at hand"
    assert [popup.bars.figures_of(row).split() for row in range(3)] == [
        ["0.600", "→", "0.700"],
        ["0.300", "→", "0.300"],
        ["0.100", "→", "cut"],
    ]
    assert popup.y() >= strip.rect_of(5).top()
    qtbot.keyClick(popup.bars, Qt.Key.Key_Down)
    qtbot.keyClick(popup.bars, Qt.Key.Key_Return)
    assert (chosen, popup.isVisible()) == ([3], False)
    popup.open_under(strip.rect_of(5), "In place of token 6", bars)
    QTest.mouseClick(popup.bars, Qt.MouseButton.LeftButton, pos=popup.bars.rect_of(1).center())
    assert (chosen, popup.isVisible()) == ([3, 2], False)
    popup.open_under(strip.rect_of(5), "In place of token 6", bars)
    qtbot.keyClick(popup.bars, Qt.Key.Key_Escape)
    assert (chosen, popup.isVisible()) == ([3, 2], False)


def test_the_popup_stays_at_its_token_and_leaves_with_it(theme: Theme, qtbot) -> None:
    area, body = QScrollArea(), QWidget()
    area.setWidgetResizable(True)
    area.setWidget(body)
    column = QVBoxLayout(body)
    above, strip, below = QLabel("above"), TokenStrip(theme, "Tokens"), QLabel("below")
    below.setMinimumHeight(900)
    for each in (above, strip, below):
        column.addWidget(each)
    strip.set_tokens(words(30))
    qtbot.addWidget(area)
    area.resize(500, 600)
    with qtbot.waitExposed(area):
        area.show()
    popup = TokenPopup(theme, strip, "Another token here", "Write on from here")
    popup.open_under(strip.rect_of(2), "In place of token 3", [Bar(1, "one", 0.6, 0.7)])

    def distance() -> int:
        return popup.y() - strip.mapTo(area, strip.rect_of(2).bottomLeft()).y()

    stands = distance()
    assert 0 < stands < 20
    before = popup.y()
    above.setMinimumHeight(120)
    qtbot.waitUntil(lambda: popup.y() > before)
    assert distance() == stands
    area.verticalScrollBar().setValue(40)
    assert distance() == stands
    assert popup.isVisible()
    area.verticalScrollBar().setValue(600)
    assert not popup.isVisible(), "its token is scrolled away"
    popup.open_under(strip.rect_of(2), "In place of token 3", [Bar(1, "one", 0.6, 0.7)])
    assert (popup.isVisible(), distance()) == (True, stands), "the token is brought on screen"
    before = area.verticalScrollBar().value()
    above.setMinimumHeight(800)
    qtbot.waitUntil(lambda: area.verticalScrollBar().value() > before)
    assert (popup.isVisible(), abs(distance()) < 400) == (True, True), "what grows above does not push it away"


def test_the_copied_strip_is_the_text(strip: TokenStrip, qtbot) -> None:
    strip.set_tokens([StripToken(b"one"), StripToken(b" \xe2\x82"), StripToken(b"\xac"), StripToken(b"\n")])
    qtbot.keyClick(strip, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "one €\n"


def test_the_figures_are_copied_as_a_table(strip: TokenStrip) -> None:
    strip.set_tokens([StripToken(b" a", Surprise(0.25, 2, 1.5)), StripToken(b"b")])
    strip.make_menu().actions()[1].trigger()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[1:] == ["␣a\t0.25\t3\t1.5", "b\t\t\t"]


def test_an_empty_strip_takes_any_key(strip: TokenStrip, qtbot) -> None:
    for key in (Qt.Key.Key_Down, Qt.Key.Key_End, Qt.Key.Key_Return):
        qtbot.keyClick(strip, key)
    assert strip.place == -1
    assert strip.token_at(QPoint(10, 10)) == -1


# ---- bars

BARS = (
    Bar(10, "␣first", 0.4, 0.5, logit=12.5, rank=1, is_picked=True),
    Bar(11, "␣before", 0.2, 0.25, logit=11.8, rank=2),
    Bar(12, "␣last", 0.1, None, is_cut=True, logit=11.1, rank=3),
    Bar(None, "236 more"),
)


@pytest.fixture
def bars(theme: Theme, qtbot) -> DistributionBars:
    bars = DistributionBars(theme, "The likeliest tokens", n_places=6)
    qtbot.addWidget(bars)
    bars.resize(320, bars.sizeHint().height())
    bars.set_bars(BARS)
    return bars


def test_bars_have_one_scale_and_show_both_probabilities(bars: DistributionBars, theme: Theme) -> None:
    image = bars.grab().toImage()
    area = bars.bar_area(0)
    assert image.pixelColor(area.left() + round(area.width() * 0.9), area.center().y()) == theme.color("accent")
    area = bars.bar_area(1)
    at_half = area.left() + round(area.width() * 0.5) - 3
    assert image.pixelColor(at_half, area.center().y()) == theme.color("accent")
    assert image.pixelColor(area.left() + round(area.width() * 0.55), area.center().y()) == theme.color("surface0")
    pale = image.pixelColor(area.left() + round(area.width() * 0.2), area.top() + 5)
    assert pale not in (theme.color("accent"), theme.color("surface0")), "the model's own stands pale behind"


def test_cut_tokens_stand_grey_below_a_line(bars: DistributionBars, theme: Theme) -> None:
    assert bars.cut_line == 2
    image = bars.grab().toImage()
    area = bars.bar_area(2)
    grey = image.pixelColor(area.left() + 3, area.center().y())
    assert grey != theme.color("surface0")
    assert grey.saturation() < 40 < theme.color("accent").saturation()
    bars.set_bars(BARS[:2])
    assert bars.cut_line is None


def test_room_is_kept_while_rows_come_and_go(bars: DistributionBars) -> None:
    before = bars.sizeHint().height()
    bars.set_bars(BARS[:1])
    assert bars.sizeHint().height() == before == 6 * bars.row_height()


def test_the_selected_token_stays_selected_where_it_goes(bars: DistributionBars, qtbot) -> None:
    chosen: list[int] = []
    bars.activated.connect(chosen.append)
    qtbot.keyClick(bars, Qt.Key.Key_Down)
    qtbot.keyClick(bars, Qt.Key.Key_Down)
    assert bars.accessibleDescription() == "␣before, by the model 0.200, after the chain 0.250"
    bars.set_bars((BARS[1], BARS[0], BARS[2]))
    assert bars.row == 0
    qtbot.keyClick(bars, Qt.Key.Key_Return)
    assert chosen == [0]
    bars.set_bars(BARS[2:])
    assert bars.row == -1


def test_a_remark_is_no_row_to_choose(bars: DistributionBars, qtbot) -> None:
    qtbot.keyClick(bars, Qt.Key.Key_End)
    assert bars.row == 2
    QTest.mouseClick(bars, Qt.MouseButton.LeftButton, pos=bars.rect_of(3).center())
    assert bars.row == 2


def test_the_tooltip_has_id_logit_and_rank(bars: DistributionBars) -> None:
    lines = bars.tip_of(2).splitlines()
    assert lines == ["␣last", "token 12", "rank 3", "logit 11.100", "by the model 0.100", "cut by the chain"]
    bars.set_hint("Click: write on from here")
    assert bars.tip_of(2).splitlines()[-1] == "Click: write on from here"


def test_the_bars_are_copied_as_a_table(bars: DistributionBars, qtbot) -> None:
    qtbot.keyClick(bars, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = [line.split("\t") for line in QGuiApplication.clipboard().text().splitlines()]
    assert lines[1] == ["␣first", "10", "1", "12.5", "0.4", "0.5"]
    assert lines[3][-1] == "0"
    assert len(lines) == 4


# ---- steps and branches


def test_a_step_of_the_chain_is_read_out_with_its_figures(theme: Theme, qtbot) -> None:
    steps = ChainSteps(theme, "Steps of the chain")
    qtbot.addWidget(steps)
    steps.set_steps([Step("raw", "model", 49_152, 1.0, 5.31), Step("top_k", "top-k", 40, 0.912, 3.2)])
    gone: list[int] = []
    steps.selected.connect(gone.append)
    qtbot.keyClick(steps, Qt.Key.Key_End)
    assert gone == [1]
    assert steps.accessibleDescription() == "top-k: 40 tokens left, 91 % of the probability, entropy 3.20 bit"
    assert steps.as_tsv().splitlines()[1] == "model\t49152\t1\t5.31"
    assert steps.sizeHint().height() > 2 * steps.row_height()


def test_a_branch_is_chosen_with_a_click_and_says_whether_it_is_on_screen(theme: Theme, qtbot) -> None:
    tree = BranchList(theme, "Branches")
    qtbot.addWidget(tree)
    tree.set_branches([Branch("a", 0, "Answer 1", "−12.1", True), Branch("b", 1, "token 4: ␣Lyon", "−14.0")])
    tree.resize(300, tree.sizeHint().height())
    chosen: list[int] = []
    tree.activated.connect(chosen.append)
    QTest.mouseClick(tree, Qt.MouseButton.LeftButton, pos=tree.rect_of(1).center())
    assert [tree.branches[row].key for row in chosen] == ["b"]
    tree.select(0)
    assert tree.accessibleDescription() == "Answer 1, −12.1, on screen"
    assert tree.as_tsv().splitlines()[2] == "1\ttoken 4: ␣Lyon\t−14.0"

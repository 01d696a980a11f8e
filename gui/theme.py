"""The theme: every colour by its role, the type sizes, the spacing, in dark and in light.

One object owns the look, so that a change of mode reaches everything at once and a test can compute the contrast of
every pair. The look is Fusion, a full QPalette and one style sheet made from a template; widgets ask for a look by a
dynamic property (`set_kind(label, "dim")`) and painted widgets ask for `theme.color("accent")` when they paint.
Rejected: theme packages (dead or breaking with PySide6), a style sheet a widget (stale colours
after a switch), `styleHints().setColorScheme` alone (does nothing on bare X11 and offscreen).

Plot colours can be told apart by colour-blind people. The light accent tint is as light as it is because on a darker one
(#f6e4dd) the accent would reach only 4.3:1. Source: WCAG 2.2, 1.4.3, at least 4.5:1 for text (a test computes it).

Kinds (property `kind`):
    QLabel        title (20) · heading (15) · section (13, bold) · dim (text 2) · faint (text 3) · small (12, text 2) ·
                  caption (12, text 3) · mono · mono-dim · mono-faint · good · warning · bad · accent
    QPushButton   (none: outlined) · primary · quiet · danger · link · chip (small, outlined) · segment (in a row)
    QToolButton   (none: quiet) · outlined
    QFrame        card · inset · bar · column · hairline · hairline-vertical · segments
    QWidget       surface0 · surface1 · surface2 · surface3 (plain backgrounds)
    QLineEdit, QPlainTextEdit, QTextEdit   (none: boxed) · bare (no box, for editors inside a card) · mono
    QProgressBar  (none: accent) · good · kv
"""

from __future__ import annotations

import enum
import logging
import string
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

from PySide6.QtCore import QDir, QObject, Qt, QTemporaryDir, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QFontMetricsF, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from resources import read_text

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one mode, as `#rrggbb`, by role.

    Attributes:
        surface0: the page; surface1: side columns, rail and footer; surface2: cards and editors; surface3: pressed,
            selected, tracks.
        hairline: every line that separates.
        text1: what is read; text2: labels; text3: remarks.
        accent, accent_tint, on_accent: the one accent, its background tint, and text on it.
        good, warning, bad: states, as text and as marks.
        plot: weights, KV cache, output and speed, compute, other, overhead; each means the same everywhere.
    """

    surface0: str
    surface1: str
    surface2: str
    surface3: str
    hairline: str
    text1: str
    text2: str
    text3: str
    accent: str
    accent_tint: str
    on_accent: str
    good: str
    warning: str
    bad: str
    plot: tuple[str, str, str, str, str, str]


DARK = Palette(
    surface0="#121212",
    surface1="#181817",
    surface2="#20201e",
    surface3="#2a2926",
    hairline="#2f2e2b",
    text1="#ecebe8",
    text2="#aeaba4",
    text3="#99958d",
    accent="#e0785a",
    accent_tint="#3a2620",
    on_accent="#160d0a",
    good="#5fb38a",
    warning="#e3b04b",
    bad="#e5695e",
    plot=("#e0785a", "#56b4e9", "#3fb68b", "#e3b04b", "#c58fd6", "#8f8b83"),
)
LIGHT = Palette(
    surface0="#faf9f7",
    surface1="#f3f1ed",
    surface2="#ffffff",
    surface3="#e9e6e0",
    hairline="#e2ded6",
    text1="#22211e",
    text2="#5b5851",
    text3="#69655c",
    accent="#b44a2c",
    accent_tint="#f8eae4",
    on_accent="#ffffff",
    good="#1d7a50",
    warning="#8f6400",
    bad="#b3261e",
    plot=("#b44a2c", "#0072b2", "#00805c", "#b07a00", "#8e4fa8", "#77736a"),
)


class Mode(enum.Enum):
    """Which palette: the desktop's choice, or a fixed one."""

    SYSTEM = "system"
    DARK = "dark"
    LIGHT = "light"


class PlotRole(enum.IntEnum):
    """What a plot colour means, as the index into `Palette.plot`."""

    WEIGHTS = 0
    KV_CACHE = 1
    OUTPUT = 2
    COMPUTE = 3
    OTHER = 4
    OVERHEAD = 5


def set_kind(widget: QWidget, kind: str) -> None:
    """Give the widget one of the looks listed above, and draw it again with it. An empty kind is the plain look."""
    if widget.property("kind") == kind:
        return
    widget.setProperty("kind", kind)
    if widget.testAttribute(Qt.WidgetAttribute.WA_WState_Polished):
        repolish(widget)  # what was never shown is polished by Qt when it is


def repolish(widget: QWidget) -> None:
    """Apply the style sheet again after a dynamic property changed."""
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    widget.update()


def mixed(first: str, second: str, share: float) -> str:
    """The colour between two: `share` 0 is the first, 1 the second."""
    a, b = QColor(first), QColor(second)
    channels = zip((a.red(), a.green(), a.blue()), (b.red(), b.green(), b.blue()), strict=True)
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in channels)


MONOSPACE_FAMILIES = (
    *("DejaVu Sans Mono", "Liberation Mono", "Noto Sans Mono", "Ubuntu Mono", "Cascadia Mono", "Consolas"),
    *("SF Mono", "Menlo", "Courier New"),
)
"""Looked for, best first, where the desktop's own monospace font is none."""


def contrast(first: str, second: str) -> float:
    """How well two colours can be told apart, 1 to 21. Source: WCAG 2.2, “contrast ratio”."""

    def luminance(colour: str) -> float:
        of = QColor(colour)
        channels = (of.redF(), of.greenF(), of.blueF())
        linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


STEP_SHARES = (0.0, 0.18, 0.4, 0.64, 1.0)  # of the accent in each step; from 0.7 to 0.85 no ink reaches 4.5:1
N_STEPS = len(STEP_SHARES)


class Theme(QObject):
    """The look of the running window. `changed` comes after the colours or the type sizes changed."""

    changed = Signal()

    SPACE: ClassVar[tuple[int, int, int, int, int]] = (4, 8, 12, 16, 24)
    RADIUS_SMALL: ClassVar[int] = 6
    RADIUS: ClassVar[int] = 10
    SIZES: ClassVar[tuple[int, int, int, int]] = (12, 13, 15, 20)

    def __init__(self, mode: Mode = Mode.SYSTEM, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._mode = mode
        self._app: QApplication | None = None
        self._images: QTemporaryDir | None = None
        hints = QGuiApplication.styleHints()
        self._system_dark = hints.colorScheme() == Qt.ColorScheme.Dark
        self._scale = _system_scale()
        self._mono_family: str | None = None
        self._fonts: dict[
            tuple[str, int, QFont.Weight], QFont
        ] = {}  # asking the desktop takes longer than drawing a word
        hints.colorSchemeChanged.connect(self._scheme_changed)

    # ---- colours

    @property
    def mode(self) -> Mode:
        return self._mode

    @property
    def is_dark(self) -> bool:
        return self._system_dark if self._mode is Mode.SYSTEM else self._mode is Mode.DARK

    @property
    def palette(self) -> Palette:
        return DARK if self.is_dark else LIGHT

    def color(self, name: str) -> QColor:
        """The colour of a role, by the name of a `Palette` attribute (not `plot`)."""
        return QColor(getattr(self.palette, name))

    def plot_color(self, index: int) -> QColor:
        """A plot colour by its meaning: a `PlotRole`. Wraps around after the sixth."""
        return QColor(self.palette.plot[index % len(self.palette.plot)])

    def step_colors(self, step: int) -> tuple[QColor, QColor]:
        """A background and the ink on it for a scale of `N_STEPS` steps: 0 is nothing special, the last one the most.

        One hue whose lightness only goes one way, so the order can be seen without seeing colours; `step` outside of the
        scale is its nearest end.
        """
        share = STEP_SHARES[min(max(step, 0), N_STEPS - 1)]
        palette = self.palette
        back = mixed(palette.surface1, palette.accent, share)
        ink = max((palette.text1, palette.on_accent), key=lambda each: contrast(each, back))
        return QColor(back), QColor(ink)

    def set_mode(self, mode: Mode) -> None:
        """Follow the desktop, or be dark or light whatever the desktop says."""
        if mode is self._mode:
            return
        was_dark = self.is_dark
        self._mode = mode
        if self._app is not None:
            self._tell_desktop()
        if self.is_dark != was_dark:
            self._refresh()

    # ---- type

    @property
    def scale(self) -> float:
        """How much larger than usual the desktop's interface font is; 1.0 for every desktop's default."""
        return self._scale

    def px(self, size: int) -> int:
        """A size in logical pixels, scaled with the desktop's font size. For type and what grows with type."""
        return max(1, round(size * self._scale))

    def ui_font(self, size: int = 13, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
        """The desktop's interface font. `size` in logical pixels at the default desktop font size."""
        font = self._fonts.get(("ui", size, weight))
        if font is None:
            font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
            font.setPixelSize(self.px(size))
            font.setWeight(weight)
            self._fonts["ui", size, weight] = font
        return QFont(font)

    def mono_font(self, size: int = 12, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
        """A font whose letters are all of one width, with tabular figures. `size` as in `ui_font`.

        It is the desktop's monospace font, unless that is a name behind which the desktop finds a proportional one.
        """
        font = self._fonts.get(("mono", size, weight))
        if font is None:
            font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
            if self._mono_family is None:
                self._mono_family = font.family() if is_monospace(font) else first_monospace(font.family())
            font.setFamily(self._mono_family)
            font.setPixelSize(self.px(size))
            font.setWeight(weight)
            font.setFeature(QFont.Tag("tnum"), 1)
            self._fonts["mono", size, weight] = font
        return QFont(font)

    # ---- the application

    def apply(self, app: QApplication, *, is_fusion: bool = False) -> None:
        """Give the whole application this look, now and after every change.

        Args:
            app: the application.
            is_fusion: it was made with `-style fusion`, so the style need not be changed. Worth 5 ms at the start:
                PySide6 6.11 builds forty enums for the first QStyle that it hands to Python.
        """
        self._app = app
        if not is_fusion:
            app.setStyle("Fusion")
        if self._mode is not Mode.SYSTEM:
            self._tell_desktop()
        self._refresh()

    def style_sheet(self) -> str:
        """The style sheet of the present mode, made from the template."""
        template = read_text("style.qss.template")
        values = {field.name: getattr(self.palette, field.name) for field in fields(Palette) if field.name != "plot"}
        values |= {f"plot{index + 1}": colour for index, colour in enumerate(self.palette.plot)}
        values |= {f"size{size}": str(self.px(size)) for size in self.SIZES}
        values |= {f"px{size}": str(self.px(size)) for size in (6, 8, 14, 18, 20, 22, 24, 26, 28)}
        values["size11"] = str(self.px(11))
        palette = self.palette
        values |= {
            "text_off": mixed(palette.text3, palette.surface1, 0.45),
            "accent_hover": mixed(palette.accent, palette.text1, 0.12),
            "accent_press": mixed(palette.accent, palette.surface0, 0.15),
            "knob": palette.text1 if self.is_dark else palette.surface2,
            "scroll": mixed(palette.text3, palette.surface1, 0.6),
            "radius": str(self.RADIUS),
            "radius_small": str(self.RADIUS_SMALL),
            "mono": QFontInfo(self.mono_font()).family(),
            "images": self._image_folder().as_posix(),
        }
        return string.Template(template).substitute(values)

    def _scheme_changed(self, scheme: Qt.ColorScheme) -> None:
        if self._mode is not Mode.SYSTEM:
            return
        was_dark = self.is_dark
        self._system_dark = scheme == Qt.ColorScheme.Dark
        if self.is_dark != was_dark:
            self._refresh()

    def _tell_desktop(self) -> None:
        """Ask for title bars and native dialogs of the same mode; some desktops ignore it."""
        hints = QGuiApplication.styleHints()
        if self._mode is Mode.SYSTEM:
            hints.unsetColorScheme()
            self._system_dark = hints.colorScheme() == Qt.ColorScheme.Dark
        else:
            hints.setColorScheme(Qt.ColorScheme.Dark if self._mode is Mode.DARK else Qt.ColorScheme.Light)

    def _refresh(self) -> None:
        self._mono_family = None  # the desktop's fonts may be others now
        self._fonts.clear()
        self._scale = _system_scale()
        if self._app is not None:
            self._app.setFont(self.ui_font())
            self._app.setPalette(qt_palette(self.palette))
            self._app.setStyleSheet(self.style_sheet())
        self.changed.emit()

    def _image_folder(self) -> Path:
        """The few marks a style sheet can only take from files (check, arrows), in the palette's colours."""
        if self._images is None:
            self._images = QTemporaryDir(QDir.tempPath() + "/llamarium-style-XXXXXX")
        folder = Path(self._images.path()) / ("dark" if self.is_dark else "light")
        try:
            if not folder.is_dir():
                folder.mkdir()
                for name, (source, role) in _MARKS.items():
                    svg = read_text(f"icons/{source}.svg")
                    coloured = svg.replace("currentColor", getattr(self.palette, role))
                    (folder / f"{name}.svg").write_text(coloured, encoding="utf-8")
        except OSError as error:
            log.warning("check marks and arrows cannot be drawn: %s", error)  # a full disk must not stop the window
        return folder


_MARKS = {
    "check": ("check", "on_accent"),
    "down": ("chevron-down", "text2"),
    "up": ("chevron-up", "text2"),
    "right": ("chevron-right", "text2"),
    "close": ("close", "text2"),
    "menu-check": ("check", "accent"),
}

_USUAL_PX = (12, 15)  # the interface fonts of today's desktops: 9 pt on Windows to 11 pt on GNOME, 13 px on macOS


def is_monospace(font: QFont) -> bool:
    """Whether narrow and wide letters take the same room. Measured: fontconfig's flag is missing in many fonts."""
    metrics = QFontMetricsF(font)
    widths = {round(metrics.horizontalAdvance(letter), 2) for letter in "i1W"}
    return len(widths) == 1


def first_monospace(otherwise: str) -> str:
    """The first family on this computer that is really monospaced; `otherwise` where there is none."""
    families = QFontDatabase.families()
    known = [each for each in MONOSPACE_FAMILIES if each in families]
    return next((each for each in (*known, *families) if is_monospace(QFont(each))), otherwise)


def _system_scale() -> float:
    """The desktop's font size over the usual one: 1.0 for anything a desktop has by default."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    pixels = QFontInfo(font).pixelSize()
    usual = min(max(pixels, _USUAL_PX[0]), _USUAL_PX[1])
    return min(max(pixels / usual, 0.75), 2.5) if pixels > 0 else 1.0


def qt_palette(palette: Palette) -> QPalette:
    """Our roles as Qt's, for all groups; so nothing drawn without the style sheet is Fusion's grey."""
    role = QPalette.ColorRole
    off = mixed(palette.text3, palette.surface1, 0.45)
    colours = {
        role.Window: palette.surface0,
        role.WindowText: palette.text1,
        role.Base: palette.surface2,
        role.AlternateBase: palette.surface1,
        role.ToolTipBase: palette.surface2,
        role.ToolTipText: palette.text1,
        role.PlaceholderText: palette.text3,
        role.Text: palette.text1,
        role.Button: palette.surface2,
        role.ButtonText: palette.text1,
        role.BrightText: palette.bad,
        role.Light: palette.surface3,
        role.Midlight: palette.surface2,
        role.Mid: palette.hairline,
        role.Dark: palette.hairline,
        role.Shadow: palette.surface0,
        role.Highlight: palette.accent,
        role.HighlightedText: palette.on_accent,
        role.Accent: palette.accent,
        role.Link: palette.accent,
        role.LinkVisited: palette.plot[PlotRole.OTHER],
    }
    result = QPalette()
    for each, colour in colours.items():
        for group in (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive, QPalette.ColorGroup.Disabled):
            result.setColor(group, each, QColor(colour))
    for each in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText, role.PlaceholderText):
        result.setColor(QPalette.ColorGroup.Disabled, each, QColor(off))
    result.setColor(QPalette.ColorGroup.Disabled, role.Highlight, QColor(palette.surface3))
    return result

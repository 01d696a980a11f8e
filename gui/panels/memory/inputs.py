"""The Memory page's left column: the model, its facts, the load options, and the buttons that act on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.base.fields import Value
from engine.hardware.ram import lockable_bytes
from engine.models.header_files import is_header_file
from engine.wire.load_options import LOAD_OPTIONS
from gui.forms import Form
from gui.model_name import spoken_name
from gui.panels.memory import words
from gui.panels.memory.beside_section import BesideSection
from gui.panels.memory.elsewhere import ElsewhereFold
from gui.panels.memory.mode_switch import Mode, ModeSwitch
from gui.panels.memory.values import KV_TYPE, MAIN_FIELDS, MORE_FIELDS, SHORTEST_N_CTX, Choice, Page
from gui.theme import Theme, set_kind
from gui.widgets.busy import Busy
from gui.widgets.choice_field import CalmComboBox
from gui.widgets.scrolling import scroll_area

WIDTH, NARROW_WIDTH = 372, 336
FLUSH = "QPushButton { padding: 0; }"
"""Lengths only: a link whose text stands at the column's edge."""


class InputsColumn(QFrame):
    """What is asked.

    Signals:
        model_chosen: a path from the list.
        open_wanted: another file is to be opened.
        option_changed: key and value of one load option; `kv_type` stands for both cache types.
        load_wanted, fit_wanted, cancel_wanted: the buttons.
        hardware_wanted: why there is no GPU.
        mode_chosen: the other side of the page.
    """

    model_chosen = Signal(object)
    open_wanted = Signal()
    option_changed = Signal(str, object)
    load_wanted = Signal()
    fit_wanted = Signal()
    cancel_wanted = Signal()
    hardware_wanted = Signal()
    mode_chosen = Signal(object)

    def __init__(self, theme: Theme, folded: bool, on_folded: object, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._choices: tuple[Choice, ...] = ()
        set_kind(self, "column")
        self.setFixedWidth(theme.px(WIDTH))
        self.mode = ModeSwitch(theme, Mode.RUN)
        self.mode.mode_chosen.connect(self.mode_chosen)
        self.models = CalmComboBox(self)
        self.models.setAccessibleName(self.tr("Model"))
        self.models.activated.connect(lambda at: self.model_chosen.emit(self._choices[at].path))
        self.open_button = QPushButton(self.tr("Open file…"))
        set_kind(self.open_button, "link")
        self.open_button.setStyleSheet(FLUSH)
        self.open_button.setAccessibleName(self.tr("Open a model file"))
        self.open_button.clicked.connect(self.open_wanted)
        self.elsewhere = ElsewhereFold(theme)
        self.facts = QLabel()
        set_kind(self.facts, "caption")
        self.facts.setWordWrap(True)
        self.form = Form(theme, MAIN_FIELDS)
        self.more = Form(theme, MORE_FIELDS, advanced_folded=folded, on_advanced_folded=on_folded)  # type: ignore[arg-type]
        self.form.field_changed.connect(self._changed)
        self.more.field_changed.connect(self.option_changed)
        self.beside = BesideSection()
        self.no_gpu = QPushButton(self.tr("No GPU found. See Hardware"))
        set_kind(self.no_gpu, "link")
        self.no_gpu.setStyleSheet(FLUSH)
        self.no_gpu.setAccessibleName(self.tr("No GPU was found; go to Hardware to see why"))
        self.no_gpu.clicked.connect(self.hardware_wanted)
        self.load_button = QPushButton(self.tr("Load with these"))
        set_kind(self.load_button, "primary")
        self.load_button.setAccessibleName(self.tr("Load the model with these options"))
        self.load_button.clicked.connect(self.load_wanted)
        self.fit_button = QPushButton(self.tr("Best fit"))
        self.fit_button.setAccessibleName(self.tr("Use the largest context that fits"))
        self.fit_button.setToolTip(
            self.tr("The largest context that fits, but not more than the model was trained for")
        )
        self.fit_button.clicked.connect(self.fit_wanted)
        self.busy = Busy(theme)
        self.busy.cancelled.connect(self.cancel_wanted)
        self.busy.hide()
        self._lay_out()

    def set_narrow(self, narrow: bool) -> None:
        """The narrower form, for small windows."""
        self.setFixedWidth(self._theme.px(NARROW_WIDTH if narrow else WIDTH))

    def show_page(self, page: Page) -> None:
        """Show what of the page is asked."""
        if page.choices != self._choices or page.path != self._chosen():
            self._show_choices(page.choices, page.path)
        card = page.card
        self.facts.setText(words.facts_text(card) if card is not None else "")
        self.facts.setVisible(card is not None)
        options = dict(page.options or {})
        trained = card.n_ctx_train if card is not None else None
        self.form.set_soft_range("n_ctx", SHORTEST_N_CTX, max(trained, 2 * SHORTEST_N_CTX) if trained else None)
        if card is not None and card.n_layer is not None:
            self.form.set_soft_range("n_gpu_layers", -1, card.n_layer + 1)
        self.form.set_values({**options, KV_TYPE.key: _kv_type(options)})
        others = [
            (spoken_name(each.label), str(each.path))
            for each in page.choices
            if each.path != page.path and not is_header_file(each.path)
        ]
        self.more.set_files("model_draft", others)
        self.more.set_values(options)
        self.more.set_note("model_draft", *words.draft_note(options))
        self.more.set_note("mlock", *words.lock_note(options, page.answer, lockable_bytes()))
        shown = {"n_ctx", KV_TYPE.key} | ({"n_gpu_layers"} if page.has_gpu else set())
        self.form.set_visible_keys(shown)
        self.no_gpu.setVisible(page.has_gpu is False)
        self.form.set_note("n_ctx", *words.limit_note(page.limit, int(str(options.get("n_ctx", 0))), trained))
        self.beside.show_files(page.beside, page.refused)
        self.beside.setEnabled(page.path is not None)
        self.form.setEnabled(page.path is not None)
        self.more.setEnabled(page.path is not None)
        self._show_load(page)

    def _show_load(self, page: Page) -> None:
        loading = page.load_fraction is not None
        self.busy.setVisible(loading)
        if page.load_fraction is not None:
            is_begun = page.load_fraction > 0
            text = self.tr("Loading, {n} %").format(n=round(page.load_fraction * 100))
            self.busy.set_progress(
                page.load_fraction if is_begun else None, text if is_begun else self.tr("Preparing to load")
            )
        is_away = page.path is not None and is_header_file(page.path)
        self.load_button.setEnabled(page.path is not None and not is_away and not loading and not page.is_loaded)
        self.load_button.setToolTip(self.tr("Only this model's header is here: download it first") if is_away else "")
        self.load_button.setText(self.tr("Loaded with these") if page.is_loaded else self.tr("Load with these"))
        self.fit_button.setEnabled(page.limit is not None)

    def _show_choices(self, choices: tuple[Choice, ...], path: Path | None) -> None:
        self._choices = choices
        self.models.clear()
        for each in choices:
            name = spoken_name(each.label)
            if is_header_file(each.path):
                name = self.tr("{label}, not here").format(label=name)
            self.models.addItem(self.tr("{label}, loaded").format(label=name) if each.is_loaded else name)
            self.models.setItemData(self.models.count() - 1, str(each.path), Qt.ItemDataRole.ToolTipRole)
        paths = [each.path for each in choices]
        self.models.setCurrentIndex(paths.index(path) if path in paths else -1)
        self.models.setPlaceholderText(self.tr("Choose a model"))
        self.models.setEnabled(bool(choices))
        self.models.setToolTip(str(path) if path is not None else "")

    def _chosen(self) -> Path | None:
        at = self.models.currentIndex()
        return self._choices[at].path if 0 <= at < len(self._choices) else None

    def _changed(self, key: str, value: object) -> None:
        if key == KV_TYPE.key and value not in KV_TYPE.choices[:-1]:
            self.more.focus_key("type_k")
            return
        self.option_changed.emit(key, value)

    def _lay_out(self) -> None:
        title = QLabel(self.tr("Will it fit?"))
        set_kind(title, "heading")
        label = QLabel(self.tr("Model"))
        set_kind(label, "dim")
        label.setBuddy(self.models)
        head = QHBoxLayout()
        head.addWidget(label, 1)
        head.addWidget(self.open_button)
        buttons = QHBoxLayout()
        buttons.setSpacing(Theme.SPACE[1])
        buttons.addWidget(self.load_button)
        buttons.addWidget(self.fit_button)
        buttons.addStretch(1)
        gpu = QHBoxLayout()
        gpu.setContentsMargins(0, 0, 0, 0)
        gpu.addWidget(self.no_gpu)
        gpu.addStretch(1)
        # From the outside in: a style sheet makes Qt restyle all that a widget holds whenever that is put into another one.
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        inner = QWidget()
        outer.addWidget(scroll_area(self.tr("Model and options"), inner, is_clear=True))
        column = QVBoxLayout(inner)
        column.setContentsMargins(18, 16, 18, 16)
        column.setSpacing(Theme.SPACE[1])
        column.addWidget(self.mode)
        column.addSpacing(Theme.SPACE[1])
        column.addWidget(title)
        column.addSpacing(Theme.SPACE[0])
        column.addLayout(head)
        column.addWidget(self.models)
        column.addWidget(self.facts)
        column.addWidget(self.elsewhere)
        column.addSpacing(Theme.SPACE[1])
        column.addWidget(self.form)
        column.addLayout(gpu)
        column.addWidget(self.more)
        column.addWidget(self.beside)
        column.addSpacing(Theme.SPACE[1])
        column.addLayout(buttons)
        column.addWidget(self.busy)
        column.addStretch(1)


def _kv_type(options: Mapping[str, Value]) -> str:
    type_k, type_v = options.get("type_k", LOAD_OPTIONS["type_k"].default), options.get("type_v")
    known = KV_TYPE.choices[:-1]
    return str(type_k) if type_k == type_v and type_k in known else KV_TYPE.choices[-1]

"""The Settings page: sections on the left, their forms and tables one under another on the right.

A click on a section scrolls to it, and scrolling marks the section that is in view. Every form is made from the
settings' Fields; there is no button to save, because every change is kept at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QPoint, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.base.fields import Value
from gui.forms import Form
from gui.page import PanelContext
from gui.panels.settings.parts import AboutPart, KeyboardPart, PlacesPart
from gui.panels.settings.presenter import EngineLine, PlaceRow, Section, SettingsPresenter, fields_of
from gui.theme import Theme, set_kind
from gui.widgets.scrolling import scroll_area

NAV_WIDTH = 200
COLUMN_WIDTH = 680
FORM_WIDTH = 420
LOOKAHEAD = 48
"""A section counts as in view when its heading is so far below the top, in logical pixels, or above."""


class SettingsView(QWidget):
    """The page; also the presenter's surface."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        theme = context.theme
        self.presenter = SettingsPresenter(context.workbench, self)
        self.forms: dict[Section, Form] = {}
        self.headings: dict[Section, QLabel] = {}
        self.nav: dict[Section, QPushButton] = {}
        self.about = AboutPart(theme)
        self.keyboard = KeyboardPart(theme, context.actions)
        self.places = PlacesPart(theme, context.icons, self.presenter.places(), self._open_place)
        self._group = QButtonGroup(self)
        self._lay_out()
        self._area.verticalScrollBar().valueChanged.connect(lambda _value: self._mark_section())
        self.presenter.start()

    # ---- the surface

    def show_values(self, values: Mapping[str, Value]) -> None:
        for form in self.forms.values():
            form.set_values(values)

    def show_error(self, key: str, text: str) -> None:
        for form in self.forms.values():
            if key in form.values():
                form.set_error(key, text)

    def show_engine(self, engine: EngineLine) -> None:
        self.about.show_engine(engine)

    # ---- the page's life

    def activated(self) -> None:
        self.about.fill()
        self._mark_section()

    def close_panel(self) -> None:
        self.presenter.close()

    def go_to(self, section: Section) -> None:
        """Scroll to a section."""
        top = self.headings[section].mapTo(self._inner, QPoint(0, 0)).y()
        self._area.verticalScrollBar().setValue(top - Theme.SPACE[4])
        self.nav[section].setChecked(True)

    # ---- inside

    def _open_place(self, row: PlaceRow) -> None:
        if not row.folder.is_dir():
            self._context.toast.show_text(self.tr("This folder is made when it is first needed"))
        elif not QDesktopServices.openUrl(QUrl.fromLocalFile(str(row.folder))):
            QGuiApplication.clipboard().setText(str(row.folder))
            self._context.toast.show_text(self.tr("No file manager answered; the path is copied"))

    def _mark_section(self) -> None:
        bar = self._area.verticalScrollBar()
        present = next(iter(Section))
        for section, heading in self.headings.items():
            if heading.mapTo(self._inner, QPoint(0, 0)).y() <= bar.value() + LOOKAHEAD:
                present = section
        if bar.maximum() and bar.value() == bar.maximum():
            present = tuple(Section)[-1]
        self.nav[present].setChecked(True)

    def _title(self, section: Section) -> str:
        return {
            Section.GENERAL: self.tr("General"),
            Section.CHATS: self.tr("Chats"),
            Section.HARDWARE: self.tr("Hardware"),
            Section.FILES: self.tr("Files"),
            Section.KEYBOARD: self.tr("Keyboard"),
            Section.ABOUT: self.tr("About"),
        }[section]

    def _body(self, section: Section) -> QWidget:
        fields = fields_of(section)
        if fields:
            form = Form(self._context.theme, fields)
            form.setMaximumWidth(self._context.theme.px(FORM_WIDTH))
            form.field_changed.connect(self.presenter.change)
            self.forms[section] = form
            return form
        bodies: dict[Section, QWidget] = {
            Section.FILES: self.places,
            Section.KEYBOARD: self.keyboard,
            Section.ABOUT: self.about,
        }
        return bodies[section]

    def _lay_out(self) -> None:
        theme = self._context.theme
        self._inner = QWidget()
        self._inner.setMaximumWidth(theme.px(COLUMN_WIDTH) + 52)
        column = QVBoxLayout(self._inner)
        column.setContentsMargins(26, 18, 26, 26)
        column.setSpacing(Theme.SPACE[2])
        for at, section in enumerate(Section):
            if at:
                line = QFrame()
                set_kind(line, "hairline")
                column.addSpacing(Theme.SPACE[1])
                column.addWidget(line)
                column.addSpacing(Theme.SPACE[1])
            heading = QLabel(self._title(section))
            set_kind(heading, "heading")
            self.headings[section] = heading
            column.addWidget(heading)
            column.addWidget(self._body(section))
        column.addStretch(1)
        self._area = scroll_area(self.tr("Settings"), self._inner)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._make_nav())
        line = QFrame()
        set_kind(line, "hairline-vertical")
        row.addWidget(line)
        row.addWidget(self._area, 1)

    def _make_nav(self) -> QFrame:
        frame = QFrame()
        set_kind(frame, "column")
        frame.setFixedWidth(self._context.theme.px(NAV_WIDTH))
        column = QVBoxLayout(frame)
        column.setContentsMargins(10, 16, 10, 16)
        column.setSpacing(2)
        title = QLabel(self.tr("Settings"))
        set_kind(title, "heading")
        title.setContentsMargins(8, 0, 0, 6)
        column.addWidget(title)
        self._group.setExclusive(True)
        for section in Section:
            button = QPushButton(self._title(section))
            set_kind(button, "quiet")
            button.setCheckable(True)
            button.setAccessibleName(self.tr("Go to {section}").format(section=self._title(section)))
            button.setStyleSheet("QPushButton { text-align: left; }")
            button.clicked.connect(lambda _=False, chosen=section: self.go_to(chosen))
            self._group.addButton(button)
            self.nav[section] = button
            column.addWidget(button)
        column.addStretch(1)
        note = QLabel(self.tr("Every change is kept at once."))
        set_kind(note, "caption")
        note.setWordWrap(True)
        note.setContentsMargins(8, 0, 0, 0)
        column.addWidget(note)
        return frame

"""The one place where the window's frame meets the workbench: bridge, footer, notices, remedies, theme, actions.

`build_window` makes the real window around any workbench, so `main`, tests and the screenshot tool open the same one.
Nothing here decides: that is `footer_feed`'s, `remedies`' and the panels' presenters'.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, QUrl
from PySide6.QtGui import QDesktopServices

from engine.base.bus import Unsubscribe
from engine.base.cores import HASTY_TPS, cores, takes_every_core
from engine.base.errors import KnownError, Remedy, RemedyKind, Trouble
from engine.runtime.supervisor import EngineState, Phase
from engine.wire.messages import FinishReason, RunStats
from engine.workbench import Workbench
from engine.workbench.events import (
    EngineChanged,
    MemoryChanged,
    MessageFinished,
    MessageText,
    SettingsChanged,
    TroubleShown,
)
from gui.actions import Action, ActionGroup
from gui.bridge import Bridge, Pace
from gui.faults import Faults
from gui.footer import DOT, FooterState
from gui.footer_feed import footer_values
from gui.icons import Icons
from gui.main_window import MainWindow
from gui.model_file import ask_for_model
from gui.model_name import spoken_name
from gui.notices import NoticeArea, NoticeCard, Severity
from gui.page import PanelSpec
from gui.panels import panels
from gui.remedies import Remedies
from gui.theme import Mode, Theme

FOOTER_EVERY_MS = 500  # faster figures cannot be read, and each look takes processor from the engine
HARDWARE_EVERY_MS = 1000  # while the engine's threads take every core, the whole footer changes with these


def build_window(
    workbench: Workbench,
    theme: Theme,
    icons: Icons | None = None,
    *,
    state_path: Path | None = None,
    page: str = "",
    pages: tuple[PanelSpec, ...] | None = None,
) -> MainWindow:
    """The real window around a workbench that need not be started, with its first page. It is not shown yet.

    Closing the window closes the workbench. The wiring is the window's child `wiring`.

    Args:
        workbench: the façade; this window pumps its bus from now on.
        theme: already applied to the application.
        icons: of that theme; made if not given.
        state_path: where the window remembers its place; None remembers nothing.
        page: the key of the page to begin with, "" for the remembered one.
        pages: other pages than all of them.
    """
    window = MainWindow(pages or panels(), theme=theme, icons=icons or Icons(theme), state_path=state_path)
    if page:
        window.state.page = page
    wire(window, workbench)
    window.show_first_page()
    return window


def wire(window: MainWindow, workbench: Workbench) -> Wiring:
    """Give a window that has no page yet its workbench."""
    wiring = Wiring(workbench, window)
    window.attach(workbench, workbench.bus, wiring.close)
    return wiring


def wiring_of(window: MainWindow) -> Wiring:
    """The wiring of a window that `build_window` made."""
    return next(each for each in window.children() if isinstance(each, Wiring))


class Wiring(QObject):
    """Lives as long as its window.

    Attributes:
        bridge: the timer that pumps the bus.
        faults: the last door; `install` it where this window is the program's.
    """

    def __init__(self, workbench: Workbench, window: MainWindow) -> None:
        super().__init__(window)
        self.setObjectName("wiring")
        self._workbench, self._window, self._areas = workbench, window, window.areas
        self._closed = False
        self._last_run: RunStats | None = None
        self._thinking = False
        self._is_crowded = False
        self._writing_since: tuple[float, int] | None = None  # seconds, and the tokens in the cache then
        self._told_contended = False
        self._theme_setting = Mode.SYSTEM
        self._lost_cards: list[tuple[NoticeArea, NoticeCard]] = []
        self.remedies = Remedies(workbench, window.go, _open_folder)
        self.faults = Faults(lambda trouble: workbench.bus.post(TroubleShown(trouble)))
        workbench.bus.on_error = self.faults.handler_failed
        self.bridge = Bridge(workbench.bus, self)
        self._footer_timer = QTimer(self, singleShot=True, interval=FOOTER_EVERY_MS)
        self._footer_timer.timeout.connect(self._show_footer)
        self._hardware_timer = QTimer(self, interval=HARDWARE_EVERY_MS)
        self._hardware_timer.timeout.connect(self._show_load)
        self._subscriptions: list[Unsubscribe] = [
            workbench.subscribe(EngineChanged, self._engine_changed),
            workbench.subscribe(MemoryChanged, lambda _event: self._footer_soon()),
            workbench.subscribe(MessageText, self._text_came),
            workbench.subscribe(MessageFinished, self._finished),
            workbench.subscribe(TroubleShown, self._trouble),
            workbench.subscribe(SettingsChanged, self._settings_changed),
        ]
        window.remedy_chosen.connect(self.perform)
        self._actions = _register_actions(self, workbench, window)
        self._show_footer()
        self.bridge.start()
        self._hardware_timer.start()

    def begin(self, model: Path | None = None) -> None:
        """Start the engine and load a model: this one, or the last one, or the starter. After the first paint."""
        workbench = self._workbench
        if self._closed:
            return
        workbench.start()
        system_prompt = str(workbench.settings["system_prompt"])
        if system_prompt and workbench.dialogue.conversation_id is None:
            workbench.dialogue.new(system_prompt)
        try:
            if model is None:
                workbench.open_first_model()
            else:
                workbench.open_model(model)
        except KnownError as error:
            self.show(error.trouble)

    def close(self) -> None:
        """End everything: timers, subscriptions, the worker. The panels have ended theirs already."""
        if self._closed:
            return
        self._closed = True
        for timer in (self._footer_timer, self._hardware_timer):
            timer.stop()
        self.bridge.stop()
        for unsubscribe in self._subscriptions:
            unsubscribe()
        self._workbench.close()

    # ---- notices

    def show(self, trouble: Trouble, page: str = "", severity: Severity = Severity.ERROR) -> NoticeCard:
        """Show a notice on that page if it was ever visited, else on the one on screen."""
        area = self._areas.get(page)
        return area.show_trouble(trouble, severity) if area else self._window.show_trouble(trouble, severity)

    def perform(self, remedy: Remedy) -> None:
        """Do what a notice's button says, and take the notices away that offered it."""
        for area in self._areas.values():
            for card in area.cards:
                if remedy in card.trouble.remedies:
                    area.remove(card)
        try:
            self.remedies.perform(remedy)
        except KnownError as error:
            self.show(error.trouble)

    def _trouble(self, event: TroubleShown) -> None:
        self.show(event.trouble, event.page)

    # ---- the engine

    def _engine_changed(self, event: EngineChanged) -> None:
        state = event.state
        is_writing, facts = state.phase is Phase.WRITING, state.facts
        if not is_writing:
            self._writing_since, self._is_crowded = None, False
        elif self._writing_since is None:
            self._writing_since = time.perf_counter(), state.n_past
            self._is_crowded = facts is not None and takes_every_core(facts.devices, facts.n_threads, cores())
        self.bridge.set_active(state.is_busy, self._pace(state))
        if state.phase is Phase.READING:
            self._thinking = False
            self._hardware_timer.start()  # the next look a second from now, not just before the first token
        self._footer_soon()
        if state is not self._workbench.state:
            return  # a newer one is already on its way
        self.remedies.engine_is(state.phase)
        if state.phase is Phase.LOST and state.trouble is not None:
            self._tell_lost(state.trouble)
        elif state.phase in (Phase.LOADING, Phase.READY):
            self._forget_lost()
        if state.phase is Phase.LOADING:
            self._last_run = None

    def _pace(self, state: EngineState) -> Pace:
        """How often to look: as often as the worker sends text (`engine.worker.writing` goes by the same rule)."""
        if state.phase is Phase.READING and not state.stopping:
            return Pace.READING
        if self._writing_since is None or state.stopping:
            return Pace.SHORT
        if not self._is_crowded:
            return Pace.WRITING
        since_s, n_then = self._writing_since
        is_hasty = state.n_past - n_then > HASTY_TPS * (time.perf_counter() - since_s)
        return Pace.HASTY if is_hasty else Pace.CROWDED

    def _tell_lost(self, trouble: Trouble) -> None:
        """Where the chat is, and where the user is."""
        card = self.show(trouble, "chat")
        self._remember_lost(card)
        if self._window.current_page != "chat" and "chat" in self._areas:
            self._remember_lost(self.show(trouble))

    def _remember_lost(self, card: NoticeCard) -> None:
        for area in self._areas.values():
            if card in area.cards:
                self._lost_cards.append((area, card))

    def _forget_lost(self) -> None:
        """The engine is back: its obituary can go. A run that failed with it has shown the same trouble anew."""
        gone, self._lost_cards = self._lost_cards, []
        troubles = {card.trouble for _, card in gone}
        for area in self._areas.values():
            for card in area.cards:
                if card.trouble in troubles:
                    area.remove(card)

    def _text_came(self, event: MessageText) -> None:
        if self._is_crowded:
            state = self._workbench.state
            self.bridge.set_active(state.is_busy, self._pace(state))
        thinking = bool(event.thinking) and not event.text
        if thinking != self._thinking:
            self._thinking = thinking
            self._footer_soon()

    def _finished(self, event: MessageFinished) -> None:
        stats = event.message.figures.stats if event.message.figures else None
        if stats is not None:
            self._last_run = stats
            self._footer_soon()
            self._tell_contended(stats)

    def _tell_contended(self, stats: RunStats) -> None:
        """Once a session: other programs take the processor."""
        if not stats.contended or self._told_contended:
            return
        self._told_contended = True
        facts = self._workbench.state.facts
        trouble = contended_trouble(stats.cpu_share, facts.n_threads if facts else None)
        self.show(trouble, "chat", Severity.WARNING)

    # ---- the footer

    def _footer_soon(self) -> None:
        if not self._footer_timer.isActive() and not self._closed:
            self._footer_timer.start(HARDWARE_EVERY_MS if self._is_crowded else FOOTER_EVERY_MS)

    def _show_footer(self) -> None:
        footer = self._window.footer
        state: EngineState = self._workbench.state
        values = footer_values(state, self._last_run, is_thinking=self._thinking)
        words = [spoken_name(values.label)] if values.label else []
        where = ", ".join(values.where)
        if where and values.n_threads is not None:
            where = self.tr("{where}, {n} threads").format(where=where, n=values.n_threads)
        if where:
            words.append(where)
        footer.set_model(FooterState[values.activity.value], f" {DOT} ".join(words), values.fraction)
        footer.set_context(values.n_used, values.n_ctx)
        footer.set_speed(values.prefill_tps, values.decode_tps)

    def _show_load(self) -> None:
        """Memory and processor, once a second while somebody can see them; with them whatever else waits to be shown."""
        if self._footer_timer.isActive():
            self._footer_timer.stop()
            self._show_footer()
        if not self._window.isVisible() or self._window.isMinimized() or self._workbench.recorder is None:
            return
        from gui.panels.inspector.presenter.hardware import HardwarePresenter

        load = HardwarePresenter(self._workbench).load()
        footer = self._window.footer
        footer.set_ram(load.ram_used_bytes, load.ram_total_bytes)
        footer.set_vram(load.vram_used_bytes, load.vram_total_bytes)
        footer.set_cpu(load.cpu_percent, load.cpu_history)

    # ---- settings

    def _settings_changed(self, event: SettingsChanged) -> None:
        """Follow the setting when it changes; a theme that was handed in otherwise stays as it is."""
        mode = Mode(str(event.settings["theme"]))
        if mode is not self._theme_setting:
            self._theme_setting = mode
            self._window.theme.set_mode(mode)


def contended_trouble(cpu_share: float | None, n_threads: int | None) -> Trouble:
    """The notice that the engine's threads wait for other programs; `cpu_share` 0 to 1, None when not known."""
    value = "" if cpu_share is None else f"the engine got {cpu_share:.0%} of the processor time it asked for"
    if n_threads is None or n_threads < 2:
        return Trouble("Other programs are taking the processor", value, "close some of them")
    fewer = n_threads - 1
    unit = "thread" if fewer == 1 else "threads"
    return Trouble(
        "Other programs are taking the processor",
        value,
        f"use {fewer} {unit}, or close some of them",
        (Remedy(RemedyKind.SET_OPTION, f"Use {fewer} {unit}", f"n_threads={fewer}"),),
    )


def _open_folder(folder: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def _register_actions(wiring: Wiring, workbench: Workbench, window: MainWindow) -> object:
    """Every action that is not the frame's own. What belongs to the chat goes there first."""
    tr, add = wiring.tr, window.registry.register

    def in_chat(name: str) -> Callable[[], None]:
        def act() -> None:
            window.go("chat")
            getattr(window.panel("chat"), name)()

        return act

    def in_decoding(name: str) -> Callable[[], None]:
        def act() -> None:
            window.go("chat")
            page = window.panel("chat")
            if page.inspector.isHidden():
                page.toggle_inspector()
            getattr(page.inspector.decoding, name)()

        return act

    def stop() -> None:
        if window.command_palette.isVisible():
            window.command_palette.dismiss()
            return
        chat = window.panel("chat")
        if chat is not None:
            chat.presenter.stop()  # type: ignore[attr-defined]
        elif workbench.state.can_force:
            workbench.supervisor.force_stop()
        else:
            workbench.cancel()

    def tried(act: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            try:
                act()
            except KnownError as error:
                wiring.show(error.trouble)

        return run

    def can_stop() -> bool:
        return workbench.state.is_busy

    def has_model() -> bool:
        return bool(workbench.state.model_path) and workbench.state.phase is not Phase.EMPTY

    def is_idle() -> bool:
        return workbench.state.phase is Phase.READY and bool(workbench.dialogue.messages)

    def is_cut_off() -> bool:
        figures = workbench.dialogue.messages[-1].figures if is_idle() else None
        return figures is not None and figures.reason not in (None, FinishReason.STOP)

    def has_messages() -> bool:
        return bool(workbench.dialogue.messages)

    def is_stored() -> bool:
        return workbench.dialogue.conversation_id is not None

    chat, model, view = ActionGroup.CHAT, ActionGroup.MODEL, ActionGroup.VIEW
    add(Action("chat.new", tr("New chat"), ("Ctrl+N",), "plus", chat), in_chat("new_chat"))
    add(Action("chat.search", tr("Search chats"), ("Ctrl+F",), "search", chat), in_chat("focus_search"))
    add(Action("chat.stop", tr("Stop"), ("Esc",), "stop", chat, tr("Ends the load or the answer")), stop, can_stop)
    add(
        Action("chat.again", tr("Answer again"), ("Ctrl+R",), "refresh", chat, tr("The old answer stays beside it")),
        in_chat("regenerate"),
        is_idle,
    )
    add(
        Action("chat.go_on", tr("Go on with the last answer"), (), "play", chat, tr("Where it was stopped or cut off")),
        tried(lambda: workbench.continue_answer(workbench.dialogue.messages[-1].id)),
        is_cut_off,
    )
    add(
        Action("chat.copy", tr("Copy the last answer"), ("Ctrl+Shift+C",), "copy", chat),
        in_chat("copy_last_answer"),
        has_messages,
    )
    add(Action("chat.rename", tr("Rename this chat"), ("F2",), "edit", chat), in_chat("rename_chat"), is_stored)
    add(
        Action("chat.delete", tr("Delete this chat"), ("Ctrl+Shift+Backspace",), "trash", chat, tr("Can be undone")),
        in_chat("delete_chat"),
        is_stored,
    )
    add(Action("chat.system", tr("System prompt"), ("Ctrl+Shift+S",), "edit", chat), in_chat("edit_system_prompt"))
    add(
        Action("model.open", tr("Open a model file"), ("Ctrl+O",), "folder", model),
        lambda: ask_for_model(window, lambda path: tried(lambda: workbench.open_model(Path(path)))()),
    )
    add(
        Action("model.reload", tr("Load the model again"), ("Ctrl+Shift+R",), "reset", model),
        tried(workbench.reload),
        has_model,
    )
    add(
        Action("model.unload", tr("Unload the model"), (), "close", model, tr("Gives its memory back")),
        workbench.unload_model,
        has_model,
    )
    add(
        Action("decoding.preset", tr("Choose a sampler preset"), ("Ctrl+Shift+D",), "", chat),
        in_decoding("choose_preset"),
    )
    add(
        Action("decoding.reset", tr("Reset the samplers and limits"), (), "reset", chat, tr("Can be undone")),
        in_decoding("reset_all"),
    )
    add(Action("view.list", tr("Show or hide the chats"), ("Ctrl+B",), "sidebar-left", view), in_chat("toggle_list"))
    add(
        Action("view.inspector", tr("Show or hide the inspector"), ("Ctrl+I",), "sidebar-right", view),
        in_chat("toggle_inspector"),
    )

    def run_lab() -> None:
        window.go("lab")
        window.panel("lab").run()  # type: ignore[union-attr]

    run_action = add(
        Action(
            "lab.run",
            tr("Run the Lab's prompt"),
            ("Ctrl+Return", "Ctrl+Enter"),
            "play",
            ActionGroup.LAB,
            tr("On the page Lab"),
        ),
        run_lab,
    )
    run_action.setEnabled(False)  # the page enables it while it is on screen; the keys are other pages' until then
    for mode in Mode:
        # The frame switches at once; remembering it is ours.
        window.registry.by_id(f"view.{mode.value}").triggered.connect(
            lambda _=False, chosen=mode.value: workbench.set_setting("theme", chosen)
        )
    stop_action = window.registry.by_id("chat.stop")
    stop_action.setEnabled(False)

    def follow(event: EngineChanged) -> None:
        # Escape belongs to whatever has the keyboard while there is nothing to stop.
        stop_action.setEnabled(event.state.is_busy)

    wiring._subscriptions.append(workbench.subscribe(EngineChanged, follow))
    return stop_action

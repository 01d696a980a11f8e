"""The Memory page's decisions: which model with which options, what the engine says of it, and what would be better.

The page is a scratchpad: nothing is loaded or kept until “Load with these”. Each change is answered at once by the
formula, or from the curve's straight lines where the formula does not know the model, and a moment later by the engine's
own dry run. An answer to options that have changed meanwhile is dropped. It knows no Qt; the view shows a `Page` and says
what was done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from engine.base.errors import KnownError, Remedy, RemedyKind, Trouble
from engine.base.fields import Value
from engine.memory.fit import N_CTX_STEP, Fits, judge
from engine.memory.fitting import Proposal
from engine.memory.ledger import Ledger
from engine.models.header_files import is_header_file
from engine.models.labels import model_label
from engine.models.library import LibraryEntry
from engine.runtime.supervisor import Phase
from engine.store.measurements import LoadMeasured
from engine.wire.messages import DeviceKind
from engine.workbench import Workbench
from engine.workbench.by_formula import FormulaEstimate, ModelFormula
from engine.workbench.curve import CurveLine, MemoryCurve, bends
from engine.workbench.events import (
    EngineChanged,
    Estimate,
    LibraryChanged,
    MemoryChanged,
    ModelConsidered,
    SettingsChanged,
)
from engine.workbench.workbench import parse_changes
from gui.panels.memory.advice import advice_for
from gui.panels.memory.values import DRAWN_TYPES, KV_TYPE, OTHER_TYPE, SHORTEST_N_CTX, Answer, Choice, Page

ASKER = "memory"


class MemorySurface(Protocol):
    """What the presenter has of the view."""

    def show_page(self, page: Page) -> None: ...

    def plan_soon(self) -> None:
        """Call `plan` in a quarter of a second, counted from the last of these calls."""
        ...

    def offer_undo(self, before: Mapping[str, Value], after: Mapping[str, Value], undo: Callable[[], None]) -> None:
        """Say which options were changed, from what to what, and how to take it back."""
        ...

    def say_nothing_fits(self) -> None: ...

    def go(self, page: str) -> None: ...

    def open_folder(self, folder: str) -> None: ...


class MemoryPresenter:
    """One Memory page."""

    def __init__(self, workbench: Workbench, surface: MemorySurface) -> None:
        self._workbench, self._surface = workbench, surface
        self._opened: dict[Path, LibraryEntry] = {}
        self._formula: ModelFormula | None = None
        self._curve_key: object = None
        self._drawn_for: object = None
        self._settled: object = None
        self._kept = dict(workbench.load_options)
        self._ways: tuple[object, tuple[Proposal, ...]] = (None, ())
        self.page = Page(options=dict(workbench.load_options), has_gpu=self._sees_gpu())
        self._ends = [
            workbench.subscribe(LibraryChanged, lambda _event: self._library_changed()),
            workbench.subscribe(EngineChanged, lambda _event: self._engine_changed()),
            workbench.subscribe(MemoryChanged, lambda _event: self._engine_changed()),
            workbench.subscribe(SettingsChanged, lambda _event: self._options_kept()),
            workbench.subscribe(ModelConsidered, lambda event: self.choose(event.path)),
        ]

    def start(self) -> None:
        """Show the model that somebody wanted to see, else the loaded one, else the first there is."""
        self._set(choices=self._choices())
        first = self._workbench.considered or self._first_path()
        if first is not None:
            self.choose(first)
        else:
            self._surface.show_page(self.page)

    def close(self) -> None:
        """Hear nothing any more."""
        for end in self._ends:
            end()

    def activated(self) -> None:
        """The page came on screen: what is free may have changed."""
        if self.page.path is not None and not self.page.is_planning:
            self.plan()

    @property
    def options(self) -> dict[str, Value]:
        """The load options on the page."""
        return dict(self.page.options or {})

    @property
    def formula(self) -> ModelFormula | None:
        """The formula of the model on the page, once its header is read."""
        return self._formula

    def kv_type(self) -> str:
        """The segment that stands for both cache types."""
        type_k, type_v = self._pair()
        return type_k if type_k == type_v and type_k in DRAWN_TYPES else OTHER_TYPE

    # ---- what a person does -------------------------------------------------------------------------------------

    def choose(self, path: Path) -> None:
        """Look at this model, in the library or not."""
        entry = self._entry(path)
        if path != self.page.path:
            self._curve_key = None
            self._set(path=path, card=entry.card if entry else None, answer=None, trouble=None, advice=(), curve=None,
                      limit=None, is_curve_old=False, loads=(), beside=self._workbench.formulas.beside.of(path),
                      refused=None)  # fmt: skip
            self._formula = None
            self._workbench.formulas.read(path, self._formula_read, lambda _trouble: None)
            self._ask_loads(path)
        if entry is None:
            self._workbench.look_into(path, self._looked_into)
        self._set(choices=self._choices(), is_loaded=self._is_loaded(self.options))
        self.plan()

    def change(self, key: str, value: Value) -> None:
        """One option is another one: an estimate now, the engine's word in a moment."""
        if key == KV_TYPE.key:
            if value == OTHER_TYPE:
                return
            self._take({**self.options, "type_k": value, "type_v": value})
        else:
            options = {**self.options, key: value}
            if key == "model_draft" and value and options["n_outputs_max"] == 1:
                # Guesses are checked in one call, which must have an output for each.
                options["n_outputs_max"] = int(str(self._workbench.run_options["draft_max"])) + 1
            self._take(options)
        self._surface.plan_soon()

    def apply(self, changes: Mapping[str, Value]) -> None:
        """Several options at once, asked of the engine at once; what was changed is named and can be taken back."""
        before = self.options
        changed = {key: value for key, value in changes.items() if before[key] != value}
        self._use({**before, **changed})
        if changed:
            self._surface.offer_undo({key: before[key] for key in changed}, changed, lambda: self._use(before))

    def remedy(self, remedy: Remedy) -> None:
        """Do what a button of a notice or of the advice says."""
        match remedy.kind:
            case RemedyKind.SET_OPTION:
                self.apply(parse_changes(remedy.argument))
            case RemedyKind.CHOOSE_MODEL:
                self._surface.go("models")
            case RemedyKind.OPEN_PAGE:
                self._surface.go(remedy.argument)
            case RemedyKind.OPEN_FOLDER:
                self._surface.open_folder(remedy.argument)
            case RemedyKind.LOAD_ANYWAY:
                self.load(anyway=True)
            case RemedyKind.RESTART_ENGINE:
                self._workbench.restart_engine()
            case _:
                self.plan()

    def best_fit(self) -> None:
        """The largest context that fits, but not more than the model was trained for."""
        limit, card = self.page.limit, self.page.card
        if limit is None:
            return
        trained = card.n_ctx_train if card is not None else None
        best = min(limit, trained) if trained else limit
        if best < N_CTX_STEP:
            self._surface.say_nothing_fits()
            return
        self.apply({"n_ctx": best})

    def load(self, *, anyway: bool = False) -> None:
        """Load the model with these options, and keep them for the next ones."""
        if self.page.path is not None:
            self._workbench.set_load_options(self.options)
            self._workbench.open_model(self.page.path, self.options, anyway=anyway)

    def add_file(self, file: Path) -> None:
        """Count an adapter, a control vector or a projector beside the model."""
        path = self.page.path
        if path is not None:
            add = self._workbench.formulas.beside.add
            add(path, file, lambda _found: self._beside_changed(path), lambda trouble: self._set(refused=trouble))

    def remove_file(self, file: Path) -> None:
        """Count it no more."""
        if self.page.path is not None:
            self._workbench.formulas.beside.remove(self.page.path, file)
            self._beside_changed(self.page.path)

    def _beside_changed(self, path: Path) -> None:
        if path == self.page.path:
            self._set(beside=self._workbench.formulas.beside.of(path), refused=None)
            self._use(self.options)

    def cancel_load(self) -> None:
        """Stop loading."""
        self._workbench.cancel()

    # ---- asking the engine --------------------------------------------------------------------------------------

    def plan(self) -> None:
        """Ask the engine what the present choice would take."""
        path, options = self.page.path, self.options
        if path is None:
            return
        self._set(is_planning=True)

        def then(estimate: Estimate) -> None:
            if (path, options) == (self.page.path, self.options):
                self._planned(estimate)

        def failed(trouble: Trouble) -> None:
            if (path, options) == (self.page.path, self.options):
                found = self._by_formula(self.options)
                self._set(
                    is_planning=False, trouble=trouble, answer=None if found is None else _by_formula(found), advice=()
                )
                self._ask_curve()

        try:
            self._workbench.estimate(path, options, then, failed, asker=ASKER)
        except KnownError as error:
            failed(error.trouble)

    def _planned(self, estimate: Estimate) -> None:
        found = self._by_formula(self.options)
        answer = Answer(
            estimate.ledger, self._measured(), estimate.verdict, estimate.freed_bytes, estimate.took_s,
            formula=None if found is None else found.ledger,
        )  # fmt: skip
        self._set(is_planning=False, trouble=None, answer=answer)
        self._advise()
        self._look_for_ways()
        self._ask_curve()

    def _ask_curve(self) -> None:
        path, card = self.page.path, self.page.card
        n_ctx_train = card.n_ctx_train if card is not None else None
        if path is None or card is None or not n_ctx_train:
            return
        options, pair = self.options, self._pair()
        pairs = [(each, each) for each in DRAWN_TYPES]
        if pair not in pairs:
            pairs.insert(0, pair)
        others = _beside_curve(options)
        contexts = bends(n_ctx_train, card.sliding_window, int(str(options["n_ubatch"])), int(str(options["n_ctx"])))
        key = (path, others, tuple(pairs), tuple(contexts), self._engine_key(), self.page.beside)
        if key == self._curve_key:
            return
        self._curve_key = key
        if self.page.curve is not None and not self._same_file(self.page.curve):
            self._set(curve=None, limit=None)

        def then(curve: MemoryCurve) -> None:
            if key == self._curve_key:
                self._drawn_for = others
                self._set(curve=curve, is_curve_old=_beside_curve(self.options) != others)
                self._advise()

        def failed(_trouble: Trouble) -> None:
            if key != self._curve_key:
                return
            self._curve_key = None  # the page says why already; next time it is asked again
            curve = self._curve_by_formula(pairs, contexts)
            self._drawn_for = others
            self._set(curve=curve, limit=None, is_curve_old=False)
            if curve is not None:
                self._advise()

        self._workbench.memory_curve(path, options, pairs, contexts, then, failed)

    def _curve_by_formula(self, pairs: Sequence[tuple[str, str]], contexts: Sequence[int]) -> MemoryCurve | None:
        """The curve where the engine does not answer (beside a model on RPC servers); None where nobody knows."""
        if self._formula is None:
            return None
        curve = self._workbench.formulas.curve(self._formula, self.options, pairs, contexts)
        return curve if any(each.ledgers for each in curve.lines) else None

    # ---- inside -------------------------------------------------------------------------------------------------

    def _use(self, options: Mapping[str, Value]) -> None:
        self._take(options)
        self.plan()

    def _take(self, options: Mapping[str, Value]) -> None:
        """New options: what the formula says of them, else the estimate from the curve, if there is one."""
        is_old = self.page.curve is not None and _beside_curve(options) != self._drawn_for
        self._set(options=dict(options), is_loaded=self._is_loaded(options), is_curve_old=is_old)
        if self._show_formula():
            return
        line, answer = self._line(), self.page.answer
        ledger = None if line is None else line.at(int(str(options["n_ctx"])) or self._own_n_ctx())
        if ledger is None or self.page.curve is None:
            self._set(is_planning=answer is not None, limit=None)  # what stands there is of the options before
            return
        freed = answer.freed_bytes if answer is not None else self.page.curve.freed_bytes
        verdict = judge(ledger, self.options, freed_bytes=freed, margin=self._workbench.memory_margin)
        self._set(answer=Answer(ledger, None, verdict, freed, None), trouble=None)
        self._advise()

    def _formula_read(self, model: ModelFormula) -> None:
        if model.path == self.page.path:
            self._formula = model
            if self.page.answer is None and self.page.is_planning:
                self._show_formula()

    def _show_formula(self) -> bool:
        """Let the formula answer; False where it does not know the model or refuses the options."""
        found = self._by_formula(self.options)
        if found is None:
            return False
        self._set(answer=_by_formula(found), trouble=None)
        self._advise()
        return True

    def _by_formula(self, options: Mapping[str, Value]) -> FormulaEstimate | None:
        if self._formula is None:
            return None
        try:
            return self._workbench.formulas.estimate(self._formula, options)
        except KnownError:  # the engine says so too, in its own words and in a moment
            return None

    def _advise(self) -> None:
        line, answer = self._line(), self.page.answer
        limit = line.max_n_ctx if line is not None else None
        ways = self._ways[1] if self._ways[0] == self._asked() else ()
        advice = () if answer is None else advice_for(
            answer.verdict, answer.ledger, self.options, self.page.card, self.page.curve, line, ways
        )  # fmt: skip
        self._set(limit=limit, advice=advice)

    def _asked(self) -> object:
        return self.page.path, self.options, self.page.beside

    def _look_for_ways(self) -> None:
        """Where the load does not fit well, look for what would make it fit; told when it is found and still wanted."""
        answer, asked = self.page.answer, self._asked()
        if self._formula is None or answer is None or answer.verdict.fits not in (Fits.NO, Fits.TIGHT):
            return

        def then(ways: tuple[Proposal, ...]) -> None:
            self._ways = (asked, ways)
            if asked == self._asked():
                self._advise()

        self._workbench.formulas.ways_to_fit(self._formula, self.options, then, lambda _trouble: None)

    def _line(self) -> CurveLine | None:
        if self.page.curve is None or _beside_curve(self.options) != self._drawn_for:
            return None
        return self.page.curve.line(*self._pair())

    def _pair(self) -> tuple[str, str]:
        return str(self.options["type_k"]), str(self.options["type_v"])

    def _own_n_ctx(self) -> int:
        card = self.page.card
        return (card.n_ctx_train if card is not None else None) or SHORTEST_N_CTX

    def _same_file(self, curve: MemoryCurve) -> bool:
        return curve.path == str(self.page.path)

    def _options_kept(self) -> None:
        """The options of the next load were changed elsewhere (a notice's button, the settings file): show those."""
        kept = dict(self._workbench.load_options)
        if kept != self._kept:
            self._kept = kept
            if kept != self.options:
                self._take(kept)
                self.plan()

    def _looked_into(self, entry: LibraryEntry) -> None:
        self._opened[entry.path] = entry
        if entry.path == self.page.path:
            self._set(card=entry.card, choices=self._choices())
            if not self.page.is_planning:
                self._ask_curve()

    def _library_changed(self) -> None:
        self._set(choices=self._choices())
        if self.page.path is None and (first := self._first_path()) is not None:
            self.choose(first)

    def _engine_changed(self) -> None:
        state = self._workbench.state
        loading = state.phase in (Phase.LOADING, Phase.PLANNING) and state.model_path == str(self.page.path)
        self._set(
            has_gpu=self._sees_gpu(),
            choices=self._choices(),
            is_loaded=self._is_loaded(self.options),
            load_fraction=state.load_fraction if loading else None,
        )
        answer = self.page.answer
        if answer is not None and answer.measured != self._measured():
            self._set(answer=replace(answer, measured=self._measured()))
        settled = self._engine_key()
        if settled != self._settled:
            self._settled = settled
            if self.page.path is not None and self._workbench.measured is not None:
                self._ask_loads(self.page.path)
            if self.page.path is not None and not self.page.is_planning:
                self.plan()  # another model is in memory now, so other amounts are free

    def _ask_loads(self, path: Path) -> None:
        def then(loads: tuple[LoadMeasured, ...]) -> None:
            if path == self.page.path:
                self._set(loads=loads)

        self._workbench.figures.loads(path, then)

    def _engine_key(self) -> object:
        """Changes when a model came or went."""
        facts = self._workbench.state.facts
        return None if facts is None else facts.path, self._workbench.measured is not None

    def _is_loaded(self, options: Mapping[str, Value]) -> bool:
        state = self._workbench.state
        return (
            state.facts is not None
            and self.page.path is not None
            and Path(state.facts.path) == self.page.path
            and self._workbench.measured is not None
            and dict(self._workbench.supervisor.load_options) == dict(options)
        )

    def _measured(self) -> Ledger | None:
        return self._workbench.measured if self._is_loaded(self.options) else None

    def _sees_gpu(self) -> bool | None:
        devices = self._workbench.state.devices
        return any(each.kind is not DeviceKind.CPU for each in devices) if devices else None

    def _entry(self, path: Path) -> LibraryEntry | None:
        return next((each for each in self._workbench.library if each.path == path), self._opened.get(path))

    def _first_path(self) -> Path | None:
        state = self._workbench.state
        if state.facts is not None:
            return Path(state.facts.path)
        last = str(self._workbench.settings["last_model"])
        if last and Path(last) in {each.path for each in self._workbench.library}:
            return Path(last)
        return next((each.path for each in self._workbench.library if each.is_model), None)

    def _choices(self) -> tuple[Choice, ...]:
        facts = self._workbench.state.facts
        loaded = Path(facts.path) if facts is not None else None
        paths = [each.path for each in self._workbench.library if each.is_model]
        away = [each for each in self._opened if is_header_file(each)]
        for extra in (loaded, self.page.path, *away):
            if extra is not None and extra not in paths:
                paths.append(extra)
        return tuple(Choice(each, model_label(each), each == loaded) for each in paths)

    def _set(self, **changes: object) -> None:
        page = replace(self.page, **changes)  # type: ignore[arg-type]
        if page != self.page:
            self.page = page
            self._surface.show_page(page)


def _by_formula(found: FormulaEstimate) -> Answer:
    return Answer(found.ledger, None, found.verdict, found.freed_bytes, None, is_by_formula=True)


def _beside_curve(options: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """The options that a curve is drawn for: all but its axis and its lines."""
    return tuple((key, value) for key, value in options.items() if key not in ("n_ctx", "type_k", "type_v"))

"""What is true of every module of the program: said what it is, of a size to read, quiet, and without hidden state."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.source_tree import ROOT, Module, calls, modules

PROGRAM = modules("engine", "gui")
ENGINE = tuple(each for each in PROGRAM if each.path.startswith("engine/"))

MOST_LINES = 500
# Longer ones and how long they may get: a ceiling, so that they do not grow while they wait to be parted.
LONGER = {
    "engine/runtime/supervisor.py": 520,
    "engine/wire/messages.py": 840,  # every message in one place is the point of it
    "engine/workbench/dialogue.py": 640,
    "engine/workbench/workbench.py": 630,
    "gui/panels/chat/presenter.py": 600,
    "gui/panels/chat/conversation_list.py": 520,
}

# Where waiting holds up nobody: a command has no window, and the store's lane waits for another window's write.
MAY_SLEEP = ("engine/cli/", "engine/store/db.py")

MAY_PRINT = ("engine/cli/",)
# The worker's stderr is kept by the window for error messages; the window's own is for when no window can open.
PRINTS_TO_STDERR = ("engine/worker/loop.py", "gui/app.py")

STATEFUL = {
    *("list", "dict", "set", "bytearray", "deque", "defaultdict", "OrderedDict", "Counter", "count", "cycle"),
    *("Lock", "RLock", "Event", "Condition", "Semaphore", "Thread", "local", "ContextVar"),
    *("Queue", "SimpleQueue", "LifoQueue", "PriorityQueue", "WeakValueDictionary", "WeakKeyDictionary"),
    *("Bus", "Jobs", "Store", "Supervisor", "Workbench"),
}
CHANGING = {
    *("append", "add", "extend", "insert", "update", "setdefault", "pop", "popitem", "remove", "discard", "clear"),
    *("sort", "reverse", "__setitem__", "__delitem__"),
}
CACHES = {"lru_cache", "cache", "functools.lru_cache", "functools.cache"}


def _ids(module: Module) -> str:
    return module.path


@pytest.mark.parametrize("module", PROGRAM, ids=_ids)
def test_every_module_says_what_it_is(module: Module) -> None:
    said = ast.get_docstring(module.tree)
    assert said, f"{module.path} has no docstring"
    assert said.splitlines()[0].rstrip().endswith((".", ":", "?")), f"{module.path}: the first line is no sentence"


@pytest.mark.parametrize("module", PROGRAM, ids=_ids)
def test_a_module_is_short_enough_to_read(module: Module) -> None:
    n_lines = len(module.text.splitlines())
    limit = LONGER.get(module.path, MOST_LINES)
    assert n_lines <= limit, f"{module.path} has {n_lines} lines, {limit} are allowed: part it"


@pytest.mark.parametrize("path", LONGER)
def test_the_list_of_longer_modules_names_only_those_that_are(path: str) -> None:
    assert len((ROOT / path).read_text("utf-8").splitlines()) > MOST_LINES, f"{path}: take it out of the list"


def test_nothing_prints_but_commands_and_what_has_no_window_to_stderr() -> None:
    found = []
    for module in PROGRAM:
        if module.path.startswith(MAY_PRINT):
            continue
        for call, name in calls(module.tree):
            to_stderr = any(each.arg == "file" and ast.unparse(each.value) == "sys.stderr" for each in call.keywords)
            if name == "print" and not (to_stderr and module.path in PRINTS_TO_STDERR):
                found.append(module.at(call))
    assert found == []


def test_nothing_sleeps_where_somebody_waits() -> None:
    found = [
        module.at(call)
        for module in PROGRAM
        if not module.path.startswith(MAY_SLEEP)
        for call, name in calls(module.tree)
        if name in ("time.sleep", "sleep", "QThread.sleep", "QThread.msleep")
    ]
    assert found == []


def test_no_colour_is_named_outside_the_theme() -> None:
    colour = re.compile(r"#(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3,4})\b|\brgba?\(\s*\d")
    found = [
        f"{module.path}:{number}"
        for module in PROGRAM
        if module.path.startswith("gui/") and module.path != "gui/theme.py"
        for number, line in enumerate(module.text.splitlines(), 1)
        if colour.search(line)
    ]
    template = (ROOT / "resources" / "style.qss.template").read_text("utf-8")
    assert found == []
    assert not colour.search(template), "the style sheet names a colour; name its role"


def test_the_engine_keeps_no_state_in_a_module() -> None:
    assert [place for module in ENGINE for place in state_in(module)] == []


@pytest.mark.parametrize(
    "source",
    [
        "seen = []",
        "SEEN = set()",
        "SEEN: dict[str, int] = {}",
        "import itertools\n_ids = itertools.count(1)",
        "TABLE = {1: 2}\ndef learn():\n    TABLE[3] = 4",
        "TABLE = [1]\ndef learn():\n    TABLE.append(2)",
        "N = 0\ndef learn():\n    global N\n    N += 1",
        "from functools import cache\n@cache\ndef learn(): ...",
    ],
)
def test_the_rule_on_state_finds(source: str) -> None:
    assert list(state_in(Module("example.py", source, ast.parse(source))))


@pytest.mark.parametrize("source", ["TABLE = {1: 2}", "__all__ = ['a']", "NAMES = ('a',)", "log = getLogger(__name__)"])
def test_the_rule_on_state_lets_constants_pass(source: str) -> None:
    assert not list(state_in(Module("example.py", source, ast.parse(source))))


def state_in(module: Module) -> Iterator[str]:
    """Where a module keeps something that changes.

    A table is a constant when its name is in capitals, it has entries from the beginning (or is typed as a Mapping),
    and nothing in the module changes it.
    """
    tables: set[str] = set()
    for statement in module.tree.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        name = ast.unparse(targets[0])
        value = statement.value
        if isinstance(value, ast.Call):
            if ast.unparse(value.func).rpartition(".")[2] in STATEFUL:
                yield f"{module.at(statement)} {name} is made to be changed"
        elif isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
            tables.add(name)
            is_constant = name == name.upper() or name.startswith("__")
            typed = ast.unparse(statement.annotation) if isinstance(statement, ast.AnnAssign) else ""
            entries = getattr(value, "elts", None) or getattr(value, "keys", None) or getattr(value, "generators", None)
            if not is_constant:
                yield f"{module.at(statement)} {name} is no constant"
            elif not entries and not typed.startswith(("Mapping", "Sequence")):
                yield f"{module.at(statement)} {name} is empty, so it waits to be filled"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Global):
            yield f"{module.at(node)} global {', '.join(node.names)}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if ast.unparse(node.func.value) in tables and node.func.attr in CHANGING:
                yield f"{module.at(node)} changes {ast.unparse(node.func.value)}"
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            if ast.unparse(node.value) in tables:
                yield f"{module.at(node)} changes {ast.unparse(node.value)}"
        elif isinstance(node, ast.FunctionDef):
            for each in node.decorator_list:
                if ast.unparse(each.func if isinstance(each, ast.Call) else each) in CACHES:
                    yield f"{module.at(node)} {node.name} remembers for the whole process"

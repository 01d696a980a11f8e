"""What Llamarium is made of: its own version, and the licences of what it stands on."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib import metadata

PROGRAM = "llamarium"


@dataclass(frozen=True, slots=True)
class Component:
    """Something that the program is built from. `package` is its name in the package index, "" for Python itself."""

    name: str
    package: str
    licence: str


COMPONENTS = (
    Component("Qt for Python", "PySide6-Essentials", "LGPL-3.0"),
    Component("llama.cpp and its Python binding", "llama-cpp-python", "MIT"),
    Component("Hugging Face Hub client", "huggingface-hub", "Apache-2.0"),
    Component("Jinja", "jinja2", "BSD-3-Clause"),
    Component("markdown-it-py", "markdown-it-py", "MIT"),
    Component("msgspec", "msgspec", "BSD-3-Clause"),
    Component("NumPy", "numpy", "BSD-3-Clause"),
    Component("NVIDIA management library binding", "nvidia-ml-py", "BSD-3-Clause"),
    Component("platformdirs", "platformdirs", "MIT"),
    Component("psutil", "psutil", "BSD-3-Clause"),
    Component("Pygments", "pygments", "BSD-2-Clause"),
    Component("PyQtGraph", "pyqtgraph", "MIT"),
    Component("TOML Kit", "tomlkit", "MIT"),
    Component("Python", "", "PSF-2.0"),
)
"""The packages that pyproject.toml names, and Python. Source: each package's own licence field."""


def own_version() -> str | None:
    """Llamarium's version, None when it runs from a source tree that was never installed."""
    return _version(PROGRAM)


def version_of(component: Component) -> str | None:
    """The installed version, None when it is not there."""
    return platform.python_version() if not component.package else _version(component.package)


def system_text() -> str:
    """The system that it runs on, for a report: Linux 6.1 x86_64, Python 3.11.2."""
    return f"{platform.system()} {platform.release()} {platform.machine()}, Python {sys.version.split()[0]}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

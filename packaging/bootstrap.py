"""Set-up: from a fresh clone to a program that starts. `make run` and `make test` call this; so may you.

    packaging/start.sh setup [--for run|test|gpu-test] [--gpu cpu|cuda|vulkan|metal|rocm] [--python PATH]

Standard library only, and this first file is readable by any Python 3, so that an old one says what is wrong rather
than showing a syntax error. It finds a Python that fits (maybe not the one it runs on), and the steps in setup_steps/
do the rest. Rejected: a shell script (no tests, no live progress), a tool that has to be downloaded first.
"""

import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))


def main():
    """Check the Python this runs on, then hand over."""
    # Isolated mode (-I) keeps PYTHONPATH and the user's own packages out; it leaves this folder out too.
    sys.path.insert(0, FOLDER)
    if sys.version_info < (3, 10):
        return hand_over_to_newer()
    from setup_steps import command

    return command.main(sys.argv[1:], os.path.dirname(FOLDER))


def hand_over_to_newer():
    """This Python cannot even read the steps: run them on one of the three that Llamarium runs on."""
    import subprocess

    arguments = sys.argv[1:]
    wanted = arguments[arguments.index("--python") + 1 :][:1] if "--python" in arguments else []
    for name in [*wanted, "python3.11", "python3.12", "python3.13", "/usr/bin/python3"]:
        try:
            fits = subprocess.call([name, "-I", "-c", "import sys; sys.exit(sys.version_info < (3, 10))"])
        except OSError:
            continue
        if fits == 0:
            return subprocess.call([name, "-I", os.path.abspath(__file__), *arguments])
    sys.stderr.write(
        "Llamarium needs Python 3.11, 3.12 or 3.13; this is Python %d.%d (%s).\n"
        "Install one of them, then run the same command again.\n"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())

#!/bin/sh
# Finds any Python 3 and hands over to bootstrap.py, which then chooses the right one.
#
# The .venv's own comes first: it starts fastest, and the second `make run` is only a look at a stamp. Where there is
# no Python at all, Debian's is installed when this user may do that, as bootstrap.py does for everything else.
set -eu
here=$(dirname "$0")

hand_over() {
    for python in "$here/../.venv/bin/python" python3 python3.11 python3.12 python3.13 /usr/bin/python3; do
        # It is tried, not only found: a version manager's stand-in may be there without the Python behind it.
        if command -v "$python" >/dev/null 2>&1 && "$python" -I -c '' >/dev/null 2>&1; then
            exec "$python" -I "$here/bootstrap.py" "$@"
        fi
    done
}

hand_over "$@"

echo "Llamarium needs Python 3.11, 3.12 or 3.13, and this computer has no Python 3."
if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        as_root=env
    elif command -v sudo >/dev/null 2>&1 && sudo -n true >/dev/null 2>&1; then
        as_root="sudo -n env"
    else
        echo "Install it with this line, then run the same command again:"
        echo "    sudo apt-get install --no-install-recommends python3 python3-venv"
        exit 2
    fi
    echo "Installing it (apt-get install python3 python3-venv)..."
    log=$here/../build/setup.log
    mkdir -p "$here/../build"
    $as_root apt-get update >"$log" 2>&1 || true
    if ! $as_root DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "apt-get could not install it; mend that, then run the same command again."
        exit 2
    fi
    hand_over "$@"
fi
echo "Install one, then run the same command again."
exit 2

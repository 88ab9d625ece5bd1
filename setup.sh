#!/bin/sh
# Make .venv with the locked packages and this project in it. Called by the Makefile; does nothing that is done already.
set -eu
cd "$(dirname "$0")"
here=$(pwd -P)

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

find_python() {
    [ -n "${PYTHON:-}" ] && set -- "$PYTHON" || set -- python3 python3.13 python3.12 python3.11
    for candidate in "$@"; do
        if fits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    found=$("${PYTHON:-python3}" -c 'import platform; print(platform.python_version())' 2>/dev/null || echo none)
    echo "Python 3.11, 3.12 or 3.13 is needed, found ${found} (${PYTHON:-python3}): install one, or name it with: make PYTHON=/path/to/python3.12" >&2
    return 1
}

# A virtual environment can't be moved: one that was made elsewhere is made anew.
if [ -d .venv ] && { [ ! -f .venv/made-in ] || [ "$(cat .venv/made-in)" != "$here" ] || ! fits .venv/bin/python; }; then
    rm -rf .venv
fi
if [ ! -d .venv ]; then
    python=$(find_python)
    "$python" -m venv .venv 2>/dev/null || { rm -rf .venv && uv venv -q --seed --python "$python" .venv 2>/dev/null; } || {
        rm -rf .venv
        echo "$python cannot make a virtual environment: install its venv module (Debian: apt install python3-venv) and try again" >&2
        exit 1
    }
    echo "$here" > .venv/made-in
fi

installer=uv
command -v uv >/dev/null 2>&1 || installer=.venv/bin/uv
[ "$installer" = uv ] || [ -x .venv/bin/uv ] || .venv/bin/python -m pip install -q --disable-pip-version-check uv 2>/dev/null || true
quiet=$([ -t 2 ] || echo --quiet) # where nobody watches a progress bar, the list of 225 packages says nothing
fast_install() { command -v "$installer" >/dev/null 2>&1 && "$installer" pip install $quiet --python .venv/bin/python "$@"; }
plain_install() { .venv/bin/python -m pip install $quiet --disable-pip-version-check "$@"; }

echo "Installing the packages of requirements.txt into .venv (about 2.8 GB, two to five minutes, only once) ..."
fast_install -r requirements.txt || plain_install -r requirements.txt
fast_install --no-deps -e . || plain_install --no-deps -e .
touch .venv/ready

#!/usr/bin/env bash
# Make .venv and install the product into it, with pinned versions. `set-up.sh test`: the tests' tools too.
# Done again only when what is to be installed has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
extra=${1:-}
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed; $("$python" --version) is here. Set PYTHON to another." >&2
    exit 2
}
stamp=$(cat pyproject.toml etc/constraints.txt etc/set-up.sh | sha256sum | cut -c1-32)
[ "$(cat ".venv/installed-$extra" 2>/dev/null)" = "$stamp" ] && exit 0
echo "installing pinned versions into .venv: some minutes, about 2 GB on disk" >&2
"$python" -m venv .venv || {
    echo "Python's venv is missing: apt-get install python3-venv" >&2
    exit 2
}
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint etc/constraints.txt --editable ".${extra:+[$extra]}"
# pynetdicom brings programs named as DCMTK's, and would hide those where the environment is activated
(cd .venv/bin && rm -f echoscp echoscu findscu getscu movescu qrscp storescp storescu)
echo "$stamp" > ".venv/installed-$extra"

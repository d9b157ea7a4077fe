#!/usr/bin/env bash
# dicognito, an anonymizer whose README says to run the command `dicognito`.
#
# Guess before the run: `dicognito --version` prints 0.19.0.
# Seen (dicognito 0.19.0): the command that pip installs ends in "TypeError: main() missing 1 required
#   positional argument", with any arguments; `python -m dicognito` works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dicognito==0.19.0
if "$folder/venv/bin/dicognito" --version 2> "$folder/error"; then
    echo "the command starts now"
    exit 1
fi
tail -n 1 "$folder/error"
grep -q "TypeError: main() missing 1 required positional argument" "$folder/error"
"$folder/venv/bin/python" -m dicognito --version

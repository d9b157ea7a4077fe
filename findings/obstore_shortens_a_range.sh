#!/usr/bin/env bash
# An archive keeps the files of a series one behind the other in one object, and reads each by its range:
# obstore.get_range(store, path, start=…, length=…).
#
# Guess before the run: a range that ends behind the object is an error, as the bytes asked for are not there.
# Seen (obstore 0.12.1, folder and memory): the bytes up to the object's end come back, fewer than asked for,
#   and nothing says so. Only a range that begins at the end or behind it is an error. Whoever reads a file
#   by its range from an object that was cut short gets a shorter file: compare the length.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check obstore==0.12.1
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
from pathlib import Path

import obstore
from obstore.store import LocalStore, MemoryStore

place = Path(sys.argv[1], "objects")
place.mkdir()
for store in (LocalStore(place), MemoryStore()):
    obstore.put(store, "series", bytes(range(100)))
    got = bytes(obstore.get_range(store, "series", start=90, length=50))
    try:
        behind = f"{len(obstore.get_range(store, 'series', start=200, length=50))} bytes"
    except Exception as error:
        behind = type(error).__name__
    print(f"{type(store).__name__}: 50 bytes from 90 of 100: {len(got)} came; from 200: {behind}")
    assert got == bytes(range(90, 100))
    assert not behind.endswith("bytes")
PY

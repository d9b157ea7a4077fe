#!/usr/bin/env bash
# Install the npm packages that the tests use as peers into a cache folder, where npm is at hand.
set -euo pipefail
packages=(dcmjs-dimse@0.3.3 dwv@0.36.4 playwright-core@1.64.1)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/dicomnode-tests/npm
command -v npm > /dev/null || {
    echo "npm is not installed; the tests with ${packages[*]} are skipped" >&2
    exit 0
}
[ "$(cat "$folder/installed" 2>/dev/null)" = "${packages[*]}" ] && exit 0
mkdir -p "$folder"
npm install --prefix "$folder" --no-audit --no-fund --no-save --ignore-scripts --silent "${packages[@]}" || {
    echo "npm cannot install ${packages[*]}; the tests with them are skipped" >&2
    exit 0
}
echo "${packages[*]}" > "$folder/installed"

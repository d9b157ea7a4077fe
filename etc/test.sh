#!/usr/bin/env bash
# Set up everything the tests need, then run the gate and the suite. Arguments go to pytest.
# Debian packages are installed where this user may (root or sudo without a password); else the
# tests that need a missing one say so and are skipped (with CI set they fail). Packages of npm are
# installed where it is at hand.
set -euo pipefail
cd "$(dirname "$0")/.."
etc/debian-packages.sh
etc/npm-packages.sh
etc/set-up.sh test
exec etc/gate.sh "$@"

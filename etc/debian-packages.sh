#!/usr/bin/env bash
# Install the Debian packages that the tests use as peers and validators, where this user may; arguments
# name further ones.
set -euo pipefail
packages=(dcmtk default-jre-headless dicom3tools libpixelmed-java openssl orthanc orthanc-dicomweb
    gcc haproxy iproute2 keepalived libc6-dev munge pgbouncer postgresql slurm-wlm systemd "$@")
missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || {
        echo "not installed, for want of root: ${missing[*]}; the tests that need them are skipped" >&2
        exit 0
    }
    as_root=(sudo -n)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null

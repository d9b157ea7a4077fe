#!/bin/bash
# For keepalived: fails while the node on this machine says that it is not ready (503 of /readyz). One that
# says nothing counts as ready: whether it answers at all its DICOM port tells.
#   dicomnode-ready.sh [ADDRESS [PORT]]      as in [http]
{ exec 3<>"/dev/tcp/${1:-127.0.0.1}/${2:-11180}"; } 2>/dev/null || exit 0
printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
read -r -t 1 _ status _ <&3
[ "$status" != 503 ]

"""Whether a Ray cluster lets anybody in, and refusing one that does.

Whoever may speak to a Ray cluster may run any program on its hosts, and these reach the database
and the images. Since 2.52 Ray asks for a token where RAY_AUTH_MODE is `token` on each of its hosts;
where one is given to a cluster that asks for none, nobody is told. So it is tried without.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from dicomnode.errors import ConfigurationError, PeerCause, PeerError

_MODE = "RAY_AUTH_MODE"
_CONNECT_SECONDS = 5.0
_PROBE_SECONDS = 30.0
_OPEN, _CLOSED = 10, 11  # exit statuses of the probe

_PROBE = f"""
import sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError
try:
    GcsClient(address=sys.argv[1]).internal_kv_keys(b"dicomnode", None, timeout=10)
except AuthenticationError:
    sys.exit({_CLOSED})
sys.exit({_OPEN})
"""


def check_authentication(address: str) -> None:
    """
    Raises:
        ConfigurationError: the cluster asks nobody for a token, or does not take that of this host.
        PeerError: it does not answer.
    """
    if os.environ.get(_MODE, "").lower() != "token":
        raise ConfigurationError(
            f"Ray's authentication is off: set {_MODE}=token here and on each host of the cluster, "
            "with the same token in ~/.ray/auth_token (ray get-auth-token --generate) or named by "
            "RAY_AUTH_TOKEN_PATH; --without-authentication where nobody else can reach the cluster"
        )
    if lets_anybody_in(address):
        raise ConfigurationError(
            f"the Ray cluster at {address} lets anybody run programs on its hosts: start each of "
            f"them with {_MODE}=token; --without-authentication where nobody else can reach it"
        )
    shown = _asked(address, dict(os.environ))
    if shown.returncode != _OPEN:
        why = shown.stderr.decode(errors="replace").strip().splitlines()
        said = f" ({why[-1]})" if shown.returncode != _CLOSED and why else ""
        raise ConfigurationError(
            f"the Ray cluster at {address} does not take the token of this host{said}: let "
            "RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token hold the one that its head has"
        )


def lets_anybody_in(address: str) -> bool:
    """Whether the head answers one who shows no token; asked by another process, as Ray reads its
    environment once.

    Raises:
        PeerError: it does not answer.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        text = f"no Ray cluster answers at {address}: {error.strerror or error}"
        raise PeerError(text, PeerCause.UNREACHABLE) from error
    environment = {name: value for name, value in os.environ.items() if "RAY_AUTH" not in name}
    environment[_MODE] = "disabled"
    done = _asked(address, environment)
    if done.returncode not in (_OPEN, _CLOSED):
        raise PeerError(f"what answers at {address} is no Ray cluster", PeerCause.STATUS)
    return done.returncode == _OPEN


def _asked(address: str, environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", _PROBE, address]
    try:
        return subprocess.run(
            command, env=environment, capture_output=True, timeout=_PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        text = f"{address} did not answer within {_PROBE_SECONDS:g} s"
        raise PeerError(text, PeerCause.NO_ANSWER) from None

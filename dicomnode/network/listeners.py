"""Listening TCP sockets; without pynetdicom, for who only holds them."""

from __future__ import annotations

import socket

from dicomnode.errors import ConfigurationError

BACKLOG = 1024
"""Connections that the kernel holds for us while none of the receivers is free to take them."""


def bind_listener(address: tuple[str, int]) -> socket.socket:
    """A listening TCP socket, for `associations.listen` in this or in a child process.

    Raises:
        ConfigurationError: the address cannot be bound; names it and why.
    """
    try:
        family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        where = f"{address[0]}:{address[1]}"
        raise ConfigurationError(f"cannot listen on {where}: {error.strerror}") from error
    return listener

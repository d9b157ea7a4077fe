"""What this machine can do at most, measured in the same run: the limits of any receiver."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_BLOCK = 1 << 19


def durable_writes(contents: Sequence[bytes], count: int, folder: Path, threads: int) -> float:
    """Files a second: write, fdatasync, rename, fsync of the folder, one after the other."""
    folder.mkdir()
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def write(number: int) -> None:
        temporary, final = folder / f"{number}.part", folder / f"{number}.dcm"
        with temporary.open("wb") as file:
            file.write(contents[number % len(contents)])
            file.flush()
            os.fdatasync(file.fileno())
        temporary.rename(final)
        os.fsync(directory)

    began = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write, range(count)))
    seconds = time.monotonic() - began
    os.close(directory)
    return count / seconds


def loopback_bytes_per_second(total: int) -> float:
    """One TCP connection over the loopback interface, both ends in this process."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _address = server.accept()

    def send() -> None:
        block = bytes(_BLOCK)
        with sender:
            for _ in range(total // _BLOCK):
                sender.sendall(block)

    thread = threading.Thread(target=send)
    began = time.monotonic()
    thread.start()
    buffer = bytearray(_BLOCK)
    received = 0
    with receiver:
        while length := receiver.recv_into(buffer):
            received += length
    thread.join()
    return received / (time.monotonic() - began)

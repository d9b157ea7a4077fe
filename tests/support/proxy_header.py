"""A header of PROXY protocol version 2, written from HAProxy's text and not with our reader."""

from __future__ import annotations

from ipaddress import ip_address


def proxy_header(source: str, port: int = 4000, more: bytes = b"", command: int = 0x21) -> bytes:
    """`more`: what a proxy adds behind the addresses (TLVs). `command`: 0x20 for LOCAL."""
    address = ip_address(source)
    family = 0x11 if address.version == 4 else 0x21
    body = address.packed + bytes(len(address.packed)) + port.to_bytes(2, "big") + b"\0\x68" + more
    signature = bytes.fromhex("0d0a0d0a000d0a515549540a")
    return signature + bytes([command, family]) + len(body).to_bytes(2, "big") + body

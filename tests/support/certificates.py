"""Certificates for tests, made by the openssl program; EC keys, because they are quick to make."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.tools import needed

_EXTENSIONS = (
    "basicConstraints=critical,CA:FALSE\n"
    "subjectAltName=DNS:localhost,IP:127.0.0.1\n"
    "authorityKeyIdentifier=keyid\n"
)


@dataclass(frozen=True)
class Credentials:
    """A certificate and its private key, PEM."""

    certificate: Path
    private_key: Path


def openssl(*arguments: str) -> str:
    """Output of the program. Raises CalledProcessError when it fails."""
    return subprocess.run(
        [needed("openssl", "openssl"), *arguments], check=True, capture_output=True, text=True
    ).stdout


class Authority:
    """A certification authority in a folder of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self.certificate, self._key = folder / "ca.pem", folder / "ca.key"
        (folder / "extensions").write_text(_EXTENSIONS)
        make_key(self._key)
        openssl(
            *("req", "-x509", "-new", "-key", str(self._key), "-out", str(self.certificate)),
            *("-days", "3650", "-subj", f"/CN={name}"),
        )

    def issue(self, name: str, days: int = 365, key: Path | None = None) -> Credentials:
        """A certificate for localhost and 127.0.0.1; with negative `days` it has ended."""
        certificate, request = self._folder / f"{name}.pem", self._folder / f"{name}.csr"
        private_key = key or make_key(self._folder / f"{name}.key")
        openssl(
            *("req", "-new", "-key", str(private_key), "-out", str(request)),
            *("-subj", f"/CN={name}"),
        )
        openssl(
            *("x509", "-req", "-in", str(request), "-out", str(certificate), "-days", str(days)),
            *("-CA", str(self.certificate), "-CAkey", str(self._key), "-CAcreateserial"),
            *("-extfile", str(self._folder / "extensions")),
        )
        return Credentials(certificate, private_key)


def make_key(path: Path) -> Path:
    """A private key on the curve P-256."""
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path))
    return path

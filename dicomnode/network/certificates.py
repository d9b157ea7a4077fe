"""Until when certificates are valid: the one thing that `ssl` does not tell of one's own.

Reads RFC 5280 section 4.1 (DER, ITU-T X.690) as far as the validity and no further; everything
else about certificates is OpenSSL's business.
"""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime

_PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_SHORT_FORM_LIMIT = 0x80  # longer contents tell in so many bytes how long they are (X.690 8.1.3)
_FIRST_TWO_DIGIT_YEAR = 1950  # RFC 5280 section 4.1.2.5.1


def expiry_of_pem(text: str) -> datetime:
    """When the first of all certificates in a PEM file ends: a chain holds no longer than that.

    Raises:
        ValueError: there is no certificate in it, or one that cannot be read.
    """
    ends = [expiry_of_der(ssl.PEM_cert_to_DER_cert(each)) for each in _PEM.findall(text)]
    if not ends:
        raise ValueError("no certificate in it")
    return min(ends)


def expiry_of_der(certificate: bytes) -> datetime:
    """notAfter of a certificate, UTC (RFC 5280 section 4.1.2.5).

    Raises:
        ValueError: it is no certificate.
    """
    _, outer, _ = _element(certificate, _SEQUENCE)
    _, rest, _ = _element(outer, _SEQUENCE)  # TBSCertificate
    if rest[:1] == bytes([_VERSION]):  # absent from version 1
        _, _, rest = _element(rest)
    for _name in ("serialNumber", "signature", "issuer"):
        _, _, rest = _element(rest)
    _, validity, _ = _element(rest, _SEQUENCE)
    _, _, rest = _element(validity)  # notBefore
    tag, not_after, _ = _element(rest)
    return _time(tag, not_after)


def _element(data: bytes, expected: int | None = None) -> tuple[int, bytes, bytes]:
    """Tag and contents of the first element, and what follows it."""
    if len(data) < 2 or (expected is not None and data[0] != expected):
        raise ValueError("no X.509 certificate")
    start, length = 2, data[1]
    if length >= _SHORT_FORM_LIMIT:
        start += length - _SHORT_FORM_LIMIT
        length = int.from_bytes(data[2:start], "big")
    if len(data) < start + length:
        raise ValueError("no X.509 certificate: it breaks off")
    return data[0], data[start : start + length], data[start + length :]


def _time(tag: int, value: bytes) -> datetime:
    """UTCTime YYMMDDHHMMSSZ until 2049, GeneralizedTime YYYYMMDDHHMMSSZ from 2050 on."""
    text = value.decode("ascii")
    if tag == _UTC_TIME:
        year = int(text[:2])
        text = f"{year + (1900 if year >= _FIRST_TWO_DIGIT_YEAR - 1900 else 2000)}{text[2:]}"
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no X.509 certificate: no time where its end should be")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)

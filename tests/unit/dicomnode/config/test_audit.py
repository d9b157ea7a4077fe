"""Where the audit trail goes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from dicomnode.config.audit import AuditSettings
from dicomnode.tls import DestinationTls

CA = DestinationTls(peer_ca="ca.pem")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("udp://syslog.example", ("udp", "syslog.example", 514)),
        ("tcp://syslog.example", ("tcp", "syslog.example", 601)),
        ("tcp://[2001:db8::7]:1514", ("tcp", "2001:db8::7", 1514)),
    ],
)
def test_a_server_has_the_registered_port_unless_another_is_named(
    url: str, server: tuple[str, str, int]
) -> None:
    assert AuditSettings(syslog=url).syslog_server == server
    assert AuditSettings(syslog="tls://a", tls=CA).syslog_server == ("tls", "a", 6514)


@pytest.mark.parametrize(
    "url",
    ["syslog.example", "http://a", "udp://", "udp://a/b", "tcp://u:p@a", "udp://a:0", "udp://a:x"],
)
def test_what_is_no_server_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="syslog must be as udp://"):
        AuditSettings(syslog=url)


def test_tls_wants_who_vouches_for_the_server_and_others_do_not() -> None:
    with pytest.raises(ValidationError, match="tls:// needs tls"):
        AuditSettings(syslog="tls://a")
    with pytest.raises(ValidationError, match="tls:// needs tls"):
        AuditSettings(syslog="udp://a", tls=CA)


def test_relative_paths_are_taken_from_the_folder_of_the_configuration() -> None:
    anchored = AuditSettings(file="a.log", syslog="tls://a", tls=CA).anchored(Path("/etc/x"))
    assert anchored.file == "/etc/x/a.log"
    assert anchored.tls is not None
    assert anchored.tls.peer_ca == "/etc/x/ca.pem"
    assert AuditSettings().anchored(Path("/etc/x")).file == ""

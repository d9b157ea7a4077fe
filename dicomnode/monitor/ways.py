"""The ways by which troubles are told: the log, a webhook, e-mail."""

from __future__ import annotations

import json
import logging
import smtplib
from collections.abc import Collection
from contextlib import closing
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Protocol
from urllib.parse import urlsplit

from dicomnode.config.alerts import AlertSettings, MailSettings, Webhook
from dicomnode.decisions.operating.message import Message
from dicomnode.decisions.operating.troubles import Severity
from dicomnode.errors import PeerCause, PeerError
from dicomnode.network.web_connection import WebConnection
from dicomnode.tls import DestinationTls, client_context, reason

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
_LEVELS = {Severity.ERROR: logging.ERROR, Severity.WARNING: logging.WARNING}


class Way(Protocol):
    """`name`: one word, which is kept. `severities`: those that it is told of."""

    @property
    def name(self) -> str: ...
    @property
    def severities(self) -> Collection[str]: ...

    def tell(self, message: Message) -> None:
        """
        Raises:
            PeerError: it did not reach anybody; another time it may.
            ConfigurationError: a file or a secret of ours cannot be used.
        """


class LogWay:
    name = "log"
    severities = frozenset(Severity)

    def tell(self, message: Message) -> None:
        for each in message.began:
            level = _LEVELS[Severity(each.severity)]
            log.log(level, "trouble: %s; what to do: %s", each.text, each.remedy)
        for each in message.over:
            log.info("over: %s", each.text)


class WebhookWay:
    """By POST of a JSON document (`Message.as_json`); an answer of 2xx says that it was taken."""

    name = "webhook"

    def __init__(self, webhook: Webhook, severities: Collection[str]) -> None:
        self._webhook = webhook
        self.severities = severities

    def tell(self, message: Message) -> None:
        body = json.dumps(message.as_json(), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        if self._webhook.credentials is not None:
            headers["Authorization"] = self._webhook.credentials.authorization()
        path = "" if urlsplit(self._webhook.url).path else "/"
        with closing(WebConnection(self._webhook, TIMEOUT_SECONDS)) as connection:
            answer = connection.request("POST", path, headers, [body])
        if not 200 <= answer.status < 300:
            raise PeerError(f"the webhook answered HTTP {answer.status}", PeerCause.STATUS)


class MailWay:
    name = "mail"

    def __init__(self, mail: MailSettings, severities: Collection[str]) -> None:
        self._mail = mail
        self.severities = severities

    def tell(self, message: Message) -> None:
        try:
            with self._connected() as server:
                if self._mail.credentials is not None:
                    server.login(self._mail.credentials.user, self._mail.credentials.secret())
                server.send_message(self._written(message))
        except smtplib.SMTPResponseException as error:  # its text may quote addresses
            text = f"the mail server answered {error.smtp_code}"
            raise PeerError(text, PeerCause.STATUS) from None
        except smtplib.SMTPServerDisconnected:
            text = f"the mail server broke off, or was silent for {TIMEOUT_SECONDS:g} s"
            raise PeerError(text, PeerCause.LOST) from None
        except smtplib.SMTPException as error:
            text = f"the mail server failed: {type(error).__name__}"
            raise PeerError(text, PeerCause.STATUS) from None
        except OSError as error:
            text = f"the mail server cannot be reached: {reason(error)}"
            raise PeerError(text, PeerCause.UNREACHABLE) from None

    def _connected(self) -> smtplib.SMTP:
        mail = self._mail
        where = (mail.server, mail.port)
        if mail.security == "none":
            return smtplib.SMTP(*where, timeout=TIMEOUT_SECONDS)
        context = client_context(DestinationTls(peer_ca=mail.peer_ca))
        if mail.security == "tls":
            return smtplib.SMTP_SSL(*where, timeout=TIMEOUT_SECONDS, context=context)
        server = smtplib.SMTP(*where, timeout=TIMEOUT_SECONDS)
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
        return server

    def _written(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = message.subject
        mail["From"], mail["To"] = self._mail.sender, ", ".join(self._mail.to)
        mail["Date"] = format_datetime(message.at)
        mail["Message-ID"] = make_msgid(domain=self._mail.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence is told in answer
        mail.set_content(message.text, cte="quoted-printable")
        return mail


def ways_of(alerts: AlertSettings) -> tuple[Way, ...]:
    """The log, and what is configured."""
    severities = frozenset({Severity.ERROR, alerts.least})
    ways: list[Way] = [LogWay()]
    if alerts.webhook is not None:
        ways.append(WebhookWay(alerts.webhook, severities))
    if alerts.mail is not None:
        ways.append(MailWay(alerts.mail, severities))
    return tuple(ways)

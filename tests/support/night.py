"""A node alone at night, and what it tells: by webhook, e-mail, `status`, `why` and its page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from html import unescape
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import patch
from urllib.request import urlopen

from dicomnode.config.destinations import Destination
from dicomnode.network.send import send_files
from storage.records import SeriesDetail, SeriesState
from support.alert_receivers import MailServer, WebhookServer, running
from support.node import Node, free_port
from support.phantom import series_uid, write_series
from support.set_clock import SetClock
from support.wait import PATIENCE_SECONDS, wait_for


@dataclass
class Alert:
    """A trouble as it was told, and how many seconds after it was planted."""

    name: str
    text: str
    remedy: str
    seconds: float

    @property
    def kind(self) -> str:
        """How its text begins, before figures that change."""
        return self.text[:17]


@dataclass
class Row:
    """What an administrator was told of one fault. `command`: what mended it."""

    fault: str
    alert: Alert
    status: str
    why: str
    page: str
    command: str
    seconds_to_over: float

    def __str__(self) -> str:
        lines = [f"=== {self.fault}: told after {self.alert.seconds:.1f} s"]
        lines += [f"alert    {self.alert.text}", f"         what to do: {self.alert.remedy}"]
        lines += [f"status   {self.status}", f"why      {self.why or '–'}", f"page     {self.page}"]
        lines += [f"command  {self.command}", f"over     {self.seconds_to_over:.1f} s after it"]
        return "\n".join(lines)


class Night:
    """One node, whoever it tells its troubles, and what was told so far."""

    def __init__(self, node: Node, hook: WebhookServer, mail: MailServer, clock: SetClock) -> None:
        self.node, self.hook, self.mail, self.clock = node, hook, mail, clock
        self.rows: list[Row] = []
        self._since = self._mended = (0, 0.0)
        self._series = 0
        self._shown: list[str] = []

    def start(self) -> None:
        with patch.dict(os.environ, self.clock.environment):
            self.node.start()

    # -- what happens

    def plant(self) -> None:
        """From now on it is counted how long it takes to be told."""
        self._since = len(self.hook.taken), time.monotonic()

    def series(self, slices: int = 12, **more: Any) -> list[Path]:
        self._series += 1
        folder = self.node.folder / "ct" / str(self._series)
        return write_series(folder, slices, self._series, **more)

    def send(self, files: list[Path], sender: str = "CT1") -> str:
        """Send a series whole; its UID."""
        assert list(send_files(files, self.node.peer, sender)) == files
        return series_uid(files)

    def change(self, before: str, after: str) -> None:
        """Edit the configuration file."""
        text = self.node.config.read_text()
        assert text.count(before) == 1, before
        self.node.config.write_text(text.replace(before, after))

    def dicomnode(self, *arguments: str) -> CompletedProcess[str]:
        """A command in a process of its own, as an administrator gives it."""
        config = ("--config", str(self.node.config))
        command = [sys.executable, "-m", "dicomnode", *arguments, *config]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def give(self, command: str) -> CompletedProcess[str]:
        """A command as it was told, word for word; it must do what it says."""
        words = command.split()
        assert words[0] == "dicomnode", command
        done = self.dicomnode(*words[1:])
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done

    # -- what is told

    def told(self, name: str) -> Alert:
        """Once the webhook and the mail have it, that it began."""
        taken, planted = self._since

        def began() -> Alert | None:
            for _, _, body in self.hook.taken[taken:]:
                for each in body["began"]:
                    if each["name"] == name:
                        seconds = time.monotonic() - planted
                        return Alert(name, each["text"], each["remedy"], seconds)
            return None

        found = wait_for(began, f"{name} is told; log:\n{self.node.log[-3000:]}")
        wait_for(lambda: any(found.text in each for each in self.mails()), f"mail of {name}")
        return found

    def over(self, name: str) -> float:
        """Once the webhook has it that it is over: seconds from the mending."""
        taken, began = self._mended

        def is_over() -> bool:
            told = (each for _, _, body in self.hook.taken[taken:] for each in body["over"])
            return any(each["name"] == name for each in told)

        wait_for(is_over, f"{name} is over; log:\n{self.node.log[-3000:]}")
        return time.monotonic() - began

    def mails(self) -> list[str]:
        """Each mail's text, as one line: what is long is broken there."""
        messages = (message_from_bytes(each, policy=policy.default) for each in self.mail.taken)
        return [str(each.get_content()) for each in messages]

    def status(self, alert: Alert) -> str:
        """What `dicomnode status` says of it."""
        done = self.dicomnode("status")
        assert done.returncode in {1, 3}, (done.stdout, done.stderr)
        self._shown.append(done.stdout)
        lines = done.stdout.splitlines()
        remedy = f"  what to do: {alert.remedy}"
        assert remedy in lines, (remedy, done.stdout, done.stderr)
        found = lines[lines.index(remedy) - 1]
        assert alert.kind in found
        return f"exit {done.returncode}: {found}"

    def why(self, uid: str) -> str:
        """The first line of `dicomnode queue why`."""
        done = self.dicomnode("queue", "why", uid)
        self._shown.append(done.stdout + done.stderr)
        return (done.stdout or done.stderr).splitlines()[0]

    def everything(self) -> str:
        """All that was told and shown this night, and the log."""
        hooked = [json.dumps(body) for _, _, body in self.hook.taken]
        return "\n".join([*hooked, *self.mails(), *self._shown, self.node.log])

    def page(self, alert: Alert) -> str:
        """What the status page says of it."""
        port = self.node.settings.http.port
        with urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE_SECONDS) as answer:
            shown = answer.read().decode()
        self._shown.append(shown)
        text = " ".join(unescape(re.sub(r"<[^>]+>", " ", shown)).split())
        at = text.find(alert.kind)
        assert at >= 0, (alert, text)
        return text[at : at + 120]

    def row(
        self, fault: str, alert: Alert, command: str, mend: Callable[[], object], why: str = ""
    ) -> Row:
        """Look at it from all sides, mend it, and see that it is over."""
        status, page = self.status(alert), self.page(alert)
        self._mended = len(self.hook.taken), time.monotonic()
        mend()
        row = Row(fault, alert, status, why, page, command, self.over(alert.name))
        self.rows.append(row)
        print(row)
        return row

    # -- what is waited for

    def wait_until_analysed(self, uid: str) -> SeriesDetail:
        detail = self.node.wait_until_ended(uid)
        assert detail.series.state is SeriesState.ANALYSED
        return detail


_CONFIG = """
[node]
data_directory = "data"
database_url = "{database}"
[receive]
port = {port}
[receive.admission]
peers = [
    {{ ae_title = "CT1", networks = ["127.0.0.1"] }},
    {{ ae_title = "TESTER", networks = ["127.0.0.1"] }},
]
[receive.tls]
certificate = "{certificate}"
private_key = "{private_key}"
require_peer_certificate = false
port = {tls_port}
[completeness]
quiet_seconds = 0.5
[study]
wait_seconds = 0.0
[chest]
min_lung_height_mm = 20.0
min_lung_ml = 100.0
[inference]
allow_demonstration_model = true
methods = [{{ bundle = "{bundle}" }}]
lease_seconds = 2.0
[results]
key_slices = 1
note = "off"
[delivery]
timeout_seconds = 5.0
[delivery.retry]
first_delay_seconds = 0.5
longest_delay_seconds = 1.0
longest_probe_seconds = 1.0
[disk]
refuse_below_bytes = {refuse}
resume_above_bytes = {resume}
[http]
port = {http_port}
[health]
look_seconds = 1.0
restarts = 10
disk_warning_bytes = {warning}
certificate_days = 30.0
sources = [{{ ae_title = "CT1", silent_hours = 4.0 }}]
[alerts]
stand_seconds = 0.0
over_seconds = 1.0
webhook = {{ url = "{hook}" }}
[alerts.mail]
server = "127.0.0.1"
port = {mail_port}
security = "none"
sender = "node@hospital.example"
to = ["on-call@hospital.example"]
[[destinations]]
name = "pacs"
ae_title = "{ae_title}"
address = "127.0.0.1"
port = {pacs_port}
"""

_MIB = 1 << 20
REFUSE_BYTES, RESUME_BYTES, WARNING_BYTES = 8 * _MIB, 12 * _MIB, 60 * _MIB


@contextmanager
def night_on_call(
    folder: Path,
    database: str,
    pacs: Destination,
    certificate: Path,
    private_key: Path,
    bundle: Path,
) -> Iterator[Night]:
    """A node with its doors open, and somebody whom it tells its troubles."""
    hook, mail = WebhookServer(), MailServer()
    with ExitStack() as stack:
        stack.enter_context(running(hook))
        stack.enter_context(running(mail))
        node = Node(folder)
        stack.callback(node.close)
        node.config.write_text(
            _CONFIG.format(
                database=database,
                port=node.port,
                certificate=certificate,
                private_key=private_key,
                tls_port=free_port(),
                bundle=bundle,
                http_port=free_port(),
                refuse=REFUSE_BYTES,
                resume=RESUME_BYTES,
                warning=WARNING_BYTES,
                hook=hook.url,
                mail_port=mail.port,
                ae_title=pacs.ae_title,
                pacs_port=pacs.port,
            )
        )
        night = Night(node, hook, mail, SetClock(folder / "clock"))
        night.start()
        yield night

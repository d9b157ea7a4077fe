"""What the documents show of commands is what the commands print, on the node of `support.clinic`.

A block ```console holds commands, each behind `$ `, and below each its output on a terminal of 80
columns. The blocks of a page are run in order on a copy of that node, in the process of the test.
What a block is headed by may set the scene: `<!-- stopped -->`, the node does not run;
`<!-- pacs_down -->`, one of `support.faults`. Lines are compared as they stand, but for what
changes from run to run: `_CHANGING`.

    WRITE_DOCUMENTS=1 .venv/bin/pytest tests/integration/test_documents.py

puts what the commands print into the documents: to be read before it is committed.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from dicomnode.version import VERSION
from support.clinic import Clinic, clinic, serving
from support.command import dicomnode
from support.faults import FAULTS
from support.handbook import DOCS, PAGES, text_of

_HOW_TO_WRITE = "what is printed now is put there by WRITE_DOCUMENTS=1"
_BLOCK = re.compile(r"(?:^<!-- (\w+) -->\n)?^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (.+)\n", re.MULTILINE)

_SPAN = r"\d+(?:\.\d+)? (?:s|ms|min|h|days?)\b"
_CHANGING = (
    (r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", "TIME"),
    (r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?(\+\d\d:\d\d|Z| UTC)?", "TIME"),
    (r"\b\d\d:\d\d(:\d\d)?( UTC)?", "TIME"),
    (rf"\b{_SPAN}(?: {_SPAN})*", "SPAN"),
    (r"\b\d+(\.\d+)? ?(KB|MB|GB|TB|[KMGT]iB)\b", "SIZE"),
    (r"\b2\.25\.\d+", "UID"),
    (r"\b[0-9a-f]{12,64}\b", "DIGEST"),
    (r"\bprocess \d+|command\[\d+\]", "PROCESS"),
    (r"\b\d+\.\d{3,}\b", "NUMBER"),
    (r"-\d{8}-\d{6}\b", "-TIME"),
    (re.escape(VERSION), "VERSION"),
    (r"[━─]+", "─"),
    (r"[ \t]+", " "),  # columns are as wide as what is in them
)
"""Patterns of what changes, and what stands for it; in this order."""

pytestmark = pytest.mark.long


def same(text: str) -> list[str]:
    for pattern, word in _CHANGING:
        text = re.sub(pattern, word, text)
    return [line.strip() for line in text.strip().splitlines()]


@dataclass(frozen=True)
class Step:
    command: str
    output: str


def steps(block: str) -> list[Step]:
    parts = _COMMAND.split(block)
    assert not parts[0].strip(), "a block begins with a command"
    return [Step(*pair) for pair in zip(parts[1::2], parts[2::2], strict=True)]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, small_models: Path) -> Iterator[Clinic]:
    with clinic(tmp_path_factory.mktemp("clinic"), small_models) as made:
        yield made


class Terminal:
    """Runs commands as if the node lay where a package puts it."""

    def __init__(self, node: Clinic, folder: Path) -> None:
        self._places = {
            "/etc/dicomnode/dicomnode.toml": str(node.config),
            "/var/lib/dicomnode": str(node.data),
            "/etc/dicomnode": str(node.folder),
            "/mnt/backup": str(folder / "backup"),
            '"192.0.2.20", port 5432': '"127.0.0.2", port 1',
            "192.0.2.20:5432": "127.0.0.2:1",
        }

    def run(self, command: str) -> str:
        """With `| head -N` or `| grep WORD` behind it, as in a pipe; with `> FILE`, nothing."""
        line, _, pipe = command.partition(" | ")
        line, _, file = line.partition(" > ")
        first, *arguments = shlex.split(self._there(line))
        assert first == "dicomnode", f"a command that no test runs: {command}"
        done = dicomnode(*arguments, terminal=not (pipe or file))
        assert "Traceback" not in done.stderr
        return "" if file else self._here(_piped(done.stdout, pipe) + done.stderr)

    def _there(self, text: str) -> str:
        for shown, real in self._places.items():
            text = text.replace(shown, real)
        return text

    def _here(self, text: str) -> str:
        for shown, real in self._places.items():
            text = text.replace(real, shown)
        text = re.sub(
            r"127\.0\.0\.1(:\d+)?", lambda at: "192.0.2.10" + (":104" * bool(at[1])), text
        )
        return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def _piped(text: str, pipe: str) -> str:
    lines = text.splitlines(keepends=True)
    if match := re.fullmatch(r"head -(\d+)", pipe):
        lines = lines[: int(match[1])]
    elif match := re.fullmatch(r"grep (-A1 )?('?)([\w ]+)\2", pipe):
        found = [number for number, each in enumerate(lines) if match[3] in each]
        lines = [lines[number + after] for number in found for after in range(2 if match[1] else 1)]
    else:
        assert not pipe, f"a pipe that no test knows: {pipe}"
    return "".join(lines)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```console" in text_of(page)], ids=lambda page: page.name
)
def test_what_a_document_shows_is_what_is_printed(
    page: Path, template: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "SUDO_USER": "admin",
    }.items():
        monkeypatch.setenv(name, value)
    usual, wrong = template.copy(tmp_path / "usual"), list[str]()

    def run(block: re.Match[str]) -> str:
        scene = block[1] or ""
        node = template.copy(tmp_path / scene) if scene in FAULTS else usual
        monkeypatch.setenv("DICOMNODE_CONFIG", str(node.config))
        with ExitStack() as stack:
            if scene != "stopped":
                states = stack.enter_context(serving(node.data))
                if scene in FAULTS:
                    FAULTS[scene](node, states)
            written = "".join(
                _shown(Terminal(node, tmp_path), step, wrong) for step in steps(block[2])
            )
        return block[0].replace(block[2], written)

    text = _BLOCK.sub(run, text_of(page))
    if os.environ.get("WRITE_DOCUMENTS"):
        page.write_text(text, encoding="utf-8")
        return
    assert wrong == [], "\n".join([*wrong, _HOW_TO_WRITE])


def _shown(terminal: Terminal, step: Step, wrong: list[str]) -> str:
    """The step with what is printed; each line as it stands where that is the same."""
    printed = terminal.run(step.command)
    if same(printed) != same(step.output):
        wrong.append(f"$ {step.command}\n{printed}")
    former = dict(enumerate(step.output.strip("\n").splitlines()))
    lines = enumerate(printed.splitlines())
    kept = (former.get(n, new) if same(new) == same(former.get(n, "")) else new for n, new in lines)
    printed = "\n".join(kept)
    return f"$ {step.command}\n{printed}\n" if printed else f"$ {step.command}\n"


def test_each_fault_that_can_be_planted_is_told_of_to_who_is_on_call() -> None:
    scenes = {block[1] for block in _BLOCK.finditer(text_of(DOCS / "on-call.md")) if block[1]}
    assert scenes == FAULTS.keys()

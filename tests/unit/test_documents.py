"""The documents name what there is: every rule, state and trouble, each key, command and file."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from typer.core import TyperGroup

from dicomnode.config.reading import load_settings
from dicomnode.config.settings import Settings
from dicomnode.decisions.arrival.resend import KNOWN_ELSEWHERE, TAKEN_ELSEWHERE
from dicomnode.decisions.arrival.store_answer import STORE_ANSWERS
from dicomnode.decisions.delivery.store_status import STORE_STATUSES
from dicomnode.decisions.eligibility.eligibility import RULES
from dicomnode.decisions.operating.message import Message
from dicomnode.decisions.operating.troubles import Severity
from dicomnode.decisions.result_options import ResultOptions
from dicomnode.decisions.stack.geometry import StackProblem
from dicomnode.decisions.wording import KEYS
from dicomnode.errors import PeerCause
from dicomnode.processes.reload import RELOADED
from inference.bundles.tasks import TASKS
from inference.entry_errors import keys_of
from storage.overview_records import TroubleRecord
from storage.records import DeliveryState, JobState, SeriesState
from support.command import app
from support.handbook import (
    DOCS,
    PAGES,
    anchors,
    fenced,
    links,
    names_in,
    rows_below,
    spans,
    text_of,
)
from support.sources import ROOT, modules, tree

README = ROOT / "README.md"
WRITTEN = [README, *PAGES]

NO_KEYS = {"reason"}
"""Written `name = value` in the documents, and no key of the configuration."""


def by_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def of(name: str) -> str:
    return text_of(DOCS / name)


@pytest.mark.parametrize("page", WRITTEN, ids=by_name)
def test_each_link_leads_somewhere(page: Path) -> None:
    lost = []
    for link in links(text_of(page)):
        path, _, anchor = link.partition("#")
        if not link.startswith(("http://", "https://")):
            target = page.parent / path if path else page
            if not target.exists() or (anchor and anchor not in anchors(text_of(target))):
                lost.append(link)
    assert lost == []


def test_the_readme_leads_to_each_document() -> None:
    listed = {link for link in links(text_of(README)) if link.startswith("etc/docs/")}
    assert listed == {by_name(page) for page in PAGES}


@pytest.mark.parametrize("page", WRITTEN, ids=by_name)
def test_each_command_that_is_named_exists_with_its_options(page: Path) -> None:
    text = text_of(page)
    lines = [line for block in fenced(text, "console") for line in block.splitlines()]
    typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    commands = [each for each in (*spans(text), *typed) if each.startswith("dicomnode ")]
    assert [each for each in commands if not exists(each)] == []


def test_every_command_stands_among_the_commands() -> None:
    named = [each for each in spans(of("commands.md")) if each.startswith("dicomnode ")]
    told = {" ".join(words(each)) for each in named}
    assert told == set(commands(whole(), "dicomnode"))


def test_what_a_reload_takes_over_stands_among_the_commands() -> None:
    rows = [row for row in rows_below(of("commands.md"), "Acting") if len(row) == 1]
    assert names_in([row[0] for row in rows]) == set(RELOADED)


@cache
def whole() -> Any:
    return typer.main.get_command(app)


def words(command: str) -> list[str]:
    """Without arguments and options."""
    return [word for word in command.split() if word.islower() and not word.startswith("-")]


def commands(group: Any, name: str) -> Iterator[str]:
    for word, found in group.commands.items():
        if isinstance(found, TyperGroup):
            yield from commands(found, f"{name} {word}")
        elif not found.hidden:
            yield f"{name} {word}"


def exists(command: str) -> bool:
    """`UID`, `NAME` and what follows a word that is no command are arguments."""
    found: Any = whole()
    words = re.split(r"\s*[|>]", command)[0].split()[1:]
    while words and isinstance(found, TyperGroup):
        word = words.pop(0)
        if word.startswith("--"):
            words.insert(0, word)
            break
        inner = found.commands.get(word)
        if inner is None:
            return False
        found = inner
    options = {name for each in found.params for name in each.opts} | {"--help"}
    return all(word.partition("=")[0] in options for word in words if word.startswith("--"))


@pytest.mark.parametrize("page", WRITTEN, ids=by_name)
def test_each_key_that_is_named_exists(page: Path) -> None:
    known = all_keys()
    last = {key.rpartition(".")[2] for key in known}
    sections = {part for key in known for part in tables_of(key)} | set(Settings.model_fields)
    unknown = []
    for span in spans(text_of(page)):
        if match := re.fullmatch(r"\[{1,2}([a-z_.]+)\]{1,2}( [a-z_]+)?", span):
            section, key = match[1], (match[2] or "").strip()
            right = section in sections and (not key or f"{section}.{key}" in known)
        elif match := re.fullmatch(r"([a-z]+)\.[a-z_.]+", span):
            right = match[1] not in Settings.model_fields or span in known | sections
        elif match := re.match(r"([a-z_]+) = ", span):
            right = match[1] in last | NO_KEYS
        else:
            right = True
        if not right:
            unknown.append(span)
    assert unknown == []


@pytest.mark.parametrize("page", WRITTEN, ids=by_name)
def test_each_piece_of_configuration_that_is_shown_can_be_read(page: Path, tmp_path: Path) -> None:
    for number, text in enumerate(fenced(text_of(page), "toml")):
        file = tmp_path / f"{number}.toml"
        known = "" if "[[destinations]]" in text else _PACS
        file.write_text(f"{text}\n{known}")
        load_settings(file)


_PACS = '[[destinations]]\nname = "pacs"\nae_title = "PACS"\naddress = "192.0.2.10"\nport = 104\n'


@pytest.mark.parametrize("page", WRITTEN, ids=by_name)
def test_each_file_of_the_product_that_is_named_is_there(page: Path) -> None:
    text = text_of(page)
    words = " ".join((*spans(text), *fenced(text, "sh"))).split()
    named = {word.strip("'\",;") for word in words if word.startswith(("etc/", "tests/"))}
    assert [each for each in sorted(named) if not (ROOT / each).exists()] == []


def test_the_ports_of_the_firewall_are_the_defaults() -> None:
    rows = [row for row in rows_below(of("firewall.md")) if len(row) == 6]
    told = {key: row[2] for row in reversed(rows) for key in spans(row[5])[:1]}
    settings = Settings()
    assert told["receive.port"] == str(settings.receive.port)
    assert told["receive.tls.port"] == str(settings.receive.tls.port)
    assert told["[http] port"] == str(settings.http.port)


@pytest.mark.parametrize("page", WRITTEN, ids=by_name)
def test_what_is_to_be_typed_into_a_shell_is_one(page: Path) -> None:
    for script in fenced(text_of(page), "sh"):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_what_a_webhook_gets_stands_in_the_monitoring() -> None:
    rows = rows_below(of("monitoring.md"), "E-mail and webhook")
    fields = names_in([cell for row in rows if not row[0].startswith("`alerts.") for cell in row])
    now = datetime(2026, 3, 4, tzinfo=UTC)
    record = TroubleRecord("a", "error", "b", "c", now, now, now, None)
    sent = Message("n", "h", "1", now, (record,), ()).as_json()
    (began,) = cast("list[dict[str, object]]", sent["began"])
    assert fields == {*sent, *began}


def test_the_series_of_results_stand_with_their_numbers_and_names() -> None:
    rows = rows_below(of("for-the-radiologist.md"), "What appears")
    numbers = {int(number) for row in rows for number in row[0].split(", ")}
    assert numbers == {*SERIES_NUMBERS.values(), SERIES_NUMBERS["note_series_number"] + 1}


SERIES_NUMBERS = {
    name: value for name, value in asdict(ResultOptions()).items() if name.endswith("series_number")
}


def test_what_the_report_says_stands_in_the_words_of_the_report() -> None:
    rows = rows_below(of("for-the-radiologist.md"), "The report")
    folder = ROOT / "dicomnode" / "results"
    source = " ".join(path.read_text() for path in folder.rglob("*.py"))
    begins = [re.split("[:…]", row[0])[0].strip() for row in rows]
    assert [each for each in begins if each not in source] == []


def tables_of(key: str) -> list[str]:
    """Those that a key stands in, from the outermost on."""
    parts = key.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


@cache
def all_keys() -> set[str]:
    """Dotted; those of tables in a list with the name of the list before them."""
    schema = Settings.model_json_schema()
    keys = set(keys_of(schema))
    for name, entry in schema["$defs"].items():
        for key in entry.get("properties", {}):
            keys |= {f"{list_name}.{key}" for list_name in lists_of(schema, name)}
    return keys


def lists_of(schema: dict[str, object], name: str) -> Iterator[str]:
    """The lists of tables that the definition of this name may be an entry of."""
    for key, entry in keys_of(schema).items():
        if f"/{name}" in re.findall(r"/\w+(?=')", str(entry.get("items", ""))):
            yield key


def test_every_rule_stands_in_the_reasons() -> None:
    rows = [row for row in rows_below(of("reasons.md")) if "`" in row[0]]
    assert names_in([row[0] for row in rows]) == rules()


def test_each_rule_stands_with_the_keys_that_set_its_limit() -> None:
    rows = [row for row in rows_below(of("reasons.md")) if len(row) == 5 and "`" in row[0]]
    told = {name: set(spans(row[3])) for row in rows for name in spans(row[0])}
    assert told == {name: set(KEYS.get(name, ())) for name in told}
    by_hand_or_failed = {"deadline"}
    assert KEYS.keys() - told.keys() == by_hand_or_failed


def rules() -> set[str]:
    """What the code gives reasons under: by the first argument of each."""
    found = {rule.__name__ for rule in RULES} | {"contrast_pixels"}
    found |= {f"{task}_method" for task in TASKS if task != "lungs"}
    found |= {"volume", "network_output", "memory", "lungs"}  # of a method's failure
    found |= {KNOWN_ELSEWHERE, TAKEN_ELSEWHERE}
    for name in modules():
        if name.startswith(("dicomnode.", "storage.")) and not name.startswith(_ELSEWHERE):
            found |= set(_first_arguments(name, {"Reason", "_at_least", "_whole"}))
        if name.startswith("dicomnode.dicom_files"):
            found |= set(_first_arguments(name, {"DataError"}))
    return found


_ELSEWHERE = ("dicomnode.conformance", "dicomnode.synthetic", "dicomnode.weights")


def _first_arguments(name: str, of: set[str]) -> Iterator[str]:
    for node in ast.walk(tree(modules()[name])):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in of:
            first = node.args[0]
            if isinstance(first, ast.Constant):
                yield str(first.value)
            elif isinstance(first, ast.Name) and first.id.isupper():
                yield str(getattr(importlib.import_module(name), first.id))


def test_the_words_of_a_stack_that_is_none_stand_in_the_reasons() -> None:
    rows = rows_below(of("reasons.md"), "What `orientation`")
    assert {row[0] for row in rows} == {each.value for each in StackProblem}


@pytest.mark.parametrize(
    ("heading", "states"),
    [
        ("A series", SeriesState),
        ("A delivery", DeliveryState),
        ("A job", JobState),
    ],
)
def test_every_state_stands_in_the_states(heading: str, states: type[SeriesState]) -> None:
    rows = rows_below(of("states.md"), heading)
    first = [row[0] for row in rows]
    assert names_in(first[: len(states)]) == {each.value for each in states}


def test_every_answer_of_a_destination_stands_in_the_states() -> None:
    rows = rows_below(of("states.md"), "What a destination may answer")
    told = [span for row in rows for span in _statuses(row[0])]
    wrong = [each for each in STORE_STATUSES if (each.first, each.last) not in told]
    inside = [(0xB000, 0xB000), (0xB006, 0xB006), (0xB007, 0xB007)]  # of 0xB000 to 0xBFFF
    assert [(each.first, each.last) for each in wrong] == inside
    endings = {status: row[2] for row in rows for status in _statuses(row[0])}
    for each in STORE_STATUSES:
        ending = endings.get((each.first, each.last), endings[(0xB000, 0xBFFF)])
        assert ending.startswith(each.ending.value), each
    causes = {cell for row in rows for cell in spans(row[0])}
    assert causes == {each.word for each in PeerCause}
    sentences = {row[1] for row in rows}
    for cause in PeerCause:
        assert cause.value in sentences


def _statuses(cell: str) -> list[tuple[int, int]]:
    spans_of = re.findall(r"0x([0-9A-F]{4})(?: to 0x([0-9A-F]{4}))?", cell)
    return [(int(first, 16), int(last or first, 16)) for first, last in spans_of]


def test_every_answer_to_a_c_store_stands_in_the_states() -> None:
    rows = rows_below(of("states.md"), "What this node answers")
    told = [first for row in rows for first, _last in _statuses(row[0])]
    assert told == [each.status for each in STORE_ANSWERS]


def test_every_trouble_stands_in_the_troubles_with_its_severity() -> None:
    rows = rows_below(of("troubles.md"), "Every kind")
    told = {spans(row[0])[0]: row[1] for row in rows}
    made = dict(troubles())
    severity = made.pop("deliveries_")  # and the state that they ended in
    assert told == made | {f"deliveries_{state}": severity for state in ("refused", "failed")}


def troubles() -> Iterator[tuple[str, str]]:
    """Kind and severity of each `Trouble` that the code makes."""
    for name in modules():
        if name.startswith("dicomnode.decisions.operating"):
            for function in ast.walk(tree(modules()[name])):
                if isinstance(function, ast.FunctionDef):
                    yield from _troubles_in(function)


def _troubles_in(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    texts: dict[str, ast.expr] = {}
    called = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    calls = [node for node in called if getattr(node.func, "id", "") == "Trouble"]
    assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
    both: list[ast.Call | ast.Assign] = [*calls, *assigned]
    for node in sorted(both, key=lambda each: each.lineno):
        if isinstance(node, ast.Assign):
            texts |= _texts(node)
        elif not isinstance(node.args[0], ast.Attribute):  # else one that was noted is told again
            kind, severity = node.args[0], node.args[1]
            if isinstance(kind, ast.Name):
                kind = texts[kind.id]
            assert isinstance(severity, ast.Attribute)
            yield _kind(kind), Severity[severity.attr].value


def _texts(node: ast.Assign) -> dict[str, ast.expr]:
    """What names stand for, in `name = …` and `name, since = …, …`."""
    (target,) = node.targets
    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        pairs = zip(target.elts, node.value.elts, strict=True)
    else:
        pairs = zip([target], [node.value], strict=True)
    return {name.id: value for name, value in pairs if isinstance(name, ast.Name)}


def _kind(name: ast.expr) -> str:
    if isinstance(name, ast.JoinedStr):
        name = name.values[0]
    assert isinstance(name, ast.Constant), ast.dump(name)
    return str(name.value).partition(":")[0]

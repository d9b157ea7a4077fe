"""Destinations by DICOM and by DICOMweb, in one list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dicomnode.config.credentials import Credentials
from dicomnode.config.destinations import Destination, WebDestination
from dicomnode.config.reading import kept_settings, load_settings
from dicomnode.errors import ConfigurationError
from dicomnode.tls import DestinationTls

EXAMPLE = Path(__file__).resolve().parents[4] / "etc" / "dicomnode.toml"
PEER = "[[destinations]]\nname = 'pacs'\nae_title = 'PACS'\naddress = 'h'\nport = 104\n"
WEB = "[[destinations]]\nname = 'archive'\n"
HTTPS = "url = 'https://h/dicom-web/'\ntls = { peer_ca = 'ca.pem' }\n"


def loaded(folder: Path, text: str) -> tuple[Destination | WebDestination, ...]:
    path = folder / "dicomnode.toml"
    path.write_text(text)
    return load_settings(path).destinations


def told(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, text)
    return [
        re.sub(r" \(line \d+\)$", "", line.strip()) for line in str(caught.value).splitlines()[1:]
    ]


def test_both_kinds_stand_in_one_list(tmp_path: Path) -> None:
    more = "credentials = { file = 'a.token' }\nrejection_notes = true"
    pacs, archive = loaded(tmp_path, PEER + WEB + HTTPS + more)
    assert pacs == Destination(name="pacs", ae_title="PACS", address="h", port=104)
    assert archive == WebDestination(
        name="archive",
        url="https://h/dicom-web",
        tls=DestinationTls(str(tmp_path / "ca.pem")),
        credentials=Credentials(str(tmp_path / "a.token")),
        rejection_notes=True,
    )


def test_both_come_to_the_processes_of_a_node(tmp_path: Path) -> None:
    (tmp_path / "dicomnode.toml").write_text(PEER + WEB + HTTPS)
    settings = load_settings(tmp_path / "dicomnode.toml")
    (tmp_path / "kept.json").write_text(settings.model_dump_json())
    assert kept_settings(tmp_path / "kept.json") == settings


def test_the_example_of_a_dicomweb_server_is_valid(tmp_path: Path) -> None:
    """It stands there as a comment, with every key."""
    _, _, commented = EXAMPLE.read_text().rpartition("\n# [[destinations]]\n")
    lines = [line.removeprefix("# ") for line in commented.partition("\n\n")[0].splitlines()]
    (example,) = loaded(tmp_path, "\n".join(["[[destinations]]", *lines]))
    assert isinstance(example, WebDestination)
    assert example.model_fields_set == WebDestination.model_fields.keys()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "url = 'http://h'\nae_title = 'A'\nport = 104",
            "destinations.0: url is for DICOMweb, ae_title and port for DICOM: name one",
        ),
        (
            "url = 'https://h'",
            "destinations.0: https needs tls, with peer_ca: who vouches for the server",
        ),
        (
            "url = 'http://h'\ntls = { peer_ca = 'ca.pem' }",
            "destinations.0: tls needs a url that begins with https",
        ),
        (
            "url = 'http://pacs/'\ncredentials = { file = 'f' }",
            "destinations.0: credentials need https: else the whole network can read them",
        ),
        (
            HTTPS + "credentials = { file = 'f', variable = 'V' }",
            "destinations.0.credentials: name one of file and variable: where the secret stands",
        ),
        (
            HTTPS + "credentials = { file = 'f', passwort = 'secret' }",
            "destinations.0.credentials.passwort: is unknown, known are file, variable, user",
        ),
        (
            HTTPS + "credentials = 'Bearer secret'",
            "destinations.0.credentials: what is not shown here is given, but it must be a table",
        ),
        (
            "url = 'https://node:secret@h/'\ntls = { peer_ca = 'ca.pem' }",
            "destinations.0.url: url may hold no user and no password: "
            "they belong into credentials",
        ),
        ("url = 'secret'", "destinations.0.url: url must be as https://host:port/path"),
        (
            "url = ['secret']",
            "destinations.0.url: what is not shown here is given, but it must be text",
        ),
        (
            HTTPS + "credential = 3",
            "destinations.0.credential: is unknown, the nearest known one is "
            "destinations.0.credentials",
        ),
    ],
)
def test_what_is_wrong_is_told_and_no_secret_shown(
    tmp_path: Path, text: str, sentence: str
) -> None:
    assert told(tmp_path, WEB + text) == [sentence]


def test_a_destination_of_neither_kind_is_told_what_is_missing(tmp_path: Path) -> None:
    named = [line.partition(":")[0] for line in told(tmp_path, WEB)]
    assert named == [f"destinations.0.{key}" for key in ("ae_title", "address", "port")]


def test_names_differ_across_the_kinds(tmp_path: Path) -> None:
    assert (
        "two destinations bear the same name"
        in told(tmp_path, PEER + (WEB + HTTPS).replace("archive", "pacs"))[0]
    )


def test_a_destination_that_is_no_table(tmp_path: Path) -> None:
    assert told(tmp_path, "destinations = [3]") == [
        "destinations.0: 3 is given, but it must be a table"
    ]

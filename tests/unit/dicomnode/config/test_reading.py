"""A wrong key is told with its line, or with the environment variable that it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.config.reading import read_configuration
from dicomnode.errors import ConfigurationError

FILE = """\
[node]
ae_title = "X"

[receive]
ports = 1

[receive.tls]
port = 99999
certificate = "c.pem"
private_key = "k.pem"
peer_ca = "ca.pem"

[[destinations]]
name = "a"
ae_title = "A"
address = "x"
port = 1

[[destinations]]
name = "b"
ae_title = "B"
address = "x"
associations = 17
ae_titel = "B"
"""


def wrong(folder: Path, text: str, **environment: str) -> list[str]:
    path = folder / "dicomnode.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(path, environment)
    return [each.strip() for each in str(caught.value).splitlines()[1:]]


def test_each_problem_has_its_line(tmp_path: Path) -> None:
    told = {each.partition(":")[0]: each.rpartition(" (")[2] for each in wrong(tmp_path, FILE)}
    assert told == {
        "receive.ports": "line 5)",
        "receive.tls.port": "line 8)",
        "destinations.1.associations": "line 23)",
        "destinations.1.ae_titel": "line 24)",
        "destinations.1.port": "line 19)",  # is missing: that of its table
    }


def test_a_key_of_another_table_is_named_with_it(tmp_path: Path) -> None:
    (told,) = wrong(tmp_path, "[receive]\nsegmentation = 'off'")
    known = "receive.segmentation: is unknown, the nearest known one is results.segmentation"
    assert told == f"{known} (line 2)"


def test_what_no_syntax_allows_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "dicomnode.toml"
    path.write_text("[node]\nae_title = \n")
    with pytest.raises(ConfigurationError, match="line 2"):
        read_configuration(path)


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000])
def test_what_the_reader_of_toml_gives_up_on_is_refused_as_the_rest(
    tmp_path: Path, text: str
) -> None:
    """Any other fault would end a node that is asked to reload."""
    path = tmp_path / "dicomnode.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        read_configuration(path)


def test_a_variable_takes_the_place_of_a_key(tmp_path: Path) -> None:
    path = tmp_path / "dicomnode.toml"
    path.write_text("[receive]\nport = 104\n[node]\nae_title = 'FILE'\n")
    environment = {
        "DICOMNODE_NODE__AE_TITLE": "104",  # a text is taken as it is
        "DICOMNODE_RECEIVE__PORT": "11113",
        "DICOMNODE_RECEIVE__TLS__PORT": "2763",
        "DICOMNODE_RECEIVE__ADMISSION__PEERS": '[{ ae_title = "A", networks = ["*"] }]',
        "DICOMNODE_ELIGIBILITY__MAX_SLICE_SPACING_MM": "2.5",
        "DICOMNODE_NODE__DATA_DIRECTORY": "kept",
        "DICOMNODE_CONFIG": "elsewhere.toml",
        "PATH": "/bin",
    }
    settings = read_configuration(path, environment).settings
    assert settings.node.ae_title == "104"
    assert (settings.receive.port, settings.receive.tls.port) == (11113, 2763)
    assert settings.receive.admission.peers[0].ae_title == "A"
    assert settings.eligibility.max_slice_spacing_mm == 2.5
    assert settings.node.data_directory == tmp_path / "kept"


def test_a_wrong_variable_is_refused_with_its_name(tmp_path: Path) -> None:
    told = wrong(
        tmp_path,
        "receive = 3",
        DICOMNODE_NODE__DATABASE_ULR="postgresql://node:secret@host/name",
        DICOMNODE_RECEIVE__PORT="70000",
        DICOMNODE_NODE__DATABASE_URL="mysql://node:secret@host/name",
    )
    assert told == [
        "DICOMNODE_NODE__DATABASE_ULR: is unknown, the nearest known one is "
        "DICOMNODE_NODE__DATABASE_URL",
        "node.database_url: mysql is not supported: use sqlite or postgresql "
        "(DICOMNODE_NODE__DATABASE_URL)",
        "receive: 3 is given, but it must be a table (line 1)",
    ]
    (sentence,) = wrong(tmp_path, "", DICOMNODE_RECEIVE__PORT="many")
    assert sentence.startswith("receive.port: 'many' is given, but it must be a whole number")
    assert sentence.endswith(" (DICOMNODE_RECEIVE__PORT)")

"""The configuration file: the example holds every key at its default; wrong keys are named."""

from __future__ import annotations

import logging
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dicomnode.config.destinations import Destination
from dicomnode.config.reading import kept_settings, load_settings
from dicomnode.config.settings import Settings
from dicomnode.decisions.delivery.routes import ObjectKind, Route
from dicomnode.decisions.result_options import SegmentationKind, SrClass
from dicomnode.errors import ConfigurationError
from inference.demonstration import shipped_bundles
from inference.entry_errors import problems_of

UNSET = {
    ".audit.tls",
    ".http.token",
    ".object_store.credentials",
    ".eligibility.max_slice_spacing_mm",
    ".delivery.retry.most_attempts",
    ".retention.analysed_days",
    ".retention.skipped_days",
    ".retention.failed_days",
    ".query.peer",
    ".query.web",
    ".alerts.webhook",
    ".alerts.mail",
}
EXAMPLE = Path(__file__).resolve().parents[4] / "etc" / "dicomnode.toml"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "dicomnode.toml"
    path.write_text(text)
    return path


def keys(value: Any, prefix: str = "") -> set[str]:
    if not isinstance(value, dict):
        return {prefix}
    return {leaf for key, each in value.items() for leaf in keys(each, f"{prefix}.{key}")}


def test_the_example_names_every_key_and_only_those() -> None:
    defaults = TypeAdapter(Settings).dump_python(Settings(), mode="json")
    example = tomllib.loads(EXAMPLE.read_text())
    example.pop("destinations")
    defaults.pop("destinations")
    defaults.pop("routes")
    defaults.pop("peers")
    assert keys(example) | UNSET == keys(defaults)


def test_the_keys_that_are_unset_by_default_stand_in_the_example_as_comments() -> None:
    for key in UNSET:
        assert f"# {key.rpartition('.')[2]} = " in EXAMPLE.read_text()


def test_the_example_holds_the_defaults() -> None:
    example = tomllib.loads(EXAMPLE.read_text())
    example.pop("destinations")
    assert Settings.model_validate(example) == Settings()


def test_the_routes_of_the_example_name_every_key_of_one() -> None:
    plain, _, commented = EXAMPLE.read_text().partition("# [[routes]]\n")
    lines = (line.removeprefix("# ") for line in commented.splitlines())
    found = Settings.model_validate(tomllib.loads("\n".join([plain, "[[routes]]", *lines])))
    objects = (ObjectKind.REPORT, ObjectKind.PICTURES)
    assert found.routes == (Route(("pacs", "sender"), ("CT1", "CT2"), objects),)
    assert len(asdict(found.routes[0])) == 3
    assert Settings.model_validate_json(found.model_dump_json()).routes == found.routes


def test_what_the_example_leaves_out_of_a_destination_is_valid_too() -> None:
    text = EXAMPLE.read_text()
    for key in ("sr_class", "segmentation"):
        assert f"\n# {key} = " in text
        text = text.replace(f"\n# {key} = ", f"\n{key} = ", 1)
    (found,) = Settings.model_validate(tomllib.loads(text)).destinations
    assert (found.sr_class, found.segmentation) == (SrClass.ENHANCED, SegmentationKind.LABELMAP)


@pytest.mark.parametrize(
    ("route", "told"),
    [
        ('to = ["pacs", "reading"]', "routes.0.to: 'reading' is given, but it must be one of"),
        ("to = []", "routes.0.to"),
        ("", "routes.0.to: is missing"),
        ('to = ["pacs"]\nsenders = ["A\\\\B"]', "routes.0.senders.0"),
        ('to = ["pacs"]\nobjects = ["note"]', "routes.0.objects.0: 'note' is given"),
        ('to = ["pacs"]\nkinds = []', "routes.0.kinds: is unknown"),
    ],
)
def test_a_route_that_cannot_be_is_refused_with_its_key(
    tmp_path: Path, route: str, told: str
) -> None:
    place = "[[destinations]]\nname = 'pacs'\nae_title = 'PACS'\naddress = 'x'\nport = 104\n"
    with pytest.raises(ConfigurationError) as refused:
        load_settings(written(tmp_path, f"{place}[[routes]]\n{route}"))
    assert told in str(refused.value)


def test_with_routes_no_destination_is_called_as_the_sender(tmp_path: Path) -> None:
    place = "[[destinations]]\nname = 'sender'\nae_title = 'A'\naddress = 'x'\nport = 104\n"
    assert load_settings(written(tmp_path, place)).destinations
    with pytest.raises(ConfigurationError, match="destinations: no name may be 'sender'"):
        load_settings(written(tmp_path, f"{place}[[routes]]\nto = ['sender']"))


def test_the_example_is_a_valid_configuration() -> None:
    settings = load_settings(EXAMPLE)
    assert isinstance(settings.destinations[0], Destination)
    assert settings.destinations[0].ae_title
    assert settings.node.data_directory.is_absolute()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[node]\nae_titel = 'X'", "node.ae_titel"),
        ("[node]\nae_title = 'SEVENTEEN_LETTERS'", "node.ae_title"),
        ("[node]\nae_title = 'A\\\\B'", "node.ae_title"),
        ("[receive]\nport = 70000", "receive.port"),
        ("[eligibility]\nmax_slice_thickness_mm = 'thin'", "eligibility.max_slice_thickness_mm"),
        ("[eligibility]\nmax_slice_thicknes_mm = 3", "eligibility.max_slice_thicknes_mm"),
        ("[[destinations]]\nname = 'pacs'", "destinations.0.ae_title"),
        ("[node", "dicomnode.toml"),
    ],
)
def test_a_wrong_key_is_refused_by_its_name(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(written(tmp_path, text))
    assert named in str(caught.value)


WRONG = [
    (
        "[node]\nae_titel = 'X'",
        "node.ae_titel: is unknown, the nearest known one is node.ae_title",
    ),
    ("[recieve]\nport = 1", "recieve: is unknown, the nearest known one is receive"),
    (
        "[retention]\nzzz = 1",
        "retention.zzz: is unknown, known are analysed_days, skipped_days, failed_days",
    ),
    (
        "[node]\ndatabase_url = 'mysql://node:secret@host/name'",
        "node.database_url: mysql is not supported: use sqlite or postgresql",
    ),
    (
        "[node]\ndatabase_url = 'postgresql://node@host:secret/name'",
        "node.database_url: the database URL cannot be read",
    ),
    (
        "[receive]\nport = 70000",
        "receive.port: 70000 is given, but it must be a whole number from 1 to 65535",
    ),
    (
        "[receive]\nmaximum_pdu_length = 1",
        "receive.maximum_pdu_length: 1 is given, "
        "but it must be a whole number from 4096 to 1048576 bytes",
    ),
    (
        "[receive]\nwaiting_seconds = nan",
        "receive.waiting_seconds: nan is given, but it must be a number of more than 0 seconds",
    ),
    (
        "[receive]\nplain = 'perhaps'",
        "receive.plain: 'perhaps' is given, but it must be true or false",
    ),
    (
        "[receive]\nresend_conflict = 'x'",
        "receive.resend_conflict: 'x' is given, but it must be one of 'newest', 'hold', 'first'",
    ),
    (
        "[node]\nae_title = ' B'",
        "node.ae_title: ' B' is given, "
        "but it must be an AE title: 1 to 16 ASCII characters, no backslash, no space first",
    ),
    (
        "[node]\nae_title = '" + "A" * 70 + "'",
        f"node.ae_title: '{'A' * 60}…' is given, "
        "but it must be an AE title: 1 to 16 ASCII characters, no backslash, no space first",
    ),
    (
        "[[destinations]]\nname = ''\nae_title = 'P'\naddress = 'h'\nport = 104",
        "destinations.0.name: '' is given, but it must be text of 1 to 64 characters",
    ),
    (
        "[[destinations]]\nname = 'p'\nae_title = 'P'\naddress = 'h'",
        "destinations.0.port: is missing and must be a whole number from 1 to 65535",
    ),
    (
        "[eligibility]\nusual_pixel_spacing_mm = [1, 2, 3]",
        "eligibility.usual_pixel_spacing_mm: a list of 3 is given, "
        "but it must be a list of 2 values: a number of mm, a number of mm",
    ),
    (
        "[eligibility]\nusual_slices = [1]",
        "eligibility.usual_slices.1: is missing and must be a whole number",
    ),
    (
        "[chest]\nmax_cut_mm2 = 1979-05-27",
        "chest.max_cut_mm2: a date or a time is given, but it must be a number of at least 0 mm²",
    ),
    (
        "[retention]\nfailed_days = 0",
        "retention.failed_days: 0 is given, but it must be a number of at least 0.01 days",
    ),
    (
        "[receive.tls]\nhandshake_seconds = 601",
        "receive.tls.handshake_seconds: 601 is given, "
        "but it must be a number of more than 0 and at most 600 seconds",
    ),
    (
        "[disk]\nrefuse_below_bytes = 5\nresume_above_bytes = 1",
        "disk: refuse_below_bytes must be at most resume_above_bytes (1 bytes), not 5",
    ),
    (
        "[receive.admission]\npeers = [{ ae_title = 'A', networks = [] }]",
        'receive.admission.peers.0.networks: no network is given: "*" is every address',
    ),
    (
        "[receive]\nproxies = ['10.0.0.5', 'proxy']",
        "receive.proxies.1: 'proxy' is no address",
    ),
    (
        "[receive]\nproxies = ['127.0.0.1']",
        "receive: proxies: from 127.0.0.1 the node reaches itself (canary, commission): let a "
        "proxy on this machine connect from another address (HAProxy: source)",
    ),
    (
        "[query]\nretrieve = 'wado-rs'",
        'query: retrieve = "wado-rs" needs query.web: the server that is asked',
    ),
    (
        "[inference]\nmethods = [{ bundle = 'u', task = 'lungs' }]",
        "inference.methods.0.task: lungs is the task of no method: "
        "the key of its bundle is lungs_bundle",
    ),
    ("destinations = 3", "destinations: 3 is given, but it must be a list, each a table"),
    ("node = 3", "node: 3 is given, but it must be a table"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_a_wrong_key_is_told_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(written(tmp_path, text))
    (told,) = str(caught.value).splitlines()[1:]
    assert told.rpartition(" (line ")[0] == f"  {sentence}"


def test_every_wrong_key_is_told_not_the_first(tmp_path: Path) -> None:
    text = "[receive]\nport = 0\n[chest]\nmin_lung_ml = -1\n[[destinations]]\nname = 'p'"
    with pytest.raises(ConfigurationError, match="5 problems") as caught:
        load_settings(written(tmp_path, text))
    for key in ("receive.port", "chest.min_lung_ml", "destinations.0.ae_title"):
        assert f"  {key}: " in str(caught.value)


@pytest.mark.parametrize("key", sorted(keys(TypeAdapter(Settings).dump_python(Settings()))))
def test_no_key_is_refused_in_the_words_of_a_library(tmp_path: Path, key: str) -> None:
    section, _, name = key.removeprefix(".").rpartition(".")
    text = f"[{section}]\n{name} = {{ nobody = [] }}" if section else f"{name} = {{ nobody = [] }}"
    with pytest.raises(ConfigurationError) as caught:
        load_settings(written(tmp_path, text))
    assert key.removeprefix(".") in str(caught.value)
    assert "something else" not in str(caught.value)
    for raw in ("Input should", "Value error", "pydantic", "://"):
        assert raw not in str(caught.value).partition("\n")[2]


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["peers", "tls", "port", "name", "x.y", ""]), inner)
    ),
    max_leaves=6,
)
SCHEMA = Settings.model_json_schema()
SECTIONS = {name: list(each) for name, each in Settings().model_dump().items() if each}


@given(st.sampled_from(sorted(SECTIONS)), st.data())
def test_whatever_stands_in_the_file_is_read_or_told(section: str, data: st.DataObject) -> None:
    known = SECTIONS[section]
    table = data.draw(st.dictionaries(st.sampled_from([*known, "other"]), values) | values)
    try:
        Settings.model_validate({section: table})
    except ValidationError as error:
        told = problems_of(error, SCHEMA)
        assert told
        assert not any("Input should" in each or "something else" in each for each in told)


@pytest.mark.parametrize(
    "text",
    [
        "[node]\ndatabase_url = ['postgresql://node:secret@host/name']",
        "[node]\ndatabase_url = { password = 'secret' }",
        "[node]\ndatabase_ulr = 'postgresql://node:secret@host/name'",
        "node = 'postgresql://node:secret@host/name'",
        "[receive]\nport = 'postgresql://node:secret@host/name'",
    ],
)
def test_no_password_is_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(written(tmp_path, text))
    assert "secret" not in str(caught.value)


def test_a_peer_that_is_asked_takes_no_key_of_delivery(tmp_path: Path) -> None:
    text = "[query.peer]\nname='p'\nae_title='P'\naddress='h'\nport=104\n"
    assert load_settings(written(tmp_path, text)).query.peer is not None
    with pytest.raises(ConfigurationError, match="rejection_notes"):
        load_settings(written(tmp_path, text + "rejection_notes = true\n"))


def test_two_destinations_of_one_name_are_refused(tmp_path: Path) -> None:
    one = "[[destinations]]\nname='p'\nae_title='P'\naddress='h'\nport=104\n"
    with pytest.raises(ConfigurationError, match="same name"):
        load_settings(written(tmp_path, one + one))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.toml"):
        load_settings(tmp_path / "absent.toml")


def test_relative_folders_are_taken_from_the_file(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, "[node]\ndata_directory = 'd'"))
    assert settings.node.data_directory == tmp_path / "d"
    assert settings.database_url == f"sqlite:///{tmp_path / 'd' / 'node.sqlite3'}"


def test_the_peer_that_is_asked_for_counts_has_its_certificates_beside_the_file(
    tmp_path: Path,
) -> None:
    peer = "{ name = 'pacs', ae_title = 'PACS', address = 'h', port = 104, tls = { peer_ca = 'c' }}"
    settings = load_settings(written(tmp_path, f"[query]\npeer = {peer}"))
    assert settings.query.peer is not None
    assert settings.query.peer.tls is not None
    assert settings.query.peer.tls.peer_ca == str(tmp_path / "c")
    assert load_settings(written(tmp_path, "")).query.peer is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[completeness]\nincomplete = 'forget'", "completeness.incomplete"),
        ("[completeness]\nincomplete_after_seconds = -1", "incomplete_after_seconds"),
        ("[query]\nevery_seconds = 0.1", "query.every_seconds"),
        ("[query]\npeer = { name = 'pacs' }", "query.peer.ae_title"),
    ],
)
def test_how_completeness_is_judged_is_checked_too(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load_settings(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("", {}),
        ('lungs_bundle = "mine"', {"lungs": "mine"}),
        ('bundle = "a"', {"covnet": "a"}),
        ('bundle = "a"\nregions_bundle = "b"', {"covnet": "a", "regions": "b"}),
    ],
)
def test_the_demonstration_bundles_stand_in_only_where_none_is_named_for_covnet(
    tmp_path: Path, text: str, own: dict[str, str]
) -> None:
    settings = load_settings(written(tmp_path, f"[inference]\n{text}\n"))
    named = {task: tmp_path / folder for task, folder in own.items()}
    expected = named if "covnet" in own else shipped_bundles() | named
    assert dict(settings.inference.bundles) == expected
    assert settings.inference.bundles[0][0] == "covnet"


def test_methods_are_an_ordered_list_of_bundles(tmp_path: Path) -> None:
    text = '[[inference.methods]]\nbundle = "b"\n[[inference.methods]]\nbundle = "/a"\ntask = "x"'
    settings = load_settings(written(tmp_path, text))
    assert settings.inference.bundles == (("", tmp_path / "b"), ("x", Path("/a")))
    with_lungs = load_settings(written(tmp_path, f'[inference]\nlungs_bundle = "u"\n{text}'))
    assert with_lungs.inference.bundles[2:] == (("lungs", tmp_path / "u"),)


def test_former_keys_work_and_say_what_replaces_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    text = '[inference]\nbundle = "a"\nregions_bundle = ""'
    settings = load_settings(written(tmp_path, text))
    assert settings.inference.bundles == (("covnet", tmp_path / "a"),)
    told = sorted(each.message.partition(": ")[2] for each in caplog.records)
    assert told == [
        f"[inference] {key} is replaced by [[inference.methods]] bundle"
        for key in ("bundle", "regions_bundle")
    ]


def test_former_keys_and_methods_are_not_mixed(tmp_path: Path) -> None:
    text = '[inference]\nbundle = "a"\nmethods = [{ bundle = "b" }]'
    with pytest.raises(ConfigurationError, match="methods takes the place of bundle"):
        load_settings(written(tmp_path, text))


@pytest.mark.parametrize("value", ["3", "false", '["a"]'])
def test_a_former_key_that_is_no_text_is_told_by_its_own_name(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"inference: regions_bundle must be text"):
        load_settings(written(tmp_path, f"[inference]\nregions_bundle = {value}"))


def test_settings_that_a_former_node_kept_are_read(tmp_path: Path) -> None:
    kept = tmp_path / "settings.json"
    kept.write_text('{"inference": {"bundle": "", "lungs_bundle": "", "regions_bundle": ""}}')
    assert kept_settings(kept) == Settings()
    kept.write_text('{"inference": {"bundle": "/a", "lungs_bundle": "", "regions_bundle": "/r"}}')
    bundles = kept_settings(kept).inference.bundles
    assert bundles == (("covnet", Path("/a")), ("regions", Path("/r")))


@pytest.mark.parametrize(
    ("node", "store", "why"),
    [
        ({}, "file:///store", "names no PostgreSQL"),
        ({"database_url": "sqlite:////a.db"}, "file:///store", "names no PostgreSQL"),
        ({"database_url": "postgresql://u@h/d"}, "", "names no store"),
        ({"database_url": "postgresql://u@h/d"}, "file:///store", ""),
    ],
)
def test_a_database_is_shared_where_others_reach_it_and_what_came_here(
    node: dict[str, object], store: str, why: str
) -> None:
    given = {"node": node | {"shares_database": True}, "object_store": {"url": store}}
    if not why:
        assert Settings.model_validate(given).node.shares_database
        return
    with pytest.raises(ValidationError, match=f"node.shares_database: .*{why}"):
        Settings.model_validate(given)


def test_without_workers_a_node_leaves_its_series_where_others_can_read_them() -> None:
    with pytest.raises(ValidationError, match=r"inference.workers = 0 needs node.shares_database"):
        Settings.model_validate({"inference": {"workers": 0}})
    node = {"database_url": "postgresql://u@h/d", "shares_database": True}
    given = {"node": node, "object_store": {"url": "file:///store"}, "inference": {"workers": 0}}
    assert Settings.model_validate(given).inference.workers == 0


@pytest.mark.parametrize("name", ["GPU", "two words", "-x", "a" * 33])
def test_a_capability_is_a_short_plain_name(name: str) -> None:
    for wrong in ({"needs": name}, {"capabilities": [name]}, {"capabilities": [""]}):
        with pytest.raises(ValidationError):
            Settings.model_validate({"inference": wrong})
    good = Settings.model_validate({"inference": {"needs": "gpu", "capabilities": ["a100_80g"]}})
    assert good.inference.capabilities == ("a100_80g",)

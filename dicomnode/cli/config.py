"""`dicomnode config`: what holds, and where it comes from."""

from __future__ import annotations

import json

import typer

from dicomnode.cli.common import ConfigOption, JsonOption, config_file, print_json, recorded
from dicomnode.decisions.wording import how_many
from dicomnode.errors import ConfigurationError

config_app = typer.Typer(
    help="The configuration: what is wrong with it, what holds, taking it over.",
    no_args_is_help=True,
)


@config_app.command("check")
def config_check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Tell what is wrong, all at once: keys, port, folders, certificates, bundles, credentials.

    Changes nothing, and may be asked while the node runs. Exit status 0: a node starts with it;
    2: something is wrong. A warning, as of a database that is away, hinders no start.
    """
    from dicomnode.clock import Clock
    from dicomnode.config.reading import read_configuration
    from dicomnode.processes.checks import check_all

    file = config_file(config)
    found = read_configuration(file)
    findings = check_all(found.settings, Clock().now())
    rows = []
    for each in findings:
        place = found.place_of(tuple(int(e) if e.isdigit() else e for e in each.key.split(".")))
        is_warning, shown = each.is_warning, str(place) if place else None
        rows.append({"key": each.key, "text": each.text, "warning": is_warning, "place": shown})
        kind = "warning: " if is_warning else ""
        if not as_json:
            typer.echo(f"{kind}{each.key}: {each.text}" + (f" ({place})" if place else ""))
    wrong = sum(not each.is_warning for each in findings)
    warnings = how_many(len(findings) - wrong, "warning")
    if as_json:
        print_json(rows)
    else:
        typer.echo(f"{file}: {how_many(wrong, 'problem')}, {warnings}")
    if wrong:
        raise SystemExit(2)


@config_app.command("show")
def config_show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every key with its value and where it comes from: default, FILE:LINE or variable.

    Secrets are not shown.
    """
    from dicomnode.config.origins import shown_settings
    from dicomnode.config.reading import read_configuration

    found = shown_settings(read_configuration(config_file(config)))
    if as_json:
        rows = [{"key": e.key, "value": e.value, "origin": e.origin} for e in found]
        print_json(rows)
        return
    for each in found:
        value = json.dumps(each.value, ensure_ascii=False)
        typer.echo(f"{each.key} = {value}  # {each.origin}")


@config_app.command("reload")
def config_reload(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Have the running node take over the changed file, without losing an association.

    Who may send, certificates, destinations, routes and policies; with any other change it takes
    over nothing, and says what needs a restart. SIGHUP does the same. Exit status 0: taken over.
    """
    from dicomnode.audit.events import AlertKind
    from dicomnode.config.reading import load_settings
    from dicomnode.processes.reload_request import ask_to_reload

    settings = load_settings(config_file(config))  # what is wrong is told here, and asks nobody
    answer = ask_to_reload(settings.node.data_directory)
    if not answer.taken_over:
        raise ConfigurationError(answer.text)
    recorded(settings, "config reload", answer.text, kind=AlertKind.SOFTWARE_CONFIGURATION)
    if as_json:
        print_json({"taken_over": answer.taken_over, "text": answer.text})
    else:
        typer.echo(answer.text)

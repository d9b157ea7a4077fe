"""`dicomnode config`: what holds, and where it comes from."""

from __future__ import annotations

import json

import typer

from dicomnode.cli.common import ConfigOption, JsonOption, config_file, print_json

config_app = typer.Typer(help="The configuration: what holds.", no_args_is_help=True)


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

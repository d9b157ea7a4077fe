"""`dicomnode status`: how the node fares, on one screen, with what to do about its troubles."""

from __future__ import annotations

import sys

import typer

from dicomnode.cli.common import ConfigOption, JsonOption, config_file, print_json
from dicomnode.config.reading import load_settings


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Tell how the node fares, and what to do about each trouble.

    Works while the node is down and while its database is away. Exit status 0: nothing troubles it;
    1: warnings; 2: wrong use or configuration; 3: an error, or it does not run. Example, for a
    check every minute: dicomnode status --json > /run/dicomnode.json
    """
    from dicomnode.cli.views import status_view

    settings = load_settings(config_file(config))
    facts, troubles = status_view.look(settings)
    if as_json:
        print_json(status_view.as_json(settings, facts, troubles))
    else:
        for line in status_view.lines(settings, facts, troubles, short=sys.stdout.isatty()):
            typer.echo(line)
    raise SystemExit(status_view.exit_status(troubles))

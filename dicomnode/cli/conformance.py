"""`dicomnode conformance`: the DICOM conformance statement, to standard output."""

from __future__ import annotations

from typing import Annotated

import typer

from dicomnode.cli.common import ConfigOption, offline_settings


def conformance(
    config: ConfigOption = None,
    html: Annotated[bool, typer.Option("--html", help="HTML in one file; else Markdown.")] = False,
) -> None:
    """Write the DICOM conformance statement (PS3.2) of this version and configuration.

    Without a configuration file it is that of the defaults.
    """
    from dicomnode.conformance.statement import conformance_statement
    from inference.evaluation.report.pages import to_html, to_markdown

    document = conformance_statement(offline_settings(config))
    typer.echo((to_html if html else to_markdown)(document), nl=False)

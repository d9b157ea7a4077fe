"""`dicomnode workers`: placing workers on a cluster that others run."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from dicomnode.cli.common import ConfigOption, config_file
from dicomnode.config.reading import load_settings
from dicomnode.errors import ConfigurationError
from dicomnode.lifecycle import block_stop_signals, stop_on_request
from dicomnode.logs import set_up_logging

_EVERYBODY_HAS = ("", "cpu")


def workers(
    ray: Annotated[
        str,
        typer.Option("--ray", metavar="HOST:PORT", help="The head of a Ray cluster."),
    ],
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="So many workers, whatever waits.")
    ] = None,
    at_most: Annotated[
        int | None,
        typer.Option("--at-most", min=1, help="As many as the queue needs, up to so many."),
    ] = None,
    at_least: Annotated[
        int, typer.Option("--at-least", min=0, help="With --at-most: so many stay in any case.")
    ] = 0,
    patience: Annotated[
        float,
        typer.Option(
            "--patience", min=1, help="Seconds that a series may wait before there are more."
        ),
    ] = 60.0,
    num_cpus: Annotated[
        float, typer.Option("--num-cpus", min=0, help="Cores of each worker, as Ray counts them.")
    ] = 1.0,
    num_gpus: Annotated[
        float, typer.Option("--num-gpus", min=0, help="GPUs of each worker; 0.5: two share one.")
    ] = 0.0,
    capability: Annotated[
        list[str] | None,
        typer.Option("--capability", help="What the workers have beyond; may be given again."),
    ] = None,
    scratch: Annotated[
        Path | None,
        typer.Option(
            "--scratch", help="On each host: a folder in which each worker has one of its own."
        ),
    ] = None,
    program: Annotated[
        str, typer.Option("--program", help="On each host: dicomnode, where Ray's own has none.")
    ] = "",
    without_authentication: Annotated[
        bool,
        typer.Option("--without-authentication", help="Even on a cluster that lets anybody in."),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Place `dicomnode worker` on the hosts of a Ray cluster, and place it again when it is lost.

    Runs on a host of the cluster until SIGTERM or Ctrl-C, which stops the workers, too. When the
    cluster is gone it waits until it is back. The configuration has the same path on each host.
    """
    if (count is None) == (at_most is None):
        raise typer.BadParameter("give one of --count and --at-most")
    if not re.fullmatch(r"[^/\s]+:\d{1,5}", ray):
        raise typer.BadParameter(f"--ray {ray}: as HOST:PORT, e.g. ray-head:6379")
    if find_spec("ray") is None:
        raise ConfigurationError("Ray is not installed: pip install 'dicomnode[ray]'")
    block_stop_signals()
    file = config_file(config).absolute()
    settings = load_settings(file)
    set_up_logging("workers", settings.log)
    from dicomnode.decisions.placement import Bounds
    from dicomnode.placement.host import Order
    from dicomnode.placement.session import Wish
    from dicomnode.placement.sessions import keep

    least, most = (count, count) if count else (at_least, at_most or at_least)
    if least > most:
        raise typer.BadParameter("--at-least is more than --at-most")
    names = capability or []
    arguments = ["worker", "--config", str(file)]
    arguments += [word for each in names for word in ("--capability", each)]
    folder = scratch or settings.node.data_directory / "workers"
    wish = Wish(
        address=ray,
        config=file,
        order=Order(program, tuple(arguments), str(folder.absolute())),
        bounds=Bounds(least, most, patience),
        cpus=num_cpus,
        gpus=num_gpus,
        capabilities=(*_EVERYBODY_HAS, *(("gpu",) if num_gpus else ()), *names),
        open_cluster=without_authentication,
    )
    raise SystemExit(keep(wish, stop_on_request()))

"""`dicomnode model evaluate`: how good a bundle is, on labelled scans."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dicomnode.cli.common import ConfigOption, console, offline_settings
from dicomnode.cli.model import model_app
from dicomnode.errors import ConfigurationError

if TYPE_CHECKING:
    from dicomnode.weights.evaluation_plan import EvaluationRequest


class SplitChoice(StrEnum):
    """Which scans of the manifest."""

    TEST = "test"
    VALIDATION = "validation"
    TRAINING = "training"
    ALL = "all"


@model_app.command("evaluate")
def model_evaluate(
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Folder of the bundle.")] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="CSV that names labelled scans.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for report, figures and tables.")
    ] = None,
    split: Annotated[
        SplitChoice, typer.Option("--split", help="Which scans of the manifest.")
    ] = SplitChoice.TEST,
    seed: Annotated[
        int, typer.Option("--seed", help="Of the training, where the manifest has no splits.")
    ] = 0,
    simulated: Annotated[
        bool | None,
        typer.Option(
            "--simulated/--real",
            help="What the lesions are. Otherwise by the simulator's mark beside the manifest.",
        ),
    ] = None,
    lungs: Annotated[
        Path | None,
        typer.Option(
            "--lungs", help="Bundle that finds the lungs. Otherwise as the configuration says."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="--out of another evaluation, to be compared with."),
    ] = None,
    prove_bf16: Annotated[
        bool,
        typer.Option(
            "--prove-bf16",
            help="Compute each scan in bfloat16 too and measure what that changes, for the card; "
            "only where the machine computes in it itself.",
        ),
    ] = False,
    confusion: Annotated[
        Path | None,
        typer.Option(
            "--confusion", help="CSV of a confusion matrix: its tables, without a bundle."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Sensitivity, specificity, ROC and more of a bundle on labelled scans; a report with plots.

    Exit status 1 when any scan could not be analysed; the report names it.
    """
    if confusion is not None:
        if bundle is not None or manifest is not None:
            raise ConfigurationError("--confusion stands for itself: no --bundle, no --manifest")
        _from_counts(confusion, out)
        return
    if bundle is None or manifest is None or out is None:
        raise ConfigurationError("give --bundle, --manifest and --out, or --confusion")
    from dicomnode.weights.evaluation_plan import EvaluationRequest
    from inference.training.scan import Split

    chosen = None if split is SplitChoice.ALL else Split(split.value)
    request = EvaluationRequest(bundle, manifest, out, chosen, seed, simulated, against, prove_bf16)
    raise SystemExit(_from_scans(request, lungs, config))


def _from_counts(path: Path, out: Path | None) -> None:
    from dicomnode.cli.views.evaluation_view import print_document
    from dicomnode.weights.evaluate import report_of_counts, write_report

    document = report_of_counts(path)
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{out}: {error.strerror}") from error
        write_report(document, out)
    print_document(console(), document)


def _from_scans(request: EvaluationRequest, lungs: Path | None, config: Path | None) -> int:
    """Exit status."""
    from dicomnode.cli.views.evaluation_view import print_document, scan_progress
    from dicomnode.weights.evaluate import HTML, evaluate, write_outcome
    from dicomnode.weights.evaluation_plan import plan_evaluation
    from dicomnode.weights.evaluation_scans import with_bundle

    settings = offline_settings(config)
    if lungs is not None:
        settings = with_bundle(settings, "lungs", lungs)
    plan = plan_evaluation(request)
    with scan_progress(Console(stderr=True)) as on_progress:
        outcome = evaluate(plan, settings, on_progress)
    write_outcome(plan, outcome, request.out)
    print_document(console(), outcome.document)
    typer.echo(f"report: {request.out / HTML}")
    return 1 if outcome.failed else 0

"""`locus replay`: what another portfolio or policy would have given for the requests of the record."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from gateway.commands.notices import INTERRUPTED
from gateway.commands.replay_inputs import Inputs, inputs, log_of
from gateway.commands.replay_report import show, show_curve
from gateway.commands.since import Since
from router.commands.options import ENGINE, readable_errors
from router.parallel import check_engine

if TYPE_CHECKING:
    from gateway.replay.alternatives import Alternative
    from gateway.replay.report import Report
    from gateway.routing.placed_models import PlacedModels

FILE = click.Path(path_type=Path, exists=True)


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio in force.  [default: as `locus serve`]")
@click.option("--db", type=click.Path(path_type=Path), help="SQLite file.  [default: the database of the portfolio]")
@click.option(
    "--parquet", type=FILE, help="Read requests from this file or folder, as `locus log --parquet` writes it."
)
@click.option(
    "--since", type=Since(), default="7d", show_default=True, help="A duration, or a date such as 2026-11-01."
)
@click.option("--until", type=Since(), help="The end of the period.  [default: now]")
@click.option("--portfolio", type=FILE, help="The other portfolio file.  [default: the one in force]")
@click.option("--without", metavar="MODEL", multiple=True, help="A model that the other portfolio does not have.")
@click.option("--policy", metavar="NAME", help="The policy that decides all requests.  [default: that of each request]")
@click.option(
    "--cost-weight",
    "cost_weights",
    type=click.FloatRange(0),
    multiple=True,
    help="Decide all requests by this cost weight, 1/USD; give several for a curve.",
)
@click.option(
    "--audit", "number", type=click.IntRange(1), help="Have so many requests answered by both models and graded."
)
@click.option("--audit-usd", type=click.FloatRange(0, min_open=True), help="The most that the audit may cost, USD.")
@click.option(
    "--judge",
    metavar="MODEL",
    help="The model that grades answers which no checker of the file grades.  [default: the graders of the portfolio file]",
)
@click.option("--demo", is_flag=True, help="Replay the requests to the simulated models of `locus serve --demo`.")
@ENGINE
@click.option("--json", "as_json", is_flag=True, help="JSON: an object, or a list for several cost weights.")
@readable_errors
def replay(
    config: Path | None,
    db: Path | None,
    parquet: Path | None,
    since: float,
    until: float | None,
    portfolio: Path | None,
    without: tuple[str, ...],
    policy: str | None,
    cost_weights: tuple[float, ...],
    number: int | None,
    audit_usd: float | None,
    judge: str | None,
    demo: bool,
    engine: str,
    as_json: bool,
) -> None:
    """Compare another portfolio or policy with what was logged.

    Accuracy comes from the router's predictions, and from graded requests where the log has enough; each figure has an interval
    of 90%. Nothing is changed, and nothing is asked without --audit.
    """
    from gateway.replay.alternatives import UnknownPolicy, alternatives, compare

    check_engine(engine)
    _check(policy, cost_weights)
    _check_audit(number, audit_usd, judge, real=not demo, stored=parquet is None, one=len(cost_weights) <= 1)
    known = inputs(config, db, demo=demo)
    placed = _other(known, portfolio, without)
    options = None
    if number is not None and audit_usd is not None:
        from gateway.commands.replay_audit import AuditOptions, graders_of

        options = AuditOptions(number, audit_usd, graders_of(known, placed, judge))
    of = alternatives(policy, cost_weights)
    with log_of(known.location, parquet, since, until) as log:
        try:
            found = compare(log, known.placed, placed, of, since, until, engine=engine, for_audit=options is not None)
        except UnknownPolicy as exc:
            raise click.BadParameter(str(exc), param_hint="--policy") from exc
    reports = [one.report for one in found]
    differing = found[0].differing
    if options is not None and differing.ids:
        from gateway.commands.replay_audit import audit

        reports = [replace(reports[0], audit=audit(known, placed, differing, reports[0].replayed, options))]
    _print(of, reports, _described(portfolio, without, policy, cost_weights), as_json=as_json)
    if reports[0].audit is not None and reports[0].audit.interrupted:
        raise click.exceptions.Exit(INTERRUPTED)


def _other(known: Inputs, portfolio: Path | None, names: Sequence[str]) -> "PlacedModels":
    """The portfolio that decides instead.

    Raises:
        click.BadParameter: it does not have a model that it should lose.
    """
    from gateway.replay.alternatives import UnknownModel, without

    placed = known.placed if portfolio is None else known.other(portfolio)
    try:
        return without(placed, names) if names else placed
    except UnknownModel as exc:
        raise click.BadParameter(str(exc), param_hint="--without") from exc


def _print(of: Sequence["Alternative"], reports: Sequence["Report"], other: str, *, as_json: bool) -> None:
    if as_json:
        curve = [one.fields() | report.as_json() for one, report in zip(of, reports, strict=True)]
        shown = curve if len(curve) > 1 else reports[0].as_json()
        click.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
    elif len(reports) > 1:
        show_curve([one.cost_weight or 0.0 for one in of], reports, other)
    else:
        show(reports[0], other)


def _check(policy: str | None, cost_weights: Sequence[float]) -> None:
    """
    Raises:
        click.UsageError: there are a policy and a cost weight, or too many of them.
    """
    from gateway.replay.alternatives import MOST_WEIGHTS

    if policy is not None and cost_weights:
        raise click.UsageError("Give --policy or --cost-weight, not both.")
    if len(cost_weights) > MOST_WEIGHTS:
        raise click.UsageError(f"Give --cost-weight at most {MOST_WEIGHTS} times.")


def _check_audit(
    number: int | None, usd: float | None, judge: str | None, *, real: bool, stored: bool, one: bool
) -> None:
    """
    Args:
        real, stored, one: the models are real, the texts of requests are at hand, and there is one alternative.

    Raises:
        click.UsageError: an audit lacks what it needs, or its options come without it.
    """
    if number is None:
        if usd is not None or judge is not None:
            raise click.UsageError("--audit-usd and --judge say how --audit NUMBER asks: give --audit too.")
        return
    if usd is None or not real:
        raise click.UsageError("--audit needs --audit-usd, and real models.")
    if not stored:
        raise click.UsageError("--audit needs the texts of requests, which --parquet files do not hold.")
    if not one:
        raise click.UsageError("--audit compares one alternative: give --cost-weight once.")


def _described(
    portfolio: Path | None, without: Sequence[str], policy: str | None, cost_weights: Sequence[float]
) -> str:
    parts = [] if portfolio is None else [portfolio.name]
    parts += [f"without {', '.join(without)}"] if without else []
    parts += [] if policy is None else [f"policy {policy}"]
    weights = ", ".join(f"{weight:g}" for weight in cost_weights)
    parts += [f"cost weight{'s' if len(cost_weights) > 1 else ''} {weights}"] if weights else []
    return ", ".join(parts) or "the portfolio and policies in force now"

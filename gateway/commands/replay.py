"""`locus replay`: what another portfolio or policy would have given for the requests of the record."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from gateway.commands.replay_inputs import Inputs, inputs, log_of
from gateway.commands.replay_report import show
from gateway.commands.since import Since
from router.commands.options import ENGINE, readable_errors
from router.parallel import check_engine

if TYPE_CHECKING:
    from gateway.replay.decider import Decider
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
@click.option("--policy", metavar="NAME", help="The policy that decides all requests.  [default: that of each request]")
@click.option("--cost-weight", type=click.FloatRange(0), help="Decide all requests by this cost weight, 1/USD.")
@click.option(
    "--audit", "number", type=click.IntRange(1), help="Have so many requests answered by both models and graded."
)
@click.option("--audit-usd", type=click.FloatRange(0, min_open=True), help="The most that the audit may cost, USD.")
@click.option("--judge", metavar="MODEL", help="The model of the portfolio that grades the audit's answers.")
@click.option("--demo", is_flag=True, help="Replay the requests to the simulated models of `locus serve --demo`.")
@ENGINE
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@readable_errors
def replay(
    config: Path | None,
    db: Path | None,
    parquet: Path | None,
    since: float,
    until: float | None,
    portfolio: Path | None,
    policy: str | None,
    cost_weight: float | None,
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
    from gateway.replay.replay import Replay

    check_engine(engine)
    if policy is not None and cost_weight is not None:
        raise click.UsageError("Give --policy or --cost-weight, not both.")
    if number is not None and (audit_usd is None or judge is None or demo):
        raise click.UsageError("--audit needs --audit-usd and --judge, and real models.")
    if number is not None and parquet is not None:
        raise click.UsageError("--audit needs the texts of requests, which --parquet files do not hold.")
    if number is None and (audit_usd is not None or judge is not None):
        raise click.UsageError("--audit-usd and --judge say how --audit NUMBER asks: give --audit too.")
    known = inputs(config, db, demo=demo)
    placed = known.placed if portfolio is None else known.other(portfolio)
    present, other = _deciders(known, placed, policy, cost_weight)
    with log_of(known.location, parquet, since, until) as log:
        run = Replay(log, present, other, known.file_router.checkpoint)
        report = run.run(since, until, engine)
    if number is not None and audit_usd is not None and judge is not None and run.differing.ids:
        from gateway.commands.replay_audit import AuditOptions, audit

        options = AuditOptions(number, audit_usd, judge)
        report = replace(report, audit=audit(known, placed, run.differing, report.replayed, options))
    if as_json:
        click.echo(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        show(report, _described(portfolio, policy, cost_weight))


def _deciders(
    known: Inputs, placed: "PlacedModels", policy: str | None, cost_weight: float | None
) -> tuple["Decider", "Decider"]:
    """The portfolio in force, and what is compared with it.

    Raises:
        click.ClickException: the other portfolio has no policy of this name.
    """
    from gateway.replay.decider import Decider
    from router.model.policy import Policy

    policies, rule = placed.portfolio.policies, None
    if policy is not None:
        if policy not in policies:
            raise click.BadParameter(
                f"there is no policy {policy!r}; there are {', '.join(policies)}", param_hint="--policy"
            )
        rule = policies[policy]
    if cost_weight is not None:
        rule = Policy("", "cost_weight", cost_weight)
    present = Decider(known.placed)
    if placed is known.placed and rule is None:
        return present, present  # the requests are decided once
    return present, present.with_policy(rule) if placed is known.placed and rule else Decider(placed, rule)


def _described(portfolio: Path | None, policy: str | None, cost_weight: float | None) -> str:
    parts = [] if portfolio is None else [portfolio.name]
    parts += [] if policy is None else [f"policy {policy}"]
    parts += [] if cost_weight is None else [f"cost weight {cost_weight:g}"]
    return ", ".join(parts) or "the portfolio and policies in force now"

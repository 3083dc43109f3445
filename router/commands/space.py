"""Commands over a model space: neighbors, cluster, duplicates, find, plot space. They import heavy packages when they run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.commands.groups import CommandGroup
from router.commands.options import FILE, JSON, checkpoint_options, readable_errors, space_options
from router.commands.sources import load_models
from router.commands.terminal import show, table_of
from router.errors import DataError
from router.extras import require

if TYPE_CHECKING:
    from router.explore.clusters import Cluster
    from router.explore.duplicates import Pair
    from router.explore.profile import Match
    from router.model.space import ModelSpace


@click.command()
@click.argument("model")
@click.option("--on", "benchmark", metavar="BENCHMARK", help="Compare on this benchmark's kind of question only.")
@checkpoint_options
@space_options
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="Number of models.")
@readable_errors
def neighbors(
    model: str,
    benchmark: str | None,
    checkpoint: Path | None,
    trust: bool,
    space: Path | None,
    config: Path | None,
    k: int,
) -> None:
    """Show the models that behave most like MODEL: by their distance in the model space, or on one kind of question."""
    nearest = load_models(checkpoint, trust, space, config).router.neighbors(model, k, benchmark)
    table = table_of(["model", "distance"], text=(0,))
    for neighbor in nearest:
        table.add_row(neighbor.model, f"{neighbor.distance:.3f}")
    show(table)


@click.command()
@click.option(
    "-k", "--k", type=click.IntRange(1), help="Number of clusters; default: the one with the highest silhouette."
)
@click.option(
    "--distance", type=click.FloatRange(0), help="Instead of -k: merge clusters whose average distance is at most this."
)
@click.option("--dendrogram", type=FILE, metavar="PNG", help="Draw the tree.")
@space_options
@JSON
@readable_errors
def cluster(
    k: int | None,
    distance: float | None,
    dendrogram: Path | None,
    space: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Group the models of a space by average-linkage clustering of their embeddings."""
    require("scipy", "scikit-learn", extra="plot")
    if dendrogram is not None:
        require("matplotlib", extra="plot")
    from router.explore.clusters import best_cluster_count, clusters, cut_tree, linkage, pairwise_distances

    if k is not None and distance is not None:
        raise click.UsageError("Give --k or --distance, not both.")
    if dendrogram is not None:
        _require_suffix("--dendrogram", dendrogram, ".png")
    loaded = _load_space(space, config)
    if len(loaded.models) < 2 or (k or 1) > len(loaded.models):
        raise DataError(f"the space has {len(loaded.models)} models: too few to cluster into {k or 2}")
    distances = pairwise_distances(loaded.z)
    tree = linkage(distances)
    if k is None and distance is None:
        k = best_cluster_count(tree, distances)
    labels = cut_tree(tree, number=k, distance=distance)
    found = clusters(labels, distances)
    if dendrogram is not None:
        from router.explore.dendrogram import draw_dendrogram
        from router.explore.style import save

        largest = max(len(c.members) for c in found)
        title = f"{len(loaded.models)} models in {len(found)} clusters, of which the largest has {largest}"
        save(draw_dendrogram(tree, loaded.models, labels, title), dendrogram)
    if as_json:
        click.echo(json.dumps([_cluster_fields(c, loaded.models) for c in found], indent=2))
    else:
        _print_clusters(found, loaded.models)
    if dendrogram is not None:
        click.echo(f"{dendrogram}: dendrogram", err=True)


@click.command()
@click.option(
    "--threshold",
    type=click.FloatRange(0),
    help="Largest number of models expected to have so near a neighbour by chance; default: 0.05.",
)
@space_options
@JSON
@readable_errors
def duplicates(threshold: float | None, space: Path | None, config: Path | None, as_json: bool) -> None:
    """List pairs of models that are nearer to each other than distinct models are.

    A distance is compared with the model's neighbourhood: the probability that one of its five nearest neighbours is so near
    by chance, given the intrinsic dimension of the space. With the default, at most one of twenty spaces without duplicates
    lists a pair.
    """
    from router.explore.clusters import pairwise_distances
    from router.explore.duplicates import DEFAULT_THRESHOLD, MIN_MODELS, find_duplicates

    loaded = _load_space(space, config)
    if len(loaded.models) < MIN_MODELS:
        raise DataError(f"duplicates cannot be recognised among {len(loaded.models)} models; {MIN_MODELS} is the least")
    bound = DEFAULT_THRESHOLD if threshold is None else threshold
    distances = pairwise_distances(loaded.z)
    pairs = find_duplicates(distances, bound)
    if as_json:
        click.echo(json.dumps([_pair_fields(pair, loaded.models) for pair in pairs], indent=2))
        return
    if pairs:
        _print_pairs(pairs, loaded.models)
    else:
        nearest = find_duplicates(distances, float("inf"))[0]
        click.echo(
            f"No duplicates among {len(loaded.models)} models. The least likely pair, {loaded.models[nearest.a]} and "
            f"{loaded.models[nearest.b]} at distance {nearest.distance:.3g}, is one of {nearest.expected:.2g} expected by "
            f"chance (threshold {bound:g})."
        )


@click.command()
@click.option("--profile", "text", required=True, metavar="B=A,...", help="Accuracies, as in gsm8k=0.9,mmlu=0.7.")
@click.option("-k", "--k", default=10, show_default=True, type=click.IntRange(1), help="Number of models.")
@click.option(
    "--by",
    type=click.Choice(["accuracy", "distance"]),
    default="accuracy",
    show_default=True,
    help="Order by the difference to the predicted accuracies, or by distance in the space.",
)
@checkpoint_options
@space_options
@JSON
@readable_errors
def find(
    text: str,
    k: int,
    by: str,
    checkpoint: Path | None,
    trust: bool,
    space: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Find the models whose predicted accuracies are most similar to these.

    The distance is that to a hypothetical model with such evaluations on the anchor queries of these benchmarks, which says little.
    """
    import numpy as np

    from router.explore.profile import hypothetical, matches, parse_profile
    from router.model.anchors import load_anchors
    from router.model.locus import Locus

    profile = parse_profile(text)
    loaded, router, _ = load_models(checkpoint, trust, space, config)
    anchors = load_anchors(loaded)
    hypothetical_evaluations = hypothetical(anchors, profile)
    z = (
        Locus.restore(loaded.weights, loaded.card["config"])
        .embed(hypothetical_evaluations.q, hypothetical_evaluations.y)
        .z
    )
    models = router.space.models
    graded = router.scorer(models).p_correct(hypothetical_evaluations.q, graded=True)
    accuracy = anchors.of(profile).means(graded)
    found = matches(profile, models, np.linalg.norm(router.space.z - z, axis=1), accuracy)
    if by == "accuracy":
        found.sort(key=lambda match: (match.gap, match.distance, match.model))
    if as_json:
        click.echo(json.dumps([_match_fields(match) for match in found[:k]], indent=2))
    else:
        _print_matches(found[:k], profile)


@click.group(cls=CommandGroup)
def plot() -> None:
    """Draw pictures of a model space."""


@plot.command("space")
@click.option("--out", type=FILE, required=True, metavar="FILE.png|.html", help="A picture, or a page to explore.")
@click.option(
    "--neighbors",
    default=6,
    show_default=True,
    type=click.IntRange(1),
    help="Neighbours per model that the page shows.",
)
@checkpoint_options
@space_options
@readable_errors
def plot_space(
    out: Path, neighbors: int, checkpoint: Path | None, trust: bool, space: Path | None, config: Path | None
) -> None:
    """Draw a map of the models: models that are near in the space are near on the map."""
    from router.explore.map_picture import draw_map
    from router.explore.space_map import SpaceMap, html_page, project_to_plane
    from router.explore.style import save
    from router.model.anchors import load_anchors

    _require_suffix("--out", out, ".png", ".html")
    if out.suffix == ".png":
        require("matplotlib", extra="plot")
    loaded, router, _ = load_models(checkpoint, trust, space, config)
    anchors = load_anchors(loaded)
    models = router.space.models
    p = router.scorer(models).p_correct(anchors.q, graded=True)
    xy, explained = project_to_plane(router.space.z)
    drawn = SpaceMap(
        models,
        xy,
        explained,
        anchors.means(p),
        p.mean(axis=0, dtype=float),
        [router.space.neighbors(model, neighbors) for model in models],
        router.space.evaluations,
    )
    source = f"checkpoint {loaded.id[:12]}"
    if out.suffix == ".png":
        save(draw_map(drawn, source), out)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(html_page(drawn, f"Model space of {source}"), encoding="utf-8")
    click.echo(f"{out}: {len(models)} models")


def _load_space(space: Path | None, config: Path | None) -> "ModelSpace":
    """Exactly the space of a file, of any checkpoint; else that of the portfolio or the shipped one."""
    from router.model.space import ModelSpace

    return load_models(None, False, None, config).router.space if space is None else ModelSpace.load(space)


def _require_suffix(option: str, path: Path, *suffixes: str) -> None:
    if path.suffix not in suffixes:
        raise click.UsageError(f"{option} is {path}, expected a name that ends in {' or '.join(suffixes)}.")


def _cluster_fields(cluster: "Cluster", models: Sequence[str]) -> dict[str, object]:
    members = [models[m] for m in cluster.members]
    return {"medoid": models[cluster.medoid], "members": members, "radius": cluster.radius}


def _print_clusters(found: "Sequence[Cluster]", models: Sequence[str]) -> None:
    """Prints a line for the medoid of each cluster, and below it the other members, nearest to it first."""
    from shutil import get_terminal_size
    from textwrap import fill

    for i, cluster in enumerate(found, 1):
        members = f"{len(cluster.members)} models, radius {cluster.radius:.3f}" if len(cluster.members) > 1 else "alone"
        click.echo(f"{i:>2}  {click.style(models[cluster.medoid], bold=True)}  ({members})")
        if len(cluster.members) > 1:
            others = ", ".join(models[m] for m in cluster.members[1:])
            margin = " " * 6
            click.echo(
                fill(
                    others,
                    get_terminal_size().columns,
                    initial_indent=margin,
                    subsequent_indent=margin,
                    break_on_hyphens=False,
                    break_long_words=False,
                )
            )


def _pair_fields(pair: "Pair", models: Sequence[str]) -> dict[str, object]:
    return {
        "models": [models[pair.a], models[pair.b]],
        "distance": pair.distance,
        "of_neighbourhood": pair.of_neighbourhood,
        "expected_by_chance": pair.expected,
    }


def _print_pairs(pairs: "Sequence[Pair]", models: Sequence[str]) -> None:
    table = table_of(["models", "distance", "of 5th nearest's", "expected by chance"], text=(0,))
    for pair in pairs:
        share, expected = f"{100 * pair.of_neighbourhood:.2g}%", f"{pair.expected:.2g}"
        table.add_row(f"{models[pair.a]}\n{models[pair.b]}", f"{pair.distance:.3g}", share, expected)
    show(table)


def _match_fields(match: "Match") -> dict[str, object]:
    return {
        "model": match.model,
        "distance": match.distance,
        "mean_difference": match.gap,
        "accuracy": dict(match.accuracy),
    }


def _print_matches(found: "Sequence[Match]", profile: Mapping[str, float]) -> None:
    columns = [f"{benchmark}\nasked {100 * asked:.3g}%" for benchmark, asked in profile.items()]
    table = table_of(["model", "distance", *columns, "mean difference"], text=(0,))
    for match in found:
        predicted = [f"{100 * match.accuracy[benchmark]:.1f}%" for benchmark in profile]
        table.add_row(match.model, f"{match.distance:.3f}", *predicted, f"{100 * match.gap:.1f}")
    show(table)

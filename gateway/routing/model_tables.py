"""A portfolio's models as tables for predictions and prices, one for each reasoning setting that a request may ask for."""

from collections.abc import Mapping, Sequence

from gateway.config.portfolio import Model
from gateway.config.price import Price, Rates
from router.model.model_table import ModelTable, PricePerMtok
from router.model.serving import Router


def model_tables(models: Sequence[Model], router: Router) -> Mapping[str | None, ModelTable]:
    """Reasoning setting of a request -> table of the models. None: the request states no setting, or one that makes no difference.

    Raises:
        ArtifactError: the space lacks an embedding.
    """
    prices = [None if model.price is None else _per_mtok(model.price) for model in models]
    by_setting = embeddings_by_setting(models)
    tables = {
        embeddings: ModelTable(router, embeddings, prices, _parts(models, embeddings))
        for embeddings in set(by_setting.values())
    }
    return {setting: tables[embeddings] for setting, embeddings in by_setting.items()}


def _parts(models: Sequence[Model], embeddings: Sequence[str | None]) -> dict[int, Sequence[tuple[str, float]]]:
    """The embeddings of single deployments, by the index of the model; not where a reasoning setting has another embedding."""
    return {
        i: model.embedding_of_deployments
        for i, (model, embedding) in enumerate(zip(models, embeddings, strict=True))
        if model.embedding_of_deployments and embedding == model.embedding
    }


def _per_mtok(price: Price) -> PricePerMtok:
    """The part of a price that an expected price depends on."""
    tiers = tuple((tier.above, _of_rates(tier.rates)) for tier in price.tiers)
    return _of_rates(price.rates)._replace(tiers=tiers)


def _of_rates(rates: Rates) -> PricePerMtok:
    return PricePerMtok(rates.input, rates.output, rates.cached_input)


def embeddings_by_setting(models: Sequence[Model]) -> dict[str | None, tuple[str | None, ...]]:
    """Reasoning setting of a request -> name in the model space of each model. None: the request states no setting."""
    settings = {None, *(setting for model in models for setting in model.embedding_by_setting)}
    return {
        setting: tuple(
            model.embedding if setting is None else model.embedding_by_setting.get(setting, model.embedding)
            for model in models
        )
        for setting in settings
    }

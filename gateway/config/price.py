"""What tokens cost, by their kind and by the size of the prompt. Pure values; `gateway.config.portfolio_file` and
`gateway.config.litellm_table` make them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import mul
from typing import NamedTuple, TypeAlias

from gateway.core.json_types import JsonObject
from gateway.core.usage import Usage

PICO_USD = 1_000_000  # a rate of 1 USD per million tokens is so many pico-USD for one token
MAX_NUSD = 1 << 53  # 9 million USD: no call costs more, whatever its provider reports

GivenRates: TypeAlias = Mapping[str, float | None]
"""Some of the fields of `Rates` by name, USD per million tokens; None is as good as missing."""


class Rates(NamedTuple):
    """USD per million tokens, for each kind of token.

    Attributes:
        input: prompt tokens of no other kind.
        output: answer tokens of no other kind.
        cached_input: prompt tokens that the provider reads from its cache.
        cache_write, cache_write_1h: prompt tokens that it writes into its cache, for the usual time and for longer.
        reasoning: answer tokens that are reasoning.
        audio_input, audio_output: tokens of the prompt and of the answer that are audio.
    """

    input: float
    output: float
    cached_input: float
    cache_write: float
    cache_write_1h: float
    reasoning: float
    audio_input: float
    audio_output: float

    @classmethod
    def of(cls, given: GivenRates) -> "Rates":
        """The rates of all kinds: a missing one is as `input` or `output`, and `cache_write_1h` as `cache_write`."""

        def rate(kind: str, default: float) -> float:
            value = given.get(kind)
            return default if value is None else value

        input_, output = rate("input", 0.0), rate("output", 0.0)
        cache_write = rate("cache_write", input_)
        return cls(
            input_,
            output,
            rate("cached_input", input_),
            cache_write,
            rate("cache_write_1h", cache_write),
            rate("reasoning", output),
            rate("audio_input", input_),
            rate("audio_output", output),
        )


_NO_DETAILS = (0,) * (len(Usage._fields) - 2)  # of a usage whose tokens are plain ones of prompt and answer


class Tier(NamedTuple):
    """The rates of all tokens of a request whose prompt has more than `above` tokens."""

    above: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a model at one provider. A price that is not known is None, never a price of 0.

    Attributes:
        rates: of requests below all tiers.
        tiers: by their size, the largest last.
        services: the price of each service tier that has one of its own, such as "flex"; that of another tier is not known.
            None: this price holds for every tier.
        search_nusd: of one search of the web; None if that is not known, or is part of the price.
    """

    rates: Rates
    tiers: tuple[Tier, ...] = ()
    services: "tuple[tuple[str, Price], ...] | None" = None
    search_nusd: int | None = None

    @classmethod
    def of(cls, given: GivenRates, tiers: Mapping[int, GivenRates] | None = None) -> "Price":
        """The price with these rates, USD per million tokens.

        Args:
            tiers: prompt size -> the rates that differ above it.
        """
        made = []
        for above, own in sorted((tiers or {}).items()):
            made.append(
                Tier(above, Rates.of({**given, **{kind: rate for kind, rate in own.items() if rate is not None}}))
            )
        return cls(Rates.of(given), tuple(made))

    @property
    def of_table(self) -> bool:
        """True if it is a model's usual price in LiteLLM's table: it says nothing of images, and of what else has no rate there."""
        return self.services is not None

    def of_service(self, tier: str | None) -> "Price | None":
        """The price of a service tier; None if it is not known.

        Args:
            tier: None for the usual one.
        """
        if tier is None or self.services is None:
            return self
        return next((price for name, price in self.services if name == tier), None)

    @property
    def stated(self) -> JsonObject:
        """The fewest fields of the portfolio file's `price` that make this price; always `input` and `output`."""
        given = {"input": self.rates.input, "output": self.rates.output}
        given |= _differing(self.rates, given)
        tiers = [{"above": above} | _differing(rates, given) for above, rates in self.tiers]
        return given | ({"tiers": tiers} if tiers else {})

    def rates_for(self, prompt_tokens: int) -> Rates:
        """The rates of a request with a prompt of this size."""
        return next((tier.rates for tier in reversed(self.tiers) if prompt_tokens > tier.above), self.rates)

    def highest_nusd(self, prompt_tokens: int, output_tokens: int) -> int:
        """The most that a call with a prompt and an answer of at most these sizes can cost, nano-USD."""
        if not self.tiers:  # as most models; this is on the way of every request under a budget
            usd_in, usd_out = _highest_pico_usd(self.rates)
            return _rounded(usd_in * prompt_tokens + usd_out * output_tokens)
        reachable = [self.rates, *(tier.rates for tier in self.tiers if prompt_tokens > tier.above)]
        usd_in, usd_out = map(max, zip(*map(_highest_pico_usd, reachable), strict=True))
        return _rounded(usd_in * prompt_tokens + usd_out * output_tokens)

    def cost_nusd(self, usage: Usage, web_searches: int = 0) -> int:
        """What a call with this usage costs, nano-USD. It is rounded once, half up; rates count to 10⁻⁶ USD per million tokens."""
        rates = self.rates_for(usage.prompt_tokens) if self.tiers else self.rates
        if usage[2:] == _NO_DETAILS and not web_searches:  # as most
            usd_in, usd_out = _pico_usd(rates)[:2]
            return _rounded(usd_in * usage[0] + usd_out * usage[1])
        cache_write = usage.cache_write_5m_tokens, usage.cache_write_1h_tokens
        audio = usage.prompt_audio_tokens, usage.completion_audio_tokens
        tokens = (
            usage.prompt_tokens - usage.cached_tokens - sum(cache_write) - audio[0],
            usage.completion_tokens - usage.reasoning_tokens - audio[1],
            usage.cached_tokens,
            *cache_write,
            usage.reasoning_tokens,
            *audio,
        )
        pico_usd = sum(map(mul, _pico_usd(rates), tokens))
        return _rounded(pico_usd + 1000 * web_searches * (self.search_nusd or 0))


@lru_cache(4096)
def _pico_usd(rates: Rates) -> tuple[int, ...]:
    """The rates as whole pico-USD of one token."""
    return tuple(round(rate * PICO_USD) for rate in rates)


@lru_cache(4096)
def _highest_pico_usd(rates: Rates) -> tuple[int, int]:
    """The highest rates of a token of the prompt and of the answer, pico-USD."""
    of_answer = rates.output, rates.reasoning, rates.audio_output
    of_prompt = rates.input, rates.cached_input, rates.cache_write, rates.cache_write_1h, rates.audio_input
    return round(max(of_prompt) * PICO_USD), round(max(of_answer) * PICO_USD)


def _rounded(pico_usd: int) -> int:
    """nano-USD."""
    return min((pico_usd + 500) // 1000, MAX_NUSD)


def _differing(rates: Rates, given: GivenRates) -> dict[str, float]:
    """The fewest rates that make `rates` in addition to the given ones."""
    added: dict[str, float] = {}
    for kind, rate in rates._asdict().items():
        if rate != getattr(Rates.of({**given, **added}), kind):
            added[kind] = rate
    return added


FREE = Price.of({})

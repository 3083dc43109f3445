"""The models of a model space by name: which one a name of a portfolio means, with its variants by reasoning setting.

A name that could mean two models means none: a wrong match is worse than no match.
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from router.model.model_names import ModelIdentity, identity
from router.model.name_parts import SETTINGS
from router.model.name_tables import CHAT_ONLY

RANKS: Mapping[str | None, float] = {None: 0.3} | SETTINGS
"""Reasoning settings and how much they let a model think. None: the setting is not known, so probably the provider's default."""

_ACTIVE = re.compile(r"-a\d+b(?=-|$)")  # active parameters of a mixture of experts, often left out
_THINKER = re.compile(r"-(thinking|think)(?=-|$)")
_STATED = (
    (re.compile(r"-(non-reasoning|non-thinking|no-?thinking)(-latest)?$"), "no-thinking"),
    (re.compile(r"-(reasoning|thinking|think)(-latest)?$"), "thinking"),
)
# Names whose form without `instruct`, `it` or `chat` is the base model; Qwen's until 2.5.
_BASE_NAMED = re.compile(r"(llama|gemma|mistral-7b|mixtral|yi|falcon|olmo|qwen-(1-5|2|2-5)|qwen(?=-\d+b))(-|$)")
_ONE_SNAPSHOT = frozenset({"anthropic", "openai"})  # they never change a model behind a name that has no dated form


@dataclass(frozen=True, slots=True)
class Family:
    """A model of the space with its variants by reasoning setting.

    Attributes:
        name: the full name without a setting.
        variants: setting -> name in the space; the key None is the variant whose setting is not known.
        setting: the one that the searched name states; None if it states none.
        older: other snapshots of the same model, if this is the newest one and the searched name states no date.
    """

    name: str
    variants: Mapping[str | None, str]
    setting: str | None = None
    older: tuple[str, ...] = ()

    @property
    def stated(self) -> str:
        """The full name with the setting that the searched name states."""
        return self.name if self.setting is None else f"{self.name}:{self.setting}"

    def variant(self, setting: str | None) -> str:
        """The variant with this setting, or with the nearest one; of two equally near ones, the one that thinks less.

        Args:
            setting: a key of `RANKS`.
        """
        if setting in self.variants:
            return self.variants[setting]
        wanted = RANKS[setting]
        return self.variants[min(self.variants, key=lambda s: (abs(RANKS[s] - wanted), RANKS[s], s or ""))]


@dataclass(slots=True)
class _Entry:
    """A family while the index is made: its full name, the parts of that name, and its variants."""

    full: str
    name: ModelIdentity
    variants: dict[str | None, str] = field(default_factory=dict)

    def family(self, setting: str | None, older: tuple[str, ...] = ()) -> Family:
        return Family(self.full, self.variants, setting, older)


class Families:
    """The families of a model space.

    Args:
        models: the names of the space.
    """

    def __init__(self, models: Sequence[str]) -> None:
        self._by_full: dict[str, _Entry] = {}
        self._by_base: dict[str, list[_Entry]] = defaultdict(list)
        self._by_stem: dict[str, list[_Entry]] = defaultdict(list)
        for model in models:
            full, setting = _without_setting(model)
            self._by_full.setdefault(full, _Entry(full, identity(full))).variants[setting] = model
        for entry in self._by_full.values():
            self._by_base[entry.name.base].append(entry)
            self._by_stem[_stem(entry.name.base)].append(entry)

    def find(self, name: str) -> list[Family]:
        """The families that a name may mean: one if it is certain, none if the space has no such model."""
        full, setting = _without_setting(name)
        if (entry := self._by_full.get(full)) is not None:
            return [entry.family(setting)]
        return self._match(identity(full), setting) or self._by_stated_reasoning(full)

    def similar(self, name: str, number: int = 3) -> list[str]:
        """Names of the space that look like this one, the most similar first."""
        forms: dict[str, str] = {}
        for entry in self._by_full.values():
            for form in (_tail(entry.full), entry.name.base):
                forms.setdefault(form, entry.full)
        close = difflib.get_close_matches(_tail(name), forms, n=3 * number)
        return list(dict.fromkeys(forms[form] for form in close))[:number]

    def _by_stated_reasoning(self, full: str) -> list[Family]:
        """`grok-4-fast-non-reasoning` -> the family of `grok-4-fast`, if the space has settings of that model."""
        for ending, setting in _STATED:
            if (stated := ending.search(full)) is not None:
                found = self._match(identity(full[: stated.start()]), setting)
                return [family for family in found if family.variants.keys() - {None}]
        return []

    def _match(self, name: ModelIdentity, setting: str | None) -> list[Family]:
        if not name.certain:
            return []
        if _may_be_base(name):
            return self._loosely(name, setting)
        alike = [entry for entry in self._by_base.get(name.base, ()) if _same_maker(entry.name, name)]
        exact = [entry for entry in alike if entry.name.chat == name.chat]
        return self._of_date(exact, name, setting) or self._loosely(name, setting)

    def _of_date(self, entries: Sequence[_Entry], name: ModelIdentity, setting: str | None) -> list[Family]:
        """The snapshot that the name states. If it states none: the undated model, else the newest snapshot."""
        found = [entry for entry in entries if _same_date(entry.name.date, name.date)]
        older: tuple[str, ...] = ()
        if not found and not name.date and name.provider != "ollama":
            newest = max((entry.name.date for entry in entries), default="")
            found = [entry for entry in entries if entry.name.date == newest]
            older = tuple(entry.full for entry in entries if entry.name.date != newest)
        if not found and all(not entry.name.date and entry.name.maker in _ONE_SNAPSHOT for entry in entries):
            found = list(entries)
        return [entry.family(setting, older) for entry in found]

    def _loosely(self, name: ModelIdentity, setting: str | None) -> list[Family]:
        """The only chat model that a name without `instruct` or without the active parameters can mean."""
        chat_only = name.provider in CHAT_ONLY
        if not chat_only and (name.chat or _BASE_NAMED.match(name.base)):
            return []
        entries = [entry for entry in self._by_stem.get(_stem(name.base), ()) if _same_maker(entry.name, name)]
        entries = [entry for entry in entries if entry.name.chat or not _BASE_NAMED.match(entry.name.base)]
        if len(entries) != 1 or not _same_date(entries[0].name.date, name.date):
            return []
        base = entries[0].name.base
        same = base == name.base or (chat_only and _ACTIVE.sub("", base) == name.base)
        return [entries[0].family(setting)] if same else []


def chat_name(name: str) -> str:
    """A name that says what a provider serves: with `instruct` where it has chat models only, and the bare name is the base model.

    `ollama/llama3:70b` gives `ollama/llama3:70b-instruct`.
    """
    parts = identity(name)
    bare = parts.provider in CHAT_ONLY and not parts.chat and _BASE_NAMED.match(parts.base) is not None
    return f"{name}-instruct" if bare else name


def _without_setting(model: str) -> tuple[str, str | None]:
    """`gpt-5.4:high` -> `"gpt-5.4", "high"`"""
    name, colon, last = model.rpartition(":")
    return (name, last.lower()) if colon and last.lower() in RANKS else (model, None)


def _tail(name: str) -> str:
    """`meta-llama/Llama-3.1-8B-Instruct` -> `llama-3-1-8b-instruct`"""
    return re.sub(r"[ _.:@]", "-", name.lower().rpartition("/")[2])


def _stem(base: str) -> str:
    """The name without active parameters and `thinking`: models with one stem are easily taken for one another."""
    return _THINKER.sub("", _ACTIVE.sub("", base))


def _may_be_base(name: ModelIdentity) -> bool:
    """A provider's own name that leaves open whether it means the base model or the chat model of the same name."""
    if name.chat or not _BASE_NAMED.match(name.base) or name.provider in (None, "fireworks_ai"):
        return False  # Fireworks states `instruct` where a model is one
    return name.maker is None or name.provider in CHAT_ONLY


def _same_maker(a: ModelIdentity, b: ModelIdentity) -> bool:
    return a.maker is None or b.maker is None or a.maker == b.maker


def _same_date(a: str, b: str) -> bool:
    """Some names state a snapshot without its year."""
    return a == b or (a[4:] == b[4:] != "" and "0000" in (a[:4], b[:4]))

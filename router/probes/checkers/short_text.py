"""Short answers in one form: "**The Nile.**" and "nile" are the same answer."""

import hashlib
import re
import unicodedata

MOST_CANONICAL = 200

_MARKUP = re.compile(
    r"\\(?:text|textbf|mathrm|mathbf|boxed)\s{0,2}|[`$\\{}]|(?<!\S)#{1,6}(?!\S)"
    r"|(?<![A-Za-z0-9)])\*{1,3}|\*{1,3}(?![A-Za-z0-9(])"  # not those of "2*x"
    r"|(?<!\w)_{1,3}|_{1,3}(?!\w)|<[^<>]{1,30}>"
)
_EDGES = " \t\n\"'.,;:!?()[]<>-–—…¿¡।"
_ARTICLE = re.compile(
    r"^(?:the|an?|der|die|das|dem|den|ein|eine|le|la|les|l'|un|une|el|los|las|una|il|lo|gli|uno|o|os|as|um|uma|de|het|een)"
    r"(?:(?<=')| )(?=\S)"
)


def normalised(text: str, *, case: bool = False) -> str:
    """One form: compatibility forms of Unicode, no markup, single spaces, no punctuation at the edges, small letters.

    Args:
        case: keep capital letters.
    """
    text = unicodedata.normalize("NFKC", _MARKUP.sub("", text))
    text = " ".join(text.split()).strip(_EDGES)
    return text if case else text.casefold()


def without_article(text: str) -> str:
    """The text without a leading article, of normalised text in European languages."""
    return _ARTICLE.sub("", text)


def bounded(canonical: str | None) -> str | None:
    """A canonical form of at most some 200 characters: of a longer one the start, and a hash of the whole."""
    if canonical is None or len(canonical) <= MOST_CANONICAL:
        return canonical
    return f"{canonical[:MOST_CANONICAL]}…{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"

"""What is known of how good one answer was."""

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

Kind = Literal["exact", "judge", "feedback"]
KINDS: tuple[Kind, ...] = ("exact", "judge", "feedback")

GRADER = "grader:"  # begins the sources of graders; the ids of gateway keys cannot begin so, see `source_of_key`
IMPORT = "import:"
WITHOUT_KEY = "local"  # the source of clients of a gateway without keys
RESERVOIR_HALF_LIFE_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that one model has answered.

    Attributes:
        checkpoint: the beginning of the id of the checkpoint that encoded the query.
        encoding, surface: the query, as in the record; None if nothing can be learned from the answer: the client named the model,
            the answer came from the cache, several models wrote it, or an ensemble chose it.
        time: seconds since the epoch.
    """

    request_id: str
    model: str
    deployment: str | None
    checkpoint: str | None
    encoding: bytes | None
    surface: bytes | None
    time: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one source says of an answer.

    Attributes:
        source: the id of a gateway key, `grader:NAME` or `import:NAME`.
        score: from 0, wrong, to 1, correct; None: revoked.
        reliability: what an evaluation of this source is worth, from 0 to 1.
        comment, expected: of the client; only kept where prompts are stored.
    """

    request: Answered
    source: str
    kind: Kind
    score: float | None
    reliability: float = 1.0
    comment: str | None = None
    expected: str | None = None


def source_of_key(key_id: str | None) -> str:
    """The source of a gateway key's feedback; None: the client has no key. No key can have the source of a grader or importer."""
    if key_id is None:
        return WITHOUT_KEY
    return f"key:{key_id}" if key_id.startswith((GRADER, IMPORT)) or key_id == WITHOUT_KEY else key_id


def priority(request_id: str, source: str, at: float) -> float:
    """The rank of an outcome in the reservoir of its model and source: those with the highest ranks are a sample whose weights
    halve every 30 days (Efraimidis and Spirakis 2006; forward decay: Cormode et al. 2009).

    The random number is a digest of the names, so that an outcome that is written again keeps its place. Ranks by different
    half-lives cannot be compared, so this one is fixed, and `feedback.half_life` counts when outcomes are used.

    Args:
        at: seconds since the epoch.
    """
    digest = blake2b(f"{source}\0{request_id}".encode("utf-8", "surrogatepass"), digest_size=8, person=b"locus outcome")
    uniform = (int.from_bytes(digest.digest()) + 0.5) / 2**64  # in (0, 1)
    return at * math.log(2) / RESERVOIR_HALF_LIFE_S - math.log(-math.log(uniform))

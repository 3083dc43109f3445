"""The outcomes of one model as arrays, and which of them count."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.record.predictions import unpack_query

HELD_OUT = 0.2  # share of the exact outcomes, the newest, that a candidate is checked on
LEAST_HELD_OUT = 16


@dataclass(frozen=True, slots=True)
class Reports:
    """n outcomes of one model, the oldest first.

    Attributes:
        request_ids, sources, kinds: n texts each.
        q: encodings of the queries, (n, d_q), float32.
        scores: as reported, (n,).
        reliability: what an evaluation of the source is worth, (n,).
        time: of the requests, seconds since the epoch, (n,).
    """

    request_ids: NDArray[np.str_]
    sources: NDArray[np.str_]
    kinds: NDArray[np.str_]
    q: NDArray[np.float32]
    scores: NDArray[np.float64]
    reliability: NDArray[np.float64]
    time: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], width: int) -> "Reports":
        """The outcomes of rows of the table; those whose encoding has another width are left out.

        Args:
            width: d_q.
        """
        columns: list[tuple[str, str, str, NDArray[np.float32], float, float, float]] = []
        for row in rows:
            q = unpack_query(bytes(row["encoding"]), bytes(row["surface"]))
            if len(q) == width:
                names = str(row["request_id"]), str(row["source"]), str(row["kind"])
                columns.append((*names, q, row["score"], row["reliability"], row["time"]))
        columns.sort(key=lambda column: (column[6], column[0], column[1]))
        ids, sources, kinds, q_rows, scores, reliability, time = zip(*columns, strict=True) if columns else ((),) * 7
        return cls(
            np.array(ids, np.str_),
            np.array(sources, np.str_),
            np.array(kinds, np.str_),
            np.array(q_rows, np.float32).reshape(len(columns), width),
            np.array(scores, np.float64),
            np.array(reliability, np.float64),
            np.array(time, np.float64),
        )

    def take(self, which: NDArray[np.bool_]) -> "Reports":
        """Those at which `which`, (n,), is true."""
        return Reports(
            self.request_ids[which],
            self.sources[which],
            self.kinds[which],
            self.q[which],
            self.scores[which],
            self.reliability[which],
            self.time[which],
        )

    def counting(self) -> "Reports":
        """What counts: where an exact outcome of a request is known, nothing else does; of several exact ones the worst, since
        an answer must pass all checks.
        """
        exact = self.kinds == "exact"
        worst: dict[str, int] = {}
        for i in np.flatnonzero(exact).tolist():
            name = str(self.request_ids[i])
            if name not in worst or self.scores[i] < self.scores[worst[name]]:
                worst[name] = i
        which = ~np.isin(self.request_ids, list(worst))
        which[list(worst.values())] = True
        return self.take(which)

    def split(self) -> tuple["Reports", "Reports"]:
        """Those that a candidate is made from, and the newest exact ones, which it is checked on. No request is in both."""
        exact = np.flatnonzero(self.kinds == "exact")
        number = min(max(round(HELD_OUT * len(exact)), LEAST_HELD_OUT), len(exact))
        held = np.zeros(len(self), np.bool_)
        held[exact[len(exact) - number :]] = True
        return self.take(~np.isin(self.request_ids, self.request_ids[held])), self.take(held)

"""Draws the plots of research/results/tables again, from the results that lie beside them.

    python -m research.redraw [TABLE...]

After a new measurement, `OUT/tables/*.json` of the benchmark belongs there too. Nothing is measured.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from research.bench.tables import TABLES, draw, result_of

RESULTS = Path(__file__).parent / "results" / "tables"


def main(names: Sequence[str], out: Path = RESULTS) -> None:
    """Draws the named tables, or all, into a folder.

    Raises:
        ArtifactError: a result cannot be read.
    """
    for name in names or TABLES:
        draw(name, result_of(name, RESULTS), out)
        print(out / f"{name}.png")


if __name__ == "__main__":
    main(sys.argv[1:])

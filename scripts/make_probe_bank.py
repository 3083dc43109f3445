"""Writes the shipped bank of probes from its generators: `python -m scripts.make_probe_bank`."""

from pathlib import Path

from router.probes.generators.bank import questions
from router.probes.generators.draft import probe_of
from router.probes.probe import SHIPPED, save_bank

PATH = Path(__file__).parents[1] / "router" / "probes" / "shipped" / f"{SHIPPED}.jsonl"


def main() -> None:
    """Writes the file, the same each time."""
    probes = [probe_of(identifier, kind, draft) for kind, identifier, draft in questions()]
    save_bank(PATH, probes)
    print(f"{PATH}: {len(probes)} probes")


if __name__ == "__main__":
    main()

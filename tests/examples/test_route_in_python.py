"""The example runs as the documentation says, from any folder."""

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "route_in_python.py"


def test_the_example_prints_its_table_choices_and_neighbours(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    header, *models = lines[:5]
    assert header.split() == ["P(correct)", "±", "standard", "error", "query", "1", "query", "2", "query", "3"]
    assert models[-1].startswith("new model")
    new_model = [float(cell) for cell in models[-1].split()[2::3]]
    assert new_model[0] > new_model[1] + 0.2  # it adds correctly and proves nothing
    assert sum(" -> " in line for line in lines) == 3
    distances = [float(line.split()[0]) for line in lines[lines.index("nearest to the new model:") + 1 :]]
    assert len(distances) == 3
    assert distances == sorted(distances)

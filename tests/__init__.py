"""The tests, and the environment of the processes that run them or are started by them. Set before anything else is imported."""

import os
import sys
from pathlib import Path

if sys.dont_write_bytecode:
    # Tests start several hundred processes. Each would compile all its packages anew, which takes longer than to run most
    # tests; so bytecode is kept apart from the sources where the environment wants none beside them.
    sys.pycache_prefix = str(Path(__file__).parent.parent / ".pytest_cache" / "bytecode")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # absent where Python was started with -B
    sys.dont_write_bytecode = False

# Every HTTP client reads the authorities that it trusts when it is made, which takes longer than to start a gateway. Tests talk
# to this machine alone, so one authority is enough.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "authority.pem")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each test process keeps to one core: threads of numpy and torch would wait for each other by spinning, and joblib's
    # processes would each import torch for a few small fits.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")

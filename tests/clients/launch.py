"""Runs a command beside a gateway for it: `python -m tests.clients.launch npm test`. `LOCUS_URL` says where that is."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.clients.serving import serving


async def launch(command: list[str]) -> int:
    """The command's exit status."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder)) as served:
            process = await asyncio.create_subprocess_exec(*command, env=os.environ | {"LOCUS_URL": served.url})
            return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(launch(sys.argv[1:])))

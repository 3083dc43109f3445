"""Writes the locks anew: exact versions with the hashes of all their files.

    make lock                                       # the newest versions that pyproject.toml allows
    build/lock/bin/python scripts/lock.py           # only what a change of pyproject.toml asks for; other versions stay

Further arguments go to `uv pip compile`, which does the work, once for all platforms. It chooses one set of versions for
everything, which is written to several files:

- requirements.lock: what serving needs, and setuptools, which builds the package. `make run` and the Docker image install it.
- requirements-dev.lock: what the extras, the tests and the checks need besides. `make test` installs it too.
- requirements-cpu.lock: a CPU build of torch, which satisfies the pin of requirements-dev.lock too. PyPI has none, and its
  own torch for Linux needs CUDA libraries of several GB.
- requirements-cuda.lock: these libraries, for machines where pip finds no CPU build.

Three more are for `make test` alone:

- requirements-clients.lock: clients of the gateway that fit beside the rest; only what the locks above do not have.
- requirements-clients-apart.lock: those that do not, with all that they need.
- requirements-deploy.lock: programs that check the files of deploy/, in an environment of their own.
"""

import re
import subprocess
import sys
from pathlib import Path

TORCH = "2.13.0"
# As the index of CPU builds, https://download.pytorch.org/whl/cpu/torch/, lists them. Elsewhere than on Linux, PyPI's
# builds are CPU builds.
CPU_BUILDS = {
    "cp311-manylinux_2_28_x86_64": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
    "cp312-manylinux_2_28_x86_64": "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
    "cp313-manylinux_2_28_x86_64": "3fbf9c9d1f3c10c2d59d04aca426dee9ccc6ceb32d255c61e93acc3b4f75fae6",
    "cp314-manylinux_2_28_x86_64": "d20fa53ee744502fa4c69818a720b05ca0d37abd055d4f6e66cae155114bc691",
    "cp311-manylinux_2_28_aarch64": "84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7",
    "cp312-manylinux_2_28_aarch64": "6f307c2c32d764ffc6ff6893b801fad6d4752f3e67966cb8abf1843427c02604",
    "cp313-manylinux_2_28_aarch64": "0b8f7d0423027ae8b90c7977c627f3379f325363a08224dffad9b4b2d684a83d",
    "cp314-manylinux_2_28_aarch64": "ca021f9eb2f8345c83fa03e3a04587308afb8df71bd472670b3ece00df58621c",
}
LOCK, DEV_LOCK = Path("requirements.lock"), Path("requirements-dev.lock")
CPU_LOCK, CUDA_LOCK = Path("requirements-cpu.lock"), Path("requirements-cuda.lock")
CLIENTS_LOCK, APART_LOCK = Path("requirements-clients.lock"), Path("requirements-clients-apart.lock")
DEPLOY_LOCK = Path("requirements-deploy.lock")
WORK = Path("build/lock")
HEADS = {
    LOCK: "Exact versions of what serving needs, with their hashes: `make run` installs them.",
    DEV_LOCK: "Exact versions of what the extras, the tests and the checks need besides: `make test` installs them too.",
    CPU_LOCK: "A build of torch that needs no CUDA libraries, where pip finds one.",
    CUDA_LOCK: "What PyPI's torch for Linux needs besides.",
    CLIENTS_LOCK: "Clients of the gateway that `make test` tries on it, beside what the two locks above name.",
    APART_LOCK: "Clients of the gateway that need an environment of their own.",
    DEPLOY_LOCK: "Programs that check the files of deploy/, for an environment of their own.",
}
COMPILE = [
    *("pip", "compile", "--universal", "--python-version", "3.11", "--fork-strategy", "fewest"),
    *("--only-binary", ":all:", "--generate-hashes", "--no-annotate", "--no-header"),
]
_CUDA = re.compile(r"(cuda|nvidia)-|triton\b")
# What the package with helm asks for, and what nothing here imports.
_CDK = re.compile(r"(aws-cdk-(lib|asset|cloud)|constructs|jsii|cattrs|publication|python-dateutil|six|typeguard)\b")


def main(options: list[str]) -> None:
    # setuptools builds the package itself, in the environment that it is installed into.
    project = ["pyproject.toml", "-"]
    requirements = f"torch=={TORCH}\nsetuptools\n"
    everything = compiled([LOCK, DEV_LOCK, CUDA_LOCK], [*project, "--extra", "dev", *options], requirements)
    versions = WORK / "versions.txt"
    versions.write_text("".join(everything))
    fixed = ["--constraint", str(versions), *options]
    base = {name(pin) for pin in compiled([LOCK], [*project, *fixed], "setuptools\n")}
    text = dict.fromkeys(HEADS, "")
    for pin in everything:
        text[CUDA_LOCK if _CUDA.match(pin) else LOCK if name(pin) in base else DEV_LOCK] += pin
    hashes = [f"    --hash=sha256:{digest}" for digest in CPU_BUILDS.values()]
    text[CPU_LOCK] = " \\\n".join([f"torch=={TORCH}+cpu ; sys_platform == 'linux'", *hashes]) + "\n"
    locked = {name(pin) for pin in everything}
    clients = compiled([CLIENTS_LOCK], ["--group", "clients", *fixed])
    text[CLIENTS_LOCK] = "".join(pin for pin in clients if name(pin) not in locked)
    text[APART_LOCK] = "".join(compiled([APART_LOCK], ["--group", "clients-apart", *options]))
    tools = compiled([DEPLOY_LOCK], ["--group", "deploy", *options])
    text[DEPLOY_LOCK] = "".join(pin for pin in tools if not _CDK.match(pin))
    for path, pins in text.items():
        path.write_text(f"# {HEADS[path]} `make lock` writes this file anew.\n{pins}")


def name(pin: str) -> str:
    """`torch==2.13.0 ; marker` -> `torch==2.13.0`: one package may have several versions, each for some platforms."""
    return pin.split()[0]


def compiled(before: list[Path], options: list[str], requirements: str = "") -> list[str]:
    """Returns the pins that uv chooses, each with its hashes.

    Args:
        before: the locks whose versions are kept, unless the options say otherwise.
        options: further arguments of `uv pip compile`.
        requirements: what its standard input is, for the argument `-`.
    """
    work = WORK / before[0].with_suffix(".txt").name
    work.parent.mkdir(parents=True, exist_ok=True)
    # uv keeps the versions that it finds in its output file.
    work.write_text("".join(path.read_text() for path in before if path.exists()))
    uv = [str(Path(sys.executable).with_name("uv")), *COMPILE, "--output-file", str(work), *options]
    subprocess.run(uv, input=requirements, text=True, check=True, stdout=subprocess.DEVNULL)
    return [pin for pin in re.split(r"^(?=\S)", work.read_text(), flags=re.MULTILINE) if pin]


if __name__ == "__main__":
    main(sys.argv[1:])

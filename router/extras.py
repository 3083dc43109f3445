"""Optional packages: the error that names a missing one, and the extra of this package that installs it."""

from importlib.util import find_spec

from router.errors import MissingPackage

IMPORT_NAMES = {"scikit-learn": "sklearn"}  # of packages whose import name is not their own with "_" for "-"


def require(*packages: str, extra: str) -> None:
    """Checks that packages are installed. Imports none of them.

    Args:
        packages: names as `pip` knows them.
        extra: the extra of locus-gateway that installs them.

    Raises:
        MissingPackage: names those that are missing, and the command that installs them.
    """
    missing = [package for package in packages if find_spec(_import_name(package)) is None]
    if missing:
        raise MissingPackage(f"This needs {', '.join(missing)}: pip install 'locus-gateway[{extra}]'")


def _import_name(package: str) -> str:
    return IMPORT_NAMES.get(package, package.replace("-", "_"))

"""`from router import …`: every public name, loaded only when it is used."""

import importlib
import subprocess
import sys

import pytest

import router


@pytest.mark.parametrize("name", router.__all__)
def test_every_public_name_is_a_documented_class(name: str) -> None:
    value = getattr(importlib.import_module("router"), name)
    assert isinstance(value, type)
    assert value.__module__.startswith("router.")
    assert value.__doc__


def test_the_public_names() -> None:
    assert router.__all__ == [
        *("ArtifactError", "DataError", "Embedding", "MissingPackage", "ModelSpace"),
        *("Neighbor", "Prediction", "Router", "RouterError", "Scorer"),
    ]
    code = "import router; assert set(router.__all__) <= set(dir(router))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'router' has no attribute 'Routr'"):
        _ = router.Routr


def test_importing_the_package_loads_neither_numpy_nor_a_room() -> None:
    code = "import router, sys; print([name for name in sys.modules if name == 'numpy' or name.startswith('router.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"

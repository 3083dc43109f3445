"""Where a command finds its portfolio file."""

from pathlib import Path

import click
import pytest

from gateway.commands.portfolio_path import find_portfolio, places, portfolio_path, user_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, with an empty configuration folder in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    return tmp_path


def test_the_working_directory_comes_before_the_configuration_folder(folder: Path) -> None:
    assert find_portfolio() is None
    for path in reversed(places()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert find_portfolio() == path
    assert places()[-1] == folder / "settings" / "locus" / "portfolio.yaml"
    assert portfolio_path(None) == Path("portfolio.yaml")
    assert portfolio_path(Path("other.yaml")) == Path("other.yaml")


@pytest.mark.parametrize("setting", ["", "relative/folder", None])
def test_a_configuration_folder_that_is_no_full_path_is_ignored(
    monkeypatch: pytest.MonkeyPatch, setting: str | None
) -> None:
    monkeypatch.setenv("HOME", "/home/user")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    if setting is not None:
        monkeypatch.setenv("XDG_CONFIG_HOME", setting)
    assert user_folder() == Path("/home/user/.config/locus")


def test_without_a_file_the_error_says_what_to_do(folder: Path) -> None:
    with pytest.raises(click.ClickException) as refused:
        portfolio_path(None)
    assert refused.value.exit_code == 2
    assert "locus init" in refused.value.message
    assert str(folder / "settings" / "locus" / "portfolio.yaml") in refused.value.message

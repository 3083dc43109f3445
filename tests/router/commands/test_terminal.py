"""What commands show: tables, consoles without colours, progress."""

import pytest

from router.commands.terminal import console, no_color, progress_bar, show, table_of


def test_numbers_are_aligned_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    table = table_of(["model", "distance"], text=(0,))
    table.add_row("a", "0.5")
    table.add_row("longer", "10.25")
    show(table)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "model   distance",
        "a            0.5",
        "longer     10.25",
    ]


@pytest.mark.parametrize(("value", "expected"), [(None, False), ("", False), ("1", True)])
def test_no_color_follows_the_environment(monkeypatch: pytest.MonkeyPatch, value: str | None, expected: bool) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if value is not None:
        monkeypatch.setenv("NO_COLOR", value)
    assert no_color() is expected
    assert not expected or console().color_system is None


def test_progress_is_shown_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("training", 4) as advance:
        advance(4, "loss 0.5")
    captured = capsys.readouterr()
    assert captured.out == ""
    for text in ("training", "4/4", "loss 0.5"):
        assert text in captured.err

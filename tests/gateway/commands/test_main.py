"""The command line itself: its help at several widths, misspelt commands, and terminals without colours."""

import re

import pytest
from click.testing import CliRunner

from gateway.commands.main import COMMANDS, SECTIONS, main


def run(*arguments: str, columns: int = 80, **environment: str) -> str:
    result = CliRunner().invoke(main, arguments, env=environment, color=True, terminal_width=columns)
    return result.output


def test_every_command_has_a_place() -> None:
    assert sorted(name for section in SECTIONS.values() for name in section) == sorted(COMMANDS)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_help_groups_commands_and_cuts_nothing(columns: int) -> None:
    shown = run("--help", columns=columns)
    assert re.findall(r"^(\w+):$", shown, re.M) == ["Options", *SECTIONS]
    assert "..." not in shown.replace("[ARGS]...", "")
    assert max(map(len, shown.splitlines())) <= columns
    words = " ".join(shown.split())
    assert (
        "Convert evaluations of other projects to a folder for `locus train`; each FORMAT has its own --help." in words
    )


@pytest.mark.parametrize("group", [["import"], ["import-config"], ["plot"], ["portfolio"]])
def test_help_of_a_group_cuts_nothing(group: list[str]) -> None:
    shown = run(*group, "--help", columns=60)
    assert not re.search(r"\w\.\.\.$", shown.replace("PATH...", ""), re.M)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chek"], "No such command 'chek'; did you mean check?"),
        (["sevre"], "did you mean serve"),
        (["import-confg"], "did you mean import-config or import?"),
        (["import", "routerbnch"], "did you mean routerbench?"),
        (["zzz"], "there are serve, check, log"),
        (["serve", "--prot", "1"], "--port"),
        (["a" * 1_000], "No such command '" + "a" * 40 + "'"),
    ],
)
def test_a_misspelt_command_or_option_is_told_what_it_was_meant_to_be(arguments: list[str], told: str) -> None:
    assert told in run(*arguments)


def test_no_color_means_no_escape_codes() -> None:
    assert "\x1b[" in run("check", "missing.yaml", FORCE_COLOR="1")
    for arguments in (["check", "missing.yaml"], ["check", "config/portfolio.yaml"], ["neighbors", "openai/gpt-4o"]):
        assert "\x1b" not in run(*arguments, NO_COLOR="1", FORCE_COLOR="1", TERM="xterm-256color")

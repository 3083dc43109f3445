"""The mutants that the soak must find still fit the gateway: `make soak-mutants` runs them."""

import pytest

from scripts.soak.gateway_process import ROOT
from scripts.soak.mutants import MUTANTS


@pytest.mark.parametrize("name", MUTANTS)
def test_each_text_that_a_mutant_changes_occurs_once(name: str) -> None:
    for edit in MUTANTS[name]:
        assert (ROOT / edit.file).read_text(encoding="utf-8").count(edit.old) == 1
        assert edit.new != edit.old

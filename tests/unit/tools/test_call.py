"""What wrong parameters are told: what is wrong with which value, and what is accepted."""

from __future__ import annotations

from typing import Any

import pytest

from physlab.errors import PhyslabError
from physlab.tools import load_tools
from physlab.tools.call import check_params


@pytest.mark.parametrize(
    ("tool", "method", "params", "message", "hint"),
    [
        ("cas", "diff", {"expr": "x", "symbol": "x", "order": 0}, "order = 0: input should be greater than or equal "
         "to 1.", "See: physlab tools show cas.diff."),
        ("cas", "diff", {"expr": "x"}, "the parameter 'symbol' is missing.", "See: physlab tools show cas.diff."),
        ("cas", "diff", {"exp": "x", "expr": "x", "symbol": "x"}, "unknown parameter 'exp'.", "Did you mean 'expr'?"),
        ("quantum", "solve", {"problem": "hydrogn"}, "problem = 'hydrogn' is none of the choices.", "Did you mean "
         "'hydrogen'? Known: bell_state, custom, grover,"),
        ("quantum", "solve", {"problem": "hydrogen", "n": 2, "l": 2}, "l = 2 does not exist for n = 2.", "Use l from"),
        ("statmech_partition", None, {"energy_levels": [0, 1], "degeneracies": [1]}, "there are 2 energy_levels and 1 "
         "degeneracies.", "Give one for each."),
    ],
)  # fmt: skip
def test_wrong_parameters(tool: str, method: str | None, params: dict[str, Any], message: str, hint: str) -> None:
    found = load_tools().find(tool, method)
    with pytest.raises(PhyslabError) as raised:
        check_params(found, params)
    assert raised.value.message == f"{found.full_name}: {message}"
    assert raised.value.hint.startswith(hint)

"""The calculator's names, lists, programs and finance: what travels between nodes, what is bounded, closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from physlab.errors import ComputationError, PhyslabError, ValidationError
from tests.unit.tools.test_plot_parametric import read

TOOL = "graphing_calculator"


def run(ask, *lines, **params):
    return ask(TOOL, "execute_program", program="\n".join(lines), **params)


def test_names_travel_by_value(ask):
    one = ask(TOOL, "store_variable", var_name="g", var_value="981/100")
    two = ask(
        TOOL,
        "define_function",
        func_name="h",
        func_expression="g*t^2/2",
        func_variables=["t"],
        environment=one["environment"],
    )
    three = ask(TOOL, "create_list", list_name="times", list_data=[1, 2, 3], environment=two["environment"])
    environment = three["environment"]
    assert ask(TOOL, "evaluate", expression="h(2)", environment=environment)["exact"] == "981/50"  # ½ g t²
    assert ask(TOOL, "recall_variable", var_name="g", environment=environment)["exact"] == "981/100"
    assert ask(TOOL, "recall_variable", var_name="h", environment=environment)["kind"] == "function"
    assert ask(TOOL, "recall_variable", var_name="times", environment=environment)["list"] == [1, 2, 3]
    mapped = ask(
        TOOL, "list_operations", list_operation="map", list_name="times", expression="h(x)", environment=environment
    )
    assert mapped["result"] == pytest.approx([4.905, 19.62, 44.145], rel=1e-15)
    again = ask(TOOL, "store_variable", var_name="times", var_value=2, environment=environment)["environment"]
    assert again["variables"]["times"] == "2" and again["lists"] == {}  # a name means one thing
    assert ask(TOOL, "plot_function", expression="h(x)", environment=environment, x_range=[0, 2])["y"][
        -1
    ] == pytest.approx(19.62)


def test_nothing_is_remembered(ask):
    ask(TOOL, "store_variable", var_name="q", var_value=7)
    with pytest.raises(ValidationError, match="Nothing is remembered between calls"):
        ask(TOOL, "recall_variable", var_name="q")
    with pytest.raises(ValidationError, match="Did you mean 'qq'"):
        ask(TOOL, "recall_variable", var_name="qqq", variables={"qq": 1})


def test_decimals_keep_their_digits(ask):
    a = ask(TOOL, "store_variable", var_name="x", var_value=0.1234567890123456)
    assert a["environment"]["variables"]["x"] == "0.1234567890123456" and a["value"] == 0.1234567890123456
    b = ask(TOOL, "store_variable", var_name="y", var_value="x + 1", environment=a["environment"])
    assert b["value"] == pytest.approx(1.1234567890123456, rel=1e-15)


def test_a_program(ask):
    a = run(
        ask, "# sums", "s = 0", "f(x) = x^2", "for k = 1 to 10", "  s = s + f(k)", "end", "print s", "f(1/3)",
        "if s > 384 then", "  y = sqrt(2)", "else", "  y = 0", "end", "L = [1, 2, y^2]", "p = 1", "for v in L",
        "  p = p * v", "end", "p", "for k = 3 to 1 step -1", "end; k",
    )  # fmt: skip
    assert [item["result"] for item in a["outputs"]] == ["385", "1/9", "4", "1"]  # n(n+1)(2n+1)/6 = 385
    assert a["variables"]["y"]["result"] == "sqrt(2)" and a["environment"]["lists"] == {"L": [1, 2, 2]}
    assert a["outputs"][0]["line"] == 7 and a["result"] == "1"
    b = ask(TOOL, "execute_program", program=["s + 1"], environment=a["environment"])
    assert b["value"] == 386


def test_newtons_iteration(ask):
    exact = run(ask, "x = 1", "for k = 1 to 4", "x = (x + 2/x)/2", "end", "x")
    assert exact["result"] == "665857/470832"  # the fourth iterate from 1, exactly
    decimal = run(ask, "x = 1.0", "while abs(x^2 - 2) > 1e-14", "x = (x + 2/x)/2", "end", "x")
    assert decimal["value"] == pytest.approx(2**0.5, rel=1e-15)
    collatz = run(ask, "n = 27", "c = 0", "while n > 1", "if n % 2 == 0", "n = n/2", "else", "n = 3*n + 1", "end",
                  "c = c + 1", "end", "c")  # fmt: skip
    assert collatz["value"] == 111  # OEIS A008908(27) - 1


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["n = 0", "while 1 > 0", "n = n + 1", "end"], "ran 200 steps"),
        (["for i = 1 to 100", "for j = 1 to 100", "end", "end"], "ran 200 steps"),
        (["a = 2", "for k = 1 to 50", "a = a^2", "end"], "Line 3"),
        (["__import__('os').system('x')"], "Line 1.*holds"),
        (["open(1)"], "unknown function 'open'"),
        (["f(n) = f(n - 1)"], "unknown function 'f'"),
        (["if x > 1", "y = 1", "end"], "neither true nor false"),
        (["x = 1", "end"], "ends nothing"),
        (["for k = 1 to 3", "k"], "has no end"),
        (["else"], "belongs to no if"),
        (["for k of 3", "end"], "is no loop"),
        (["for k = 1 to 3 step 0", "end"], "step of the loop is 0"),
        (["sin = 3"], "built-in function"),
        (["x = 1/0"], "Line 1.*divides by zero"),
        ([""], "empty"),
    ],
)
def test_wrong_programs(ask, lines, says):
    with pytest.raises(PhyslabError, match=says):
        run(ask, *lines, max_steps=200)


def test_lists(ask):
    squares = ask(TOOL, "create_list", expression="n^2", end=5)
    assert squares["list"].tolist() == [1, 4, 9, 16, 25] and squares["list_name"] == "L1"
    data = [3, 1, 2, 3]
    expected = {
        "sort": [1, 2, 3, 3], "sort_descending": [3, 3, 2, 1], "reverse": [3, 2, 1, 3], "unique": [3, 1, 2],
        "cumulative_sum": [3, 4, 6, 9], "differences": [-2, 1, 1], "sum": 9, "product": 18, "mean": 2.25,
        "median": 2.5, "min": 1, "max": 3, "length": 4, "std": (2.75 / 3) ** 0.5,
    }  # fmt: skip
    for operation, result in expected.items():
        found = ask(TOOL, "list_operations", list_operation=operation, list_data=data)["result"]
        assert np.allclose(found, result, rtol=1e-15), operation
    assert ask(TOOL, "list_operations", list_operation="filter", list_data=data, expression="x > 1 and index > 0")[
        "result"
    ].tolist() == [2, 3]
    assert ask(TOOL, "list_operations", list_operation="dot", list_data=data, list_b=[1, 2, 3, 4])["result"] == 23
    assert ask(TOOL, "list_operations", list_operation="append", list_data=data, list_b=7)["result"].tolist() == [
        *data,
        7,
    ]
    tiny = ask(TOOL, "list_operations", list_operation="sum", list_data=[1e16, 1, -1e16])
    assert tiny["result"] == 1  # J. R. Shewchuk's exact sum


def test_tables(ask):
    a = ask(TOOL, "table_values", _visuals={"series": True}, expressions=["x^2", "sqrt(x)"], x_range=[-1, 1], step=0.5)
    assert a["columns"]["x^2"].tolist() == [1, 0.25, 0, 0.25, 1] and "2 of 5" in a.context.warnings[0]
    assert read(a["csv_data"])[0] == ["x", "x^2", "sqrt(x)"] and a["rows"] == 5
    assert ask(TOOL, "table_values", expression="2*t")["x"].tolist() == list(range(11))


def test_loans_and_deposits(ask):
    def money(kind, **known):
        return ask(TOOL, "financial_calc", financial_type=kind, **known)

    assert money("fv", present_value=1000, interest_rate="5 %", periods=10)["result"] == pytest.approx(1000 * 1.05**10)
    assert money("present_value", future_value=1000, interest_rate=0.05, periods=10)["result"] == pytest.approx(
        1000 / 1.05**10
    )
    loan = money("payment", present_value=200_000, interest_rate=0.06, compounding=12, periods=360)
    assert loan["result"] == pytest.approx(1199.10, abs=0.005)  # the textbook's mortgage
    assert money("present_value", payment=loan["result"], interest_rate=0.06, compounding=12, periods=360)[
        "result"
    ] == pytest.approx(200_000)
    assert money("periods", present_value=200_000, payment=loan["result"], interest_rate=0.06, compounding=12)[
        "result"
    ] == pytest.approx(360)
    rate = money("interest_rate", present_value=200_000, payment=loan["result"], periods=360, compounding=12)
    assert rate["result"] == pytest.approx(0.06, rel=1e-11)
    assert money("periods", present_value=1, future_value=2, interest_rate=0.07)["result"] == pytest.approx(
        math.log(2) / math.log(1.07)
    )
    assert money("interest_rate", present_value=1, future_value=2, periods=10)["result"] == pytest.approx(2**0.1 - 1)
    assert money("effective_rate", interest_rate=0.12, compounding=12)["result"] == pytest.approx(1.01**12 - 1)
    assert money("simple_interest", present_value=100, interest_rate=0.05, periods=3)["result"] == pytest.approx(115)
    saving = money("payment", future_value=1000, interest_rate=0.1, periods=2, due="begin")
    assert saving["result"] * (1.1**2 + 1.1) == pytest.approx(1000)
    nothing = money("payment", present_value=1200, interest_rate=0, periods=12)
    assert nothing["result"] == 100 and nothing["total_interest"] == 0


def test_a_schedule_ends_at_zero(ask):
    a = ask(TOOL, "financial_calc", financial_type="amortization", present_value=1000, interest_rate=0.1, periods=3)
    table = a["schedule"]
    assert table["balance"][-1] == pytest.approx(0, abs=1e-10) and table["principal"].sum() == pytest.approx(1000)
    assert table["interest"][1] == pytest.approx(0.1 * table["balance"][0])
    assert a["total_paid"] - 1000 == pytest.approx(a["total_interest"])


def test_streams_of_cash(ask):
    flows = [-1000, 500, 400, 300]
    a = ask(TOOL, "financial_calc", financial_type="irr", cash_flows=flows)
    assert sum(c / (1 + a["result"]) ** k for k, c in enumerate(flows)) == pytest.approx(0, abs=1e-9)
    npv = ask(TOOL, "financial_calc", financial_type="npv", cash_flows=flows, interest_rate=0.1)
    assert npv["result"] == pytest.approx(-1000 + 500 / 1.1 + 400 / 1.21 + 300 / 1.331)
    two = ask(TOOL, "financial_calc", financial_type="irr", cash_flows=[-1000, 2500, -1540])
    assert two["rates"] == pytest.approx([0.1, 0.4], rel=1e-12)  # (1.1 v - 1)(1.4 v - 1) = 0
    assert "2 rates" in two.context.warnings[0]


@pytest.mark.parametrize(
    ("operation", "params", "says"),
    [
        ("store_variable", {"var_name": "sin", "var_value": 1}, "built-in function"),
        ("store_variable", {"var_name": "x", "var_value": "x + 1"}, "by itself"),
        ("store_variable", {"var_name": "2x", "var_value": 1}, "not a name"),
        ("define_function", {"func_name": "f", "func_expression": "f(x)"}, "circle"),
        ("define_function", {"func_name": "f", "func_expression": "x", "func_variables": "x, x"}, "twice"),
        ("create_list", {"list_name": "A"}, "one of"),
        ("create_list", {"expression": "1/(n - 2)", "end": 3}, "n = 2"),
        ("create_list", {"expression": "n", "end": -5}, "never lead"),
        ("list_operations", {"list_operation": "shuffle", "list_data": [1]}, "no list operation"),
        ("list_operations", {"list_operation": "sum", "list_name": "A"}, "no list 'A'"),
        ("list_operations", {"list_operation": "dot", "list_data": [1], "list_b": [1, 2]}, "1 and 2"),
        ("list_operations", {"list_operation": "divide", "list_data": [1], "list_b": [0]}, "index 0"),
        ("table_values", {"expression": "a*x"}, "'a', which has no value"),
        ("table_values", {"expression": "x", "step": 1e-9}, "cap of 100000"),
        ("financial_calc", {"financial_type": "payment", "present_value": 1}, "needs `interest_rate`"),
        ("financial_calc", {"financial_type": "irr", "cash_flows": [1, 2]}, "one sign"),
        ("financial_calc", {"financial_type": "lottery"}, "lottery"),
        ("financial_calc", {"financial_type": "periods", "present_value": 1000, "interest_rate": 0.1, "payment": 90},
         "interest alone is 100"),
    ],
)  # fmt: skip
def test_wrong_requests(ask, operation, params, says):
    with pytest.raises((ValidationError, ComputationError), match=says):
        ask(TOOL, operation, **params)

"""Tables and series: what is written is read back, what is wrong is named by line and column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from physlab.errors import ValidationError
from physlab.tools.data.csvfile import read_table
from physlab.tools.types import File

Ask = Callable[..., Any]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str | bytes], str]:
    def write(text: str | bytes) -> str:
        path = tmp_path / "input.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


@pytest.mark.parametrize(
    ("text", "names", "units", "delimiter"),
    [
        ("r [a_0],u [1]\n0,1\n2,3\n", ["r", "u"], ["a_0", "1"], ","),
        ("r (a_0);u\n0;1\n2;3\n", ["r", "u"], ["a_0", None], ";"),
        ("r / nm\tf(x)\n0\t1\n2\t3\n", ["r", "f_x"], ["nm", None], "\t"),
        ("# made by hand\nr [a_0]   u\n 0   1\n 2  3\n", ["r", "u"], ["a_0", None], " "),
        ("# r u\n0 1\n2 3\n", ["r", "u"], [None, None], " "),
        ("0|1\n\n2|3", ["c1", "c2"], [None, None], "|"),
        ("\ufeffr,u\r\n0,1\r\n2,3\r\n", ["r", "u"], [None, None], ","),
        ('"r [a_0]","u, scaled"\n"0","1"\n2,3\n', ["r", "u_scaled"], ["a_0", None], ","),
        ("r,u\n0.0D0,1.0D+00\n2,.3d1\n", ["r", "u"], [None, None], ","),
    ],
)
def test_a_table_is_understood(
    ask: Ask, written: Any, text: str, names: list[str], units: list[str | None], delimiter: str
) -> None:
    answer = ask("data", "import_csv", file=written(text))
    assert answer["names"] == names
    assert answer["units"] == dict(zip(names, units, strict=True))
    np.testing.assert_array_equal(answer["x"], [0, 2])
    np.testing.assert_array_equal(answer["y"], [1, 3])
    np.testing.assert_array_equal(answer["columns"][names[1]], [1, 3])
    assert answer["rows"] == 2
    assert answer.context.meta["delimiter"] == delimiter


def test_decimal_commas_missing_cells_and_text(ask: Ask, written: Any) -> None:
    path = written("star;mag;err\nVega;0,03;\nSirius;-1,46;0,01\n")
    answer = ask("data", "import_csv", file=path, decimal=",", missing="nan", text_columns=["star"])
    assert answer["columns"]["star"] == ["Vega", "Sirius"]
    np.testing.assert_array_equal(answer["x"], [0.03, -1.46])
    np.testing.assert_array_equal(answer["y"], [np.nan, 0.01])


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("x,y\n1,2\n3,abc\n", r"line 3, column 2 \(y\): 'abc'", "text_columns"),
        ("# c\nx,y\n1,\n", r"line 3, column 2 \(y\): ''", "missing: nan"),
        ("x;y\n1;2,5\n", r"line 2, column 2 \(y\): '2,5'", "decimal"),
        ("x,y,z\n1,2,3\n4,5", "line 3 has 2 cells instead of 3", "still being written"),
        ("x,y\n1,2\n4,5,6\n7,8\n", "line 3 has 3 cells instead of 2", "delimiter"),
        ("x,y\n", "header and no rows", "written"),
        ("", "empty", "written"),
        ("# only\n# comments\n", "empty but for comments", "written"),
        ("x,x\n1,2\n", "two columns called 'x'", "Rename"),
        (b"x,y\n1,2\n\x00\x01", r"binary file.*line 3", "utf-16"),
        ("x,µ\n1,2\n".encode("latin-1"), "line 1 is not utf-8", "latin-1"),
        (b"\x89HDF\r\n\x1a\n\x00\x00", "binary", ""),
    ],
)
def test_a_broken_file_is_explained(ask: Ask, written: Any, content: str | bytes, message: str, hint: str) -> None:
    path = written(content)
    with pytest.raises(ValidationError, match=message) as caught:
        ask("data", "import_csv", file=path)
    assert "input.csv" in caught.value.message
    assert hint in caught.value.hint


def test_a_missing_file_is_named(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"'none\.csv' does not exist"):
        ask("data", "import_csv", file=str(tmp_path / "none.csv"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hnp.arrays(float, st.integers(1, 20), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_survive_the_way_out_and_back(ask: Ask, column: np.ndarray[Any, Any]) -> None:
    out = ask("data", "export_csv", columns={"a": column, "b": -column}, units={"a": "eV"})
    back = read_table(out["csv_path"])
    np.testing.assert_array_equal(back.columns["a"], column)
    np.testing.assert_array_equal(back.columns["b"], -column)
    assert back.units == {"a": "eV", "b": None}


def test_export_writes_one_series(ask: Ask) -> None:
    psi = np.array([1 + 2j, 3 - 1j])
    answer = ask("data", "export_csv", {"series": True}, columns={"psi": psi, "who": ["a", "b"]}, units={"psi": "1"})
    text = answer["csv_path"].path.read_text()
    assert text == "psi_re [1],psi_im [1],who\n1.0,2.0,a\n3.0,-1.0,b\n"
    assert [item.role for item in answer.context.written] == ["series"]
    assert answer["csv_data"].show == "text"
    assert answer["rows"] == 2


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"columns": {"a": [1, 2], "b": [1]}}, "different lengths"),
        ({"columns": {"a": [[1, 2]]}}, "shape"),
        ({"columns": {"a": [1]}, "units": {"c": "m"}}, "unit for 'c'"),
        ({"columns": {"a": [1]}, "name": "../x"}, "without folders"),
        ({"columns": {}}, "columns"),
    ],
)
def test_a_wrong_export_is_refused(ask: Ask, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ask("data", "export_csv", **params)


def test_a_table_by_rows_and_by_columns(ask: Ask) -> None:
    answer = ask(
        "data",
        "table",
        {"series": True},
        columns=["quantity", "value", "unit"],
        rows=[["E", np.float64(-13.605693), "eV"], ["n", 1, None]],
        caption="Hydrogen.",
    )
    assert answer["csv_path"].path.read_text() == "quantity,value,unit\nE,-13.605693,eV\nn,1,\n"
    assert answer["rows"] == [["E", -13.605693, "eV"], ["n", 1, None]]
    assert answer.context.written[0].caption == "Hydrogen."
    again = ask("data", "table", data={"n": [1, 2], "E [eV]": np.array([0.5, 2.0])})
    assert again["csv_path"].path.read_text() == "n,E [eV]\n1,0.5\n2,2.0\n"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"columns": ["a"], "rows": [[1, 2]]}, "row 1 has 2 cells for 1 columns"),
        ({"columns": ["a"], "rows": [[np.arange(3)]]}, "cell of the column 'a' is a ndarray"),
        ({}, "either"),
        ({"data": {"a": [1], "b": [1, 2]}}, "different lengths"),
    ],
)
def test_a_wrong_table_is_refused(ask: Ask, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ask("data", "table", **params)


def test_a_series_over_a_range(ask: Ask) -> None:
    answer = ask(
        "data",
        "series",
        {"series": True},
        expression="a*x^2",
        start=1,
        stop=100,
        samples=3,
        spacing="log",
        values={"a": 2},
    )
    np.testing.assert_allclose(answer["x"], [1, 10, 100], rtol=1e-15)
    np.testing.assert_allclose(answer["y"], [2, 200, 20000], rtol=1e-14)
    back = read_table(answer["csv_path"])
    np.testing.assert_array_equal(back.columns["y"], answer["y"])


def test_a_series_combines_arrays(ask: Ask) -> None:
    answer = ask("data", "series", expression="u - v + x", values={"u": [3.0, 4.0], "v": [1.0, 1.0]})
    np.testing.assert_array_equal(answer["x"], [0, 1])
    np.testing.assert_array_equal(answer["y"], [2, 4])
    answer = ask("data", "series", expression="1/t", variable="t", x=[0.0, 2.0])
    assert answer["y"][1] == 0.5
    assert "not finite" in answer.context.warnings[0]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"expression": "x"}, "nothing to compute"),
        ({"expression": "x", "start": 0}, "both"),
        ({"expression": "x", "start": 0, "stop": 1, "spacing": "log"}, "above 0"),
        ({"expression": "x", "start": 0, "stop": 1, "samples": 200_000}, "allow_large"),
        ({"expression": "x + u", "start": 0, "stop": 1, "samples": 3, "values": {"u": [1, 2]}}, "shape"),
        ({"expression": "x + w", "start": 0, "stop": 1}, "w"),
        ({"expression": "__import__('os')", "start": 0, "stop": 1}, "__import__"),
        ({"expression": "x", "x": [1], "start": 0, "stop": 1}, "either"),
    ],
)
def test_a_wrong_series_is_refused(ask: Ask, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ask("data", "series", **params)


def test_statistics(ask: Ask) -> None:
    answer = ask("data", "statistics", values=[2, 4, 4, 4, 5, 5, 7, 9], ddof=0)
    # The textbook example: mean 5, population standard deviation 2.
    assert (answer["n"], answer["mean"], answer["std"], answer["median"]) == (8, 5.0, 2.0, 4.5)
    assert (answer["min"], answer["max"]) == (2.0, 9.0)
    assert answer["sem"] == pytest.approx(2 / 8**0.5, rel=1e-15)
    assert ask("data", "statistics", values=[1.0, 3.0])["std"] == pytest.approx(2**0.5, rel=1e-15)


@pytest.mark.parametrize(
    ("values", "message"),
    [([1.0], "does not exist"), ([1.0, np.nan, 2.0], "first at index 1"), (np.array([1j, 2]), "no order")],
)
def test_statistics_of_nonsense_are_refused(ask: Ask, values: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ask("data", "statistics", values=values)


def test_a_large_table_is_read_like_a_small_one(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    numbers = np.linspace(0, 1, 40_000).reshape(-1, 2)
    path.write_text("x,y\n" + "\n".join(f"{a!r},{b!r}" for a, b in numbers.tolist()))
    table = read_table(File(path, "big.csv"))
    np.testing.assert_array_equal(table.columns["y"], numbers[:, 1])

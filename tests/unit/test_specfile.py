"""Reading JSON and YAML 1.2."""

from __future__ import annotations

from pathlib import Path

import pytest

from physlab.errors import ValidationError
from physlab.specfile import parse_spec, read_spec


def test_yaml_follows_1_2() -> None:
    text = "time: 10:00:00\nyes: no\noctal: 0o17\ndate: 2024-01-02\nnumber: 1e3\n1: one\nnone: ~\n"
    assert parse_spec(text) == {
        "time": "10:00:00", "yes": "no", "octal": 15, "date": "2024-01-02", "number": 1000.0, "1": "one", "none": None,
    }  # fmt: skip


def test_json_and_flow_yaml() -> None:
    assert parse_spec('{"a": [1, 2.5, "x"]}') == {"a": [1, 2.5, "x"]}
    assert parse_spec("{a: [1, 2]}") == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [1", "line"), ("a: 1\n b: 2", "line 2"), ("a: 1\na: 2", "duplicate"), ("\tx: 1", "line 1"),
     ("x: !!python/object:os.system {}", "constructor")],
)  # fmt: skip
def test_wrong_yaml_names_its_line(text: str, said: str) -> None:
    with pytest.raises(ValidationError, match="is not YAML") as raised:
        parse_spec(text)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [('{\n"a": 1,\n}', "line 3"), ('{"a": NaN}', "NaN"), ('{"a": 1, "a": 2}', "'a' stands twice"), ("", "line 1")],
)
def test_wrong_json_names_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ValidationError, match="is not JSON") as raised:
        read_spec(path)
    assert said in str(raised.value)


def test_files_that_are_not_text(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="There is no file"):
        read_spec(tmp_path / "none.yaml")
    with pytest.raises(ValidationError, match="cannot be read"):
        read_spec(tmp_path)
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValidationError, match="UTF-8"):
        read_spec(tmp_path / "x.yaml")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    for name, text in (("x.json", '{"a": 1}'), ("x.yaml", "a: 1")):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert read_spec(tmp_path / name) == {"a": 1}


def test_aliases_may_repeat_but_not_explode() -> None:
    assert parse_spec("a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}
    with pytest.raises(ValidationError, match="contains itself"):
        parse_spec("a: &x [*x]")
    rows = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 10)]
    with pytest.raises(ValidationError, match="far more values"):
        parse_spec("l0: &l0 [lol]\n" + "\n".join(rows))

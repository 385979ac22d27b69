"""A flow file: imports and one typed, documented flow, all three names the same; nothing imports it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.source import DATA, LIBRARY, ROOT, imports, tree

FLOWS = sorted((ROOT / "flows").glob("*.py"))


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_a_flow_file_holds_one_flow(path: Path) -> None:
    docstring, *rest = tree(path).body
    assert isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant)
    *head, flow = rest
    assert all(isinstance(node, ast.Import | ast.ImportFrom) for node in head), "only imports stand above the flow"
    assert isinstance(flow, ast.FunctionDef) and flow.name == path.stem
    [decorator] = flow.decorator_list
    assert isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "flow"
    named = {word.arg: ast.literal_eval(word.value) for word in decorator.keywords}
    assert named["name"] == path.stem.replace("_", "-")
    assert flow.end_lineno is not None and flow.end_lineno - flow.lineno < 40
    text = ast.get_docstring(flow) or ""
    assert "Args:" in text and "Returns:" in text
    arguments = [*flow.args.args, *flow.args.kwonlyargs]
    assert flow.returns is not None and all(argument.annotation for argument in arguments)
    assert all(f"{argument.arg}: " in text for argument in arguments), "the UI shows the help of every parameter"


def test_nothing_imports_flows_or_blocks() -> None:
    for path in [*LIBRARY, *DATA]:
        for name, line in imports(path):
            assert name.split(".")[0] not in ("flows", "blocks", "tests"), f"{path}:{line} imports {name}"


def test_every_flow_is_deployed() -> None:
    text = (ROOT / "deployments" / "prefect.yaml").read_text()
    for path in FLOWS:
        assert f"entrypoint: flows/{path.name}:{path.stem}\n" in text

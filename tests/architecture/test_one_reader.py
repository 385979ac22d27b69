"""One reader each: environment, entry points, hashing, tasks, blocks; and what nobody may do."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.source import DATA, LIBRARY, ROOT, calls, imports, module, tree

ALL = [*LIBRARY, *DATA]
BOUNDARIES = {  # where foreign code may throw anything
    "physlab.plugins",  # other packages' modules
    "physlab.tools.call",  # a tool's function
    "physlab.notebook.formulas",  # the reader of TeX
    "physlab.notebook.paper.seal",  # the reader of signed PDF
    "physlab.notebook.thumbnails.look",  # the readers of foreign formats
    "physlab.tools.programs.usermodule",  # the user's function
    "physlab.sites.local",  # whatever ended a worker
    "physlab.sites.slurm.dispatch",  # whatever Dask makes of a lost worker
    "physlab.sites.kubernetes.dispatch",  # a fault of ours ends the work, not hangs the run
    "physlab.cli.boundary",  # the last border to the shell
    "physlab.engine.kubernetes.launcher",
    "physlab.engine.noderun",  # stands where Prefect's task engine catches what a task throws
    "physlab.run.walk",  # a fault of ours ends the node, not the run
}


def users(wanted: str) -> set[str]:
    """Return the modules that import a module, or something out of it."""
    return {
        module(path) for path in ALL for name, _ in imports(path) if name == wanted or name.startswith(f"{wanted}.")
    }


def test_only_settings_reads_the_environment() -> None:
    found = set()
    for path in ALL:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv", "os.environb"):
                found.add(module(path))
    # A worker process sets the threads of numeric libraries before they load.
    assert found == {"physlab.settings.sources", "physlab.settings.secret", "physlab.sites.worker"}


def test_only_plugins_reads_entry_points() -> None:
    readers = {module(path) for path in ALL for name, _ in calls(path) if name.split(".")[-1] == "entry_points"}
    assert readers == {"physlab.plugins"}


def test_only_keys_hashes() -> None:
    # What runs at a cluster's end before physlab is there has the standard library alone.
    assert users("hashlib") == {"physlab.keys", "physlab.sites.environment.there"}
    assert users("rfc8785") == {"physlab.keys"}


def test_only_the_engine_and_flows_touch_prefect() -> None:
    assert all(name.startswith(("physlab.engine.", "flows.")) for name in users("prefect"))


def test_only_blocks_defines_block_types() -> None:
    found = set()
    for path in ALL:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Block" for base in node.bases):
                found.add(module(path))
    assert found == {"physlab.engine.blocks"}


def test_nothing_is_pickled() -> None:
    assert not {name for bad in ("pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib") for name in users(bad)}


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_becomes_code(path: Path) -> None:
    for name, call in calls(path):
        where = f"{path}:{call.lineno}: {name}"
        assert name not in ("eval", "exec", "compile", "__import__", "os.system", "os.popen"), where
        said = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert said.get("allow_pickle", "False") == "False", f"{where} unpickles"
        assert said.get("shell", "False") == "False", f"{where} through a shell"
        kind = name.split(".")[-1]
        assert kind not in ("parse_expr", "lambdify"), f"{where} evaluates text"
        assert kind != "sympify" or said.get("strict") == "True", f"{where} would evaluate a text: say strict=True"


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT / "physlab")))
def test_only_boundaries_catch_everything(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        assert node.type is not None, f"{path}:{node.lineno}: a bare except"
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if not {"Exception", "BaseException"} & {ast.unparse(kind) for kind in kinds}:
            continue
        passes_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
        assert passes_on or module(path) in BOUNDARIES, f"{path}:{node.lineno}: catches everything"


def test_patterns_mean_the_same_everywhere() -> None:
    """Before Python 3.11.5 possessive quantifiers and atomic groups refuse texts that they should match."""
    for path in ALL:
        for name, call in calls(path):
            if name.startswith("re.") and call.args and isinstance(call.args[0], ast.Constant):
                flags = re.VERBOSE if "VERBOSE" in ast.unparse(call) else 0
                parsed = str(re._parser.parse(call.args[0].value, flags))  # type: ignore[attr-defined]
                assert "POSSESSIVE" not in parsed and "ATOMIC" not in parsed, f"{path}:{call.lineno}"


def test_modules_stay_small() -> None:
    sizes = sorted((len(path.read_text().splitlines()), module(path)) for path in LIBRARY)
    assert sizes[-1][0] <= 400, f"{sizes[-1]}: give a part of it a room of its own"
    assert sizes[len(sizes) // 2][0] < 200

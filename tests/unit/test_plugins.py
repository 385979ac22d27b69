"""Tools of other packages: found by their entry point, run in workers, run again when their code changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ConfigurationError
from physlab.tools.registry import Port, Registry
from physlab.tools.types import Params

TOOL = '''
from physlab.tools import Port, registry
from physlab.tools.types import Params

registry.tool("planets", summary="Planets.")


class Mass(Params):
    times: float = 1.0


@registry.method("planets", "mass", params=Mass, returns=(Port("mass", "number", "kg"),))
def mass(params, context):
    """Return the mass of a planet."""
    return {"mass": FACTOR * params.times}


FACTOR = 2
'''
# A script as a physicist writes it, without `if __name__ == "__main__"`.
SCRIPT = """
import json
from pathlib import Path
from physlab.experiment import Dag
from physlab import service
from physlab.experiment import _lab
from physlab.planning import explain_miss
from physlab.model import NodeRecord
from physlab.store import schema
from physlab.tools.fingerprint import code_identity

Path("ran").open("a").write(".")
dag = Dag("Planets")
dag.node("planets", "mass", times=3)
with _lab() as lab:
    checked = lab.check(lab.read(dag.spec(), Path.cwd()))
    checked.require()
    plan = lab.plan(checked)
    node = plan.nodes["planets"]
    found = lab.store.index.entries(schema.nodes.c.node_id == "planets", limit=1)
    before = NodeRecord.model_validate(lab.store.record(found[0].record)) if found else None
    why = "" if node.state == "hit" else explain_miss(plan, node, before, code_identity(node.checked.method))
run = dag.run(server=False)
print(json.dumps({"state": node.state, "why": why, "mass": run["planets"]["mass"]}))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "site" / "planets"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "tools.py").write_text(TOOL)
    info = tmp_path / "site" / "planets-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planets\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[physlab.tools]\nplanets = planets.tools\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    return folder


def run(package: Path) -> Any:
    folder = package.parent.parent
    env = {**os.environ, "PYTHONPATH": str(package.parent), "PHYSLAB_HOME": str(folder / "home"), "HOME": str(folder)}
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_packages_tool_runs_in_a_worker_and_again_when_its_code_changes(package: Path) -> None:
    assert run(package) == {"state": "miss", "why": "never run before", "mass": 6.0}
    tools = package / "tools.py"
    tools.write_text(TOOL.replace('"""Return the', '# A comment is no change.\n    """Return the very'))
    assert run(package) == {"state": "hit", "why": "", "mass": 6.0}
    tools.write_text(TOOL.replace("FACTOR = 2", "FACTOR = 5"))
    assert run(package) == {"state": "miss", "why": "the tool's code changed", "mass": 15.0}
    assert (package.parent.parent / "ran").read_text() == "...", "workers do not run the script again"


def test_a_broken_package_is_named(package: Path) -> None:
    (package / "tools.py").write_text("import nothing_of_that_name")
    program = "from physlab.plugins import all_tools; all_tools()"
    env = {**os.environ, "PYTHONPATH": str(package.parent)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert "ConfigurationError: The tools 'planets' of planets" in done.stderr
    assert "nothing_of_that_name" in done.stderr


OWN = '''
"""Planets."""

from physlab import tool


@tool("planets.mass")
def mass(times: float = 1.0) -> float:
    """Return the mass of a planet.

    Returns:
        mass: Mass [kg].
    """
    return 2 * times
'''


def test_a_file_of_the_lab_is_a_tool(package: Path) -> None:
    (package / "tools.py").write_text("")
    folder = package.parent.parent
    (folder / "own.py").write_text(OWN)
    (folder / "physlab.toml").write_text('tools = ["own.py"]')
    assert run(package) == {"state": "miss", "why": "never run before", "mass": 6.0}
    (folder / "own.py").write_text(OWN.replace("2 * times", "3 * times"))
    assert run(package) == {"state": "miss", "why": "the tool's code changed", "mass": 9.0}


@pytest.mark.parametrize(("name", "text", "said"), [
    ("gone.py", None, "is not there, or is not Python"),
    ("wrong.py", "1/0", "ZeroDivisionError"),
    ("tools.txt", "", "is not there, or is not Python"),
])  # fmt: skip
def test_a_wrong_file_is_named(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    (tmp_path / "physlab.toml").write_text(f'tools = ["{name}"]')
    program = "from physlab.plugins import all_tools; all_tools()"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert "ConfigurationError: The file of tools" in done.stderr and said in done.stderr and name in done.stderr


def test_two_packages_cannot_announce_one_method() -> None:
    def other(params: Any, context: Any) -> Any:
        """Do something."""

    def again(params: Any, context: Any) -> Any:
        """Do something, loaded again."""

    def third(params: Any, context: Any) -> Any:
        """Do something else."""

    third.__module__ = "elsewhere"
    registry = Registry()
    registry.tool("t", summary="")
    settings: dict[str, Any] = {"params": Params, "returns": (Port("x"),)}
    registry.method("t", "m", **settings)(other)
    registry.method("t", "m", **settings)(again)
    with pytest.raises(ConfigurationError, match=r"t\.m is announced by .* and by elsewhere"):
        registry.method("t", "m", **settings)(third)
    with pytest.raises(ConfigurationError, match="was not announced"):
        registry.method("u", "m", **settings)(third)


def test_the_example_package_installs_and_runs(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "own-tool"
    copy = tmp_path / "own-tool"
    shutil.copytree(example, copy)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(copy)], check=True, capture_output=True)
    env = {**os.environ, "PYTHONPATH": str(site), "PHYSLAB_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}

    def physlab(*words: str) -> Any:
        command = [sys.executable, "-m", "physlab", *words, "--json"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert physlab("run", str(copy / "camera.yaml"), "--no-server")["status"] == "completed"
    assert physlab("show", "latest", "image")["fields"]["image"] == pytest.approx(2 / 39)

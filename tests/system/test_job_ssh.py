"""Jobs on a cluster behind ssh, in a folder that this side never reads: staged and fetched by content, verified."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ComputationError, ResourceError, ValidationError
from physlab.lab import Lab
from physlab.service.jobs import fetch_jobs, find_jobs, job_statuses, known_jobs
from physlab.settings import load_settings
from physlab.sites.files import SharedFiles, Wish
from physlab.sites.ssh import SshRun
from physlab.sites.sshfiles import SshFiles
from physlab.testing import sshd
from physlab.testing.slurm import SlurmCluster, missing_parts
from tests.system.commandline import CommandLine
from tests.system.conftest import call

GONE = missing_parts() or sshd.missing_parts()
pytestmark = pytest.mark.skipif(bool(GONE), reason=GONE or "all there")


@pytest.fixture(scope="module")
def server(cluster: SlurmCluster) -> Iterator[sshd.SshServer]:
    """The login node: the only place that knows the cluster."""
    given = {"SLURM_CONF": str(cluster.conf), "PATH": cluster.environment["PATH"]}
    with sshd.SshServer(given) as server:
        yield server


@pytest.fixture
def far(server: sshd.SshServer, cluster: SlurmCluster, tmp_path: Path) -> Iterator[Path]:
    """A folder on the cluster."""
    yield tmp_path / "scratch of the cluster".replace(" ", "-")
    cluster.reset()


@pytest.fixture
def lab(server: sshd.SshServer, far: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.delenv("SLURM_CONF", raising=False)
    monkeypatch.setenv("PATH", f"{server.commands}:/usr/bin:/bin")
    monkeypatch.setattr(SharedFiles, "bring", None)  # this side must not look
    monkeypatch.setattr(SharedFiles, "read", None)
    hpc = {"host": server.host, "folder": str(far), "partition": "main"}
    settings = {"home": str(tmp_path / "home"), "sites.slurm": {"hpc": hpc}}
    with Lab(load_settings(tmp_path, overrides=settings, environ={})) as lab:
        yield lab


@pytest.fixture
def files(server: sshd.SshServer, far: Path) -> Iterator[SshFiles]:
    with SshRun(server.host, config=server.config) as run:
        yield SshFiles(run, far)


def test_a_job_goes_there_and_its_files_come_back(lab: Lab, far: Path, tmp_path: Path) -> None:
    (tmp_path / "in put.bin").write_bytes(bytes(range(256)) * 4000)
    (tmp_path / "tool.sh").write_text(
        "#!/bin/sh\nmkdir 'o ut'\ncp 'in put.bin' 'o ut/é x.bin'\necho \"$WHO\"; echo 1 >b\n"
    )
    (tmp_path / "tool.sh").chmod(0o755)
    body = call(
        lab, tmp_path, tool="job_submit", artifacts=["in put.bin", "tool.sh"],
        job_spec={"command": ["./tool.sh"], "env": {"WHO": "a 'b' $(c)\nd"}},
    )  # fmt: skip
    assert Path(body["folder"]).is_relative_to(tmp_path / "home"), "what came back is here"
    made = {Path(path).relative_to(body["folder"]).as_posix(): Path(path) for path in body["returned_artifacts"]}
    assert sorted(made) == ["b", "o ut/é x.bin"]
    assert made["o ut/é x.bin"].read_bytes() == (tmp_path / "in put.bin").read_bytes()
    assert Path(body["log_stream_path"]).read_text() == "a 'b' $(c)\nd\n"
    assert all(lab.store.blobs.intact(item["sha256"].removeprefix("sha256:")) for item in body["artifacts"])
    assert (body["meta"]["site"], body["state"]) == ("hpc", "completed")


def test_an_input_goes_over_the_network_once(files: SshFiles, far: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("same")
    (tmp_path / "b").write_text("same")
    files.make([far / "one", far / "two"])
    sent: list[list[str]] = []
    send = files._send
    files._send = lambda missing: (sent.append([path.name for path in missing.values()]), send(missing))[1]  # type: ignore[method-assign]
    files.lay({far / "one" / "x": tmp_path / "a"})
    files.lay({far / "two" / "y": tmp_path / "b"})
    assert len(sent) == 1 and (far / "two" / "y").read_text() == "same"
    [kept] = [path for path in (far / ".inputs").iterdir() if path.is_file()]
    kept.write_text("damaged")
    (far / ".inputs" / "old").write_text("unused")
    os.utime(far / ".inputs" / "old", (0, 0))
    files.lay({far / "two" / "z": tmp_path / "a"})
    assert len(sent) == 2 and (far / "two" / "z").read_text() == "same"
    assert [path.name for path in (far / ".inputs").iterdir()] == [kept.name], "what nobody uses any more is gone"


def test_what_is_here_already_is_not_fetched_again(files: SshFiles, far: Path, tmp_path: Path) -> None:
    (far / "job").mkdir(parents=True)

    def brought(wanted: str) -> dict[str, Path]:
        [answer] = files.bring([Wish(far / "job", wanted, frozenset({"-dash"}), tmp_path / "here")])
        if isinstance(answer, ComputationError):
            raise answer
        return answer

    names = ["a", "sub/new\nline", "-dash", "wide ü"]
    for name in names:
        (far / "job" / name).parent.mkdir(exist_ok=True)
        (far / "job" / name).write_text(name)
    (far / "job" / "link").symlink_to("a")
    (far / "job" / "twin").hardlink_to(far / "job" / "a")
    found = brought(".")
    assert sorted(found) == ["a", "sub/new\nline", "twin", "wide ü"]
    assert all(path.read_text() == (name if name != "twin" else "a") for name, path in found.items())
    before = found["a"].stat().st_mtime_ns
    (far / "job" / "wide ü").write_text("changed")
    found = brought(".")
    assert found["a"].stat().st_mtime_ns == before and found["wide ü"].read_text() == "changed"
    with pytest.raises(ComputationError, match="made no 'gone'"):
        brought("gone")
    (far / "job" / "out").symlink_to("/etc")
    with pytest.raises(ComputationError, match="leads out of its folder"):
        brought("out")
    assert files.read(far / "job" / "wide ü", -4) == b"nged" and files.read(far / "job" / "none") == b""
    files.remove([far / "job"])
    assert not (far / "job").exists()


def test_arrays_and_workflows_run_there(lab: Lab, tmp_path: Path) -> None:
    body = call(lab, tmp_path, tool="job_submit",
                jobs=[{"command": ["sh", "-c", f"echo {n} >n.txt"]} for n in range(3)])  # fmt: skip
    assert [Path(path).read_text() for path in body["returned_artifacts"]] == ["0\n", "1\n", "2\n"]
    (tmp_path / "raw.csv").write_text("5\n")
    steps = [
        {"step": "one", "command": ["sh", "-c", "cat raw.csv raw.csv >two.csv"], "dependencies": ["raw.csv"]},
        {"step": "two", "command": ["sh", "-c", "wc -l <two.csv >n.txt"], "dependencies": ["two.csv"]},
    ]
    body = call(lab, tmp_path, tool="job_submit", workflow=steps)
    assert Path(body["jobs"][1]["returned_artifacts"][0]).read_text().strip() == "2"


def test_refused_and_failed_there(lab: Lab, far: Path, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="invalid partition"):
        call(lab, tmp_path, tool="job_submit", job_spec={"command": ["true"], "resources": {"partition": "nowhere"}})
    assert not far.exists()
    with pytest.raises(ComputationError, match=r"exit code 3.*it diverged") as caught:
        call(lab, tmp_path, tool="job_submit", job_spec={"command": ["sh", "-c", "echo it diverged; exit 3"]})
    assert (Path(caught.value.details["folder"]) / "log.txt").read_text() == "it diverged\n"


def test_the_command_line_follows_fetches_and_cancels_there(
    server: sshd.SshServer, cluster: SlurmCluster, far: Path, tmp_path: Path
) -> None:
    (tmp_path / "physlab.toml").write_text(f'[sites.slurm.hpc]\nhost = "{server.host}"\nfolder = "{far}"\n')
    line = CommandLine(tmp_path, {"PATH": f"{server.commands}:/usr/bin:/bin"})
    script = "for i in 1 2 3; do echo line $i; sleep 1; done; echo 42 >answer.txt"
    spec = json.dumps({"command": ["sh", "-c", script]})
    accepted = line.json("call", "distributed_collaboration.job_submit", f"job_spec={spec}", "wait=false")
    assert line.run("job", "logs", accepted["job_id"], "--follow").stdout == "line 1\nline 2\nline 3\n"
    fetched = line.json("job", "fetch", "latest", "--json")
    assert [Path(path).read_text() for path in fetched["returned_artifacts"]] == ["42\n"]
    assert line.run("job", "logs", "latest").stdout == "line 1\nline 2\nline 3\n", "from what was brought"
    spec = json.dumps({"command": ["sleep", "300"]})
    line.json("call", "distributed_collaboration.job_submit", f"job_spec={spec}", "wait=false")
    assert "is cancelled" in line.run("job", "cancel", "latest").stdout


def test_a_connection_that_breaks_does_not_end_the_waiting(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, begun = SshRun._call, time.monotonic()

    def flaky(self: SshRun, words: Any, stdin: str) -> Any:
        if "squeue" in words[-1] and time.monotonic() - begun < 6:
            raise ResourceError("ssh login: Connection closed")
        return inner(self, words, stdin)

    monkeypatch.setattr(SshRun, "_call", flaky)
    monkeypatch.setattr("physlab.sites.slurm.client.LEAVE_ALONE_S", 1.0)
    body = call(lab, tmp_path, tool="job_submit", job_spec={"command": ["sh", "-c", "sleep 3; echo x >x"]})
    assert body["state"] == "completed" and len(body["artifacts"]) == 1


def test_an_answer_that_is_lost_on_the_way(
    lab: Lab, cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = SshRun._call

    def broken(self: SshRun, words: Any, stdin: str) -> Any:
        done = inner(self, words, stdin)
        if "sbatch" in words[-1] and "test-only" not in words[-1]:
            raise ResourceError("ssh login: Connection closed")
        return done

    spec = {"command": ["sh", "-c", "echo 1 >x"]}
    with monkeypatch.context() as patch:
        patch.setattr(SshRun, "_call", broken)
        with pytest.raises(ResourceError, match="Connection closed"):
            call(lab, tmp_path, tool="job_submit", job_spec=spec)
    [(job, _)] = job_statuses(lab, known_jobs(lab))
    assert job.job_id.isdigit(), "it was accepted all the same"
    cluster.wait("it ended", lambda: not cluster.queue())
    [fetched] = fetch_jobs(lab, find_jobs(lab, job.token))
    assert len(fetched["artifacts"]) == 1

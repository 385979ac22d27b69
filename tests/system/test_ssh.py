"""Commands over a real OpenSSH: words arrive as they are, one connection serves many, what breaks is named."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from physlab.errors import ConfigurationError, ResourceError
from physlab.model.job import JobRequest
from physlab.sites.slurm import SlurmClient
from physlab.sites.ssh import SshRun
from physlab.testing import slurm, sshd

pytestmark = pytest.mark.skipif(bool(sshd.missing_parts()), reason=sshd.missing_parts() or "all there")
NASTY = ["a b", "$(id)", "`id`", ";id", "'", '"', "\\", "*", "~", "\n", "ü", "", "-n", "#x"]


@pytest.fixture(scope="module")
def server() -> Iterator[sshd.SshServer]:
    with sshd.SshServer() as server:
        yield server


def test_words_and_input_arrive_as_they_are(server: sshd.SshServer) -> None:
    with SshRun(server.host, {"GIVEN": "a 'b'"}, server.config) as run:
        assert run(["printf", "%s|", *NASTY], "").stdout == "".join(f"{word}|" for word in NASTY)
        assert run(["sh", "-c", "cat; printenv GIVEN"], "in\nput\n").stdout == "in\nput\na 'b'\n"
        failed = run(["sh", "-c", "echo no >&2; exit 7"], "")
        assert (failed.returncode, failed.stderr) == (7, "no\n")


def test_one_connection_serves_many_commands(server: sshd.SshServer) -> None:
    with SshRun(server.host, {}, server.config) as run:
        run(["true"], "")
        begun = time.monotonic()
        who = {run(["sh", "-c", "echo $SSH_CONNECTION"], "").stdout for _ in range(5)}
        assert len(who) == 1, "they came over one connection"
        assert time.monotonic() - begun < 20


def test_a_host_that_cannot_be_reached(server: sshd.SshServer, tmp_path: Path) -> None:
    nowhere = tmp_path / "config"
    nowhere.write_text(server.config.read_text().replace(f"Port {server.port}", "Port 1"))
    with SshRun(server.host, {}, nowhere) as run, pytest.raises(ResourceError, match=r"ssh login:.*refused"):
        run(["true"], "")
    stranger = tmp_path / "stranger"
    (server.base / "known").rename(tmp_path / "known")
    try:
        stranger.write_text(server.config.read_text())
        with (
            SshRun(server.host, {}, stranger) as run,
            pytest.raises(ResourceError, match=r"ssh login:.*Host key verification failed"),
        ):
            run(["true"], "")
    finally:
        (tmp_path / "known").rename(server.base / "known")


@pytest.mark.parametrize("host", ["-oProxyCommand=touch owned", "a b", "", "x;y", "$(id)"])
def test_a_name_that_is_no_host(host: str) -> None:
    with pytest.raises(ConfigurationError, match="not the name of a host"):
        SshRun(host)


@pytest.mark.skipif(bool(slurm.missing_parts(accounting=False)), reason=slurm.missing_parts(accounting=False) or "-")
def test_jobs_are_submitted_from_elsewhere(server: sshd.SshServer, tmp_path: Path) -> None:
    plan = slurm.ClusterPlan(nodes=1, accounting=False)
    with slurm.SlurmCluster.start(plan) as cluster:
        environment = {"SLURM_CONF": str(cluster.conf), "PATH": cluster.environment["PATH"]}
        with SshRun(server.host, environment, server.config) as run:
            client = SlurmClient(run)
            job = client.submit(JobRequest(command=("sh", "-c", "echo over ssh; exit 4")), tmp_path)
            begun = time.monotonic()
            while not (status := client.poll({job: tmp_path})[job]).ended:
                assert time.monotonic() - begun < 60
                time.sleep(0.3)
            assert (status.state, status.exit_code) == ("failed", 4)
            assert (tmp_path / "log.txt").read_text() == "over ssh\n"

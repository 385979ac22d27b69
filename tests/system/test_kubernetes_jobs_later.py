"""Jobs on Kubernetes after their submitter: listed, followed, found again, begun by schedules."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from physlab import service
from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.testing.kubernetes import KubernetesCluster, missing_parts
from tests.system.commandline import CommandLine
from tests.system.kube import cluster, jobs_there, lab, line, make_lab, running_pod, store, submit, well

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")
__all__ = ["cluster", "lab", "line", "make_lab", "store", "well"]


def test_listed_followed_cancelled_by_the_command_line(
    line: CommandLine, cluster: KubernetesCluster, tmp_path: Path
) -> None:
    script = 'trap "echo stopped; exit 0" TERM; echo begun; while :; do sleep 0.1; done'
    words = ("distributed_collaboration.job_submit", f"job_spec={json.dumps({'command': ['bash', '-c', script]})}")
    accepted = line.json("call", *words, "wait=false", "name=long", "backend=k8s")
    cluster.wait("it runs", lambda: running_pod(cluster, accepted["job_id"]))
    [listed] = line.json("job", "list", "--json")["jobs"]
    assert (listed["name"], listed["state"], listed["job_id"]) == ("long", "running", accepted["job_id"])
    assert "is cancelled" in line.run("job", "cancel", accepted["job_id"]).stdout
    assert jobs_there(cluster) == []
    assert line.run("job", "logs", "latest").stdout.startswith("begun\n")


def test_the_client_dies_and_nothing_is_lost(
    line: CommandLine, lab: Lab, cluster: KubernetesCluster, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    command = ["sh", "-c", f"echo a log; until [ -e {go} ]; do sleep 0.05; done; echo 42 >answer.txt"]
    words = (
        "call",
        "distributed_collaboration.job_submit",
        f"job_spec={json.dumps({'command': command})}",
        "backend=k8s",
    )
    process = line.start(*words)
    cluster.wait("it is accepted", lambda: jobs_there(cluster))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    [job] = line.json("job", "list", "--json")["jobs"]
    assert job["job_id"].startswith("lab/physlab-") and job["state"] in ("pending", "running")
    go.touch()
    cluster.wait("it ended", lambda: "Complete" in cluster.run("get", "jobs", "-n", "lab", "-o", "json"))
    [artifact] = line.json("job", "fetch", "latest", "--json")["artifacts"]
    assert (Path(artifact["path"]).parent / "log.txt").read_text() == "a log\n"
    assert Path(artifact["path"]).read_text() == "42\n" and jobs_there(cluster) == []


def test_a_job_that_was_kept_but_not_removed_is_removed_by_the_next(
    lab: Lab, cluster: KubernetesCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from physlab.service.jobs.kubernetes import KubernetesJobs

    with monkeypatch.context() as dying:
        dying.setattr(KubernetesJobs, "settle", lambda self, jobs: None)
        submit(lab, tmp_path, "true")
    submit(lab, tmp_path, "true", keep=True, name="kept")
    assert len(jobs_there(cluster)) == 2
    submit(lab, tmp_path, "sleep", "0", wait=False, name="later")
    service.job_statuses(lab, service.known_jobs(lab))
    left = [name.partition("/")[2] for name in jobs_there(cluster)]
    assert sorted(name[:4] for name in left) == ["kept", "late"], "only what is to be kept, and what is not fetched"


def test_killed_before_the_api_answered(
    line: CommandLine, lab: Lab, cluster: KubernetesCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("physlab.service.jobs.reconcile.GRACE_S", 3.0)
    cluster.slow(2, path=".*/jobs", verb="create")
    process = line.start("call", "distributed_collaboration.job_submit", 'job_spec={"command":["true"]}', "backend=k8s")
    cluster.wait("the intent is written", lambda: service.known_jobs(lab))
    process.kill()
    process.communicate()
    cluster.heal()
    [job] = service.known_jobs(lab)
    assert job.job_id == ""

    def settled() -> bool:
        [(_, status)] = service.job_statuses(lab, service.known_jobs(lab))
        return status.ended

    cluster.wait("it is known what became of it", settled)
    [(job, status)] = service.job_statuses(lab, service.known_jobs(lab))
    if status.state == "completed":
        service.fetch_jobs(lab, [job])
    assert status.state in ("rejected", "completed") and jobs_there(cluster) == []


def test_a_schedule_begins_runs_that_are_jobs(lab: Lab, cluster: KubernetesCluster, tmp_path: Path) -> None:
    body = submit(lab, tmp_path, "sh", "-c", "echo nightly; echo 7 >n", name="nightly", spec={"schedule": "0 3 * * *"})
    name = body["job_id"].partition("/")[2]
    assert cluster.due(name, "lab")
    cluster.wait("it ran", lambda: "Complete" in cluster.run("get", "jobs", "-n", "lab", "-o", "json"))
    states = {job.job_id: status.state for job, status in service.list_jobs(lab, 9)}
    assert len(states) == 2 and states.pop(body["job_id"]) == "running"
    [run] = service.find_jobs(lab, next(iter(states)))
    assert "".join(service.follow_log(lab, run, follow=True)) == "nightly\n"
    [fetched] = service.fetch_jobs(lab, [run])
    assert Path(fetched["returned_artifacts"][0]).read_text() == "7\n"
    assert Path(fetched["log_stream_path"]).read_text() == "nightly\n"
    with pytest.raises(ValidationError, match="is a schedule"):
        service.fetch_jobs(lab, service.find_jobs(lab, body["job_id"]))
    [(_, gone)] = service.cancel_jobs(lab, service.find_jobs(lab, body["job_id"]))
    assert gone.state == "cancelled" and jobs_there(cluster) == []


def test_a_finished_run_of_a_cancelled_schedule_is_kept(lab: Lab, cluster: KubernetesCluster, tmp_path: Path) -> None:
    body = submit(lab, tmp_path, "sh", "-c", "echo hourly; echo 7 >n", name="hourly", spec={"schedule": "0 * * * *"})
    assert cluster.due(body["job_id"].partition("/")[2], "lab")
    cluster.wait("it ran", lambda: "Complete" in cluster.run("get", "jobs", "-n", "lab", "-o", "json"))
    [(_, gone)] = service.cancel_jobs(lab, service.find_jobs(lab, body["job_id"]))
    assert gone.state == "cancelled" and jobs_there(cluster) == []
    [(run, status)] = [item for item in service.list_jobs(lab, 9) if item[0].job_id != body["job_id"]]
    assert status.state == "completed" and "".join(service.follow_log(lab, run, follow=True)) == "hourly\n"
    assert Path(run.artifacts[0]["path"]).read_text() == "7\n"

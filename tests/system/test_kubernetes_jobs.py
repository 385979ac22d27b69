"""Jobs on Kubernetes, from the laptop's words to files that are hashed and kept."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import threading
from pathlib import Path

import pytest

from physlab import service
from physlab.errors import ComputationError, ConfigurationError, PhyslabError, ResourceError
from physlab.lab import Lab
from physlab.testing.kubernetes import KubernetesCluster, missing_parts
from tests.system.commandline import CommandLine
from tests.system.conftest import call
from tests.system.kube import LabMaker, cluster, jobs_there, lab, line, make, make_lab, running_pod, store, submit, well

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")
__all__ = ["cluster", "lab", "line", "make_lab", "store", "well"]


def test_a_job_from_its_inputs_to_its_outputs(lab: Lab, cluster: KubernetesCluster, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("1\n2\n3\n")
    nasty = [
        "a b",
        "$(touch /tmp/owned)",
        "`id`",
        "'",
        '"',
        "\\",
        "$(HOME)",
        "$$",
        "*",
        "${HOME}",
        ";id",
        "ü",
        "x\ny",
        "",
    ]
    say = (
        "import json, os, sys; print('working'); json.dump([sys.argv[1:], os.environ['V'], "
        "sum(map(int, open('in.csv')))], open('results/seen.json', 'w'))"
    )
    spec = {"env": {"V": "$(V) $$x"}, "resources": {"memory": "100MB", "time_limit": "0:05:00"}}
    body = call(
        lab, tmp_path, tool="distributed_collaboration", method="job_submit", job_type="kubernetes", name="Our_Job.1",
        artifacts=["in.csv"], artifacts_path="results",
        job_spec={**spec, "command": ["sh", "-c", 'mkdir results; exec "$0" "$@"', sys.executable, "-c", say, *nasty]},
    )  # fmt: skip
    assert (body["state"], body["exit_code"], body["meta"]["backend"]) == ("completed", 0, "k8s")
    assert body["job_id"].startswith("lab/our-job-1-") and body["meta"]["machines"][0] in cluster.nodes
    [kept] = body["artifacts"]
    data = Path(kept["path"]).read_bytes()
    assert json.loads(data) == [nasty, "$(V) $$x", 6]
    assert kept["sha256"] == f"sha256:{hashlib.sha256(data).hexdigest()}" and kept["size"] == len(data)
    assert Path(body["log_stream_path"]).read_text() == "working\n"
    assert jobs_there(cluster) == [], "it is removed when all is kept"


def test_a_local_command_runs_a_job_with_its_log_streamed_and_cleaned_up(
    line: CommandLine, cluster: KubernetesCluster, tmp_path: Path
) -> None:
    """What the product promises: a line is shown while the job runs, and nothing is left when it is over."""
    go = tmp_path / "go"
    command = ["sh", "-c", f"echo first; until [ -e {go} ]; do sleep 0.05; done; echo last; echo 42 >answer.txt"]
    spec = json.dumps({"command": command, "image": "physlab"})
    process = line.start("call", "distributed_collaboration.job_submit", "backend=k8s", f"job_spec={spec}")
    assert process.stderr is not None and process.stdout is not None
    assert process.stderr.readline() == "first\n" and process.poll() is None, "shown while the job still runs"
    assert len(jobs_there(cluster)) == 1
    go.touch()
    out, err = process.communicate()
    body = json.loads(out)
    assert (process.returncode, err, body["state"]) == (0, "last\n", "completed")
    assert Path(body["returned_artifacts"][0]).read_text() == "42\n" and jobs_there(cluster) == []


def test_what_seed_payloads_say_works(lab: Lab, cluster: KubernetesCluster, tmp_path: Path) -> None:
    script = "#!/bin/bash\n#SBATCH --nodes=1\nawk '{s += $1} END {print s}' in.csv >sum.txt\nrm in.csv\n"
    (tmp_path / "in.csv").write_text("1\n2\n")
    params = {"action": "job_submit", "job_type": "kubernetes", "script": script, "artifacts": ["in.csv"],
              "resources": {"nodes": 2, "cpus_per_node": 1, "memory": "64MB", "time": "0:02:00"}}  # fmt: skip
    body = call(lab, tmp_path, tool="distributed_collaboration", params=params)
    assert [Path(path).parts[-2:] for path in body["returned_artifacts"]] == [("0", "sum.txt"), ("1", "sum.txt")]


def test_nodes_are_indices_and_their_lines_say_which(
    lab: Lab, cluster: KubernetesCluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "physlab.job")
    body = submit(lab, tmp_path, "sh", "-c", "for n in 1 2; do echo $JOB_COMPLETION_INDEX:$n; done",
                  spec={"resources": {"nodes": 3}})  # fmt: skip
    said = Path(body["log_stream_path"]).read_text().splitlines()
    assert sorted(said) == [f"[{index}] {index}:{n}" for index in range(3) for n in (1, 2)]
    assert [record.getMessage() for record in caplog.records if record.name == "physlab.job"] == said


def test_without_a_store_scripts_run_and_files_are_refused(
    make_lab: LabMaker, cluster: KubernetesCluster, tmp_path: Path
) -> None:
    lab = make_lab(with_store=False)
    body = call(lab, tmp_path, tool="job_submit", backend="k8s", script="#!/bin/bash\necho \"$0 '$(echo a b)'\"\n")
    assert Path(body["log_stream_path"]).read_text() == "/bin/bash 'a b'\n" and body["artifacts"] == []
    (tmp_path / "in.csv").touch()
    with pytest.raises(ConfigurationError, match="no store"):
        submit(lab, tmp_path, "true", artifacts=["in.csv"])
    assert jobs_there(cluster) == [] and len(list((tmp_path / "home" / "jobs" / "k").iterdir())) == 1


def test_a_dry_run_prints_a_manifest_that_the_api_takes(
    line: CommandLine, lab: Lab, cluster: KubernetesCluster, tmp_path: Path
) -> None:
    jobs = [
        {"name": "a", "command": ["echo", "x: 1\n- y"], "schedule": "0 3 * * *"},
        {"name": "b", "command": ["true"]},
    ]
    (tmp_path / "jobs.json").write_text(json.dumps({"jobs": jobs, "backend": "k8s"}))
    shown = line.run("job", "batch", "jobs.json", "--dry-run").stdout
    assert cluster.audit() == [] and not (tmp_path / "home" / "jobs").exists(), "nothing was asked or made"
    said = cluster.run("apply", "--dry-run=server", "-f", "-", stdin=shown)
    assert "cronjob.batch/a-" in said and "job.batch/b-" in said


def test_the_stream_breaks_and_nothing_is_lost_or_doubled(
    lab: Lab, cluster: KubernetesCluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "physlab.job")
    count, go = 300, tmp_path / "go"
    script = (
        f"until [ -e {go} ]; do sleep 0.05; done; for n in $(seq {count}); do echo line $((n % 7)) $n; sleep 0.01; done"
    )
    done = submit(lab, tmp_path, "sh", "-c", script, wait=False)
    [job] = service.find_jobs(lab, done["job_id"])
    pod = cluster.wait("its pod runs", lambda: running_pod(cluster, done["job_id"]))
    go.touch()
    heard, cuts = "", 0
    for piece in service.follow_log(lab, job, follow=True):
        heard += piece
        if cuts < 3:
            cluster.cut_log(pod, "lab")
            cluster.cut_watches()
            cuts += 1
    assert heard.splitlines() == [f"line {n % 7} {n}" for n in range(1, count + 1)] and cuts == 3
    [kept] = service.fetch_jobs(lab, [job])
    assert Path(kept["log_stream_path"]).read_text() == heard and jobs_there(cluster) == []


def test_one_watch_serves_all_jobs(lab: Lab, cluster: KubernetesCluster, tmp_path: Path) -> None:
    jobs = [{"name": f"j{n}", "command": ["sh", "-c", f"sleep 1; echo {n} >n"]} for n in range(6)]
    cluster.audit()
    body = call(lab, tmp_path, tool="job_submit", backend="k8s", jobs=jobs, stream_logs=False)
    assert [Path(job["returned_artifacts"][0]).read_text() for job in body["jobs"]] == [f"{n}\n" for n in range(6)]
    asked = [(item["verb"], item.get("resource")) for item in cluster.audit() if "Generator" in item["agent"]]
    counts = {what: asked.count(what) for what in set(asked) if what[1] in ("jobs", "pods")}
    assert counts[("watch", "jobs")] <= 2 and counts[("watch", "pods")] <= 2 and counts[("list", "jobs")] == 1
    assert counts[("create", "jobs")] == 6 and ("get", "jobs") not in counts


def test_a_workflow_hands_files_on(lab: Lab, cluster: KubernetesCluster, tmp_path: Path) -> None:
    steps = [
        {"step": "prepare", "command": ["sh", "-c", "echo 1 >clean.csv; echo 2 >>clean.csv"], "outputs": ["clean.csv"]},
        {"step": "analyse", "command": ["sh", "-c", "wc -l <clean.csv >n"], "dependencies": ["clean.csv"]},
        {"step": "sum", "command": ["awk", '{s += $1} END {print s >"s"}', "clean.csv"], "dependencies": ["prepare"]},
    ]
    body = call(lab, tmp_path, tool="job_submit", backend="k8s", workflow=steps)
    assert [Path(path).name for path in body["returned_artifacts"]] == ["clean.csv", "n", "s"]
    assert [Path(path).read_text().strip() for path in body["returned_artifacts"][1:]] == ["2", "3"]
    assert jobs_there(cluster) == []
    steps[0]["command"] = ["sh", "-c", "exit 3"]
    with pytest.raises(ComputationError, match=r"The step 'prepare' failed.*exit code 3") as caught:
        call(lab, tmp_path, tool="job_submit", backend="k8s", workflow=steps)
    assert caught.value.details["not_run"] == ["analyse", "sum"]


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_failures_have_their_names(make_lab: LabMaker, cluster: KubernetesCluster, tmp_path: Path) -> None:
    lab = make_lab(pending_s=5)
    with pytest.raises(ComputationError, match=r"exit code 3.*diverged at step 7") as failed:
        submit(lab, tmp_path, "sh", "-c", "echo diverged at step 7; exit 3")
    assert failed.value.details["job"]["exit_code"] == 3
    with pytest.raises(ComputationError, match="ended without making a file"):
        call(lab, tmp_path, tool="job_submit", backend="k8s", workflow=[
            {"step": "a", "command": ["true"], "outputs": ["answer.txt"]}])  # fmt: skip
    with pytest.raises(ResourceError, match=r"timeout.*DeadlineExceeded") as late:
        submit(
            lab,
            tmp_path,
            "sh",
            "-c",
            "trap 'exit 1' TERM; echo began; sleep 60 & wait",
            spec={"resources": {"time_limit": "0:00:02"}},
        )
    assert "began" in late.value.message and "time_limit" in late.value.hint
    with pytest.raises(ComputationError, match="nosuchprogram") as absent:
        submit(lab, tmp_path, "nosuchprogram")
    assert "first word" in absent.value.hint
    assert jobs_there(cluster) == []


def test_a_folder_that_is_not_there_loses_nothing(lab: Lab, cluster: KubernetesCluster, tmp_path: Path) -> None:
    with pytest.raises(ComputationError, match="made no 'reslts'") as caught:
        submit(lab, tmp_path, "sh", "-c", "mkdir results; echo 42 >results/x", artifacts_path="reslts")
    folder = Path(str(caught.value.hint).rpartition(" in ")[2].rstrip("."))
    assert (folder / "results" / "x").read_text() == "42\n", "all that it made is kept"


def test_what_never_begins_is_given_up_with_the_reason(
    make_lab: LabMaker, cluster: KubernetesCluster, tmp_path: Path
) -> None:
    lab = make_lab(pending_s=7)
    cluster.lose_image("gone:1")
    jobs = [
        {"name": "image", "command": ["true"], "image": "gone:1"},
        {"name": "node", "command": ["true"], "resources": {"gpu": 8}},
        {"name": "secret", "command": ["true"], "mounts": [{"source": "secret:nosuch", "target": "/x"}]},
    ]
    with pytest.raises(PhyslabError, match="3 of 3 jobs did not succeed") as caught:
        call(lab, tmp_path, tool="job_submit", backend="k8s", jobs=jobs, retries=3)
    reasons = {
        status["job_id"].partition("/")[2][:4]: status["reason"] for status in caught.value.details["jobs"].values()
    }
    assert "gone:1" in reasons["imag"] and "pending_s = 7 s" in reasons["imag"]
    assert 'secret "nosuch" not found' in reasons["secr"], "as its pod's events say"
    assert "Unschedulable" in reasons["node"] and "nvidia.com/gpu" in reasons["node"]
    assert len(service.known_jobs(lab)) == 3, "none was tried again"
    assert jobs_there(cluster) == []


def test_losses_are_free_and_memory_grows(lab: Lab, cluster: KubernetesCluster, tmp_path: Path) -> None:
    go, seen = tmp_path / "go", set[str]()

    def next_pod() -> str:
        names = [job.job_id for job in service.known_jobs(lab) if job.job_id and job.job_id not in seen]
        return next((pod for name in names if (pod := running_pod(cluster, name)) and not seen.update(names)), "")

    def harm() -> None:
        cluster.evict(cluster.wait("the first runs", next_pod), "lab")
        cluster.end_container(cluster.wait("the second runs", next_pod), "OOMKilled", 137, "job", "lab")
        cluster.wait("the third runs", next_pod)
        go.touch()

    fate = threading.Thread(target=harm)
    fate.start()
    wait = f"until [ -e {go} ]; do sleep 0.05; done; echo 42 >a"
    body = submit(lab, tmp_path, "sh", "-c", wait, spec={"resources": {"memory": "100Mi"}}, retries=1)
    fate.join()
    assert (body["meta"]["attempts"], body["state"]) == (3, "completed")
    asked = [job.request.resources.memory_mb or 0 for job in reversed(service.known_jobs(lab))]
    assert asked[0] == asked[1] == 100 and asked[2] >= 190, "an eviction is free, want of memory is answered with more"
    assert jobs_there(cluster) == []


def test_what_is_forbidden_says_which_role_it_needs(
    make_lab: LabMaker, cluster: KubernetesCluster, tmp_path: Path
) -> None:
    make(cluster, "v1", "ServiceAccount", "eve", "lab")
    lab = make_lab(kubeconfig=str(cluster.kubeconfig_for("lab", "eve")))
    with pytest.raises(ConfigurationError, match="forbidden") as caught:
        submit(lab, tmp_path, "true")
    role = caught.value.hint.partition("\n")[2]
    assert "kind: Role" in role and "namespace: lab" in role
    assert [job.status and job.status.state for job in service.known_jobs(lab)] == ["rejected"]
    cluster.run("apply", "-f", "-", stdin=role)
    rbac, eve = "rbac.authorization.k8s.io", {"kind": "ServiceAccount", "name": "eve", "namespace": "lab"}
    make(cluster, f"{rbac}/v1", "RoleBinding", "eve", "lab", subjects=[eve],
         roleRef={"apiGroup": rbac, "kind": "Role", "name": "physlab"})  # fmt: skip
    assert submit(lab, tmp_path, "true")["state"] == "completed", "the Role is enough, from end to end"


def test_a_quota_says_so(make_lab: LabMaker, cluster: KubernetesCluster, tmp_path: Path) -> None:
    make(cluster, "v1", "Namespace", "poor")
    make(cluster, "v1", "ResourceQuota", "small", "poor", spec={"hard": {"pods": "0"}})
    lab = make_lab(pending_s=5)
    with pytest.raises(PhyslabError, match="exceeded quota"):
        submit(lab, tmp_path, "true", spec={"namespace": "poor"})


def test_the_api_goes_down_while_a_job_runs(lab: Lab, cluster: KubernetesCluster, tmp_path: Path) -> None:
    accepted = submit(lab, tmp_path, "sh", "-c", "for n in 1 2 3 4 5; do echo $n; sleep 1; done", wait=False)
    [job] = service.find_jobs(lab, accepted["job_id"])
    cluster.wait("its pod runs", lambda: running_pod(cluster, accepted["job_id"]))
    assert "".join(service.follow_log(lab, job, follow=False)).startswith("1\n"), "what there is so far"
    heard = ""
    for number, piece in enumerate(service.follow_log(lab, job, follow=True)):
        heard += piece
        if number == 0:
            cluster.go_down(1.5)
    assert heard == "1\n2\n3\n4\n5\n"
    cluster.refuse(429, times=3, retry_after_s=0.2)
    [kept] = service.fetch_jobs(lab, [job])
    assert kept["state"] == "completed" and jobs_there(cluster) == []

"""What a Kubernetes cluster does with jobs: the same on the test cluster and on a real one."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest

from physlab.settings import child_environment
from physlab.testing.kubernetes import kubectl
from tests.contract.conftest import MISSING, Site, conditions, job

LABELS = ("job-name", "controller-uid", "batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid")


def events(site: Site, kind: str, name: str) -> list[str]:
    selector = f"involvedObject.kind={kind},involvedObject.name={name}"
    return [one["reason"] for one in site.get("events", f"--field-selector={selector}")["items"]]


def watched(site: Site, path: str) -> list[Any]:
    """Return what a watch tells until the server ends it."""
    return [json.loads(line) for line in site.raw(path).splitlines()]


def test_a_job_that_succeeds(site: Site) -> None:
    wanted = job("good", "echo out; sleep 1; echo err >&2; echo in the end")
    wanted["metadata"] = {"generateName": "good-"}
    made = site.make(wanted)
    name = made["metadata"]["name"]
    assert name.startswith("good-") and len(name) == 10 and set(name[5:]) <= set("bcdfghjklmnpqrstvwxz2456789")
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert [labels[key] for key in LABELS] == [name, made["metadata"]["uid"]] * 2
    pod = site.phase(name, "Running")
    assert {label: pod["metadata"]["labels"][label] for label in LABELS} == {key: labels[key] for key in LABELS}
    [owner] = pod["metadata"]["ownerReferences"]
    assert owner["kind"] == "Job" and owner["uid"] == made["metadata"]["uid"] and owner["controller"]
    done = site.ended(name)
    assert conditions(done) == [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")]
    status = done["status"]
    assert status["succeeded"] == 1 and status["completionTime"] and not {"active", "failed"} & set(status)
    [ended] = site.pods(name)
    state = ended["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["status"]["phase"] == "Succeeded" and state["exitCode"] == 0 and state["reason"] == "Completed"
    assert {"SuccessfulCreate", "Completed"} <= set(events(site, "Job", name))
    assert {"Scheduled", "Created", "Started"} <= set(events(site, "Pod", pod["metadata"]["name"]))
    assert set(site.kubectl("logs", f"job/{name}").splitlines()) == {"out", "err", "in the end"}


def test_logs(site: Site) -> None:
    site.make(job("logs", "for i in 1 2 3 4; do echo line $i; sleep 0.3; done; printf unfinished"))
    pod = site.phase("logs", "Running", "Succeeded")["metadata"]["name"]
    begun = time.monotonic()
    followed = site.log(pod, "?follow=true")
    assert followed == "line 1\nline 2\nline 3\nline 4\nunfinished" and time.monotonic() - begun < 30
    site.ended("logs")
    assert site.log(pod, "?tailLines=2") == "line 4\nunfinished"
    assert site.log(pod, "?tailLines=0") == ""
    assert site.log(pod, "?limitBytes=8") == "line 1\nl"
    stamped = site.log(pod, "?timestamps=true").splitlines()[0].split(" ", 1)
    assert stamped[0][:2] == "20" and stamped[0].endswith("Z") and stamped[1] == "line 1"
    assert site.log(pod, "?sinceSeconds=3600") == followed
    assert site.log(pod, "?sinceTime=2099-01-01T00:00:00Z") == ""
    assert 'previous terminated container "main"' in site.log(pod, "?previous=true", check=False)
    assert f"container nobody is not valid for pod {pod}" in site.log(pod, "?container=nobody", check=False)


def test_a_job_that_fails_is_told_step_by_step(site: Site) -> None:
    revision = json.loads(site.raw("/apis/batch/v1/{ns}/jobs"))["metadata"]["resourceVersion"]
    site.make(job("bad", "echo bad; exit 7"))
    done = site.ended("bad")
    assert conditions(done) == [("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")]
    state = site.pods("bad")[0]["status"]
    assert state["phase"] == "Failed" and state["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
    site.kubectl("delete", "job", "bad", "--cascade=background")
    query = f"?watch=true&labelSelector=contract%3Dbad&resourceVersion={revision}&timeoutSeconds=1"
    told = watched(site, f"/apis/batch/v1/{{ns}}/jobs{query}")
    assert [one["type"] for one in (told[0], told[-1])] == ["ADDED", "DELETED"]
    assert not told[0]["object"].get("status")
    row = [(one["object"]["status"].get("failed"), [kind for kind, _ in conditions(one["object"])]) for one in told]
    assert (1, ["FailureTarget", "Failed"]) in row and not [one for one in row if one[0] and one[1] == []]
    assert any(one["object"]["status"].get("active") == 1 for one in told)
    site.wait("its pods are collected", lambda: not site.pods("bad"))


def test_a_failed_pod_is_made_anew(site: Site) -> None:
    site.make(job("again", "exit 3", backoffLimit=1))
    done = site.ended("again")
    assert done["status"]["failed"] == 2 and len(site.pods("again")) == 2
    assert conditions(done)[-1] == ("Failed", "BackoffLimitExceeded")


def test_a_deleted_pod_counts_as_failed_at_once(site: Site) -> None:
    """Not when its process has ended at last."""
    trap = "trap 'echo going; sleep 6; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    site.make(job("deleted", trap, pod={"terminationGracePeriodSeconds": 20}))
    pod = site.phase("deleted", "Running")["metadata"]["name"]
    site.wait("it listens", lambda: "up" in site.log(pod, check=False))
    site.kubectl("delete", "pod", pod, "--wait=false")
    counted = site.wait("it counts", lambda: site.get("job", "deleted")["status"].get("failed"))
    assert counted == 1
    assert site.get("pod", pod)["metadata"]["deletionTimestamp"], "its process still runs"
    found = site.get("job", "deleted")
    assert ("FailureTarget", "BackoffLimitExceeded") in conditions(found)
    assert ("Failed", "BackoffLimitExceeded") not in conditions(found) and found["status"]["terminating"] == 1
    site.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
    assert conditions(site.ended("deleted"))[-1][0] == "Failed"


def test_a_foreground_deletion_waits_for_the_pods(site: Site) -> None:
    trap = "trap 'echo got-term; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    site.make(job("fore", trap, pod={"terminationGracePeriodSeconds": 20}))
    pod = site.phase("fore", "Running")["metadata"]["name"]
    site.wait("it listens", lambda: "up" in site.log(pod, check=False))
    words = [kubectl(), "-n", site.namespace, "logs", "-f", pod]
    environment = child_environment({"KUBECONFIG": site.kubeconfig})
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as follower:
        time.sleep(0.5)
        site.kubectl("delete", "job", "fore", "--cascade=foreground", "--wait=false")
        left = site.kubectl("get", "job", "fore", "-o", "json", check=False)
        if "NotFound" not in left:
            metadata = json.loads(left)["metadata"]
            assert metadata["deletionTimestamp"] and "foregroundDeletion" in metadata["finalizers"]
        assert follower.communicate(timeout=60)[0].split() == ["up", "got-term"]
    site.wait("it is gone", lambda: "NotFound" in site.kubectl("get", "job", "fore", check=False))
    assert not site.pods("fore")


def test_pods_outlive_a_job_deleted_without_a_word(site: Site) -> None:
    site.make(job("orphan", "sleep 0.1"))
    site.ended("orphan")
    path = f"/apis/batch/v1/namespaces/{site.namespace}/jobs/orphan"
    assert "child pods are preserved by default" in site.kubectl("delete", "--raw", path, check=False)
    site.wait("the job is gone", lambda: "NotFound" in site.kubectl("get", "job", "orphan", check=False))
    time.sleep(1)
    [pod] = site.pods("orphan")
    assert not pod["metadata"].get("ownerReferences")


def test_deadline_and_time_to_live(site: Site) -> None:
    site.make(job("late", "sleep 100", activeDeadlineSeconds=1, ttlSecondsAfterFinished=3))
    done = site.ended("late")
    assert conditions(done) == [("FailureTarget", "DeadlineExceeded"), ("Failed", "DeadlineExceeded")]
    assert done["status"]["failed"] == 1
    site.wait("it is forgotten", lambda: "NotFound" in site.kubectl("get", "job", "late", check=False))


def test_completions_have_numbers(site: Site) -> None:
    spec = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}
    site.make(job("numbers", "echo $JOB_COMPLETION_INDEX", **spec))
    done = site.ended("numbers")
    assert done["status"]["completedIndexes"] == "0-2" and done["status"]["succeeded"] == 3
    key = "batch.kubernetes.io/job-completion-index"
    for pod in site.pods("numbers"):
        index = pod["metadata"]["annotations"][key]
        assert site.log(pod["metadata"]["name"]).strip() == index == pod["metadata"]["labels"][key]


def test_a_suspended_job_waits(site: Site) -> None:
    site.make(job("held", "echo now", suspend=True))
    site.wait("it is held", lambda: ("Suspended", "JobSuspended") in conditions(site.get("job", "held")))
    assert not site.pods("held") and "startTime" not in site.get("job", "held")["status"]
    site.kubectl("patch", "job", "held", "--type=merge", "-p", '{"spec": {"suspend": false}}')
    assert ("Complete", "CompletionsReached") in conditions(site.ended("held"))
    assert {"Suspended", "Resumed"} <= set(events(site, "Job", "held"))


def test_a_policy_ends_or_forgives_failures(site: Site) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}}
    site.make(job("policy", "exit 42", backoffLimit=3, podFailurePolicy={"rules": [rule]}))
    done = site.ended("policy")
    assert conditions(done) == [("FailureTarget", "PodFailurePolicy"), ("Failed", "PodFailurePolicy")]
    assert "failed with exit code 42 matching FailJob rule at index 0" in done["status"]["conditions"][-1]["message"]


def test_a_container_starts_again_in_its_pod(site: Site) -> None:
    script = "if [ -e /scratch/once ]; then echo second; else touch /scratch/once; echo first; exit 1; fi"
    mounts = {"volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}
    pod = {"restartPolicy": "OnFailure", "volumes": [{"name": "scratch", "emptyDir": {}}]}
    site.make(job("restart", script, mounts, pod, backoffLimit=3))
    site.ended("restart")
    [found] = site.pods("restart")
    state = found["status"]["containerStatuses"][0]
    assert state["restartCount"] == 1 and found["status"]["phase"] == "Succeeded"
    name = found["metadata"]["name"]
    assert site.log(name).strip() == "second" and site.log(name, "?previous=true").strip() == "first"


@pytest.mark.parametrize(("policy", "reasons"), [
    ("Never", {"ErrImageNeverPull"}), ("IfNotPresent", {"ErrImagePull", "ImagePullBackOff"}),
])  # fmt: skip
def test_an_image_that_is_missing(site: Site, policy: str, reasons: set[str]) -> None:
    name = f"image-{policy.lower()}"
    site.make(job(name, "true", {"image": MISSING, "imagePullPolicy": policy}))

    def waits() -> Any:
        states = [one for pod in site.pods(name) for one in pod["status"].get("containerStatuses") or []]
        found = states and states[0]["state"].get("waiting", {}).get("reason")
        return found if found in reasons else None

    site.wait("it waits", waits)
    pod = site.pods(name)[0]
    assert pod["status"]["phase"] == "Pending" and "Failed" in events(site, "Pod", pod["metadata"]["name"])
    assert "is waiting to start" in site.log(pod["metadata"]["name"], check=False)
    site.kubectl("delete", "job", name)


def test_a_pod_that_fits_nowhere(site: Site) -> None:
    site.make(job("big", "true", {"resources": {"requests": {"cpu": "100000"}}}))
    site.make(job("picky", "true", pod={"nodeSelector": {"physlab": "nowhere"}}))
    for name, why in (("big", "Insufficient cpu"), ("picky", "didn't match Pod's node affinity/selector")):

        def refused(name: str = name) -> Any:
            for pod in site.pods(name):
                for one in pod["status"].get("conditions") or []:
                    if one["type"] == "PodScheduled" and one["status"] == "False":
                        return pod, one
            return None

        pod, condition = site.wait("it is refused", refused)
        assert condition["reason"] == "Unschedulable" and why in condition["message"]
        assert condition["message"].startswith("0/") and pod["status"]["phase"] == "Pending"
        assert "FailedScheduling" in events(site, "Pod", pod["metadata"]["name"])
        site.kubectl("delete", "job", name)

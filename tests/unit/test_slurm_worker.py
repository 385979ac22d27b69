"""What the worker decides: pure, so every case is held here; `tests/flows/test_slurm_worker.py` has the real thing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import State, StateType

from physlab.engine.slurm.cluster import Cluster
from physlab.engine.slurm.desk import Desk, Order
from physlab.engine.slurm.ending import becomes, describe
from physlab.engine.slurm.job import SlurmJobConfiguration, SlurmVariables
from physlab.engine.slurm.marks import Mark, read_mark
from physlab.engine.slurm.reconcile import Again, Drop, Follow, KnownRun, Lost, decide
from physlab.engine.slurm.watch import Followed, Watch
from physlab.engine.slurm.worker import SlurmWorker
from physlab.errors import ConfigurationError, ResourceError, ValidationError
from physlab.model.job import JobStatus
from physlab.settings import SlurmSiteSettings

RUN, POOL = uuid4(), uuid4()
OLD = 100.0


def run(phase: Any, age_s: float = OLD, **more: Any) -> KnownRun:
    return KnownRun(RUN, phase, age_s, **more)


@pytest.mark.parametrize(("known", "alive", "steps"), [
    (run("pending"), [], [Again]),
    (run("pending", 1), [], []),  # its worker may be at it
    (run("running"), [], [Lost]),
    (run("paused"), [], []),  # suspended: whoever resumes it starts another job
    (run("pending", busy=True), [], []),
    (run("pending", abandoned=False), [], []),
    (run("running", job_id="a:1"), ["a:1"], [Follow]),
    (run("running", job_id="a:1"), [], [Follow]),  # it has ended: following finds out how
    (run("running", 1, job_id="a:1"), ["a:1"], [Follow]),
    (run("pending"), ["a:1"], [Follow]),  # accepted, but the worker was killed before it noted the id
    (run("pending"), ["a:1", "a:2"], [Follow, Drop]),
    (run("pending", job_id="a:0"), ["a:1"], [Follow]),
    (run("running", job_id="a:1", followed=True), ["a:1"], []),
    (run("running", job_id="a:1", followed=True), ["a:1", "a:2"], [Drop]),
    (run("running", job_id="a:1", abandoned=False), ["a:1"], []),
    (run("over"), ["a:1"], [Drop]),
    (run("over", 1), ["a:1"], []),  # it is just ending
    (run("done"), ["a:1"], []),  # its hooks run
    (run("done", 1000), ["a:1"], [Drop]),
    (run("over", abandoned=False), ["a:1"], [Drop]),
])  # fmt: skip
def test_flow_runs_and_jobs_are_brought_together(known: KnownRun, alive: list[str], steps: list[type]) -> None:
    found = list(decide([known], {RUN: alive}, grace_s=30))
    assert [type(step) for step in found] == steps
    kept = {step.job_id for step in found if isinstance(step, Follow)}
    assert not kept & {step.job_id for step in found if isinstance(step, Drop)}


def state(kind: StateType, message: str = "") -> State[Any]:
    return State(type=kind, message=message)


@pytest.mark.parametrize(("before", "ended", "after"), [
    (StateType.PENDING, "completed", StateType.CRASHED),
    (StateType.RUNNING, "out_of_memory", StateType.CRASHED),
    (StateType.RUNNING, "unknown", StateType.CRASHED),
    (StateType.CANCELLING, "cancelled", StateType.CANCELLED),
    (StateType.CRASHED, "timeout", StateType.CRASHED),
    (StateType.CRASHED, "failed", None),
    (StateType.COMPLETED, "cancelled", None),
    (StateType.FAILED, "failed", None),
    (StateType.CANCELLED, "cancelled", None),
    (StateType.SCHEDULED, "completed", None),
    (StateType.PAUSED, "completed", None),
])  # fmt: skip
def test_what_a_flow_run_becomes_when_its_job_is_over(before: StateType, ended: Any, after: StateType | None) -> None:
    found = becomes(state(before, "words"), JobStatus(job_id="1", state=ended), "Slurm job a:1 ended")
    assert (found.type if found else None) == after
    if before is StateType.CRASHED and found is not None:
        assert found.message == "Slurm job a:1 ended\nIts process said: words"
        assert becomes(found, JobStatus(job_id="1", state=ended), "again") is None


def test_the_reason_is_said_in_full() -> None:
    status = JobStatus(
        job_id="7",
        state="out_of_memory",
        reason="OUT_OF_MEMORY",
        machines=("n1",),
        elapsed_s=12.4,
        signal=9,
        memory_mb=99,
    )
    assert describe("hpc:7", status, Path("/x/7"), "last line") == (
        "Slurm job hpc:7 ended: OUT_OF_MEMORY on n1 after 12 s, signal 9, having used 99 MB. Raise memory_gb. "
        "Its log is /x/7/log.txt; it ends:\nlast line"
    )
    gone = describe("hpc:7", JobStatus(job_id="7", state="unknown"), Path("/x/7"))
    assert gone == (
        "Slurm job hpc:7 ended: UNKNOWN. Neither the queue nor the accounts know it any more. Its log is /x/7/log.txt."
    )


def test_a_mark_is_read_back() -> None:
    mark = Mark("round", RUN, POOL)
    assert read_mark(mark.comment("for the thesis")) == mark
    assert read_mark("for the thesis") is None and read_mark(f"physlab run {RUN}") is None


SITE = SlurmSiteSettings(partition="main", gpu_partition="gpu", cpus=2, memory_gb=1.048576, prologue=("module load x",))


def test_what_is_unset_is_the_sites() -> None:
    request = SlurmJobConfiguration().request(SITE)
    assert (request.resources.cpus, request.resources.memory_mb, request.resources.walltime_s) == (2, 1000, 3600)
    assert request.resources.partition == "main" and "module load x\n" in str(request.script)
    assert SlurmJobConfiguration(gpus=1).request(SITE).resources.partition == "gpu"
    own = SlurmJobConfiguration(cpus=3, partition="long", prologue=[], python="/p/python", exclude=["n1"]).request(SITE)
    assert (own.resources.cpus, own.resources.partition, own.resources.exclude) == (3, "long", ("n1",))
    assert str(own.script).endswith("\n/p/python -m prefect flow-run execute") and "module" not in str(own.script)


def test_a_wrong_job_variable_is_named_with_its_value() -> None:
    with pytest.raises(
        ValidationError, match=r"The job variable account = 'a b' is none: .* Correct it on the flow run"
    ):
        SlurmJobConfiguration(account="a b").request(SITE)


def test_a_server_that_nodes_cannot_reach_is_said_before() -> None:
    there = SlurmSiteSettings(host="login", folder=Path("/scratch"))
    local = SlurmJobConfiguration(env={"PREFECT_API_URL": "http://127.0.0.1:4200/api"})
    with pytest.raises(ConfigurationError, match="Jobs on login cannot reach the Prefect server at http://127"):
        local.request(there)
    assert local.request(SITE).script
    assert SlurmJobConfiguration(env={"PREFECT_API_URL": "http://head:4200/api"}).request(there).script


def test_variables_never_stand_in_the_script() -> None:
    configuration = SlurmJobConfiguration(env={"SECRET": "a'b\nc", "NONE": None})
    assert configuration.environment_file() == "export SECRET='a'\"'\"'b\nc'\n"
    assert "SECRET" not in str(configuration.request(SITE).script)
    assert "rm -f environment" in str(configuration.request(SITE).script)
    again = SlurmJobConfiguration(requeue=True).request(SITE)
    assert "rm -f environment" not in str(again.script)  # which is read once more


def test_every_job_variable_is_described_and_offered() -> None:
    template = SlurmWorker.get_default_base_job_template()
    offered = template["variables"]["properties"]
    assert set(template["job_configuration"]) == set(offered) == set(SlurmVariables.model_fields)
    assert all(len(field.get("description", "")) > 15 for field in offered.values())
    page = (Path(__file__).parents[2] / "docs" / "howto" / "slurm-worker.md").read_text(encoding="utf-8")
    assert [name for name in offered if f"`{name}`" not in page] == []


class Scheduler:
    """Stands where commands are run: accepts jobs, arrays of at most `most`, and none with `refuse` in its script."""

    def __init__(self, refuse: str = "", down: bool = False) -> None:
        self.calls: list[str] = []
        self.scripts: list[str] = []
        self.refuse, self.down = refuse, down

    def __call__(self, words: Sequence[str], stdin: str) -> CompletedProcess[str]:
        self.calls.append(words[0])
        if words[0] == "scontrol":
            return CompletedProcess(words, 0, "MaxArraySize = 5\n", "")
        if words[0] == "sbatch" and self.down:
            return CompletedProcess(words, 1, "", "Unable to contact slurm controller")
        if words[0] == "sbatch" and self.refuse and self.refuse in stdin:
            return CompletedProcess(words, 1, "", "no")
        if words[0] == "sbatch":
            self.scripts.append(stdin)
        return CompletedProcess(words, 0, f"{100 + len(self.scripts)}\n", "")


def place(scheduler: Scheduler, shapes: Sequence[int]) -> list[str | BaseException]:
    """Let runs that ask for so many cores arrive together, and return their jobs."""

    async def all_at_once() -> list[str | BaseException]:
        desk, cluster = Desk(lambda: len(shapes)), Cluster("hpc", SITE, scheduler)
        orders = []
        for cores in shapes:
            run_id = uuid4()
            request = SlurmJobConfiguration(cpus=cores).request(SITE)
            folder = Path("/jobs") / str(run_id)
            orders.append(Order(cluster, request, Mark("run", run_id, POOL), "", folder, {"environment": ""}))
        return await asyncio.gather(*(desk.submit(order) for order in orders), return_exceptions=True)

    return asyncio.run(all_at_once())


def test_runs_that_ask_for_the_same_become_an_array() -> None:
    scheduler = Scheduler()
    assert place(scheduler, [1, 2, 1, 1]) == ["101_0", "102", "101_1", "101_2"]
    assert "--array=0-2" in scheduler.scripts[0] and "--array" not in scheduler.scripts[1]


def test_no_array_is_longer_than_the_cluster_takes() -> None:
    scheduler = Scheduler()
    assert place(scheduler, [1] * 6) == ["101_0", "101_1", "101_2", "101_3", "102_0", "102_1"]


def test_an_array_that_is_refused_is_tried_job_by_job() -> None:
    assert place(Scheduler(refuse="--array"), [1, 1]) == ["101", "102"]
    refused = place(Scheduler(refuse="#SBATCH"), [1, 1])
    assert [type(answer) for answer in refused] == [ValidationError, ValidationError]


def test_a_cluster_that_does_not_answer_is_told_to_all() -> None:
    scheduler = Scheduler(down=True)
    assert [type(answer) for answer in place(scheduler, [1, 1, 1])] == [ResourceError] * 3
    assert scheduler.calls.count("sbatch") == 1


class Told(Cluster):
    """A cluster that answers what it is told to."""

    def __init__(self) -> None:
        super().__init__("hpc", SITE, Scheduler())
        self.answers: dict[str, Any] = {}
        self.asked: list[list[str]] = []
        self.silent = False

    async def poll(self, jobs: Mapping[str, Path]) -> dict[str, JobStatus]:
        self.asked.append(list(jobs))
        if self.silent:
            raise ResourceError("squeue does not answer.")
        return {job_id: JobStatus(job_id=job_id, state=self.answers[job_id]) for job_id in jobs}


def test_one_look_tells_of_all_jobs_of_a_cluster() -> None:
    async def look() -> None:
        first, second, watch = Told(), Told(), Watch()
        for cluster, job_id in ((first, "1"), (first, "2"), (first, "3"), (second, "1")):
            watch.add(Followed(uuid4(), cluster, job_id, Path("/x")))
        one, two, three, other = watch
        first.answers, second.silent = {"1": "running", "2": "completed", "3": "unknown"}, True
        again, silent = await watch.look()
        assert (again, [str(error) for error in silent]) == ([], ["squeue does not answer."])
        assert two.end.done() and not one.end.done() and not three.end.done() and not other.end.done()
        first.answers |= {"1": "pending"}
        assert (await watch.look())[0] == [one]
        assert first.asked == [["1", "2", "3"], ["1", "3"]]  # one question for all that have not ended
        assert three.end.result().state == "unknown"  # of which the scheduler said so twice
        assert not other.end.done()

    asyncio.run(look())


def test_of_two_attempts_the_later_one_counts() -> None:
    async def follow() -> None:
        watch, cluster = Watch(), Told()
        old, new = (Followed(RUN, cluster, job_id, Path("/x")) for job_id in ("1", "2"))
        watch.add(old)
        watch.add(new)
        assert watch.get(RUN) is new and len(watch) == 2
        watch.drop(old)
        assert watch.get(RUN) is new
        watch.drop(new)
        assert watch.get(RUN) is None

    asyncio.run(follow())


def test_ids_are_ids() -> None:
    assert UUID(Mark("run", RUN, POOL).name.removeprefix("physlab-")) == RUN

"""Batch scripts and Slurm's answers: nothing that a user gives can become a directive or a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError as ModelError

from physlab.errors import ValidationError
from physlab.model.job import JobRequest, JobResources, Mount
from physlab.sites.slurm.container import container_words
from physlab.sites.slurm.script import array_script, batch_script, spell_time
from physlab.sites.slurm.states import (
    job_ids,
    megabytes,
    names,
    read_sacct,
    read_sentinel,
    read_squeue,
    seconds,
    state_of,
)

JOB = "/tmp/job"  # noqa: S108 — a name; nothing is written there
NASTY = ["a b", "$(touch owned)", "`touch owned`", "; touch owned", "x\n#SBATCH --partition=gpu", "'", '"', "\\", "-n9",
         "*", "~", "${HOME}", "\t", "ü", "", "EOF", "PHYSLAB_END_OF_SCRIPT"]  # fmt: skip


def script(**changes: Any) -> str:
    return batch_script(JobRequest(**{"command": ("true",), **changes}), JOB)


def directives(text: str) -> list[str]:
    """Return what sbatch reads: the directives before the first command."""
    found = []
    for line in text.splitlines()[1:]:
        if line.startswith("#SBATCH "):
            found.append(line.removeprefix("#SBATCH "))
        elif line.strip() and not line.startswith("#"):
            break
    return found


def test_every_resource_is_asked_for() -> None:
    asked = JobResources(nodes=2, cpus=16, memory_mb=32_000, gpus=1, walltime_s=7200, partition="gpu", account="phys",
                         qos="high", constraint="fast&ib", exclude=("n1", "n2"))  # fmt: skip
    assert set(directives(script(resources=asked, after=("12", "13_4"), comment="run 7", name="chirp"))) == {
        "--job-name=chirp", "--chdir=/tmp/job", "--output=/tmp/job/log.txt", "--open-mode=append", "--no-requeue",
        "--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=16", "--mem=32000M", "--gres=gpu:1", "--time=02:00:00",
        "--partition=gpu", "--account=phys", "--qos=high", "--constraint='fast&ib'", "--exclude=n1,n2",
        "--dependency=afterok:12:13_4", "--kill-on-invalid-dep=yes", "--comment='run 7'",
    }  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=20)), min_size=1, max_size=4))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_words_arrive_as_they_are(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    words = [word.encode("utf-8", "replace").decode().replace("\0", "").replace("\r", "") for word in words]
    folder = tmp_path_factory.mktemp("job")
    say = "import json, os, sys; json.dump([sys.argv[1:], os.environ['GIVEN']], open('seen.json', 'w'))"
    command = (sys.executable, "-c", say, *words)
    text = batch_script(JobRequest(command=command, environment={"GIVEN": words[0]}), str(folder))
    assert directives(text) == directives(batch_script(JobRequest(command=("true",)), str(folder)))
    done = subprocess.run(["bash"], input=text.encode(), cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "seen.json").read_text()) == [words, words[0]]
    assert read_sentinel("7", (folder / "exit_status").read_text()).state == "completed"  # type: ignore[union-attr]
    assert not (folder / "owned").exists()


@pytest.mark.parametrize("field", ["partition", "account", "qos"])
@pytest.mark.parametrize("value", [*(item for item in NASTY if item not in ("EOF", "PHYSLAB_END_OF_SCRIPT")), "--wrap"])
def test_a_word_that_is_no_name_is_refused(field: str, value: str) -> None:
    with pytest.raises(ModelError):
        JobResources(**{field: value})  # type: ignore[arg-type]


def test_a_script_keeps_its_own_directives_and_its_interpreter(tmp_path: Path) -> None:
    theirs = (
        "#!/usr/bin/env python3\n#SBATCH --partition=gpu\n#SBATCH -t 5\n"
        "import sys\n# EOF\nprint(sys.argv)\nsys.exit(3)\n"
    )
    text = batch_script(JobRequest(script=theirs), str(tmp_path))
    assert directives(text)[-2:] == ["--partition=gpu", "-t 5"]
    done = subprocess.run(["bash"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and done.stdout == "['./script']\n"
    status = read_sentinel("7", (tmp_path / "exit_status").read_text())
    assert status is not None and (status.state, status.exit_code) == ("failed", 3)


@pytest.mark.parametrize(
    "line", ["--output=/etc/passwd", "-o x", "--wrap=ls", "--partition=a; rm x", "$(ls)", "--x=`a`"]
)
def test_a_script_cannot_set_what_is_ours(line: str) -> None:
    with pytest.raises(ValidationError, match="directive"):
        script(command=(), script=f"#!/bin/sh\n#SBATCH {line}\ntrue\n")


@pytest.mark.parametrize("folder", ["relative", "/with space", "/with%j", "/a\nb", "/a;b"])
def test_a_folder_that_slurm_would_change_is_refused(folder: str) -> None:
    with pytest.raises(ValidationError, match="cannot be a job's"):
        batch_script(JobRequest(command=("true",)), folder)


def test_either_a_command_or_a_script() -> None:
    for changes in ({"command": ()}, {"script": "#!/bin/sh\ntrue"}):
        with pytest.raises(ValidationError, match="either"):
            script(**changes)


def test_times_are_never_shorter_than_asked() -> None:
    assert [spell_time(value) for value in (1, 60, 61, 7200, 86_400, 100_000)] == [
        "00:01:00", "00:01:00", "00:02:00", "02:00:00", "1-00:00:00", "1-03:47:00",
    ]  # fmt: skip


def test_accounts_are_read_as_sacct_writes_them() -> None:
    found = read_sacct(
        "7|FAILED|3:0|n[1-2]|61|00:01.250|\n7.batch|FAILED|3:0|n1|61|00:01.250|2048K\n7.0|COMPLETED|0:0|n1|5|00:01|3M\n"
        "8|NODE_FAIL|0:0|n1|3|00:00:00|\n8|COMPLETED|0:0|n2|9|1-00:00:01|\n"
        "9|CANCELLED by 1000|0:15|None assigned|0|00:00|\n"
        "noise\nx|y\n10|OUT_OF_MEMORY|0:125|n1|1|00:00|\n"
    )
    seven, eight, nine, ten = (found[job] for job in ("7", "8", "9", "10"))
    assert (seven.state, seven.exit_code, seven.machines, seven.memory_mb) == ("failed", 3, ("n1", "n2"), 3)
    assert seven.cpu_s == 1.25 and seven.elapsed_s == 61
    assert (eight.state, eight.restarts, eight.machines, eight.cpu_s) == ("completed", 1, ("n2",), 86_401)
    assert (nine.state, nine.reason, nine.exit_code, nine.machines) == ("cancelled", "CANCELLED by 1000", None, ())
    assert (ten.state, ten.signal) == ("out_of_memory", 125)


def test_the_use_of_accelerators_is_what_the_accounts_say_or_nothing() -> None:
    held = "billing=2,cpu=2,gres/gpu=2,gres/gpu:a100=2,mem=500M,node=1"
    found = read_sacct(
        f"7|COMPLETED|0:0|n1|61|00:01||{held}|\n"
        "7.batch|COMPLETED|0:0|n1|61|00:01|2M|cpu=2|cpu=00:00:01,gres/gpumem=512M,gres/gpuutil=87,mem=2M\n"
        f"8|COMPLETED|0:0|n1|61|00:01||{held}|\n8.batch|COMPLETED|0:0|n1|61|00:01|2M|cpu=2|cpu=00:00:01,mem=2M\n"
    )
    assert (found["7"].gpus, found["7"].gpu_percent) == (2, 87)
    assert (found["8"].gpus, found["8"].gpu_percent) == (2, None)


def test_the_queue_is_read_as_squeue_writes_it() -> None:
    waits, runs = read_squeue("12|PENDING|Resources||0:00\n13_4|RUNNING|None|n07|1:02\ngarbage\n|||\n")
    assert (waits.state, waits.reason) == ("pending", "Resources")
    assert (runs.job_id, runs.state, runs.machines, runs.elapsed_s) == ("13_4", "running", ("n07",), 62)


def test_small_readers() -> None:
    assert names("a[01-03,7]x,b") == ("a01x", "a02x", "a03x", "a7x", "b")
    assert [seconds(text) for text in ("02:03", "1-02:03:04", "x")] == [123, 93_784, None]
    assert [megabytes(text) for text in ("1024K", "2G", "", "x")] == [1, 2048, None, None]
    assert state_of("CANCELLED+") == "cancelled" and state_of("") == state_of("WHAT") == "unknown"
    assert read_sentinel("7", "143 2") and read_sentinel("7", "143 2").signal == 15  # type: ignore[union-attr]
    assert read_sentinel("7", "half") is None


def test_a_job_runs_in_a_container() -> None:
    mounts = (Mount(source="/data/raw runs", target="/raw", readonly=True), Mount(source="/scratch", target="/scratch"))
    request = JobRequest(command=("python3", "a b.py"), image="python:3.11", mounts=mounts,
                         resources=JobResources(gpus=1))  # fmt: skip
    assert batch_script(request, JOB).splitlines()[-1] == (
        "apptainer exec --bind /tmp/job:/tmp/job --pwd /tmp/job --bind '/data/raw runs:/raw:ro' "
        "--bind /scratch:/scratch:rw --nv docker://python:3.11 python3 'a b.py'"
    )
    for image in ("/images/x.sif", "x.sif", "oras://host/a/b:1"):
        assert container_words(JobRequest(command=("true",), image=image), JOB)[-1] == image
    script = batch_script(JobRequest(script="#!/bin/sh\ntrue\n", image="a/b"), JOB)
    assert script.endswith(
        "chmod +x script\napptainer exec --bind /tmp/job:/tmp/job --pwd /tmp/job docker://a/b ./script\n"
    )


@pytest.mark.parametrize("changes", [
    {"image": "--bind=/:/x"}, {"image": "a b"}, {"image": "$(id)"}, {"image": "x;y"}, {"image": ""},
    {"image": "a", "mounts": [{"source": "/a:/etc", "target": "/b"}]},
    {"image": "a", "mounts": [{"source": "/a,/etc", "target": "/b"}]},
    {"image": "a", "mounts": [{"source": "relative", "target": "/b"}]},
    {"takes": {"../x": "/a"}}, {"takes": {"/x": "/a"}}, {"makes": ["a/../../x"]}, {"makes": ["x\ny"]},
    {"token": "a b"}, {"token": "-x"},
])  # fmt: skip
def test_what_a_container_or_a_hand_over_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        JobRequest(command=("true",), **changes)


def test_the_prologue_comes_first_and_variables_win(tmp_path: Path) -> None:
    request = JobRequest(command=("sh", "-c", "echo $A $B; pwd"), environment={"A": "mine"},
                         prologue=("export A=site B=site", "cd /"))  # fmt: skip
    done = subprocess.run(
        ["bash"], input=batch_script(request, str(tmp_path)), capture_output=True, text=True, check=False
    )
    assert done.stdout == f"mine site\n{tmp_path}\n"


def test_a_job_takes_what_another_made_and_must_make_what_it_promised(tmp_path: Path) -> None:
    source = tmp_path / "of another" / "it's.h5"
    source.parent.mkdir()
    source.write_text("data")
    home = tmp_path / "job"
    home.mkdir()
    script = batch_script(
        JobRequest(command=("sh", "-c", "cat in/a.h5"), takes={"in/a.h5": str(source)}, makes=("$(x) y",)), str(home)
    )
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (75, "data")
    assert done.stderr == "physlab: the job ended without making $(x) y\n"
    assert (home / "exit_status").read_text() == "75 0\n"


def test_an_array_is_one_script_in_which_each_element_is_at_home(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("a", "b", "c")]
    for home in homes:
        home.mkdir()
    say = "import json, os, sys; json.dump([sys.argv[1:], os.environ['GIVEN']], open('seen.json', 'w')); print('here')"
    requests = [JobRequest(command=(sys.executable, "-c", say, word), environment={"GIVEN": word})
                for word in ("$(id)", "a'b\n;;", "esac")]  # fmt: skip
    text = array_script(requests, [str(home) for home in homes], throttle=2)
    assert "--array=0-2%2" in directives(text)
    for index, home in enumerate(homes):
        own = {"SLURM_ARRAY_TASK_ID": str(index), "SLURM_ARRAY_JOB_ID": "70", "SLURM_JOB_ID": "7"}
        done = subprocess.run(["bash"], input=text, capture_output=True, text=True, check=False, cwd="/", env=own)
        assert done.returncode == 0, done.stderr
        [word] = requests[index].environment.values()
        assert json.loads((home / "seen.json").read_text()) == [[word], word]
        assert (home / "log.txt").read_text() == "here\n" and (home / "job_id").read_text() == f"70_{index}\n"
        assert (home / "exit_status").read_text() == "0 0\n"
    with pytest.raises(ValidationError, match="ask for the same"):
        array_script([requests[0], JobRequest(command=("true",), resources=JobResources(cpus=2))], ["/a/0", "/a/1"])


def test_elements_that_wait_together_are_told_apart() -> None:
    assert job_ids("12_[3-5,9%2]") == ("12_3", "12_4", "12_5", "12_9")
    assert job_ids("12_[1,3,...]") == () and job_ids("12+1") == () and job_ids("12") == ("12",)
    assert [status.job_id for status in read_squeue("12_[0-1]|PENDING|Resources||0:00\n")] == ["12_0", "12_1"]
    found = read_sacct("12_0|COMPLETED|0:0|n1|1|00:01|\n12_0.batch|COMPLETED|0:0|n1|1|00:01|1024K\n"
                       "12_[1-2]|PENDING|0:0||0|00:00|\n")  # fmt: skip
    assert [(name, status.state) for name, status in found.items()] == [
        ("12_0", "completed"), ("12_1", "pending"), ("12_2", "pending"),
    ] and found["12_0"].memory_mb == 1  # fmt: skip

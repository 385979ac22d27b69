"""The lab's repository, as far as Git alone can tell: what is committed, by whom, and what an interruption leaves."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from physlab import service
from physlab.dvcrepo import RunFolder
from physlab.dvcrepo.bringing import inside_of
from physlab.dvcrepo.changes import differences, message
from physlab.dvcrepo.config import keep_remote, read
from physlab.dvcrepo.objects import Cache, place
from physlab.dvcrepo.programs import Git
from physlab.dvcrepo.repository import Repository, read_map
from physlab.errors import ComputationError, ConfigurationError, ResourceError, StoreError, ValidationError
from physlab.keys import digest
from physlab.lab import Lab
from physlab.model import RunRequest
from physlab.service.dvc import (
    add_remote,
    commit_records,
    commit_runs,
    init_repository,
    push_data,
    queue_runs,
    queued_runs,
    repository_of,
    repository_status,
    verify_data,
    would_commit,
)  # fmt: skip
from physlab.specfile import parse_spec
from tests.unit.conftest import node, open_lab
from tests.unit.dvcrepo.conftest import git, read_map_of, run


def test_a_commit_has_the_run_its_parameters_lineage_and_both_digests(lab: Lab) -> None:
    first = run(lab)
    [made] = commit_runs(lab, [first])
    home = repository_of(lab).folder / "runs" / "rows-of-numbers"
    assert made["path"] == "runs/rows-of-numbers" and made["fresh"]
    assert parse_spec((home / "params.yaml").read_text()) == {
        "rows": {"n": 4000},
        "twice": {"a": "from:rows.total", "b": 1},
    }
    named = lab.find_dag(str(home / "experiment.yaml"))
    assert named.dag_id == lab.find_run(first).dag_id
    chain = json.loads((home / "lineage.json").read_text())
    assert chain["run_id"] == first
    assert {record["node_id"] for record in chain["records"].values()} == {"rows", "twice"}
    assert all(digest(record) == name for name, record in chain["records"].items()), "each is the ledger's own record"
    twins = read_map((home / "sha256.json").read_bytes())
    assert twins
    for path, twin in twins.items():
        assert os.path.samefile(home / "files" / path, lab.store.blobs.path(twin.sha256)), "no second copy on the disk"
        assert os.path.samefile(home / "files" / path, repository_of(lab).cache.path(twin.md5))
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=home, check=False).returncode == 0
    assert git(lab, "status", "--porcelain") == ""
    [record] = commit_records(lab)
    assert (record["kind"], record["run_id"], record["commit"]) == ("dvc", first, git(lab, "rev-parse", f"run/{first}"))
    assert verify_data(lab)["ok"]


def test_a_commit_says_which_parameter_changed(lab: Lab) -> None:
    runs = [run(lab, n=4000), run(lab, n=4001), run(lab, n=4001)]
    subjects = [entry["subject"] for entry in commit_runs(lab, every=True)]
    assert subjects == [
        f"rows-of-numbers: run {runs[0]}: first run",
        f"rows-of-numbers: run {runs[1]}: n 4000 → 4001 (node rows)",
        f"rows-of-numbers: run {runs[2]}: same parameters",
    ]


def test_what_a_message_says_of_changes() -> None:
    before = {"a": {"x": 1, "y": {"z": 2}}, "b": {}}
    now = {"a": {"x": 1, "y": {"z": 3}, "w": "long " * 20}, "c": {}}
    found = list(differences(before, now))
    assert found[0].startswith("w unset → long long") and found[0].endswith("… (node a)")
    assert found[1:] == ["y.z 2 → 3 (node a)", "node b gone", "node c new"]
    assert list(differences({"a": {"x": [{"n": 1}, {"n": 2}]}}, {"a": {"x": [{"n": 1}, {"n": 4}]}})) == [
        "x.1.n 2 → 4 (node a)"
    ]
    text = message("t", "r", before, now)
    assert text.splitlines()[0].endswith("and 1 more") and "node c new\n" in text and text.endswith("Physlab-Run: r\n")


def test_s27_a_parameter_cannot_forge_a_line_of_the_message() -> None:
    text = message("t", "r", {"a": {"x": 1}}, {"a": {"x": "2\n\nPhyslab-Run: other\x1b[31m", "y\nPhyslab-Run: z": 1}})
    assert [line for line in text.splitlines() if line.startswith("Physlab-Run")] == ["Physlab-Run: r"]
    assert "\x1b" not in text


def test_the_author_is_the_setting_else_git_s_else_the_person(tmp_path: Path, toy_tools: None, lab: Lab) -> None:
    commit_runs(lab, [run(lab)])
    assert "@" in git(lab, "log", "-1", "--format=%ae")
    git(lab, "config", "user.name", "Emmy")
    git(lab, "config", "user.email", "emmy@example.org")
    commit_runs(lab, [run(lab, n=4001)])
    assert git(lab, "log", "-1", "--format=%an <%ae>") == "Emmy <emmy@example.org>"
    with open_lab(tmp_path, **{"dvc.author": "Ada Lovelace <ada@example.org>"}) as other:
        commit_runs(other, [run(other, n=4002)])
        assert git(other, "log", "-1", "--format=%an <%ae> %cn") == "Ada Lovelace <ada@example.org> Ada Lovelace"


def test_a_run_is_committed_once_and_again_only_with_more(lab: Lab) -> None:
    first = run(lab)
    [made] = commit_runs(lab, [first])
    [again] = commit_runs(lab, [first])
    assert again["commit"] == made["commit"] and not again["fresh"]
    assert len(commit_records(lab)) == 1
    report = lab.settings.results / "rows-of-numbers" / first / "report.pdf"
    report.write_bytes(b"%PDF-1.7 a report")
    [more] = commit_runs(lab, [first])
    assert more["fresh"] and more["subject"] == f"rows-of-numbers: run {first}: with report.pdf"
    assert git(lab, "rev-parse", f"run/{first}") == more["commit"] != made["commit"]


def test_hooks_count(lab: Lab) -> None:
    init_repository(lab)
    hook = repository_of(lab).folder / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho the freezer is full >&2\nexit 1\n")
    hook.chmod(0o755)
    first = run(lab)
    with pytest.raises(ComputationError, match="the freezer is full"):
        commit_runs(lab, [first])
    assert queued_runs(lab) == [first]
    hook.unlink()
    [made] = commit_runs(lab)
    assert made["run_id"] == first and queued_runs(lab) == []


def test_a_failed_run_is_not_committed(lab: Lab) -> None:
    spec = {"nodes": [node("lost", "count", counter=str(lab.settings.home / "count"), fail_times=9)]}
    reply = service.run_dag(lab, spec, RunRequest())
    with pytest.raises(ValidationError, match="only completed runs"):
        commit_runs(lab, [reply.body["run_id"]])
    assert would_commit(lab, every=True) == []


def test_other_changes_in_the_repository_are_left_alone(lab: Lab) -> None:
    init_repository(lab)
    folder = repository_of(lab).folder
    (folder / "notes.md").write_text("staged by a person\n")
    git(lab, "add", "notes.md")
    commit_runs(lab, [run(lab)])
    assert git(lab, "status", "--porcelain") == "A  notes.md"


def test_an_existing_repository_is_taken_as_it_is(lab: Lab) -> None:
    folder = repository_of(lab).folder
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=trunk"], cwd=folder, check=True)
    (folder / "README.md").write_text("mine\n")
    init_repository(lab)
    assert (folder / "README.md").read_text() == "mine\n" and git(lab, "branch", "--show-current") == "trunk"
    assert not init_repository(lab)["fresh"]


def test_a_damaged_file_of_the_store_is_not_committed(lab: Lab) -> None:
    first = run(lab)
    sha256 = next(iter(read_map_of(lab, first).values()))
    path = lab.store.blobs.path(sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreError, match="damaged"):
        commit_runs(lab, [first])
    assert repository_of(lab).find(first) is None


def test_a_lock_that_a_killed_git_left_is_taken_away(lab: Lab) -> None:
    init_repository(lab)
    lock = repository_of(lab).folder / ".git" / "index.lock"
    lock.touch()
    os.utime(lock, (time.time() - 60, time.time() - 60))
    commit_runs(lab, [run(lab)])
    assert not lock.exists()


def test_a_lock_of_a_git_that_works_is_respected(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    lock = tmp_path / ".git" / "index.lock"
    lock.touch()
    os.utime(lock, (time.time() - 60, time.time() - 60))
    busy = subprocess.Popen(["git", "cat-file", "--batch"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        with pytest.raises(ResourceError, match=str(busy.pid)):
            Git(tmp_path, limit_s=0).clear_locks()
        assert lock.exists()
    finally:
        busy.communicate()


def test_a_lease_of_a_dead_process_does_not_hold_the_repository(lab: Lab) -> None:
    init_repository(lab)
    repository = repository_of(lab)
    dead = subprocess.Popen(["true"])
    dead.wait()
    lease = repository.scratch / "leases" / "repository"
    lease.write_text(json.dumps({"host": os.uname().nodename, "pid": dead.pid, "started": 1.0}))
    commit_runs(lab, [run(lab)])
    assert not lease.exists()


def test_a_second_writer_waits_and_says_for_whom(lab: Lab) -> None:
    init_repository(lab)
    repository = repository_of(lab)
    second = repository_of(lab).writing(limit_s=0)
    with repository.writing(), pytest.raises(ResourceError, match="Another process"), second:
        pass


def test_two_labs_share_a_repository_and_lose_no_commit(tmp_path: Path, toy_tools: None, lab: Lab) -> None:
    shared = {"dvc.repository": str(tmp_path / "shared")}
    made: list[str] = []

    def work(name: str) -> None:
        with open_lab(tmp_path / name, **shared) as one:
            for n in range(3):
                made.append(run(one, n=5000 + n, title=name))
                commit_runs(one, [made[-1]])

    (tmp_path / "ada").mkdir()
    (tmp_path / "emmy").mkdir()
    threads = [threading.Thread(target=work, args=(name,)) for name in ("ada", "emmy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = subprocess.run(
        ["git", "log", "--format=%s", "--", "runs"], cwd=tmp_path / "shared", capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(made) == 6 and sorted(line.split(": ")[1].removeprefix("run ") for line in log) == sorted(made)


def test_the_cache_copies_where_no_link_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    (tmp_path / "source").write_bytes(b"bytes")
    monkeypatch.setattr(os, "link", refused)
    place(tmp_path / "source", tmp_path / "far" / "target")
    assert (tmp_path / "far" / "target").read_bytes() == b"bytes"
    assert (tmp_path / "far" / "target").stat().st_mode & 0o777 == 0o444
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["target"]


def test_a_wrong_object_in_the_cache_is_replaced(lab: Lab, tmp_path: Path) -> None:
    sha256, _ = lab.store.blobs.put(b"right")
    cache = Cache(tmp_path / "cache", tmp_path / "scratch")
    twin = cache.take(lab.store.blobs, sha256)
    cache.path(twin.md5).unlink()
    cache.path(twin.md5).write_bytes(b"wrong")
    cache.take(lab.store.blobs, sha256)
    assert cache.path(twin.md5).read_bytes() == b"right"


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a//b", "a\\b", ".", "x/../y"])
def test_s17_a_map_of_others_leads_nowhere_else(path: str) -> None:
    entry = {"md5": "0" * 32, "sha256": "0" * 64, "size": 1}
    with pytest.raises(StoreError):
        read_map(json.dumps({"files": {path: entry}}).encode())
    with pytest.raises(StoreError):
        read_map(json.dumps({"files": {"a": {**entry, "md5": "../../../x"}}}).encode())


@pytest.mark.parametrize("name", ["data/../../evil", "/../evil", "", "/", "a\\..\\evil"])
def test_s17_a_list_of_others_leads_nowhere_else(name: str) -> None:
    with pytest.raises(OSError, match="leads out of it"):
        inside_of(name)
    assert str(inside_of("/data/sky.csv")) == "data/sky.csv"


def test_s36_credentials_are_not_committed(lab: Lab) -> None:
    secrets = ["hunter2-password", "AKIAEXAMPLEKEY", "the-secret-key", "the-session-token"]
    add_remote(
        lab, "far", f"ssh://lovelace:{secrets[0]}@far.example.org/data", None, {"keyfile": "/home/lovelace/.ssh/key"}
    )
    body = add_remote(
        lab, "cloud", "s3://lab/data", "https://s3.example.org",
        {"access_key_id": secrets[1], "secret_access_key": secrets[2], "session_token": secrets[3], "region": "x"},
    )  # fmt: skip
    assert body["kept_here"] == ["access_key_id", "secret_access_key", "session_token"]
    commit_runs(lab, [run(lab)])
    folder = repository_of(lab).folder
    whole = git(lab, "log", "--all", "--patch", "--format=%B") + json.dumps(repository_status(lab))
    assert "far.example.org" in whole and not [word for word in (*secrets, "lovelace", ".ssh/key") if word in whole]
    objects = subprocess.run(
        ["git", "cat-file", "--batch", "--batch-all-objects"], cwd=folder, capture_output=True, check=True
    ).stdout
    assert not [word for word in secrets if word.encode() in objects]
    own = folder / ".dvc" / "config.local"
    assert all(word in own.read_text() for word in secrets) and own.stat().st_mode & 0o077 == 0


def test_a_remote_is_kept_as_dvc_reads_it(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    keep_remote(tmp_path, "odd", {"url": "/data/a b,c#d"})
    assert read(tmp_path, "config")['remote "odd"'] == {"url": "/data/a b,c#d", "verify": "true"}
    with pytest.raises(ValidationError, match="cannot name"):
        keep_remote(tmp_path, 'x"]\n[core', {"url": "/data"})
    with pytest.raises(ValidationError, match="not an option"):
        keep_remote(tmp_path, "x", {"url": "/data", "a": "1\n[core]\nremote = evil"})


def test_errors_lead_on(lab: Lab) -> None:
    with pytest.raises(ConfigurationError, match="physlab dvc init"):
        push_data(lab)
    init_repository(lab)
    with pytest.raises(ConfigurationError, match="physlab dvc remote add"):
        push_data(lab)
    add_remote(lab, "near", "/nowhere", None, {})
    with pytest.raises(ConfigurationError, match="near"):
        push_data(lab, "nera")


def test_a_queue_outlives_its_process(lab: Lab) -> None:
    first, second = run(lab, n=4000), run(lab, n=4001)
    queue_runs(lab, [second, first])
    assert repository_status(lab)["waiting"] == [first, second]
    assert [entry["run_id"] for entry in commit_runs(lab)] == [first, second]


def test_a_run_without_files_is_committed(lab: Lab) -> None:
    spec = {"metadata": {"title": "Dry"}, "nodes": [node("a", "add", a=1)]}
    service.run_dag(lab, spec, RunRequest())
    [made] = commit_runs(lab, ["latest"])
    assert made["files"] == 0
    assert not (repository_of(lab).folder / "runs" / "dry" / "files.dvc").exists() and verify_data(lab)["ok"]


def test_texts_name_the_run_folder() -> None:
    shown = RunFolder("a-b", {}, {}, {})
    assert shown.path == "runs/a-b" and set(shown.complete({}, "")) == {"sha256.json", "SHA256SUMS", ".gitignore"}


def test_the_repository_says_where_it_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="physlab dvc init"):
        Repository(tmp_path / "none", tmp_path / "own").require()


def test_a_commit_that_cannot_be_begun_does_not_undo_its_run(tmp_path: Path, toy_tools: None) -> None:
    with open_lab(tmp_path, **{"dvc.commit": "runs"}) as lab:
        lab.settings.home.mkdir()
        (lab.settings.home / "dvc").write_text("a file is in the way\n")
        body = service.run_dag(lab, {"nodes": [node("a", "add", a=1)]}, RunRequest()).body
        assert body["status"] == "completed"
        assert f"physlab dvc commit {body['run_id']}" in body["meta"]["commit_problem"]


def test_git_is_asked_as_often_for_many_commits_as_for_few(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    commit_runs(lab, [run(lab, n=4000 + i) for i in range(4)])
    repository, asked = repository_of(lab), []
    ask = Git.ask
    monkeypatch.setattr(Git, "ask", lambda self, *words, **more: asked.append(words[0]) or ask(self, *words, **more))
    found = repository.maps(latest=False)
    assert len({twin.sha256 for _, twins in found for twin in twins.values()}) == 4 and len(asked) == 4


def test_a_map_that_is_missing_is_said(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert Git(tmp_path).read_many(["HEAD:none", "HEAD:neither"]) == [b"", b""]

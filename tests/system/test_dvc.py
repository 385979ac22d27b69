"""The lab's repository with real DVC, at real remotes, and the colleague who has nothing else."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from boto3 import client
from moto.server import ThreadedMotoServer

from physlab import service
from physlab.dvcrepo.programs import dvc
from physlab.errors import ComputationError, StoreError, ValidationError
from physlab.lab import Lab
from physlab.model import RunRequest
from physlab.service.dvc import (
    add_remote,
    commit_runs,
    init_repository,
    pull_data,
    push_data,
    queued_runs,
    repository_of,
    repository_status,
    verify_data,
)  # fmt: skip
from physlab.service.dvcimport import import_data, imports
from physlab.testing.sshd import SshServer
from physlab.testing.sshd import missing_parts as ssh_lacks
from tests.system.commandline import CommandLine
from tests.unit.conftest import node, open_lab
from tests.unit.dvcrepo.conftest import git, run

HBAR = "metadata: {title: H bar}\nnodes: [{id: h, tool: constants_get, params: {name: hbar}}]\n"
KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
COLLEAGUE = Path(__file__).with_name("colleague.py")


@dataclass(frozen=True)
class Colleague:
    """Somebody with git and dvc, and a clone of the lab's repository."""

    folder: Path
    variables: dict[str, str]

    def clone(self, source: Path, options: dict[str, str]) -> Path:
        """Clone, and set what is nobody's business but theirs: their user and key."""
        subprocess.run(["git", "clone", "--quiet", str(source), str(self.folder)], check=True)
        lines = [f"    {key} = {value}\n" for key, value in options.items()]
        if lines:
            (self.folder / ".dvc" / "config.local").write_text("".join(["['remote \"storage\"']\n", *lines]))
        return self.folder

    def dvc(self, *words: str, code: int = 0) -> str:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHONPATH", "PHYSLAB_"))}
        own = {"DVC_SITE_CACHE_DIR": f"{self.folder}-cache", "DVC_NO_ANALYTICS": "1", **self.variables}
        done = subprocess.run(
            [sys.executable, "-P", str(COLLEAGUE), *words], cwd=self.folder, env=kept | own, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        return done.stdout

    def sums(self, run: str, code: int = 0) -> str:
        done = subprocess.run(
            ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=self.folder / run, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        return done.stdout


@dataclass
class Place:
    """A remote: what the lab adds, what the colleague needs, and where its objects can be damaged."""

    url: str
    options: dict[str, str]
    variables: dict[str, str]
    endpoint: str | None = None
    folder: Path | None = None

    def damage(self, md5: str) -> None:
        """Give an object other bytes of the same length."""
        name = f"files/md5/{md5[:2]}/{md5[2:]}"
        if self.folder is not None:
            path = self.folder / name
            path.chmod(0o644)
            path.write_bytes(_other(path.read_bytes()))
            path.chmod(0o444)  # as it was: DVC reads again what may be written
            return
        s3 = client("s3", endpoint_url=self.endpoint)
        data = s3.get_object(Bucket="lab", Key=f"dvc/{name}")["Body"].read()
        s3.put_object(Bucket="lab", Key=f"dvc/{name}", Body=_other(data))


def _other(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.fixture
def lab(tmp_path: Path, toy_tools: None) -> Iterator[Lab]:
    with open_lab(tmp_path) as opened:
        yield opened


@pytest.fixture(params=["folder", "ssh", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    if request.param == "folder":
        yield Place(str(tmp_path / "storage"), {}, {}, folder=tmp_path / "storage")
        return
    if request.param == "s3":
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        try:
            url = "http://{}:{}".format(*server.get_host_and_port())
            client("s3", endpoint_url=url).create_bucket(Bucket="lab")
            yield Place("s3://lab/dvc", {}, KEYS, endpoint=url)
        finally:
            server.stop()
        return
    if missing := ssh_lacks():
        pytest.skip(missing)
    with SshServer() as server:
        (tmp_path / ".ssh").mkdir()
        shutil.copy(server.base / "known", tmp_path / ".ssh" / "known_hosts")
        monkeypatch.setenv("HOME", str(tmp_path))
        user = psutil.Process().username()
        options = {"user": user, "keyfile": str(server.base / "user")}
        yield Place(f"ssh://127.0.0.1:{server.port}{tmp_path}/far", options, {}, folder=tmp_path / "far")


def test_a_colleague_with_git_and_dvc_gets_identical_bytes(lab: Lab, tmp_path: Path, place: Place) -> None:
    commit_runs(lab, [run(lab)])
    add_remote(lab, "storage", place.url, place.endpoint, place.options)
    assert push_data(lab)["files"] == 1
    colleague = Colleague(tmp_path / "colleague", place.variables)
    home = colleague.clone(repository_of(lab).folder, place.options) / "runs" / "rows-of-numbers"
    colleague.dvc("pull")
    colleague.sums("runs/rows-of-numbers")
    [[path, entry]] = json.loads((home / "sha256.json").read_text())["files"].items()
    assert (home / "files" / path).read_bytes() == lab.store.blobs.read(entry["sha256"])

    place.damage(entry["md5"])
    found = verify_data(lab, at_remote=True)
    assert found["damaged"] == {f"runs/rows-of-numbers/files/{path}": "other bytes (MD5 and SHA-256 differ)"}


def test_what_is_damaged_at_a_remote_is_refused_named_and_sent_again(lab: Lab, tmp_path: Path) -> None:
    commit_runs(lab, [run(lab)])
    add_remote(lab, "storage", str(tmp_path / "storage"), None, {})
    push_data(lab)
    repository = repository_of(lab)
    [[path, twin]] = repository.twins("runs/rows-of-numbers").items()
    Place("", {}, {}, folder=tmp_path / "storage").damage(twin.md5)
    colleague = Colleague(tmp_path / "colleague", {})
    home = colleague.clone(repository.folder, {}) / "runs" / "rows-of-numbers"
    colleague.dvc("pull", code=1)
    assert not (home / "files" / path).exists(), "DVC itself refuses what is not what its name says"
    repository.cache.objects.rename(tmp_path / "aside")
    with pytest.raises(StoreError, match=f"files/{path}: other bytes"):
        pull_data(lab)
    shutil.rmtree(repository.cache.objects)
    (tmp_path / "aside").rename(repository.cache.objects)
    push_data(lab, repair=True)
    there = tmp_path / "storage" / "files" / "md5" / twin.md5[:2] / twin.md5[2:]
    assert there.read_bytes() == lab.store.blobs.read(twin.sha256)


def test_a_colleague_gets_an_older_run(lab: Lab, tmp_path: Path) -> None:
    old, _ = runs = [run(lab, n=4000), run(lab, n=4001)]
    commit_runs(lab, runs)
    add_remote(lab, "storage", str(tmp_path / "storage"), None, {})
    push_data(lab)
    colleague = Colleague(tmp_path / "colleague", {})
    clone = colleague.clone(repository_of(lab).folder, {})
    subprocess.run(["git", "checkout", "--quiet", f"run/{old}", "--", "runs/rows-of-numbers"], cwd=clone, check=True)
    colleague.dvc("pull")
    colleague.sums("runs/rows-of-numbers")
    assert json.loads((clone / "runs" / "rows-of-numbers" / "run.json").read_text())["run"]["run_id"] == old


def test_the_lab_gets_its_own_bytes_back(lab: Lab, tmp_path: Path) -> None:
    commit_runs(lab, [run(lab)])
    add_remote(lab, "storage", str(tmp_path / "storage"), None, {})
    push_data(lab)
    repository = repository_of(lab)
    [twin] = repository.twins("runs/rows-of-numbers").values()
    lab.store.blobs.remove(twin.sha256)
    broken = repository.cache.path(twin.md5)
    broken.chmod(0o644)
    broken.write_bytes(_other(broken.read_bytes()))
    assert not verify_data(lab)["ok"]
    with pytest.raises(StoreError, match="Nothing was sent"):
        push_data(lab)
    pull_data(lab)
    assert lab.store.blobs.intact(twin.sha256) and verify_data(lab)["ok"]


def test_what_we_write_is_what_dvc_writes(lab: Lab, tmp_path: Path) -> None:
    """The same folder, added by DVC: the same pointer, the same list, the same objects."""
    commit_runs(lab, [run(lab)])
    repository = repository_of(lab)
    home = repository.folder / "runs" / "rows-of-numbers"
    twin = tmp_path / "twin"
    shutil.copytree(home / "files", twin / "runs" / "files")
    (twin / "runs" / "files" / 'odd é "name".txt').write_text("odd")
    shutil.copytree(twin / "runs" / "files", tmp_path / "odd")
    subprocess.run(["git", "init", "--quiet"], cwd=twin, check=True)
    dvc(twin, repository.own, ["init", "--quiet"])
    dvc(twin, repository.own, ["add", "--quiet", "runs/files"])
    from physlab.dvcrepo.objects import Cache, pointer

    cache, twins = Cache(tmp_path / "cache", tmp_path / "scratch"), {}
    for path in sorted(path for path in (tmp_path / "odd").rglob("*") if path.is_file()):
        sha256, _ = lab.store.blobs.put(path)
        twins[path.relative_to(tmp_path / "odd").as_posix()] = cache.take(lab.store.blobs, sha256)
    name = cache.put_folder(twins)
    assert pointer(name, "files", twins) == (twin / "runs" / "files.dvc").read_bytes()
    theirs = {path.relative_to(twin / ".dvc" / "cache"): path.read_bytes()
              for path in (twin / ".dvc" / "cache").rglob("*") if path.is_file()}  # fmt: skip
    ours = {path.relative_to(tmp_path / "cache"): path.read_bytes()
            for path in (tmp_path / "cache").rglob("*") if path.is_file()}  # fmt: skip
    assert ours == theirs
    assert (repository.folder / ".dvc" / ".gitignore").read_text() == (twin / ".dvc" / ".gitignore").read_text()


class Canary:
    """Tells in a file that it was unpickled."""

    def __init__(self, cage: Path) -> None:
        self.cage = cage

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.cage),)


def test_s19_a_pickle_at_a_remote_is_bytes_and_nothing_else(lab: Lab, tmp_path: Path) -> None:
    cage = tmp_path / "it flew"
    canary = pickle.dumps(Canary(cage))
    spec = {"metadata": {"title": "Canary"}, "nodes": [node("rows", "array", n=4000)]}
    service.run_dag(lab, spec, RunRequest())
    commit_runs(lab, ["latest"])
    add_remote(lab, "storage", str(tmp_path / "storage"), None, {})
    push_data(lab)
    for path in (tmp_path / "storage").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(canary)
    shutil.rmtree(repository_of(lab).cache.objects)
    with pytest.raises(StoreError):
        pull_data(lab)
    assert not cage.exists()
    assert pickle.loads(canary) is None and cage.is_dir(), "the canary can fly"  # noqa: S301


def test_s19_dvc_s_own_databases_are_for_nobody_else(lab: Lab) -> None:
    """DVC unpickles from them: a folder that others may write, as its default in /var/tmp is, would run their code."""
    commit_runs(lab, [run(lab)])
    repository = repository_of(lab)
    dvc(repository.folder, repository.own, ["status"])
    assert repository.own.stat().st_mode & 0o777 == 0o700 and any(repository.own.iterdir())
    config = (repository.folder / ".dvc" / "config.local").read_text()
    assert f"site_cache_dir = {repository.own}" in config, "also where a person types dvc"


def test_a_host_of_ssh_that_is_not_known_gets_nothing(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing := ssh_lacks():
        pytest.skip(missing)
    commit_runs(lab, [run(lab)])
    monkeypatch.setenv("HOME", str(tmp_path))
    with SshServer() as server:
        options = {"user": psutil.Process().username(), "keyfile": str(server.base / "user")}
        add_remote(lab, "far", f"ssh://127.0.0.1:{server.port}{tmp_path}/far", None, options)
        with pytest.raises(ComputationError, match=r"[Hh]ost key"):
            push_data(lab)
    assert not (tmp_path / "far").exists()


def test_locks_that_a_killed_dvc_left_do_not_matter(lab: Lab, tmp_path: Path) -> None:
    commit_runs(lab, [run(lab)])
    add_remote(lab, "storage", str(tmp_path / "storage"), None, {})
    rwlock = repository_of(lab).folder / ".dvc" / "tmp" / "rwlock"
    rwlock.write_text('{"write": {"/so')
    assert push_data(lab)["files"] == 1
    assert rwlock.read_text() == '{"write": {"/so', "what others lock is theirs"


def test_a_run_is_committed_after_its_end_where_the_settings_say_so(tmp_path: Path) -> None:
    line = CommandLine(tmp_path, {"PHYSLAB_DVC__COMMIT": "runs", "PHYSLAB_SERVER__MODE": "none"})
    (tmp_path / "hbar.yaml").write_text(
        "metadata: {title: H bar}\nnodes: [{id: h, tool: constants_get, params: {name: hbar}}]\n"
    )
    done = line.json("run", "hbar.yaml", "--json")
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[-3:] == ["dvc", "commit", "--waiting"]:
            process.wait(timeout=60)
    status = line.json("dvc", "status", "--json")
    assert [entry["run_id"] for entry in status["commits"]] == [done["run_id"]] and status["waiting"] == []


def test_the_command_line_asks_for_secrets_and_says_what_it_would_do(tmp_path: Path) -> None:
    line = CommandLine(tmp_path, {"PHYSLAB_SERVER__MODE": "none"})
    line.run("dvc", "remote", "add", "storage", "storage", "--secret", "password", stdin="swordfish\n")
    assert "swordfish" in (tmp_path / "home" / "repository" / ".dvc" / "config.local").read_text()
    assert line.json("dvc", "push", "--dry-run", "--json") == {
        "remote": "storage",
        "sent": False,
        "held": {},
        "files": 0,
        "bytes": 0,
    }
    assert "storage" in line.run("dvc", "push", "--remote", "storm", code=1).stderr


def test_what_comes_after_a_push_can_be_typed(tmp_path: Path) -> None:
    line = CommandLine(tmp_path, {"PHYSLAB_SERVER__MODE": "none"})
    line.run("dvc", "remote", "add", "storage", "storage")
    assert "remote add origin ADDRESS" in line.run("dvc", "push").stdout
    git = ["git", "-C", str(tmp_path / "home" / "repository"), "remote", "add"]
    subprocess.run([*git, "institute", str(tmp_path / "institute")], check=True)
    said = line.run("dvc", "push").stdout
    assert "push --tags institute HEAD" in said and "remote add" not in said
    subprocess.run([*git, "origin", str(tmp_path / "elsewhere")], check=True)
    assert "push --tags origin HEAD" in line.run("dvc", "push").stdout


def test_what_the_settings_say_of_remotes_is_kept(tmp_path: Path, toy_tools: None) -> None:
    remotes = {"cloud": {"url": "s3://lab/dvc", "endpoint": "https://s3.example.org"}}
    with open_lab(tmp_path, **{"dvc.remotes": remotes}) as lab:
        assert init_repository(lab)["remotes"]["cloud"]["endpointurl"] == "https://s3.example.org"
        assert not init_repository(lab)["fresh"] and repository_status(lab)["remotes"] and queued_runs(lab) == []
        assert git(lab, "status", "--porcelain") == ""


@pytest.fixture
def observatory(lab: Lab, tmp_path: Path) -> Path:
    """Somebody else's repository of DVC, with two versions of a folder."""
    folder, own = tmp_path / "observatory", tmp_path / "theirs"
    for version in ("first", "second"):
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "data" / "sky.csv").write_text(f"{version}\n")
        (folder / "data" / "dark.csv").write_text("0\n")
        if not (folder / ".git").exists():
            subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=folder, check=True)
            (folder / ".dvc").mkdir()
            remote = f"url = {folder}/.dvc/cache"  # laid out like a remote
            (folder / ".dvc" / "config").write_text(f"[core]\nremote = r\n['remote \"r\"']\n{remote}\nverify = true\n")
            (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
        dvc(folder, own, ["add", "--quiet", "data"])
        subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
        who = ["-c", "user.name=They", "-c", "user.email=they@example.org"]
        subprocess.run(["git", *who, "commit", "--quiet", "-m", version], cwd=folder, check=True)
        subprocess.run(["git", "tag", version], cwd=folder, check=True)
    return folder


def test_data_of_another_repository_becomes_an_input(lab: Lab, tmp_path: Path, observatory: Path) -> None:
    [entry] = import_data(lab, f"file://{observatory}", "data/sky.csv", tmp_path / "sky.csv", "first")
    assert (tmp_path / "sky.csv").read_text() == "first\n"
    assert entry["sha256"] == lab.store.digest_files([tmp_path / "sky.csv"])[tmp_path / "sky.csv"]
    commit = subprocess.run(["git", "rev-parse", "first"], cwd=observatory, capture_output=True, text=True, check=True)
    [record] = imports(lab)
    listed = (observatory / ".dvc" / "cache" / "files" / "md5" / record["md5"][:2] / record["md5"][2:]).read_text()
    assert record["revision"] == commit.stdout.strip() and listed == "first\n"
    made = import_data(lab, str(observatory), "data", tmp_path / "sky")
    assert (tmp_path / "sky" / "sky.csv").read_text() == "second\n" and len(made) == 2
    with pytest.raises(ValidationError, match="is there already"):
        import_data(lab, str(observatory), "data", tmp_path / "sky")
    [blob] = [
        path for path in (observatory / ".dvc" / "cache").rglob("*") if path.is_file() and path.read_bytes() == b"0\n"
    ]
    blob.chmod(0o644)
    blob.write_bytes(b"1\n")
    blob.chmod(0o444)
    with pytest.raises(StoreError, match=r"dark\.csv.* is damaged"):
        import_data(lab, str(observatory), "data/dark.csv", tmp_path / "dark.csv")
    with pytest.raises(ValidationError, match="no commit, branch or tag 'third'"):
        import_data(lab, f"file://{observatory}", "data", tmp_path / "third", "third")
    with pytest.raises(ComputationError, match="transport 'ext' not allowed"):
        import_data(lab, f"ext::touch {tmp_path}/ran ://", "data", tmp_path / "ext")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ValidationError, match="does not track"):
        import_data(lab, str(observatory), "data.dvc", tmp_path / "pointer")
    with pytest.raises(ValidationError, match="There is no repository 'nosuch'"):
        import_data(lab, "nosuch", "data", tmp_path / "nosuch")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "bare").mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path / "bare", check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path / "tmp"))
        with pytest.raises(ComputationError, match=f"'data' cannot be brought from {tmp_path / 'bare'}"):
            import_data(lab, str(tmp_path / "bare"), "data", tmp_path / "nosuch")
    assert list((tmp_path / "tmp").iterdir()) == [] and not (tmp_path / "nosuch").exists()
    assert not (tmp_path / "dark.csv").exists() and not (tmp_path / "pointer").exists()

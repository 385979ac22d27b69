"""Repositories: one deterministic commit with everything a reader needs, pushed once, without the token anywhere."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from physlab.errors import ComputationError, ConfigurationError, ResourceError, ValidationError
from physlab.settings import load_settings, shown
from physlab.tools.export import github as tool
from physlab.tools.export import webclient
from physlab.tools.export.licence_texts import licence_text
from tests.unit.tools.depositories import Answer, Github, running

Ask = Callable[..., Any]
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
AUTHORS = [
    {"name": "Lovelace, Ada", "orcid": "0000-0002-1825-0097", "affiliation": "London", "email": "ada@lab.example"},
    "CERN",
]


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Github]:
    """A GitHub on this machine, and the settings that name it."""
    monkeypatch.setattr(webclient, "pause", lambda seconds: None)
    with running(Github(folder=tmp_path / "remote")) as double:
        monkeypatch.setenv("PHYSLAB_EXPORT__GITHUB_API", double.url)
        monkeypatch.setenv("PHYSLAB_EXPORT__GITHUB_TOKEN", double.token)
        assert isinstance(double, Github)
        yield double


@pytest.fixture
def repository(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "levels.csv").write_text("n,E\n1,-13.6\n")
    (tmp_path / "run.py").write_text("print(1)\n")
    return {
        "repository_name": "hydrogen-levels",
        "description": "Energies of hydrogen: n = 1, 2, 3",
        "authors": AUTHORS,
        "topics": ["physics", "hydrogen"],
        "artifacts": {"tables/levels.csv": str(tmp_path / "levels.csv")},
        "code": [str(tmp_path / "run.py")],
        "license": "BSD-3-Clause",
        "date": "2026-03-14T15:09:26+01:00",
    }


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def unpacked(answer: Any, folder: Path) -> Path:
    with zipfile.ZipFile(answer["local_path"].path) as archive:
        archive.extractall(folder)
    return next(folder.iterdir())


def test_a_repository_ready_to_push(ask: Ask, repository: dict[str, Any], tmp_path: Path) -> None:
    answer = ask("export_tool", "github", **repository)
    assert answer["github_url"] is None and answer["artifact_count"] == 1
    folder = unpacked(answer, tmp_path / "out")
    assert git(folder, "status", "--porcelain") == "" and git(folder, "fsck", "--strict") == ""
    assert git(folder, "rev-parse", "main") == answer["commit"]
    assert git(folder, "log", "--format=%an <%ae> %aI %cI") == (
        "Ada Lovelace <ada@lab.example> 2026-03-14T15:09:26+01:00 2026-03-14T15:09:26+01:00"
    )
    tracked = ["artifacts/tables/levels.csv", "code/run.py", ".gitignore", "CITATION.cff", "LICENSE", "README.md"]
    assert set(git(folder, "ls-files").splitlines()) == set(tracked) == set(answer["files"])
    assert "Copyright (c) 2026 Ada Lovelace, CERN" in (folder / "LICENSE").read_text()
    sha256 = hashlib.sha256((folder / "artifacts/tables/levels.csv").read_bytes()).hexdigest()
    assert sha256 in (folder / "README.md").read_text()
    bare = tmp_path / "bare.git"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(bare))
    git(folder, "push", "-q", f"file://{bare}", "main")
    assert git(bare, "rev-parse", "main") == answer["commit"]


def test_the_same_content_is_the_same_commit_and_the_same_bytes(ask: Ask, repository: dict[str, Any]) -> None:
    first, second = (ask("export_tool", "github", **repository) for _ in range(2))
    assert first["commit"] == second["commit"]
    assert first["local_path"].path.read_bytes() == second["local_path"].path.read_bytes()
    other = ask("export_tool", "github", **{**repository, "date": None})
    assert other["commit"] != first["commit"]


def test_the_commit_does_not_depend_on_whose_machine_it_is(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attributes of a user may rewrite line ends; GIT_CONFIG_GLOBAL does not turn them off."""
    (tmp_path / "dos.csv").write_bytes(b"n,E\r\n1,-13.6\r\n")
    commits = []
    for name, attributes in (("plain", ""), ("rewriting", "* text=auto\n")):
        folder = tmp_path / name / "git"
        folder.mkdir(parents=True)
        (folder / "attributes").write_text(attributes)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))
        answer = ask("export_tool", "github", repository_name="r", artifacts=[str(tmp_path / "dos.csv")])
        commits.append(answer["commit"])
    assert commits[0] == commits[1]


def test_citation_file(ask: Ask, repository: dict[str, Any], tmp_path: Path) -> None:
    """Citation File Format 1.2.0: cff-version, message, title and authors are required."""
    folder = unpacked(ask("export_tool", "github", **repository), tmp_path / "out")
    found = YAML(typ="safe").load((folder / "CITATION.cff").read_text())
    assert found["cff-version"] == "1.2.0" and found["message"] and found["title"] == "hydrogen-levels"
    assert found["authors"][0] == {
        "family-names": "Lovelace", "given-names": "Ada", "affiliation": "London", "email": "ada@lab.example",
        "orcid": "https://orcid.org/0000-0002-1825-0097",
    }  # fmt: skip
    assert found["authors"][1] == {"name": "CERN"}
    assert (found["license"], str(found["date-released"]), found["type"]) == ("BSD-3-Clause", "2026-03-14", "software")
    assert found["abstract"] == repository["description"]


def test_what_is_left_out(ask: Ask, repository: dict[str, Any]) -> None:
    answer = ask(
        "export_tool", "github", **repository, include_artifacts=False, include_code=False, readme_content="# Mine"
    )
    assert answer["files"] == [".gitignore", "CITATION.cff", "LICENSE", "README.md"] and answer["artifact_count"] == 0


# The digests of apache.org/licenses/LICENSE-2.0.txt and gnu.org/licenses/gpl-3.0.txt.
@pytest.mark.parametrize(
    ("licence", "sha256"),
    [
        ("Apache-2.0", "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"),
        ("GPL-3.0", "3972dc9744f6499f0f9b2dbf76696f2ae7ad8af9b23dde66d6af86c9dfb36986"),
    ],
)
def test_licences_are_the_published_texts(licence: Any, sha256: str) -> None:
    assert hashlib.sha256(licence_text(licence, "x").encode()).hexdigest() == sha256


@pytest.mark.parametrize(
    ("licence", "first", "last"),
    [
        ("MIT", "Permission is hereby granted, free of charge", "DEALINGS IN THE\nSOFTWARE."),
        (
            "BSD-3-Clause",
            "Redistribution and use in source and binary forms",
            "EVEN IF ADVISED OF THE POSSIBILITY OF SUCH",
        ),
        ("CC-BY-4.0", "Attribution 4.0 International", "Creative Commons may be contacted at creativecommons.org."),
    ],
)
def test_the_other_licences_are_whole(licence: Any, first: str, last: str) -> None:
    text = licence_text(licence, "Ada", 2026)
    assert first in text and last in text and "{" not in text
    sections = [f"Section {number} -- " for number in range(1, 9)] if licence == "CC-BY-4.0" else ["(c) 2026 Ada"]
    assert all(section in text for section in sections)
    if licence != "CC-BY-4.0":
        assert "Copyright (c) Ada\n" in licence_text(licence, "Ada")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"repository_name": "a b"}, "a name on GitHub"),
        ({"repository_name": "x.git"}, "a name on GitHub"),
        ({"topics": ["Big Topic"]}, "is no topic"),
        ({"license": "WTFPL"}, "license"),
        ({"date": "soon"}, "date"),
        ({"artifacts": {"../x": "levels.csv"}}, "inside the working folder"),
        ({"artifacts": {"x": "missing.csv"}}, "is not a file"),
        ({"authors": [{"name": "A", "email": "x"}]}, "e-mail"),
    ],
)
def test_bad_repositories(ask: Ask, repository: dict[str, Any], change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ask("export_tool", "github", **{**repository, **change})


def test_large_files(ask: Ask, repository: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert (tool.LARGE, tool.TOO_LARGE) == (50 * 2**20, 100 * 2**20)
    monkeypatch.setattr(tool, "LARGE", 5)
    assert "git lfs track" in ask("export_tool", "github", **repository).context.warnings[0]
    monkeypatch.setattr(tool, "TOO_LARGE", 5)
    with pytest.raises(ValidationError, match="GitHub refuses"):
        ask("export_tool", "github", **repository)


def test_push_without_token_says_what_to_set(ask: Ask, repository: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="PHYSLAB_EXPORT__GITHUB_TOKEN"):
        ask("export_tool", "github", **repository, push=True)


def test_push_creates_and_a_second_push_changes_nothing(
    ask: Ask, repository: dict[str, Any], github: Github, tmp_path: Path
) -> None:
    local = ask("export_tool", "github", **repository)
    assert not github.asked
    answer = ask("export_tool", "github", **repository, push=True, private=True)
    assert answer["github_url"] == f"{github.url}/ada/hydrogen-levels"
    made = github.repos["ada/hydrogen-levels"]
    assert made["private"] and made["topics"] == ["physics", "hydrogen"]
    assert made["description"] == repository["description"]
    bare = tmp_path / "remote" / "ada" / "hydrogen-levels.git"
    assert git(bare, "rev-parse", "main") == answer["commit"] == local["commit"]
    assert answer["local_path"].path.read_bytes() == local["local_path"].path.read_bytes()
    again = ask("export_tool", "github", **repository, push=True)
    assert github.count("POST", "repos$") == 1 and github.count("POST", "git-receive-pack") == 1
    assert git(bare, "rev-parse", "main") == again["commit"] and "was there before" in again.context.warnings[0]


def test_the_token_is_nowhere(ask: Ask, repository: dict[str, Any], github: Github, tmp_path: Path) -> None:
    import base64

    answer = ask("export_tool", "github", **repository, push=True)
    login = base64.b64encode(f"x-access-token:{github.token}".encode())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "config" for path in files) and any(path.name == "git.log" for path in files)
    for path in files:
        content = path.read_bytes()
        assert github.token.encode() not in content and login not in content, path
    assert github.token not in str(answer.fields) + str(answer.context)
    settings = load_settings()
    assert github.token not in str(shown(settings)) + repr(settings)


def test_an_organisation_owns_it(
    ask: Ask, repository: dict[str, Any], github: Github, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSLAB_EXPORT__GITHUB_OWNER", "lab")
    assert ask("export_tool", "github", **repository, push=True)["github_url"].endswith("/lab/hydrogen-levels")


def test_other_work_is_never_overwritten(ask: Ask, repository: dict[str, Any], github: Github, tmp_path: Path) -> None:
    first = ask("export_tool", "github", **repository, push=True)
    with pytest.raises(ValidationError, match="other work"):
        ask("export_tool", "github", **{**repository, "description": "changed"}, push=True)
    assert git(tmp_path / "remote" / "ada" / "hydrogen-levels.git", "rev-parse", "main") == first["commit"]


def test_private_work_is_not_pushed_to_a_public_repository(
    ask: Ask, repository: dict[str, Any], github: Github
) -> None:
    ask("export_tool", "github", **repository, push=True)
    with pytest.raises(ValidationError, match="everybody can see it"):
        ask("export_tool", "github", **repository, push=True, private=True)


@pytest.mark.parametrize(
    ("verb", "place", "answer", "kind", "words"),
    [
        ("GET", "^/user$", Answer(401, {"message": "Bad credentials"}), ConfigurationError, "expired"),
        ("POST", "repos$", Answer(403, {"message": "no"}), ConfigurationError, "may not do this"),
        ("POST", "repos$", Answer(422, {"message": "name taken"}), ValidationError, "name taken"),
        ("GET", "git$|info/refs", Answer(403, {}), ConfigurationError, "refuses the token"),
        ("POST", "git-receive-pack", Answer(500, {}), ResourceError, "push to .* failed"),
    ],
)
def test_refusals(
    ask: Ask,
    repository: dict[str, Any],
    github: Github,
    verb: str,
    place: str,
    answer: Answer,
    kind: type[Exception],
    words: str,
) -> None:
    github.failures = [(verb, place, answer)] * 6
    with pytest.raises(kind, match=words) as caught:
        ask("export_tool", "github", **repository, push=True)
    assert github.token not in str(caught.value)


def test_the_token_is_not_sent_to_another_host(ask: Ask, repository: dict[str, Any], github: Github) -> None:
    ask("export_tool", "github", **repository, push=True)
    for address in ("https://elsewhere.example/x.git", f"file://{github.folder}/x.git"):
        github.repos["ada/hydrogen-levels"]["clone_url"] = address
        with pytest.raises(ComputationError, match="another host"):
            ask("export_tool", "github", **repository, push=True)


def test_a_repeated_run_pushes_nothing(bench: Any, repository: dict[str, Any], github: Github) -> None:
    """From the cache nothing is sent; computed anew it finds its own commit on GitHub."""
    nodes = [{"id": "repo", "tool": "export_tool", "method": "github", "params": {**repository, "push": True}}]
    assert bench.run(nodes).fields("repo")["github_url"] == f"{github.url}/ada/hydrogen-levels"
    asked = len(github.asked)
    again = bench.run(nodes)
    assert again["repo"].cached and len(github.asked) == asked
    assert bench.run(nodes, refresh=["repo"]).statuses == {"repo": "completed"}
    assert len(github.asked) > asked and github.count("POST", "git-receive-pack") == 1
    assert github.count("POST", "repos$") == 1

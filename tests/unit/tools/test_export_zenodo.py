"""Depositions: checked on this machine, sent once, published once, and honest about every refusal."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ComputationError, ConfigurationError, ResourceError, ValidationError
from physlab.tools.export import webclient
from physlab.tools.export.people import check_orcid, identify, orcid_check_digit
from tests.unit.tools.depositories import Answer, Zenodo, running

Ask = Callable[..., Any]
CREATORS = [{"name": "Carberry, Josiah", "orcid": "0000-0002-1825-0097", "affiliation": "Brown University"}]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made."""
    found: list[float] = []
    monkeypatch.setattr(webclient, "pause", found.append)
    return found


@pytest.fixture
def zenodo(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Iterator[Zenodo]:
    """A sandbox on this machine, and the settings that name it."""
    with running(Zenodo()) as double:
        monkeypatch.setenv("PHYSLAB_EXPORT__ZENODO_SANDBOX_URL", double.url)
        monkeypatch.setenv("PHYSLAB_EXPORT__ZENODO_SANDBOX_TOKEN", double.token)
        assert isinstance(double, Zenodo)
        yield double


@pytest.fixture
def record(tmp_path: Path) -> dict[str, Any]:
    """A right record with two files."""
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b c.txt").write_text("text")
    return {
        "title": "Levels of hydrogen",
        "description": "<p>Energies &amp; more.</p>",
        "creators": CREATORS,
        "keywords": ["hydrogen"],
        "files": [str(tmp_path / "a.csv"), str(tmp_path / "b c.txt")],
    }


# "Structure of the ORCID Identifier", support.orcid.org: ISO 7064 MOD 11-2; the X case is Stephen Hawking's.
@pytest.mark.parametrize(
    "orcid", ["0000-0002-1825-0097", "0000-0001-5109-3700", "0000-0002-1694-233X", "0000-0002-9079-593X"]
)
def test_orcid_check_digit(orcid: str) -> None:
    assert orcid_check_digit(orcid.replace("-", "")[:15]) == orcid[-1]
    assert check_orcid(f"https://orcid.org/{orcid}") == orcid == check_orcid(orcid.replace("-", "").lower())


def test_every_slip_of_one_digit_is_found() -> None:
    """ISO 7064 MOD 11-2 finds all single substitutions and all transpositions of neighbours."""
    right = "0000000218250097"
    for place, digit in enumerate(right):
        for other in set("0123456789") - {digit}:
            with pytest.raises(ValueError, match="check digit"):
                check_orcid(right[:place] + other + right[place + 1 :])
    for place in range(15):
        if right[place] != right[place + 1]:
            with pytest.raises(ValueError, match="check digit"):
                check_orcid(right[:place] + right[place + 1] + right[place] + right[place + 2 :])


@pytest.mark.parametrize(
    ("text", "scheme", "bare"),
    [
        ("10.1103/PhysRev.47.777", "doi", "10.1103/PhysRev.47.777"),
        ("https://doi.org/10.5281/zenodo.5171937", "doi", "10.5281/zenodo.5171937"),
        ("arXiv:2101.00001v2", "arxiv", "2101.00001v2"),
        ("https://arxiv.org/abs/hep-th/9711200", "arxiv", "hep-th/9711200"),
        ("ISBN 978-3-16-148410-0", "isbn", "978-3-16-148410-0"),  # the example of ISO 2108
        ("ISSN 0317-8471", "issn", "0317-8471"),  # the example of ISO 3297
        ("https://physics.nist.gov", "url", "https://physics.nist.gov"),
        ("1998PhRvL..81.5039B", "ads", "1998PhRvL..81.5039B"),
    ],
)
def test_identifiers(text: str, scheme: str, bare: str) -> None:
    assert identify(text) == (scheme, bare)


@pytest.mark.parametrize("text", ["ISBN 978-3-16-148410-1", "ISSN 0317-8472", "somewhere", "10.1/x y"])
def test_wrong_identifiers(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        identify(text)


def test_without_upload_there_is_a_whole_package(ask: Ask, record: dict[str, Any]) -> None:
    answer = ask("export_tool", "zenodo", **record, license="CC0-1.0", related_identifiers=["10.1103/PhysRev.47.777"])
    assert answer["zenodo_url"] is answer["doi"] is answer["deposition_id"] is None and not answer["published"]
    with zipfile.ZipFile(answer["archive_path"].path) as archive:
        folder = answer["package_directory"]
        names = {"metadata.json", "README.md", "SHA256SUMS", "data/a.csv", "data/b c.txt"}
        assert set(archive.namelist()) == {f"{folder}/{name}" for name in names}
        metadata = json.loads(archive.read(f"{folder}/metadata.json"))["metadata"]
        for line in archive.read(f"{folder}/SHA256SUMS").decode().splitlines():
            sha256, name = line.split("  ")
            assert hashlib.sha256(archive.read(f"{folder}/{name}")).hexdigest() == sha256
    assert metadata == answer["metadata"]
    assert metadata["license"] == "cc0-1.0" and metadata["access_right"] == "open"
    assert metadata["creators"] == CREATORS
    assert metadata["related_identifiers"] == [
        {"identifier": "10.1103/PhysRev.47.777", "relation": "references", "scheme": "doi"}
    ]
    assert [item["md5"] for item in answer["data_files"]][1] == hashlib.md5(b"text", usedforsecurity=False).hexdigest()
    again = ask("export_tool", "zenodo", **record, license="CC0-1.0", related_identifiers=["10.1103/PhysRev.47.777"])
    assert again["archive_path"].path.read_bytes() == answer["archive_path"].path.read_bytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"creators": []}, "creators"),
        ({"creators": [{"name": "A, B", "orcid": "0000-0002-1825-0098"}]}, "check digit is 8"),
        ({"title": " "}, "text is needed"),
        ({"license": "GPL-3.0"}, "license"),
        ({"publish": True}, "needs upload"),
        ({"related_identifiers": [{"identifier": "10.1/x", "relation": "likes"}]}, "relation"),
        ({"related_identifiers": ["nothing"]}, "is none of"),
        ({"publication_date": "yesterday"}, "publication_date"),
        ({"files": {"a/b.csv": "a.csv"}}, "not a file"),
        ({"files": ["none.csv"]}, "not a file"),
        ({"upload": True, "files": []}, "without files"),
    ],
)
def test_bad_records(ask: Ask, record: dict[str, Any], change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ask("export_tool", "zenodo", **{**record, **change})


def test_too_many_files(ask: Ask, record: dict[str, Any]) -> None:
    record["files"] = {f"{number}.csv": record["files"][0] for number in range(101)}
    with pytest.raises(ValidationError, match="101 files"):
        ask("export_tool", "zenodo", **record)


def test_upload_without_token_says_what_to_set(ask: Ask, record: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="PHYSLAB_EXPORT__ZENODO_SANDBOX_TOKEN"):
        ask("export_tool", "zenodo", **record, upload=True)
    with pytest.raises(ConfigurationError, match="PHYSLAB_EXPORT__ZENODO_TOKEN"):
        ask("export_tool", "zenodo", **record, upload=True, sandbox=False)


def test_a_draft_is_made_once(ask: Ask, record: dict[str, Any], zenodo: Zenodo) -> None:
    answer = ask("export_tool", "zenodo", **record, upload=True)
    assert answer["zenodo_url"] == f"{zenodo.url}/uploads/1000" and answer["doi"] is None and not answer["published"]
    assert answer["reserved_doi"] == "10.5072/zenodo.1000"
    assert {item["filename"] for item in zenodo.drafts[1000]["files"]} == {"a.csv", "b c.txt"}
    assert "sha256:" in zenodo.drafts[1000]["metadata"]["notes"]
    assert answer.context.meta["sent"] == ["a.csv", "b c.txt"]
    again = ask("export_tool", "zenodo", **record, upload=True)
    assert again["deposition_id"] == 1000 and list(zenodo.drafts) == [1000] and again.context.meta["sent"] == []
    assert zenodo.count("PUT", "bucket") == 2 and zenodo.count("POST", "publish") == 0
    other = ask("export_tool", "zenodo", **{**record, "title": "Another"}, upload=True)
    assert other["deposition_id"] == 1001


def test_publishing_is_done_once(ask: Ask, record: dict[str, Any], zenodo: Zenodo) -> None:
    answer = ask("export_tool", "zenodo", **record, upload=True, publish=True)
    assert answer["published"] and answer["doi"] == "10.5072/zenodo.1000"
    assert answer["zenodo_url"] == f"{zenodo.url}/records/1000"
    again = ask("export_tool", "zenodo", **record, upload=True, publish=True)
    assert again["doi"] == answer["doi"] and "published already" in again.context.warnings[0]
    assert zenodo.count("POST", "publish") == 1 and len(zenodo.drafts) == 1 and zenodo.count("PUT", "") == 2


def test_it_goes_on_where_it_broke_off(ask: Ask, record: dict[str, Any], zenodo: Zenodo) -> None:
    broken = Answer(500, {"message": "Internal"})
    zenodo.failures = [("PUT", "b c.txt", broken)] * webclient.ATTEMPTS
    with pytest.raises(ResourceError, match="answers 500"):
        ask("export_tool", "zenodo", **record, upload=True, publish=True)
    assert zenodo.count("POST", "publish") == 0
    answer = ask("export_tool", "zenodo", **record, upload=True, publish=True)
    assert answer["published"] and answer.context.meta["sent"] == ["b c.txt"] and len(zenodo.drafts) == 1


def test_a_busy_service_is_waited_for_as_long_as_it_asks(
    ask: Ask, record: dict[str, Any], zenodo: Zenodo, pauses: list[float]
) -> None:
    zenodo.failures = [("GET", "depositions$", Answer(429, {"message": "slow down"}, {"Retry-After": "5"}))]
    zenodo.failures.append(("POST", "depositions$", Answer(429, {"message": "slow down"})))
    ask("export_tool", "zenodo", **record, upload=True)
    assert pauses == [5.0, webclient.FIRST_PAUSE_S]


def test_a_wait_beyond_the_time_limit_is_told(ask: Ask, record: dict[str, Any], zenodo: Zenodo) -> None:
    zenodo.failures = [("GET", "depositions$", Answer(429, {}, {"Retry-After": "86400"}))]
    with pytest.raises(ResourceError, match="come back in 86400 s"):
        ask("export_tool", "zenodo", **record, upload=True)


def test_a_draft_whose_answer_got_lost_is_not_made_twice(ask: Ask, record: dict[str, Any], zenodo: Zenodo) -> None:
    zenodo.lost = [("POST", "depositions$")]
    with pytest.raises(ResourceError, match="502"):
        ask("export_tool", "zenodo", **record, upload=True)
    ask("export_tool", "zenodo", **record, upload=True)
    assert list(zenodo.drafts) == [1000]


def test_a_publication_whose_answer_got_lost_counts(ask: Ask, record: dict[str, Any], zenodo: Zenodo) -> None:
    zenodo.lost = [("POST", "publish")]
    assert ask("export_tool", "zenodo", **record, upload=True, publish=True)["published"]
    assert zenodo.count("POST", "publish") == 1


@pytest.mark.parametrize(
    ("verb", "place", "status", "kind", "words"),
    [
        ("GET", "depositions$", 403, ConfigurationError, "may not do this"),
        ("PUT", "bucket", 413, ValidationError, "larger than the service takes"),
        ("POST", "depositions$", 400, ValidationError, "title: too long"),
        ("GET", "depositions$", 302, ConfigurationError, "Check the address"),
    ],
)
def test_refusals(
    ask: Ask,
    record: dict[str, Any],
    zenodo: Zenodo,
    pauses: list[float],
    verb: str,
    place: str,
    status: int,
    kind: type[Exception],
    words: str,
) -> None:
    body = {"message": f"No, {zenodo.token}.", "errors": [{"field": "title", "message": "too long"}]}
    zenodo.failures = [(verb, place, Answer(status, body, {"Location": "https://elsewhere.example"}))]
    with pytest.raises(kind, match=words) as caught:
        ask("export_tool", "zenodo", **record, upload=True)
    assert zenodo.token not in str(caught.value) and not pauses


def test_a_wrong_token_is_refused(
    ask: Ask, record: dict[str, Any], zenodo: Zenodo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSLAB_EXPORT__ZENODO_SANDBOX_TOKEN", "wrong")
    with pytest.raises(ConfigurationError, match=r"401.*set export.zenodo_sandbox_token anew"):
        ask("export_tool", "zenodo", **record, upload=True)


def test_a_file_that_arrives_spoilt_is_never_published(ask: Ask, record: dict[str, Any], zenodo: Zenodo) -> None:
    zenodo.spoil = lambda content: content[:-1]
    with pytest.raises(ResourceError, match="did not arrive whole"):
        ask("export_tool", "zenodo", **record, upload=True, publish=True)
    assert zenodo.count("POST", "publish") == 0 and zenodo.count("PUT", "a.csv") == 2
    zenodo.spoil = lambda content: content
    assert ask("export_tool", "zenodo", **record, upload=True, publish=True)["published"]


def test_the_token_goes_to_no_other_host(ask: Ask, record: dict[str, Any], zenodo: Zenodo) -> None:
    number = ask("export_tool", "zenodo", **record, upload=True)["deposition_id"]
    zenodo.drafts[number]["links"]["bucket"] = "https://elsewhere.example/bucket"
    zenodo.drafts[number]["files"].clear()
    with pytest.raises(ComputationError, match="another host"):
        ask("export_tool", "zenodo", **record, upload=True)

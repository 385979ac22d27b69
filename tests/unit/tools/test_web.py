"""Asking politely: the pace of all processes, retries, limits, redirects, and what is kept."""

from __future__ import annotations

import gzip
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from physlab.errors import ComputationError, ConfigurationError, ResourceError, ValidationError
from physlab.model import Visuals, Web
from physlab.settings import load_settings
from physlab.tools.archives.web import Client
from physlab.tools.archives.webaddress import redirected, site_of
from physlab.tools.archives.webanswer import Answer, Service, not_yet, read_json, spell_age
from physlab.tools.archives.webcache import AnswerCache
from physlab.tools.archives.webpace import Pace
from physlab.tools.context import Context
from tests.unit.tools.services import Reply, Seen, Stand, standing

GOOD = b'{"value": 1}'


@pytest.fixture
def stand() -> Iterator[Stand]:
    with standing() as stand:
        yield stand


@pytest.fixture
def client(stand: Stand, tmp_path: Path) -> Callable[..., Client]:
    """`client(retries=0)` in one home, with waits that take no time."""
    calls = iter(range(100))

    def client(max_age_s: float | None = None, limit_s: float = 20.0, **web: Any) -> Client:
        workdir = tmp_path / f"call{next(calls)}"
        workdir.mkdir()
        settings = Web(**{"backoff_s": 1e-4, "retries": 2, **web})
        none = Visuals(static=False, series=False, animation=False)
        context = Context(lambda: workdir, none, web=settings, home=tmp_path, time_limit_s=limit_s)
        return Client(context, max_age_s)

    return client


def ask(client: Client, stand: Stand, path: str = "/x", **options: Any) -> Any:
    service = Service("Stand", "arxiv_url", stand.url, 0.0)
    return client.ask(service, path, **{"read": read_json, **options})


def test_what_is_asked_says_who_asks(client: Any, stand: Stand) -> None:
    stand.say("/x", GOOD)
    assert ask(client(contact="lab@example.org"), stand, fields=(("q", "a b"), ("q", "ü"))) == {"value": 1}
    [seen] = stand.seen
    assert seen.fields == {"q": ["a b", "ü"]}
    assert seen.headers["User-Agent"].startswith("physlab/") and "lab@example.org" in seen.headers["User-Agent"]


@pytest.mark.parametrize(
    "bad",
    [
        Reply(b"broken", 500),
        Reply(b"busy", 503),
        Reply(b"slow down", 429, {"Retry-After": "0"}),
        Reply(b"late", 504),
        Reply(b'{"value', cut=50),
    ],
    ids=["500", "503", "429", "504", "cut short"],
)
def test_what_failed_for_now_is_tried_again(client: Any, stand: Stand, bad: Reply) -> None:
    stand.say("/x", bad, bad, Reply(GOOD))
    assert ask(client(), stand) == {"value": 1}
    assert len(stand.seen) == 3


def test_what_goes_on_failing_is_told(client: Any, stand: Stand) -> None:
    stand.say("/x", Reply(b"no", 500))
    with pytest.raises(ResourceError, match=r"answers 500.*Tried 3 times") as caught:
        ask(client(), stand)
    assert "web.arxiv_url" in caught.value.hint and len(stand.seen) == 3


def test_retry_after_is_honoured(client: Any, stand: Stand) -> None:
    stand.say("/x", Reply(b"", 429, {"Retry-After": "7"}), Reply(GOOD))
    asking, slept = client(), []
    asking.pace.sleep = slept.append
    assert ask(asking, stand) == {"value": 1}
    [wait] = slept
    assert 6 < wait <= 7


@pytest.mark.parametrize("ahead_s", [5000, 86400])
def test_a_pause_beyond_the_time_of_the_node_is_told(client: Any, stand: Stand, ahead_s: int) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)
    stand.say("/x", Reply(b"", 429, {"Retry-After": date}))
    with pytest.raises(ResourceError, match="asks for a pause"):
        ask(client(), stand)
    assert len(stand.seen) == 1
    with pytest.raises(ResourceError, match="next request to"):  # and nobody else asks meanwhile
        ask(client(), stand, "/y")
    assert len(stand.seen) == 1


def test_a_wrong_request_is_not_repeated(client: Any, stand: Stand) -> None:
    stand.say("/x", Reply(b"no such field", 400))
    with pytest.raises(ValidationError, match="answers 400") as caught:
        ask(client(), stand)
    assert "no such field" in caught.value.hint and len(stand.seen) == 1
    stand.say("/x", Reply(b"you are blocked", 403))
    with pytest.raises(ResourceError, match="answers 403"):
        ask(client(), stand)
    assert len(stand.seen) == 2


def test_silence_ends(client: Any, stand: Stand) -> None:
    stand.say("/x", Reply(silent=True))
    with pytest.raises(ResourceError, match="does not answer: timed out"):
        ask(client(timeout_s=0.05, retries=0), stand)


def test_nobody_there(client: Any, stand: Stand) -> None:
    with pytest.raises(ResourceError, match=r"does not answer.*Tried 3 times"):
        client().ask(Service("Nobody", "arxiv_url", "http://127.0.0.1:9", 0.0), "/x", read=read_json)


def test_what_is_not_what_it_should_be_is_not_kept(client: Any, stand: Stand) -> None:
    stand.say("/x", Reply(b"<html>maintenance</html>"), Reply(GOOD))
    with pytest.raises(ComputationError, match="no JSON") as caught:
        ask(client(), stand)
    assert "maintenance" in caught.value.details["begins"]
    assert ask(client(), stand) == {"value": 1}


def test_not_yet_means_again(client: Any, stand: Stand) -> None:
    stand.say("/x", b'{"value": 0}', b'{"value": 0}', b'{"value": 0}', b'{"value": 0}', GOOD)

    def read(answer: Answer) -> Any:
        found = read_json(answer)
        if not found["value"]:
            raise not_yet(Service("Stand", "x", "", 0), "still looking")
        return found

    with pytest.raises(ResourceError, match="still looking"):
        ask(client(), stand, read=read)
    assert ask(client(), stand, read=read, patience=5) == {"value": 1}


def test_limits_of_size(client: Any, stand: Stand) -> None:
    stand.say("/x", b"x" * 5000)
    with pytest.raises(ResourceError, match=r"more than 0.001 MB"):
        ask(client(max_answer_mb=0.001), stand)
    bomb = Reply(gzip.compress(bytes(5_000_000)), headers={"Content-Encoding": "gzip"})
    for reply in (Reply(b"x" * 5000, unsized=True), bomb):
        stand.say("/x", reply)
        with pytest.raises(ResourceError, match=r"more than 0.001 MB|more than 1 MB"):
            ask(client(), stand, limit_mb=0.001 if reply is not bomb else 1)


def test_redirects_stay_at_the_site(client: Any, stand: Stand) -> None:
    stand.say("/x", Reply(b"", 302, {"Location": "/y"}))
    stand.say("/y", GOOD)
    assert ask(client(), stand) == {"value": 1}
    for bad in ("http://127.0.0.1:9/", "http://localhost/", "file:///etc/passwd", "http://evil.example/", "//x@[::1]/"):
        stand.say("/z", Reply(b"", 302, {"Location": bad}))
        with pytest.raises(ResourceError, match="refused"):
            ask(client(), stand, "/z")
    stand.say("/loop", Reply(b"", 302, {"Location": "/loop"}))
    with pytest.raises(ResourceError, match="more than 5 times"):
        ask(client(), stand, "/loop")


def test_sites() -> None:
    assert site_of("https://export.arxiv.org/api") == site_of("http://arxiv.org") == "arxiv.org"
    assert site_of("https://cmr.earthdata.nasa.gov") == site_of("https://pds.nasa.gov/x") == "nasa.gov"
    assert site_of("https://a.ox.ac.uk") != site_of("https://b.cam.ac.uk")
    assert site_of("https://10.0.0.1/") == "10.0.0.1" and site_of("http://localhost:8080") == "localhost:8080"
    assert redirected("https://export.arxiv.org/pdf/1", "https://arxiv.org/pdf/1v1") == "https://arxiv.org/pdf/1v1"
    for url, location in (
        ("https://arxiv.org/a", "http://arxiv.org/a"),
        ("https://arxiv.org/a", "https://arxiv.org.evil.example/a"),
        ("https://arxiv.org/a", "https://user@arxiv.org/a"),
        ("https://arxiv.org/a", "https://evil.org/a"),
    ):
        with pytest.raises(ResourceError, match="refused"):
            redirected(url, location)


def test_answers_are_kept_for_a_while(client: Any, stand: Stand) -> None:
    stand.say("/x", b'{"value": 1}', b'{"value": 2}')
    first, second, third = client(), client(), client(max_age_s=0)
    assert ask(first, stand) == ask(second, stand) == {"value": 1}
    assert ask(third, stand) == {"value": 2}
    for asking in (first, second, third):
        asking.finish()
    assert [c.context.meta["cached"] for c in (first, second, third)] == [False, True, False]
    assert second.context.meta["age_s"] < 60
    assert first.context.meta["sources"][0]["sha256"] == second.context.meta["sources"][0]["sha256"]
    assert not second.context.warnings


def test_a_form_and_a_query_are_other_questions(client: Any, stand: Stand) -> None:
    stand.say("/x", lambda seen: Reply(b'{"m": "%s"}' % (seen.method + str(seen.form)).encode()))
    answers = [ask(client(), stand, form=form) for form in (None, (("a", "1"),), (("a", "2"),))]
    assert len({str(answer) for answer in answers}) == 3 and stand.seen[2].form == {"a": ["2"]}


def age_answers(home: Path, seconds: float) -> None:
    for path in (home / "web" / "answers").glob("*.json"):
        import json

        kept = json.loads(path.read_text())
        path.write_text(json.dumps({**kept, "retrieved": kept["retrieved"] - seconds}))


def test_without_network_the_old_answer_is_taken_and_its_age_said(client: Any, stand: Stand, tmp_path: Path) -> None:
    stand.say("/x", Reply(GOOD), Reply(b"", 500))
    ask(client(), stand)
    age_answers(tmp_path, 3 * 86400)
    asking = client()
    assert ask(asking, stand) == {"value": 1}
    [warning] = asking.context.warnings
    assert "answers 500" in warning and "3.0 days old" in warning
    asking.finish()
    assert asking.context.meta["cached"] and asking.context.meta["age_s"] == pytest.approx(3 * 86400, abs=60)


def test_offline_asks_nobody(client: Any, stand: Stand, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="offline"):
        ask(client(offline=True), stand)
    stand.say("/x", GOOD)
    ask(client(), stand)
    age_answers(tmp_path, 7200)
    asking = client(offline=True, max_age_h=1)
    assert ask(asking, stand) == {"value": 1} and len(stand.seen) == 1
    assert "2.0 h old" in asking.context.warnings[0]


def test_a_damaged_answer_is_none(client: Any, stand: Stand, tmp_path: Path) -> None:
    stand.say("/x", b'{"value": 1}', b'{"value": 2}')
    ask(client(), stand)
    [body] = [path for path in (tmp_path / "web" / "answers").iterdir() if path.suffix != ".json"]
    body.write_bytes(b'{"value": 9}')
    assert ask(client(), stand) == {"value": 2}


def test_the_oldest_go_first(tmp_path: Path) -> None:
    import os

    cache = AnswerCache(tmp_path)
    for place, key in enumerate(("a", "b", "c")):
        with cache.draft() as draft:
            draft.write_bytes(b"x" * 1000)
            kept = cache.keep(key, draft, "u", 0.0, {})
        for path in (cache.path(kept), tmp_path / f"{key}.json"):
            os.utime(path, (place, place))
    (tmp_path / "draft-0-old").touch()
    os.utime(tmp_path / "draft-0-old", (0, 0))
    cache.make_room(2500, now=1e6)
    assert cache.find("a") is None and cache.find("b") and cache.find("c")
    assert not list(tmp_path.glob("draft-*"))


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.guard = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self.guard:
            self.now += seconds


def test_turns_are_a_delay_apart(tmp_path: Path) -> None:
    clock = Clock()
    pace = Pace(tmp_path, clock, clock.sleep)
    assert [pace.wait("arxiv.org", 3, 100) for _ in range(3)] == pytest.approx([0, 3, 3])
    assert pace.wait("cern.ch", 1, 100) == 0
    clock.now += 10
    assert pace.wait("arxiv.org", 3, 100) == 0
    pace.pause("arxiv.org", 50)
    with pytest.raises(ResourceError, match="may be made in 50 s"):
        pace.wait("arxiv.org", 3, 20)
    assert pace.wait("arxiv.org", 3, 60) == pytest.approx(50)


def test_threads_queue(tmp_path: Path) -> None:
    turns: list[float] = []
    frozen = Pace(tmp_path, lambda: 1000.0, turns.append)
    threads = [threading.Thread(target=frozen.wait, args=("x", 2.0, 1000.0)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(turns) == pytest.approx([2.0 * n for n in range(1, 8)])  # the first does not wait


def _turns(folder: str, count: int, queue: Any) -> None:
    pace = Pace(Path(folder), lambda: 1000.0, lambda seconds: None)
    queue.put([pace.wait("x", 2.0, 1000.0) for _ in range(count)])


def test_processes_queue(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.Queue()
    workers = [spawn.Process(target=_turns, args=(str(tmp_path), 20, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    turns = sorted(turn for _ in workers for turn in queue.get(timeout=60))
    for worker in workers:
        worker.join()
    assert turns == pytest.approx([2.0 * n for n in range(40)])


@pytest.mark.parametrize("stamp", ["", "rubbish", "99999999999", "nan", "-5"])
def test_a_stamp_that_makes_no_sense_is_none(tmp_path: Path, stamp: str) -> None:
    (tmp_path / "x").write_text(stamp)
    assert Pace(tmp_path, lambda: 1000.0, lambda seconds: None).wait("x", 1.0, 10.0) == 0


@given(st.floats(0, 1e9))
def test_ages_are_spelled(seconds: float) -> None:
    assert spell_age(seconds).split()[1] in ("s", "min", "h", "days")


def test_the_settings_reach_the_tool(tmp_path: Path) -> None:
    environ = {
        "HOME": str(tmp_path),
        "PHYSLAB_WEB__ARXIV_URL": "https://mirror.example.org/",
        "PHYSLAB_WEB__OFFLINE": "1",
    }
    web = load_settings(tmp_path, environ=environ).web
    assert web.arxiv_url == "https://mirror.example.org" and web.offline
    assert (web.arxiv_delay_s, web.cern_delay_s, web.nasa_delay_s, web.nist_delay_s) == (3, 1, 2, 1.5)
    for bad in ("ftp://x.org", "https://u:p@x.org", "arxiv.org", "https://x.org/?q=1"):
        with pytest.raises(ConfigurationError, match="arxiv_url"):
            load_settings(tmp_path, environ={"HOME": str(tmp_path), "PHYSLAB_WEB__ARXIV_URL": bad})


def test_the_stand_keeps_what_it_saw(stand: Stand) -> None:
    assert stand.answer(Seen("GET", "/nowhere", {}, {}, {})).status == 404

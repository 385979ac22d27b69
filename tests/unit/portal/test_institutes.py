"""Signing in at an institute over HTTP, with a real provider."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from physlab.collab.database import MICRO
from tests.unit.portal.stage import ORIGIN, set_stage

pytest.importorskip("joserfc", reason="the extra 'oidc' is not installed")
from tests.unit.collab.conftest import StillClock
from tests.unit.collab.people.provider import CLIENT, SECRET, browse, serve


def test_somebody_comes_by_their_institute(tmp_path: Path, toy_tools: None) -> None:
    clock = StillClock()
    with serve(lambda: clock.now() / MICRO) as provider:
        provider.person = {"sub": "1", "email": "emmy@uni.example", "email_verified": True, "name": "Emmy Noether"}
        institute = {"issuer": provider.issuer, "client_id": CLIENT, "client_secret": SECRET,
                     "mail_domains": ["uni.example"]}  # fmt: skip
        with set_stage(tmp_path, institutes={"uni": institute}) as stage:
            asking = stage.stranger()
            assert asking("GET", "institutes").json() == {"institutes": ["uni"]}
            begun = asking("POST", "institutes/uni").json()
            answer = browse(begun["url"])
            back = asking("GET", f"institutes/uni/return?{urlencode(answer)}", follow_redirects=False)
            assert (back.status_code, back.headers["location"]) == (303, "/")
            assert asking("GET", "me").json()["name"] == "Emmy Noether"
            again = asking("GET", f"institutes/uni/return?{urlencode(answer)}", follow_redirects=False)
            assert again.headers["location"] == "/#/refused", "an answer counts once"
            other = stage.stranger()
            begun = asking("POST", "institutes/uni").json()
            stolen = other("GET", f"institutes/uni/return?{urlencode(browse(begun['url']))}", follow_redirects=False)
            assert stolen.headers["location"] == "/#/refused", "it counts in the browser that began"
            assert other("GET", "me").json()["person"] is None
            assert begun["url"].startswith(provider.issuer) and ORIGIN.split("//")[1] not in begun["url"].split("?")[0]

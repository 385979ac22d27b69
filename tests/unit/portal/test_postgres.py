"""The served lab with people, sessions and audit in PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from physlab.collab.audit.verification import rows_of, verify_log
from tests.unit.collab.people.conftest import postgres  # noqa: F401 - a fixture
from tests.unit.portal.stage import PASSWORD, SESSION, set_stage


def test_a_lab_of_several_machines(tmp_path: Path, toy_tools: None, postgres: str) -> None:  # noqa: F811
    with set_stage(tmp_path, collaboration={"database_url": postgres}) as stage:
        owner, viewer = stage.signed_in("owner"), stage.signed_in("viewer")
        assert viewer("GET", f"sessions/{SESSION}/artifacts/{stage.file}").status_code == 200
        shared = owner("POST", f"sessions/{SESSION}/share", {"participants": ["new@example.org"]}).json()
        asking = stage.stranger()
        assert asking("POST", "links/open", {"token": shared["share_url"].rpartition("/")[2]}).status_code == 200
        assert [one["run_id"] for one in asking("GET", f"sessions/{SESSION}/runs").json()["runs"]] == [stage.run]
        assert owner("DELETE", f"links/{shared['participants'][0]['link_id']}").status_code == 200
        assert asking("GET", f"sessions/{SESSION}/runs").status_code == 404
        assert asking("POST", "sign-in", {"login": "viewer", "password": PASSWORD}).status_code == 200
        told = owner("GET", f"sessions/{SESSION}/audit", params={"action": "artifact.read"}).json()["entries"]
        assert [one["who"] for one in told] == [stage.ids["viewer"]]
        assert verify_log(rows_of(stage.commons.database), []).size == stage.commons.trail.read(limit=1)[0]["seq"]

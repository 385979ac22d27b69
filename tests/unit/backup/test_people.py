"""People, sessions and the audit log come back with the lab."""

from __future__ import annotations

from physlab.collab.access import Who
from physlab.collab.audit.checkpoints import kept_checkpoints, lab_key, make_checkpoint, read_checkpoint
from physlab.collab.audit.verification import rows_of, verify_log
from physlab.collab.commons import open_commons
from tests.unit.backup.conftest import bring_back
from tests.unit.backuplab import BackupLab


def test_people_and_the_audit_log_are_restored(lab: BackupLab) -> None:
    lab.fill(2)
    commons = open_commons(lab.settings.home, lab.store)
    made = commons.accounts.create("ada", "Ada Lovelace", "ada@example.org")
    commons.sessions.begin(Who(made.id), "engine")
    checkpoint = make_checkpoint(commons.database)
    public = lab_key(commons.database).public
    lab.save()
    commons.accounts.create("bob", "Bob", "bob@example.org")
    commons.close()
    home = bring_back(lab)
    again = open_commons(home, lab.store)
    assert [one.name for one in again.accounts.list()] == ["Ada Lovelace"]
    assert again.accounts.find("ada@example.org").id == made.id
    assert again.sessions.of(Who(made.id)) == {"engine": "owner"}
    kept = [read_checkpoint(path.read_text(), public) for path in kept_checkpoints(again.database)]
    assert [one.text for one in kept] == [checkpoint.text]
    assert verify_log(rows_of(again.database), kept).size == checkpoint.size
    assert (home / "collab" / "collab.key").stat().st_mode & 0o077 == 0
    again.close()

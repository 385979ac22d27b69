"""The lab's backups: made while runs go on, kept by when they were received, read again, and restored to prove it."""

from physlab.backup.checking import Checked, check_repository, proof_of
from physlab.backup.engine import Engine, choose_engine
from physlab.backup.ledger import DRILL, POLICY, Point, points_of, records_of, write_down
from physlab.backup.restore import Restored, bring, find_snapshot, restore_lab
from physlab.backup.save import Saved, save_lab

__all__ = [
    "DRILL",
    "POLICY",
    "Checked",
    "Engine",
    "Point",
    "Restored",
    "Saved",
    "bring",
    "check_repository",
    "choose_engine",
    "find_snapshot",
    "points_of",
    "proof_of",
    "records_of",
    "restore_lab",
    "save_lab",
    "write_down",
]

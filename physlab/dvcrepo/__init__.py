"""The lab's repository of Git and DVC: runs under human names, for people who have only these two."""

from physlab.dvcrepo.checks import MayLeave, Wanted, damage, held_back, require_leave, wanted
from physlab.dvcrepo.config import remotes
from physlab.dvcrepo.exchange import choose_remote, pull, push, remote_damage
from physlab.dvcrepo.repository import Committed, Repository
from physlab.dvcrepo.runfolder import RunFolder, show_run

__all__ = [
    "Committed",
    "MayLeave",
    "Repository",
    "RunFolder",
    "Wanted",
    "choose_remote",
    "damage",
    "held_back",
    "pull",
    "push",
    "remote_damage",
    "remotes",
    "require_leave",
    "show_run",
    "wanted",
]

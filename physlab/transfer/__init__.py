"""How a lab's bytes and records travel, and live in several places."""

from physlab.transfer.pull import Pulled, pull
from physlab.transfer.push import Pushed, push, push_files
from physlab.transfer.remote import RemoteStore, Tally
from physlab.transfer.sending import MayLeave
from physlab.transfer.stores import keyring, open_remote

__all__ = [
    "MayLeave",
    "Pulled",
    "Pushed",
    "RemoteStore",
    "Tally",
    "keyring",
    "open_remote",
    "pull",
    "push",
    "push_files",
]

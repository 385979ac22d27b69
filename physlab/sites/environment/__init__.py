"""The environment of this lab on a cluster: packed from what is installed here, kept there by content."""

from physlab.sites.environment.choose import Chosen, choose_python, environments, install_command
from physlab.sites.environment.inventory import Choice, Pack, Package, pack
from physlab.sites.environment.reach import Reach
from physlab.sites.environment.transport import Installed, Progress, install, prune

__all__ = [
    "Choice",
    "Chosen",
    "Installed",
    "Pack",
    "Package",
    "Progress",
    "Reach",
    "choose_python",
    "environments",
    "install",
    "install_command",
    "pack",
    "prune",
]

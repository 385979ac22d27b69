"""What a lab may set, and where each value came from: the only reader of the environment and of configuration files.

Later sources win: defaults, `$XDG_CONFIG_HOME/physlab/physlab.toml`, the `physlab.toml` found upwards from the working
directory, the environment (`PHYSLAB_RUN__PARALLELISM=4`), explicit overrides. A `server.config.json` beside either
file or in the working directory, and `ACCEL_MODE` and `ACCEL_DEVICE`, are understood too; ours win over them.
"""

from physlab.settings.backup import BackupSettings, NotifySettings, read_days, read_schedule, read_share
from physlab.settings.model import DeviceSettings, KubernetesSiteSettings, Settings, SlurmSiteSettings
from physlab.settings.rates import read_rate
from physlab.settings.remote import KeySettings, RemoteStoreSettings, ReplicaSettings
from physlab.settings.secret import server_key
from physlab.settings.sources import (
    cache_folder,
    child_environment,
    decline_tracking,
    forget,
    insist,
    load_settings,
    origins,
    own_variables,
    shown,
    toml_lines,
)

__all__ = [
    "BackupSettings",
    "DeviceSettings",
    "KeySettings",
    "KubernetesSiteSettings",
    "NotifySettings",
    "RemoteStoreSettings",
    "ReplicaSettings",
    "Settings",
    "SlurmSiteSettings",
    "cache_folder",
    "child_environment",
    "decline_tracking",
    "forget",
    "insist",
    "load_settings",
    "origins",
    "own_variables",
    "read_days",
    "read_rate",
    "read_schedule",
    "read_share",
    "server_key",
    "shown",
    "toml_lines",
]

"""What a test cluster is made of: its nodes, partitions and ports, and the configuration files that say so."""

from __future__ import annotations

import getpass
import random
import secrets
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MEMORY = Path("/dev/shm")  # noqa: S108 — a folder of our own in it, for this user alone
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True)
class ClusterPlan:
    """A cluster to start.

    Attributes:
        nodes: How many compute nodes; the first has two (make-believe) accelerators.
        cpus: Processors that each pretends to have.
        memory_mb: Memory that each pretends to have [MB].
        accounting: Keep accounts (slurmdbd and MariaDB); without them `sacct` does not answer.
        max_minutes: Time limit of the partition `main` [min].
        min_job_age_s: So long the queue remembers a job that ended [s].
        memory_limits: Kill what uses more memory than it asked for; needs control groups (`missing_limits`).
        extra: Further lines of slurm.conf.
    """

    nodes: int = 3
    cpus: int = 4
    memory_mb: int = 4000
    accounting: bool = True
    max_minutes: int = 60
    min_job_age_s: int = 300
    memory_limits: bool = False
    extra: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return asdict(self)


@dataclass
class Layout:
    """A plan with its folder, names, ports and secrets; writes the configuration files.

    Attributes:
        plan: What is to be started.
        base: The cluster's own folder, short and readable for all users.
    """

    plan: ClusterPlan
    base: Path
    user: str = field(default_factory=getpass.getuser)
    host: str = field(default_factory=lambda: socket.gethostname().partition(".")[0])
    password: str = field(default_factory=lambda: secrets.token_hex(16))

    def __post_init__(self) -> None:
        ports = free_ports(self.plan.nodes + 3)
        self.controller_port, self.accounting_port, self.database_port, *self.node_ports = ports
        tag = self.base.name.rpartition("-")[2].lower()  # two clusters on one machine share no node name
        self.node_names = [f"n{tag}x{number}" for number in range(1, self.plan.nodes + 1)]

    @property
    def conf(self) -> Path:
        """Path of slurm.conf."""
        return self.base / "slurm.conf"

    @property
    def munge_socket(self) -> Path:
        """Where the authentication service answers."""
        return self.base / "run" / "munge.sock"

    @property
    def database(self) -> Path:
        """Folder of the database: in memory, where that is possible."""
        return MEMORY / f"{self.base.name}-db" if MEMORY.is_dir() else self.base / "db"

    def write(self) -> None:
        """Make the folders and write every file."""
        self.base.chmod(0o755)
        for name in ("munge", "state", "log", "run", *(f"spool/{node}" for node in self.node_names)):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        (self.base / "munge").chmod(0o700)
        self.database.mkdir(mode=0o700, exist_ok=True)
        self._write("munge/key", secrets.token_bytes(128), 0o600)
        self._write("slurm.conf", self._slurm_conf())
        limits = "ConstrainRAMSpace=yes\nConstrainSwapSpace=no\n" if self.plan.memory_limits else ""
        self._write("cgroup.conf", f"CgroupAutomount=no\n{limits}")
        first = self.node_names[0]
        self._write("gres.conf", "".join(f"NodeName={first} Name=gpu Type=fake File={device}\n" for device in DEVICES))
        self._write("slurmdbd.conf", self._slurmdbd_conf(), 0o600)
        self._write("database.sql", self._database_sql(), 0o600)

    def _write(self, name: str, content: str | bytes, mode: int = 0o644) -> None:
        path = self.base / name
        path.touch(mode=mode)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def _slurm_conf(self) -> str:
        base, plan = self.base, self.plan
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={self.host} NodeAddr=127.0.0.1 Port={port} CPUs={plan.cpus} "
            f"RealMemory={plan.memory_mb} Feature=cpu,{'fast Gres=gpu:fake:2' if number == 0 else 'slow'}"
            for number, (name, port) in enumerate(zip(self.node_names, self.node_ports, strict=True))
        )
        return "\n".join((
            f"ClusterName={self.base.name.replace('-', '_')}",
            f"SlurmctldHost={self.host}(127.0.0.1)",
            f"SlurmctldPort={self.controller_port}",
            f"SlurmUser={self.user}",
            f"SlurmdUser={self.user}",
            "AuthType=auth/munge",
            "CredType=cred/munge",
            f"AuthInfo=socket={self.munge_socket},cred_expire=5",  # a requeued job waits so long, not two minutes
            f"StateSaveLocation={base}/state",
            f"SlurmdSpoolDir={base}/spool/%n",
            f"SlurmctldPidFile={base}/run/slurmctld.pid",
            f"SlurmdPidFile={base}/run/slurmd-%n.pid",
            f"SlurmctldLogFile={base}/log/slurmctld.log",
            f"SlurmdLogFile={base}/log/slurmd-%n.log",
            "SlurmctldDebug=info",
            "SlurmdDebug=info",
            *(LIMITED if plan.memory_limits else UNLIMITED),
            "MpiDefault=none",
            "SwitchType=switch/none",
            "MailProg=/bin/true",
            "ReturnToService=2",
            "SlurmdParameters=config_overrides",  # nodes may pretend to be larger than this machine
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_CPU_Memory",
            "SchedulerType=sched/backfill",
            "SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0,bf_interval=1",
            "EnforcePartLimits=ALL",
            "DependencyParameters=kill_invalid_depend",
            "SlurmctldTimeout=30",
            "SlurmdTimeout=10",
            "MessageTimeout=10",
            "KillWait=2",
            "CompleteWait=0",
            f"MinJobAge={plan.min_job_age_s}",
            "JobRequeue=1",
            "DefMemPerCPU=200",
            "GresTypes=gpu",
            "JobAcctGatherType=jobacct_gather/linux",
            "JobAcctGatherFrequency=task=2",
            self._accounting(),
            nodes,
            f"PartitionName=main Nodes=ALL Default=YES MaxTime={plan.max_minutes} DefaultTime=10 State=UP",
            f"PartitionName=gpu Nodes={self.node_names[0]} MaxTime=10 DefaultTime=5 State=UP",
            *plan.extra,
            "",
        ))  # fmt: skip

    def _accounting(self) -> str:
        if not self.plan.accounting:
            return "AccountingStorageType=accounting_storage/none"
        return (
            f"AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=127.0.0.1\n"
            f"AccountingStoragePort={self.accounting_port}\nAccountingStoragePass={self.munge_socket}\n"
            "AccountingStorageTRES=gres/gpu\nAccountingStoreFlags=job_comment"
        )

    def _slurmdbd_conf(self) -> str:
        return "\n".join((
            "AuthType=auth/munge",
            f"AuthInfo=socket={self.munge_socket}",
            "DbdHost=localhost",
            "DbdAddr=127.0.0.1",
            f"DbdPort={self.accounting_port}",
            f"SlurmUser={self.user}",
            "StorageType=accounting_storage/mysql",
            "StorageHost=127.0.0.1",
            f"StoragePort={self.database_port}",
            "StorageUser=slurm",
            f"StoragePass={self.password}",
            "StorageLoc=slurm_acct",
            f"LogFile={self.base}/log/slurmdbd.log",
            f"PidFile={self.base}/run/slurmdbd.pid",
            "DebugLevel=info",
            "CommitDelay=0",
            "",
        ))  # fmt: skip

    def _database_sql(self) -> str:
        return (
            "CREATE DATABASE IF NOT EXISTS slurm_acct;\n"
            f"CREATE OR REPLACE USER slurm@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL ON slurm_acct.* TO slurm@'127.0.0.1';\n"
        )


UNLIMITED = ("ProctrackType=proctrack/pgid", "TaskPlugin=task/none")
LIMITED = ("ProctrackType=proctrack/cgroup", "TaskPlugin=task/cgroup")
DEVICES = ("/dev/null", "/dev/zero")  # Slurm wants real character devices


def free_ports(count: int) -> list[int]:
    """Return free ports outside the range from which the system gives its own, so that nobody takes them meanwhile."""
    try:
        top = int(EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        top = 32768
    found: list[int] = []
    for port in random.SystemRandom().sample(range(max(1024, top - 16384), top), 2000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"only {len(found)} of {count} ports are free below {top}")

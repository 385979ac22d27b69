"""The process that is a cluster: API server, controllers, and the parent of every container.

It reads one JSON command in a line from its standard input and answers in a line; when the input ends, because whoever
started it is gone, or killed, it ends the cluster.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from physlab.settings import child_environment
from physlab.testing.kubernetes import certificate, container, drills, processes
from physlab.testing.kubernetes.access import ADMIN_GROUP, User
from physlab.testing.kubernetes.api import ApiServer
from physlab.testing.kubernetes.collector import Collector, NamespaceController, TidyController
from physlab.testing.kubernetes.cronjobs import CronJobController
from physlab.testing.kubernetes.jobs import JobController
from physlab.testing.kubernetes.kinds import NAMESPACES
from physlab.testing.kubernetes.kubelet import Kubelet
from physlab.testing.kubernetes.plan import ClusterPlan
from physlab.testing.kubernetes.plane import ControlPlane
from physlab.testing.kubernetes.refusals import Refusal
from physlab.testing.kubernetes.scheduler import Scheduler
from physlab.testing.kubernetes.taints import TaintController

_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None)
BODY_BYTES = 8 << 20


class Supervisor:
    """A whole cluster.

    Args:
        plan: What it shall be.
        base: Its folder.
    """

    def __init__(self, plan: ClusterPlan, base: Path) -> None:
        self.plan, self.base = plan, base
        self.isolated = _isolated(plan.isolation)
        self.plane = ControlPlane(plan)
        self.crons = CronJobController(self.plane)
        Collector(self.plane)
        controllers = (JobController, NamespaceController, TidyController, Scheduler, TaintController)
        self._controllers = [self.crons, *(kind(self.plane) for kind in controllers)]
        path = f"{Path(sys.executable).parent}:{child_environment({}).get('PATH', os.defpath)}"
        self.kubelets = {
            node.name: Kubelet(self.plane, node, base, self.isolated, path) for node in plan.nodes
        }  # fmt: skip
        self.api = ApiServer(self.plane, self.kubelets)
        self.admin = self.plane.gate.token_for(User("kubernetes-admin", (ADMIN_GROUP, "system:authenticated")))

    async def start(self) -> dict[str, Any]:
        """Start everything and tell how it is reached."""
        for controller in self._controllers:
            self.plane.spawn(controller.run())
        app = web.Application(client_max_size=BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self.api.handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        context, trusted = certificate.make(self.base)
        self.plane.authority = trusted.read_text()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        self.plane.port = port
        for name in ("default", "kube-system", *self.plan.namespaces):
            self.plane.create(NAMESPACES, "", {"metadata": {"name": name}})
        for kubelet in self.kubelets.values():
            kubelet.register()
        return {
            "server": f"https://127.0.0.1:{port}", "token": self.admin, "base": str(self.base),
            "isolation": "namespaces" if self.isolated else "processes", "nodes": list(self.kubelets),
        }  # fmt: skip


def _isolated(wanted: str) -> bool:
    if wanted == "processes":
        return False
    probe = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({container.__file__!r})['unshare']()"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if probe.returncode and wanted == "namespaces":
        raise RuntimeError(f"this machine gives no own mounts and process numbers: {probe.stderr.splitlines()[-1:]}")
    return probe.returncode == 0


async def serve(text: str, base: Path) -> None:
    """Start the cluster of a plan, and obey commands until the input ends."""
    supervisor = Supervisor(ClusterPlan.from_json(json.loads(text)), base)
    _say(await supervisor.start())
    orders = drills.Drills(supervisor.plane, supervisor.api, supervisor.kubelets, supervisor.crons)
    reader = asyncio.StreamReader(limit=BODY_BYTES)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def obey() -> None:
        while line := await reader.readline():
            try:
                _say({"answer": orders.obey(json.loads(line))})
            except (KeyError, OSError, RuntimeError, ValueError, TypeError, Refusal) as error:
                _say({"error": f"{type(error).__name__}: {error}"})
        ended.set()

    work = asyncio.ensure_future(obey())
    await ended.wait()
    work.cancel()


def main(text: str) -> None:
    """Be the cluster of a plan (JSON) until the input ends."""
    os.setsid()
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.umask(0o022)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = Path(tempfile.gettempdir())
    processes.sweep_abandoned(parent)
    base = Path(tempfile.mkdtemp(prefix=processes.PREFIX, dir=parent))
    base.chmod(0o755)
    processes.claim(base)
    try:
        asyncio.run(serve(text, base))
    except (OSError, RuntimeError, Refusal) as error:
        _say({"error": str(error)})
    finally:
        processes.sweep(base)
        processes.remove(base)


def _say(value: Any) -> None:
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])

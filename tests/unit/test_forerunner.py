"""A worker that is started before its lab: one result, one error, or one death; and nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

USER = Path(__file__).parent / "user_code.py"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")

# A process of its own: forking belongs before the first thread, and pytest has some.
PROGRAM = """
import json, os, sys
from pathlib import Path
from physlab.sites.forerunner import Forerunner
runner = Forerunner(["physlab.tools.execute"])
import psutil
from physlab.model import Resources, Visuals, Work
from physlab.sites import LocalSite
from physlab.errors import PhyslabError

home, module, function, limits, arguments, stop = json.loads(sys.argv[1])
from physlab.store import open_store
open_store(Path(home)).close()
site = LocalSite(Path(home), 2, None, 1, runner)
work = Work(key="k", label=function, tool="python", method=None,
            params={"module": module, "function": function, "arguments": arguments},
            visuals=Visuals(), seed=0, device="cpu", time_limit_s=limits.pop("time_limit_s", 60),
            resources=Resources(**limits), store=home)
if stop:
    import threading
    threading.Timer(stop, site.close).start()
try:
    said = {"fields": site.submit(work).result().fields}
except PhyslabError as error:
    said = {"error": error.as_reply()}
said["ahead"] = runner.pid
said["children"] = [one.pid for one in psutil.Process().children(recursive=True)]
print(json.dumps(said))
site.close()
"""


def run(tmp_path: Path, function: str, stop: float = 0, limits: Any = None, **arguments: Any) -> dict[str, Any]:
    request = json.dumps([str(tmp_path / "store"), str(USER), function, limits or {}, arguments, stop])
    command = [sys.executable, "-c", PROGRAM, request]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_it_works_once_in_a_process_of_its_own(tmp_path: Path) -> None:
    said = run(tmp_path, "look")
    assert said["fields"]["parent"] != said["ahead"] and said["fields"]["threads"] == 1
    assert said["children"] == []


@pytest.mark.parametrize(("function", "limits", "words"), [
    ("stuck_in_c", {"time_limit_s": 1}, "limit of 1 s"),
    ("die", {}, "died (exit code -9)"),
    ("leave", {}, "died (exit code 3)"),
    ("hog", {"memory_gb": 1}, "out of memory"),
    ("nothing_of_that_name", {}, "has no function"),
])  # fmt: skip
def test_what_ends_it_is_an_error_of_the_node(tmp_path: Path, function: str, limits: Any, words: str) -> None:
    said = run(tmp_path, function, limits=limits)
    assert words in said["error"]["message"] and said["children"] == []


def test_it_is_stopped_with_its_site(tmp_path: Path) -> None:
    said = run(tmp_path, "stuck_in_c", stop=0.5)
    assert "was stopped" in said["error"]["message"] and said["children"] == []


def test_one_that_is_not_needed_ends_with_its_process() -> None:
    program = "from physlab.sites.forerunner import Forerunner; print(Forerunner(['decimal']).pid)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    import psutil

    assert psutil.wait_procs([one for one in psutil.process_iter() if one.pid == int(done.stdout)], timeout=20)[1] == []


def alone(program: str) -> subprocess.CompletedProcess[str]:
    begin = "import os, sys\nfrom physlab.sites.forerunner import Forerunner\n"
    return subprocess.run([sys.executable, "-c", begin + program], capture_output=True, text=True, timeout=60)


def test_one_that_died_before_its_work_came_is_told_and_waited_for() -> None:
    done = alone(
        "runner = Forerunner(['no_module_of_that_name'])\n"
        "os.waitid(os.P_PID, runner.pid, os.WEXITED | os.WNOWAIT)\n"
        "from physlab.model import Resources, Visuals, Work\n"
        "work = Work(key='k', label='l', tool='t', method=None, params={}, visuals=Visuals(), seed=0, device='cpu',\n"
        "            time_limit_s=1, resources=Resources(), store='.')\n"
        "print(runner.run(work, [], None))\n"
        "import psutil; print(psutil.Process().children())"
    )
    assert done.stdout == "Ended(exitcode=1)\n[]\n"
    assert "No module named 'no_module_of_that_name'" in done.stderr, "why it died stands in the log"


def test_it_never_goes_on_as_a_second_parent() -> None:
    done = alone(
        "sys.stderr = None  # as Python has it when descriptor 2 is closed\n"
        "try:\n    runner = Forerunner(['no_module_of_that_name'])\n"
        "except BaseException:\n    print('the child goes on', flush=True); os._exit(0)\n"
        "os.waitpid(runner.pid, 0); print('the parent')"
    )
    assert done.stdout == "the parent\n"

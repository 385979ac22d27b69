"""A worker that begins while its conductor ends says nothing; one that really fails says why."""

import subprocess
import sys

from physlab.sites.spawn import _command_line


def begin(data: bytes) -> subprocess.CompletedProcess[str]:
    program = "import os, sys; from physlab.sites.spawn import _command_line; read, write = os.pipe()\n"
    program += f"os.write(write, {data!r}); os.close(write); os.set_inheritable(read, True)\n"
    program += "command = _command_line(tracker_fd=read, pipe_handle=read); os.execv(command[0], command)"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_nothing_is_said_when_the_conductor_ends_before_the_work_is_handed_over() -> None:
    for data in (b"", b"\x80\x04\x95\x10\x00"):
        done = begin(data)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_a_true_fault_is_told() -> None:
    done = begin(b"cno_such_module\nname\n.")
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr


def test_the_standard_command_is_kept() -> None:
    command = _command_line(tracker_fd=3, pipe_handle=4)
    assert command[-1] == "--multiprocessing-fork"
    assert "    spawn_main(tracker_fd=3, pipe_handle=4)\n" in command[command.index("-c") + 1]

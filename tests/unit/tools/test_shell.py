"""A user's own command: what it sees, and what is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physlab.errors import ComputationError, ConfigurationError, ValidationError
from physlab.tools.programs.commands import fill, read_shebang
from physlab.tools.programs.container import wrap
from physlab.tools.programs.shell import expand_inputs
from physlab.tools.types import File
from physlab.tools.workcopy import Values

Ask = Callable[..., Any]


C_SOURCE = """
#include <stdio.h>
int main(int count, char **words) {
    printf("ran %s %s", words[1], words[2]);
    return count != 3;
}
"""
FORTRAN_SOURCE = """
program a
  character(9) :: x, y
  call get_command_argument(1, x)
  call get_command_argument(2, y)
  print '(5a)', 'ran ', trim(x), ' ', trim(y)
end program
"""


def roles(answer: Any) -> dict[str, str]:
    return {item.file.name: item.role for item in answer.context.written}


def test_a_list_is_run_without_a_shell(ask: Ask) -> None:
    answer = ask(
        "shell",
        command=["printf", "%s|", "{n}", "x{text}y", "$HOME", "a b; exit 1"],
        values={"n": -1.5, "text": "`id`"},
    )
    assert answer["stdout"] == "-1.5|x`id`y|$HOME|a b; exit 1|"
    assert answer["exit_code"] == 0
    assert answer["log"].path.read_text() == answer["stdout"]
    assert roles(answer) == {"log.txt": "log"}


def test_a_line_is_run_by_bash_and_stops_at_the_first_failure(ask: Ask) -> None:
    assert ask("shell", command="echo out; echo err >&2; echo {n} ${HOME:+home}")["stdout"] == "out\nerr\n{n} home\n"
    with pytest.raises(ComputationError, match="exit code 1"):
        ask("shell", command="false | cat; echo never")
    with pytest.raises(ComputationError, match="unbound variable"):
        ask("shell", command="echo $NOT_SET")


def test_values_arrive_in_every_form(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "grid.dat").write_text("from another node")
    values = {
        "n": 3,
        "name": "H α",
        "on": True,
        "none": None,
        "psi": np.array([1.0, np.nan, 1 / 3]),
        "small": [1, 2],
        "tree": {"a": [1, "b"]},
        "grid": File(tmp_path / "grid.dat", "deep/grid.dat"),
    }
    command = """
        cat "$PHYSLAB_GRID"; echo "|$PHYSLAB_N|$PHYSLAB_NAME|$PHYSLAB_ON|$PHYSLAB_PSI|$PHYSLAB_TREE"
        cat psi.csv small.csv
    """
    answer = ask("shell", command=command, values=values, outputs=["inputs.json", "psi.npy"])
    assert answer["stdout"].splitlines() == [
        'from another node|3|H α|true|psi.npy|{"a": [1, "b"]}', "1", "nan", "0.33333333333333331", "1", "2",
    ]  # fmt: skip
    told = json.loads(answer["inputs"].path.read_text())
    assert told["psi"] == [1.0, None, 1 / 3]
    assert (told["n"], told["on"], told["none"], told["small"]) == (3, True, None, [1, 2])
    np.testing.assert_array_equal(np.load(answer["psi"].path), values["psi"])


def test_the_environment_is_small_and_holds_no_secret(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "secret")
    answer = ask("shell", _seed=7, command=["env"], env={"MINE": "1"}, values={"n": 1})
    names = {line.partition("=")[0] for line in answer["stdout"].splitlines()}
    assert names == {
        "PATH", "HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS", "PHYSLAB_SEED", "PHYSLAB_N", "MINE",
    }  # fmt: skip
    assert "PHYSLAB_SEED=7" in answer["stdout"]


def test_outputs_become_artifacts_and_fields(ask: Ask) -> None:
    command = """
        mkdir -p out; echo r,u > out/profile.csv; echo x > out/profile.dat; echo p > plot.png; echo m > film.mp4
        echo '{"energy": -0.5}' > result.json
    """
    answer = ask(
        "shell",
        command=command,
        outputs=["out/*", "*.png", "film.mp4"],
        result_json="result.json",
        captions={"*.png": "P."},
    )
    assert roles(answer) == {
        "log.txt": "log", "out/profile.csv": "series", "out/profile.dat": "data", "plot.png": "static",
        "film.mp4": "animation", "result.json": "data",
    }  # fmt: skip
    assert answer["result"] == {"energy": -0.5}
    assert answer["plot"] is answer["files"]["plot.png"]
    assert answer["out_profile_csv"].path.read_text() == "r,u\n"  # the stem alone would be ambiguous
    assert {item.file.name: item.caption for item in answer.context.written}["plot.png"] == "P."


def test_an_input_is_a_copy_and_no_output(ask: Ask, tmp_path: Path) -> None:
    source = tmp_path / "data.txt"
    source.write_text("original\n")
    source.chmod(0o444)
    command = "echo changed >> sub/data.txt; cp sub/data.txt sub/new.txt"
    answer = ask("shell", command=command, inputs={"sub/data.txt": str(source)}, outputs=["sub/*.txt"])
    assert list(answer["files"]) == ["sub/new.txt"]
    assert source.read_text() == "original\n"
    answer = ask("shell", command=command, inputs={"sub/data.txt": str(source)}, outputs=["sub/data.txt"])
    assert answer["data"].path.read_text() == "original\nchanged\n"


@pytest.mark.parametrize("pattern", ["/etc/passwd", "../x", "a/../../x", "", "~/x", "a//b", "a\\b", "a\nb", "./a"])
def test_an_output_stays_inside(ask: Ask, pattern: str) -> None:
    with pytest.raises(ValidationError, match="outputs"):
        ask("shell", command="true", outputs=[pattern])
    with pytest.raises(ValidationError, match="inputs"):
        ask("shell", command="true", inputs={pattern: "/etc/hostname"})


@pytest.mark.parametrize("command", ["ln -s /etc/passwd out.txt", "ln -s /etc out; touch x"])
def test_a_link_to_the_outside_is_refused(ask: Ask, command: str) -> None:
    with pytest.raises(ComputationError, match="link out of the working folder"):
        ask("shell", command=command, outputs=["out*", "out/passwd"])


def test_a_missing_output_lists_what_is_there(ask: Ask) -> None:
    with pytest.raises(ComputationError, match=r"'\*\.csv' was not written.*other\.txt"):
        ask("shell", command="touch other.txt", outputs=["*.csv"])


@pytest.mark.parametrize("text", ["{", '{"a": NaN}', "[" * 100_000])
def test_a_damaged_result_is_refused(ask: Ask, text: str) -> None:
    with pytest.raises(ComputationError, match=r"'r\.json' is not valid JSON"):
        ask("shell", command="cat > r.json", stdin=text, result_json="r.json")


def test_a_failure_tells_its_last_lines_and_keeps_the_log(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(ComputationError) as caught:
        ask(
            "shell",
            command="for i in $(seq 100); do echo line $i; done; printf '\\033[31mred\\033[0m 10%%\\r20%%\\n'; exit 3",
        )
    error = caught.value
    assert "exit code 3" in error.message
    assert error.details["exit_code"] == 3
    assert error.details["log_tail"] == [*(f"line {i}" for i in range(82, 101)), "20%"]
    assert "line 100" in error.message and "line 81\n" not in error.message
    assert Path(error.details["log_path"]).read_text().startswith("line 1\n")


def test_a_signal_is_named(ask: Ask) -> None:
    with pytest.raises(ComputationError, match="signal SIGSEGV"):
        ask("shell", command="kill -SEGV $$")
    with pytest.raises(ComputationError, match="memory_gb"):
        ask("shell", command="kill -KILL $$")


def test_other_exit_codes_may_be_fine(ask: Ask) -> None:
    assert ask("shell", command="exit 3", ok_exit_codes=[0, 3])["exit_code"] == 3


def test_a_missing_program_is_named(ask: Ask) -> None:
    with pytest.raises(ConfigurationError, match="'no-such-program' cannot be started"):
        ask("shell", command=["no-such-program"])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "either 'command' or 'script'"),
        ({"command": "x", "script": "x.py"}, "either 'command' or 'script'"),
        ({"command": []}, "program"),
        ({"command": "  "}, "program"),
        ({"command": ["a\0b"]}, "NUL"),
        ({"command": ["a"], "args": ["b"]}, "'args' and 'build'"),
        ({"command": ["echo", "{m}"], "values": {"n": 1}}, "no such value.*Known: n"),
        ({"command": ["a"], "values": {"n": 1, "N": 2}}, "rename"),
        ({"command": ["a"], "values": {"a b": 1}}, "not a name"),
        ({"command": ["a"], "env": {"X": "a\0b"}}, "NUL"),
        ({"command": ["a"], "inputs": ["*.txt"]}, "not expanded"),
        ({"command": ["a"], "values": {"x": {1, 2}}}, "set, which has no JSON form"),
        ({"command": ["a"], "inputs": {"x": "/no/such/file"}}, "is not a file"),
        ({"command": ["a"], "comand": 1}, "unknown parameter 'comand'.*Did you mean 'command'"),
    ],
)
def test_a_wrong_request_is_explained(ask: Ask, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ask("shell", **params)


def test_a_value_is_never_code_and_never_an_option() -> None:
    values = Values(texts={"x": "; rm -rf ~", "flag": "--delete", "n": "-2"}, numeric={"n"})
    assert fill(["awk", "{print $1}", "${x}", "a{x}"], values) == ["awk", "{print $1}", "${x}", "a; rm -rf ~"]
    assert fill(["p", "{n}", "--o={flag}"], values) == ["p", "-2", "--o=--delete"]
    with pytest.raises(ValidationError, match="read as an option"):
        fill(["rm", "{flag}"], values)
    for argv in (["sh", "-c", "echo {x}"], ["/bin/bash", "-euc", "echo {x}"], ["env", "bash", "-lc", "{x}"]):
        with pytest.raises(ValidationError, match="read the value"):
            fill(argv, values)
    assert fill(["bash", "-c", 'echo "$1"', "me", "{x}"], values)[-1] == "; rm -rf ~"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_stays_one_word(text: str) -> None:
    assert fill(["echo", "v={x}"], Values(texts={"x": text})) == ["echo", f"v={text}"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "import sys; print('ran', *sys.argv[1:])"),
        ("a.sh", 'echo ran "$@"'),
        ("a", "#!/usr/bin/env bash\necho ran \"$@\""),
        ("a.txt", "#! /bin/sh -e\necho ran \"$@\""),
        ("a.c", C_SOURCE),
        ("a.f90", FORTRAN_SOURCE),
    ],
)  # fmt: skip
def test_a_script_runs_by_its_kind(ask: Ask, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    answer = ask("shell", script=str(tmp_path / name), args=["{n}", "b"], values={"n": 5})
    assert answer["stdout"].split() == ["ran", "5", "b"]


def test_a_source_may_say_how_to_build_it(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "solver.c").write_text('#include <stdio.h>\nint main(void) { printf("%d", N * 2); return 0; }')
    build = ["cc", "-DN={n}", "-o", "solver", "solver.c"]
    assert ask("shell", script=str(tmp_path / "solver.c"), build=build, values={"n": 21})["stdout"] == "42"
    with pytest.raises(ComputationError, match=r"(?s)build step 'cc' of 'solver\.c'.*error:"):
        ask("shell", script=str(tmp_path / "solver.c"))


def test_a_script_of_unknown_kind_is_refused(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("hello")
    with pytest.raises(ValidationError, match="no shebang line"):
        ask("shell", script=str(tmp_path / "a.xyz"))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"#!/bin/sh\n", ("/bin/sh",)),
        (b"#! /usr/bin/env -S python3 -u\nx", ("/usr/bin/env", "-S python3 -u")),
        (b"#!/bin/sh\r\n", ("/bin/sh",)),
        (b"#!\n", None),
        (b"print 1", None),
    ],
)
def test_a_shebang_is_read_as_the_kernel_does(head: bytes, words: tuple[str, ...] | None) -> None:
    assert read_shebang(head) == words


def test_input_patterns_are_expanded(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    base = tmp_path / "lab"
    (base / "in").mkdir(parents=True)
    for path in (base / "in/a.csv", base / "in/b.csv", base / "c.txt", outside):
        path.touch()
    found = expand_inputs({"command": "x", "inputs": ["in/*.csv", "c.txt", "../outside.txt"]}, base)
    assert found == {
        "command": "x",
        "inputs": {
            "in/a.csv": str(base / "in/a.csv"),
            "in/b.csv": str(base / "in/b.csv"),
            "c.txt": str(base / "c.txt"),
            "outside.txt": str(outside),
        },
    }
    assert expand_inputs({"inputs": {"a": "b"}}, base) == {"inputs": {"a": "b"}}
    with pytest.raises(ValidationError, match=r"no file matches '\*\.h5'"):
        expand_inputs({"inputs": ["*.h5"]}, base)
    with pytest.raises(ValidationError, match="not a path or glob"):
        expand_inputs({"inputs": ["from:n.file"]}, base)


class TestContainers:
    """Golden command lines; the last test runs one through a stand-in for podman."""

    def line(self, runtime: str | None, image: str = "python:3.11", **more: Any) -> list[str]:
        settings: dict[str, Any] = {
            "folder": Path("/w"),
            "env": {"A": "1, 2"},
            "name": "physlab-1",
            "user": "1:2",
            "cpu": 2,
        }
        return list(wrap(runtime, image, ["python", "-c", "x"], **settings | more).argv)

    def test_docker(self) -> None:
        assert self.line("/usr/bin/docker") == [
            "/usr/bin/docker", "run", "--rm", "--init", "--interactive", "--name", "physlab-1", "--user", "1:2",
            "--mount", "type=bind,source=/w,target=/work", "--workdir", "/work", "--cpus", "2", "--env", "A=1, 2",
            "--entrypoint", "python", "python:3.11", "-c", "x",
        ]  # fmt: skip

    def test_podman(self) -> None:
        line = self.line("/usr/bin/podman", gpu=True)
        assert line[7:9] == ["--userns", "keep-id"]
        assert "nvidia.com/gpu=all" in line

    def test_apptainer(self) -> None:
        assert self.line("/usr/bin/apptainer") == [
            "env", "APPTAINERENV_A=1, 2", "/usr/bin/apptainer", "exec", "--cleanenv", "--containall", "--no-home",
            "--bind", "/w:/work", "--pwd", "/work", "docker://python:3.11", "python", "-c", "x",
        ]  # fmt: skip
        assert "/images/a.sif" in self.line("/usr/bin/singularity", "/images/a.sif")

    def test_none_and_a_bad_image(self) -> None:
        with pytest.raises(ConfigurationError, match="Install podman"):
            self.line(None)
        for image in ("-v/:/host", "a b", "", "a;b"):
            with pytest.raises(ValidationError, match="not an image name"):
                self.line("/usr/bin/docker", image)

    def test_a_run(self, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fake = tmp_path / "bin" / "podman"
        fake.parent.mkdir()
        fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > asked.txt\n')
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
        answer = ask("shell", command="echo hi", container="python:3.11", values={"n": 1}, outputs=["asked.txt"])
        asked = answer["asked"].path.read_text().split("\n")
        assert asked[0] == "run"
        assert "PHYSLAB_N=1" in asked
        assert not any(line.startswith("PATH=") for line in asked)
        assert asked[-6:-1] == ["python:3.11", "-euo", "pipefail", "-c", "echo hi"]

"""A function of the user's own module: what it gets, what is kept, how its mistakes are told, what it leaves behind."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physlab.errors import ComputationError, ValidationError
from physlab.tools.programs.python import name_packages
from physlab.tools.types import File

Ask = Callable[..., Any]


@pytest.fixture
def run(ask: Ask, tmp_path: Path) -> Ask:
    """`run("def f(a): return a", a=1)` calls the function `f` of a module with that text."""

    def run(text: str, _function: str = "f", _more: dict[str, Any] | None = None, **arguments: Any) -> Any:
        module = tmp_path / "solve.py"
        module.write_text(textwrap.dedent(text))
        return ask("python", module=str(module), function=_function, arguments=arguments, **(_more or {}))

    return run


def test_a_mapping_becomes_fields_and_anything_else_the_result(run: Ask) -> None:
    answer = run("def f(n): return {'double': 2 * n, 'nested': {'t': (1, 2)}}", n=4)
    assert answer["double"] == 8
    assert answer["nested"] == {"t": [1, 2]}
    assert run("def f(): return 1.5")["result"] == 1.5
    assert run("def f(): pass")["result"] is None


def test_numbers_arrive_as_arrays_and_leave_as_they_are(run: Ask) -> None:
    text = """
        import numpy as np
        def f(x, small, words):
            assert type(small) is np.ndarray and words == ["a"]
            x[0] = 9  # its own copy
            return {"y": x * small, "mean": np.float64(2.5), "n": np.int32(3), "z": 1 + 2j, "flag": np.bool_(True)}
    """
    x = np.array([1.0, 2.0])
    x.flags.writeable = False
    answer = run(text, x=x, small=[1, 10], words=["a"])
    np.testing.assert_array_equal(answer["y"], [9, 20])
    assert x[0] == 1
    assert (answer["mean"], answer["n"], answer["z"], answer["flag"]) == (2.5, 3, {"real": 1.0, "imag": 2.0}, True)


def test_a_memory_mapped_array_can_be_changed_but_not_in_the_store(run: Ask, tmp_path: Path) -> None:
    np.save(tmp_path / "blob.npy", np.zeros(3))
    answer = run("def f(x):\n    x += 1\n    return {'s': x.sum()}", x=np.load(tmp_path / "blob.npy", mmap_mode="r"))
    assert answer["s"] == 3
    assert np.load(tmp_path / "blob.npy").sum() == 0


def test_files_arrive_as_paths_with_their_names(run: Ask, tmp_path: Path) -> None:
    (tmp_path / "blob").write_text("bytes")
    (tmp_path / "local.txt").write_text("local")
    text = """
        from pathlib import Path
        def f(made, mine):
            assert isinstance(made, Path) and made.name == "grid.dat"
            made.write_text(made.read_text().upper())
            return made.read_text() + mine.read_text()
    """
    answer = run(
        text, made=File(tmp_path / "blob", "grid.dat"), _more={"inputs": {"mine": str(tmp_path / "local.txt")}}
    )
    assert answer["result"] == "BYTESlocal"
    assert (tmp_path / "blob").read_text() == "bytes"


def test_seed_rng_and_workdir_come_when_asked_for(ask: Ask, tmp_path: Path) -> None:
    module = tmp_path / "m.py"
    module.write_text("def f(rng, seed, workdir): return [rng.random(), seed, str(workdir)]")
    first = ask("python", module=str(module), function="f", _seed=5)
    again = ask("python", module=str(module), function="f", _seed=5)
    assert first["result"][:2] == again["result"][:2] == [np.random.default_rng(5).random(), 5]
    assert first["result"][2] != again["result"][2]


def test_files_that_it_writes_are_kept(run: Ask) -> None:
    text = """
        from pathlib import Path
        def f(workdir):
            Path("profile.csv").write_text("r,u")
            (workdir / "figure.png").write_bytes(b"png")
            return {"picture": Path("figure.png"), "n": 1}
    """
    answer = run(text, _more={"outputs": ["*.csv"], "captions": {"profile.csv": "A profile."}})
    assert answer["picture"].name == "figure.png"
    assert answer["profile"].path.read_text() == "r,u"
    kept = {item.file.name: (item.role, item.caption) for item in answer.context.written}
    assert kept["profile.csv"] == ("series", "A profile.")
    assert kept["figure.png"][0] == "static"


def test_prints_go_to_the_log(run: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run("import sys\nprint('at import')\ndef f():\n    print('α')\n    print('err', file=sys.stderr)")
    assert answer["log"].path.read_text() == "at import\nα\nerr\n"
    assert capsys.readouterr().out == ""


def test_helpers_are_found_and_forgotten(run: Ask, tmp_path: Path) -> None:
    (tmp_path / "h.py").write_text("from deep.part import VALUE")
    (tmp_path / "p.py").write_text("VALUE = 42")
    before, path, folder = set(sys.modules), list(sys.path), Path.cwd()
    sys.modules["helper"] = other = type(sys)("helper")
    try:
        packages = {"helper": str(tmp_path / "h.py"), "deep.part": str(tmp_path / "p.py")}
        answer = run("import helper\ndef f(): return helper.VALUE", _more={"packages": packages})
        assert sys.modules["helper"] is other
    finally:
        del sys.modules["helper"]
    assert answer["result"] == 42
    assert not {name for name in set(sys.modules) - before if name.startswith(("helper", "deep", "physlab_user"))}
    assert (sys.path, Path.cwd()) == (path, folder)


def test_dataclasses_work_and_state_does_not_leak(run: Ask) -> None:
    text = """
        from __future__ import annotations
        from dataclasses import asdict, dataclass
        calls = []
        @dataclass
        class State:
            n: int
        def f():
            calls.append(1)
            return asdict(State(len(calls)))
    """
    assert run(text)["n"] == run(text)["n"] == 1


def test_the_users_own_line_is_told(run: Ask, tmp_path: Path) -> None:
    text = """
        import numpy as np
        def inner(n):
            return np.linalg.inv(np.zeros((n, n)))
        def f():
            print("before")
            return inner(2)
    """
    with pytest.raises(ComputationError, match=r"f of solve\.py failed at solve\.py:4: .*Singular matrix") as caught:
        run(text)
    error = caught.value
    assert error.hint == "solve.py:4, in inner: return np.linalg.inv(np.zeros((n, n)))"
    assert (error.details["file"], error.details["line"]) == ("solve.py", 4)
    assert error.details["traceback"].startswith('  File "solve.py", line 7, in f')
    assert "physlab" not in error.details["traceback"]
    assert Path(error.details["log_path"]).read_text() == "before\n"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("raise RuntimeError('at import')", ComputationError, r"Loading solve\.py failed at solve\.py:1: RuntimeError"),
        ("import sys\ndef f(): sys.exit(3)", ComputationError, r"solve\.py:2: SystemExit: 3"),
        ("import nowhere_to_be_found", ComputationError, "No module named"),
        ("def f(:", ValidationError, r"'solve\.py' line 1 is not valid Python"),
        ("def fun(): pass", ValidationError, "no function 'f'.*Known: fun"),
        ("def f(a): pass", ValidationError, r"missing a required argument: 'a'.*f\(a\)"),
        ("def f(): return {'a b': 1}", ComputationError, "field called 'a b'"),
        ("def f(): return {'log': 1}", ComputationError, "field called 'log'"),
        ("def f(): return {'x': object()}", ComputationError, "field 'x' of f of .* is a object"),
        ("def f(): return {'x': [1, {'y': float('nan')}]}", ComputationError, r"field 'x' .*\.1\.y is nan"),
        ("import numpy as np\ndef f(): return np.array(['a'])", ComputationError, "array of <U1"),
        ("from pathlib import Path\ndef f(): return Path('/etc/hostname')", ComputationError, "path to no file"),
        ("from pathlib import Path\ndef f(): return Path('none.txt')", ComputationError, "path to no file"),
    ],
)
def test_mistakes_are_explained(run: Ask, text: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        run(text)
    assert "physlab_user_module" not in sys.modules


def test_a_stop_of_the_worker_is_not_the_users_mistake(run: Ask) -> None:
    import signal

    def leave(number: int, frame: object) -> None:
        raise SystemExit(143)

    before, folder = signal.signal(signal.SIGTERM, leave), Path.cwd()
    try:
        with pytest.raises(SystemExit):
            run("import os, signal\ndef f(): os.kill(os.getpid(), signal.SIGTERM); return sum(range(10**6))")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert Path.cwd() == folder


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"function": "a.b"}, "function"),
        ({"arguments": {"a": 1}, "inputs": {"a": "x"}}, "'a' is given in"),
        ({"packages": {"a-b": "x.py"}}, "not the name of a module"),
        ({"packages": {"../x": "x.py"}}, "not the name of a module"),
        ({"outputs": ["../x"]}, "working folder"),
        ({"module": "/no/such.py"}, "is not a file"),
    ],
)
def test_a_wrong_request_is_explained(ask: Ask, tmp_path: Path, params: dict[str, Any], message: str) -> None:
    (tmp_path / "m.py").write_text("def f(): pass")
    with pytest.raises(ValidationError, match=message):
        ask("python", **{"module": str(tmp_path / "m.py"), "function": "f", **params})


def test_a_list_of_packages_gets_names() -> None:
    named = name_packages({"packages": ["lib/a.py", "b.py"]}, Path("/"))
    assert named["packages"] == {"a": "lib/a.py", "b": "b.py"}
    with pytest.raises(ValidationError, match="one name"):
        name_packages({"packages": ["lib/a.py", "a.py"]}, Path("/"))

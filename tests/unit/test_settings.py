"""The sources in order, where each value came from, and messages that name file, key and what is accepted."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from physlab.caps import CAPS, limit
from physlab.errors import ConfigurationError
from physlab.model import RunRequest
from physlab.settings import Settings, child_environment, load_settings, origins, shown

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """`load(lab=..., project=..., upstream=..., PHYSLAB_X=...)`: each text becomes a file, each name a variable."""

    def load(
        lab: str = "", project: str = "", upstream: str = "", overrides: dict[str, Any] | None = None, **environ: str
    ) -> Settings:
        work = tmp_path / "project" / "deep" / "down"
        work.mkdir(parents=True, exist_ok=True)
        (tmp_path / "config" / "physlab").mkdir(parents=True, exist_ok=True)
        for path, text in (
            (tmp_path / "config" / "physlab" / "physlab.toml", lab),
            (tmp_path / "project" / "physlab.toml", project or (upstream and "# a lab\n")),
            (tmp_path / "project" / "server.config.json", upstream),
        ):
            if text:
                path.write_text(text)
        home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        return load_settings(work, overrides, {**home, **environ})

    return load


def refusal(load: Load, **sources: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(**sources)
    return str(caught.value)


def test_defaults_need_nothing(load: Load, tmp_path: Path) -> None:
    settings = load()
    assert settings.home == tmp_path / ".local" / "share" / "physlab"
    assert settings.results == tmp_path / "project" / "deep" / "down" / "results"
    assert (settings.run.parallelism, settings.run.offload_policy, settings.run.fail_fast) == (2, "auto", False)
    assert settings.server.host == "127.0.0.1" and settings.server.database_url is None
    assert set(origins(settings).values()) == {"default"}


def test_data_home_is_honoured(load: Load, tmp_path: Path) -> None:
    assert load(XDG_DATA_HOME=str(tmp_path / "data")).home == tmp_path / "data" / "physlab"


def test_each_source_wins_over_the_ones_before(load: Load, tmp_path: Path) -> None:
    sources: dict[str, Any] = {}
    path = "run.parallelism"
    assert (load().run.parallelism, origins(load())[path]) == (2, "default")
    for number, (source, value, origin) in enumerate(
        (
            ("lab", "[run]\nparallelism = 3\n", f"{tmp_path}/config/physlab/physlab.toml:2"),
            ("project", "\n[run] # here\n\nparallelism = 4\n", f"{tmp_path}/project/physlab.toml:4"),
            ("PHYSLAB_RUN__PARALLELISM", "5", "environment PHYSLAB_RUN__PARALLELISM"),
            ("overrides", {path: 6}, "override"),
        ),
        start=3,
    ):
        sources[source] = value
        settings = load(**sources)
        assert (settings.run.parallelism, origins(settings)[path]) == (number, origin)


def test_sources_are_merged_key_by_key(load: Load) -> None:
    settings = load(
        lab="[run]\nfail_fast = true\n", project="[caps]\nsurface = 200\n", PHYSLAB_CAPS__FIELD="32",
        overrides={"run": {"parallelism": 7, "offload_policy": None}},
    )  # fmt: skip
    assert settings.run.fail_fast and settings.run.parallelism == 7 and settings.run.offload_policy == "auto"
    assert settings.caps == {"surface": 200, "field": 32}
    assert limit("surface", settings.caps) == 200 and limit("volume", settings.caps) == CAPS["volume"].value


def test_paths_start_where_they_were_written(load: Load, tmp_path: Path) -> None:
    assert load(project='results = "out"\n').results == tmp_path / "project" / "out"
    assert load(PHYSLAB_RESULTS="out").results == tmp_path / "project" / "deep" / "down" / "out"
    assert load(PHYSLAB_HOME=str(tmp_path / "lab")).home == tmp_path / "lab"
    assert load(PHYSLAB_HOME="").home == tmp_path / ".local" / "share" / "physlab"


def test_lists_may_be_one_variable(load: Load) -> None:
    assert load(PHYSLAB_REPORT__AUTHORS="E. Noether, L. Meitner").report.authors == ("E. Noether", "L. Meitner")
    assert load(PHYSLAB_DEVICE__PREFERENCE="cuda,cpu").device.preference == ("cuda", "cpu")


def test_files_of_tools_may_be_one_variable(load: Load, tmp_path: Path) -> None:
    found = load(PHYSLAB_TOOLS="optics.py, /lab/acoustics.py").tools
    assert found == (tmp_path / "project" / "deep" / "down" / "optics.py", Path("/lab/acoustics.py"))


def test_unknown_key_names_file_line_and_nearest(load: Load, tmp_path: Path) -> None:
    text = refusal(load, project="[run]\nparalelism = 3\n")
    assert f"{tmp_path}/project/physlab.toml:2: 'run.paralelism' is not a setting" in text
    assert "Did you mean 'run.parallelism'" in text and "server." not in text


@pytest.mark.parametrize(
    ("sources", "parts"),
    [
        ({"PHYSLAB_RUN__PARALELISM": "3"}, ["environment PHYSLAB_RUN__PARALELISM", "'run.parallelism'"]),
        ({"PHYSLAB_HOEM": "x"}, ["'hoem' is not a setting", "Did you mean 'home'"]),
        ({"project": "[caps]\nsurfase = 3\n"}, ["caps.surfase", "Did you mean 'caps.surface'", "caps.frames"]),
        ({"overrides": {"runn": {"parallelism": 3}}}, ["override: 'runn.parallelism'", "'run.parallelism'"]),
        ({"project": "run = 3\n"}, ["'run' is not a setting", "run.parallelism"]),
    ],
)
def test_unknown_names_say_the_known_ones(load: Load, sources: dict[str, Any], parts: list[str]) -> None:
    text = refusal(load, **sources)
    assert all(part in text for part in parts), text


@pytest.mark.parametrize(
    ("sources", "parts"),
    [
        ({"project": "[run]\nparallelism = 17\n"}, ["physlab.toml:2", "run.parallelism = 17", "1 to 16"]),
        ({"PHYSLAB_RUN__PARALLELISM": "many"}, ["PHYSLAB_RUN__PARALLELISM", "'many'", "integer"]),
        ({"PHYSLAB_RUN__OFFLOAD_POLICY": "cloud"}, ["local_first", "remote_first", "auto"]),
        ({"project": "[caps]\nsurface = -1\nfield = 3\n"}, ["physlab.toml:2: caps.surface = -1", "greater than 0"]),
        ({"project": "[caps]\nsurface = inf\n"}, ["caps.surface", "finite"]),
        ({"PHYSLAB_SERVER__DATABASE_URL": "mysql://u:secret@h/d"}, ["postgresql+asyncpg://user", "mysql://u:***@h/d"]),
        ({"PHYSLAB_SERVER__PORT": "99999"}, ["server.port", "65535"]),
        ({"project": 'device.preference = ["cuda", "gpu"]\n'}, ["device.preference", "'cuda', 'hip'"]),
    ],
)
def test_bad_values_say_what_is_accepted(load: Load, sources: dict[str, Any], parts: list[str]) -> None:
    text = refusal(load, **sources)
    assert all(part in text for part in parts), text
    assert "u:secret" not in text


def test_all_bad_values_are_told_at_once(load: Load) -> None:
    text = refusal(load, project="[run]\nparallelism = 0\n[server]\nport = 0\n", PHYSLAB_HOME="/lab")
    assert "run.parallelism = 0" in text and "server.port = 0" in text


def test_bad_toml_names_the_line(load: Load, tmp_path: Path) -> None:
    assert f"{tmp_path}/project/physlab.toml:2: not valid TOML" in refusal(load, project="[run]\nparallelism = \n")


UPSTREAM = """{"accel": {"mode": "gpu", "device_preference": ["hip", "cpu"]},
 "viz_caps": {"mesh": [120, 120], "field": [32, 32], "frames_max": 200},
 "encoders": {"mp4": "mpeg4", "webm": "libvpx"}, "thumbnails": {"width": 100, "rows": 2, "cols": 5},
 "ml": {"max_vram_mb": 2048}}"""


def test_older_config_is_understood(load: Load, tmp_path: Path) -> None:
    settings = load(upstream=UPSTREAM, project="[caps]\nframes = 250\n")
    assert (settings.device.mode, settings.device.preference, settings.device.max_vram_mb) == (
        "gpu", ("hip", "cpu"), 2048,
    )  # fmt: skip
    assert settings.caps == {"surface": 120, "field": 32, "frames": 250}
    assert settings.visuals.model_dump() == {
        "mp4_codec": "mpeg4", "webm_codec": "libvpx",
        "thumbnail_width_px": 100, "thumbnail_rows": 2, "thumbnail_columns": 5,
    }  # fmt: skip
    assert origins(settings)["device.mode"] == f"{tmp_path}/project/server.config.json"


def test_older_variables_are_understood(load: Load) -> None:
    settings = load(upstream=UPSTREAM, ACCEL_MODE="CPU", ACCEL_DEVICE="mps")
    assert (settings.device.mode, settings.device.preference) == ("cpu", ("mps", "cpu"))
    assert load(ACCEL_MODE="gpu", PHYSLAB_DEVICE__MODE="cpu").device.mode == "cpu"
    assert load(ACCEL_DEVICE="auto").device.preference[0] == "cuda"
    assert "environment ACCEL_DEVICE" in refusal(load, ACCEL_DEVICE="tpu")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"accel": {"mod": "gpu"}}', ["'accel.mod' is not a setting", "Did you mean 'accel.mode'"]),
        ('{"viz_caps": {"mesh": [160, 80]}}', ["viz_caps.mesh = [160, 80]", "same number"]),
        ('{"accel": ', ["server.config.json cannot be read"]),
        ('{"accel": 3}', ["'accel.' is not a setting"]),
    ],
)
def test_older_config_is_checked(load: Load, text: str, parts: list[str]) -> None:
    message = refusal(load, upstream=text)
    assert all(part in message for part in parts), message


def test_somebody_elses_config_is_left_alone(load: Load) -> None:
    assert set(origins(load(upstream='{"listen": 80, "routes": []}')).values()) == {"default"}


def test_config_is_also_found_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "server.config.json").write_text('{"ml": {"max_vram_mb": 1}}')
    assert load_settings(tmp_path, environ={"HOME": str(tmp_path)}).device.max_vram_mb == 1


def test_settings_are_frozen_and_passwords_hidden(load: Load) -> None:
    settings = load(PHYSLAB_SERVER__DATABASE_URL="postgresql://me:secret@db/prefect")
    assert settings.server.database_url == "postgresql+asyncpg://me:secret@db/prefect"
    assert shown(settings)["server.database_url"] == "postgresql+asyncpg://me:***@db/prefect"
    assert set(shown(settings)) == set(origins(settings))
    with pytest.raises(ValueError, match="frozen"):
        settings.run = None  # type: ignore[assignment,misc]


def test_every_setting_is_described() -> None:
    def undescribed(model: Any, prefix: str = "") -> list[str]:
        found: list[str] = []
        for name, field in model.model_fields.items():
            if hasattr(field.annotation, "model_fields"):
                assert field.annotation.__doc__
                found += undescribed(field.annotation, f"{prefix}{name}.")
            elif not field.description:
                found.append(f"{prefix}{name}")
        return found

    assert undescribed(Settings) == []


def test_run_defaults_become_a_request(load: Load) -> None:
    settings = load(PHYSLAB_RUN__PARALLELISM="4")
    assert settings.run.request(fail_fast=True, parallelism=None) == RunRequest(parallelism=4, fail_fast=True)


def test_children_get_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere")
    monkeypatch.setenv("LANG", "C")
    child = child_environment({"PREFECT_HOME": "/x"}, drop_prefix="PREFECT_")
    assert child["LANG"] == "C" and child["PREFECT_HOME"] == "/x" and "PREFECT_API_URL" not in child


@given(st.text(max_size=200))
def test_any_text_is_settings_or_a_told_mistake(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(ConfigurationError):
        (Path(folder) / "physlab.toml").write_bytes(text.encode("utf-8", "replace"))
        load_settings(Path(folder), environ={"HOME": folder})


def test_tokens_are_never_shown(load: Load) -> None:
    tokens = {"PHYSLAB_EXPORT__GITHUB_TOKEN": "ghp_secret"}
    settings = load(project="[export]\nzenodo_token = 'zen_secret'\n", **tokens)
    told = f"{shown(settings)} {settings!r} {settings.model_dump_json()} {origins(settings)}"
    assert "secret" not in told and "**********" in told
    assert "987654" not in refusal(load, project="[export]\ngithub_token = 987654\n")


def test_tokens_travel_encrypted(load: Load) -> None:
    assert "https://" in refusal(load, PHYSLAB_EXPORT__ZENODO_URL="http://zenodo.example")
    assert "https://" in refusal(load, PHYSLAB_EXPORT__GITHUB_API="https://me:word@api.example")
    assert load(PHYSLAB_EXPORT__ZENODO_URL="http://127.0.0.1:8080/").export.zenodo_url == "http://127.0.0.1:8080"


def test_clusters_are_named_by_people(load: Load, tmp_path: Path) -> None:
    (tmp_path / "physlab.toml").write_text('[sites.slurm.hpc]\nhost = "login"\nfolder = "/scratch"\n')
    settings = load(PHYSLAB_SITES__SLURM__HPC__MAX_PILOTS="3")
    hpc = settings.sites.slurm["hpc"]
    assert (hpc.host, hpc.folder, hpc.max_pilots) == ("login", Path("/scratch"), 3)
    assert origins(settings)["sites.slurm.hpc.host"] == f"{tmp_path / 'physlab.toml'}:2"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('[sites.slurm.hpc]\npartitoin = "x"', ["sites.slurm.hpc.partitoin", "partition"]),
        ('[sites.slurm.hpc]\nhost = "login"', ["sites.slurm.hpc", "needs a folder"]),
        ('[sites.slurm.hpc]\nfolder = "here"', ["sites.slurm.hpc.folder", "absolute"]),
        ('[sites.slurm.hpc]\nmax_pilots = 0', ["sites.slurm.hpc.max_pilots", "Pilots at once"]),
        ('[sites.slurm]\nhost = "login"', ["sites.slurm.host"]),
    ],
)  # fmt: skip
def test_a_wrong_cluster_is_told(load: Load, tmp_path: Path, text: str, parts: list[str]) -> None:
    (tmp_path / "physlab.toml").write_text(text)
    said = refusal(load)
    assert all(part in said for part in parts), said

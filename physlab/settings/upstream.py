"""What an older lab server's `server.config.json` and `ACCEL_*` and `LM_*` variables say, in our words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from physlab.errors import ConfigurationError, nearest

NAME = "server.config.json"


def _side(value: Any) -> Any:
    """Read `[160, 160]` as 160 points per axis."""
    if isinstance(value, list):
        if not value or any(side != value[0] for side in value):
            raise ValueError("give the same number of points for each axis, for instance [160, 160]")
        return value[0]
    return value


def _same(value: Any) -> Any:
    return value


def _preference(value: str) -> str:
    """Read one device as the first choice, with the CPU behind it."""
    kind = value.strip().lower()
    return {"auto": "cuda,hip,mps,xpu,cpu", "cpu": "cpu"}.get(kind, f"{kind},cpu")


KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "accel.mode": ("device.mode", _same),
    "accel.device_preference": ("device.preference", _same),
    "viz_caps.mesh": ("caps.surface", _side),
    "viz_caps.field": ("caps.field", _side),
    "viz_caps.frames_max": ("caps.frames", _same),
    "encoders.mp4": ("visuals.mp4_codec", _same),
    "encoders.webm": ("visuals.webm_codec", _same),
    "thumbnails.width": ("visuals.thumbnail_width_px", _same),
    "thumbnails.rows": ("visuals.thumbnail_rows", _same),
    "thumbnails.cols": ("visuals.thumbnail_columns", _same),
    "ml.max_vram_mb": ("device.max_vram_mb", _same),
}


def _milliseconds(value: str) -> Any:
    return float(value) / 1000 if value.replace(".", "", 1).isdigit() else value


VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "ACCEL_MODE": ("device.mode", lambda value: value.strip().lower()),
    "ACCEL_DEVICE": ("device.preference", _preference),
    "LM_BASE_URL": ("endpoint.base_url", _same),
    "LM_API_KEY": ("endpoint.api_key", _same),
    "DEFAULT_MODEL": ("endpoint.model", _same),
    "NLI_DISABLE_LM": ("endpoint.sentences", lambda value: value.strip().lower() in ("", "0", "false", "no", "off")),
    "NLI_LM_TIMEOUT_MS": ("endpoint.sentences_timeout_s", lambda value: _milliseconds(value)),
}
SECTIONS = {key.split(".")[0] for key in KEYS}


def read_config(path: Path) -> dict[str, Any]:
    """Return what the file sets, under our keys; a file without any of the known sections is somebody else's.

    Raises:
        ConfigurationError: It is not JSON, or a known section holds an unknown key.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.", hint="Mend the JSON or move it away.") from error
    found: dict[str, Any] = {}
    for section in SECTIONS & set(document if isinstance(document, dict) else ()):
        values = document[section] if isinstance(document[section], dict) else {"": document[section]}
        for name, value in values.items():
            key = f"{section}.{name}"
            if key not in KEYS:
                raise ConfigurationError(f"{path}: '{key}' is not a setting.", hint=nearest(key, KEYS))
            ours, convert = KEYS[key]
            try:
                found[ours] = convert(value)
            except ValueError as error:
                raise ConfigurationError(f"{path}: {key} = {value!r} cannot be used.", hint=f"{error}.") from error
    return found


def read_variables(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """Return what the `ACCEL_*` and `LM_*` variables set, under our keys, with the variable's name."""
    return {ours: (convert(environ[name]), name) for name, (ours, convert) in VARIABLES.items() if environ.get(name)}

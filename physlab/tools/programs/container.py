"""Wrapping a command into a container: which argv podman, docker or apptainer needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from physlab.errors import ConfigurationError, ValidationError

RUNTIMES = ("podman", "docker", "apptainer", "singularity")
INSIDE = "/work"
_IMAGE = re.compile(r"[A-Za-z0-9/.][A-Za-z0-9_.:/@+-]*")
_GPUS = {
    "podman": ("--device", "nvidia.com/gpu=all"),
    "docker": ("--gpus", "all"),
    "apptainer": ("--nv",),
    "singularity": ("--nv",),
}


@dataclass(frozen=True)
class Launch:
    """A command ready to start, and what removes it should it outlive its client."""

    argv: tuple[str, ...]
    cleanup: tuple[str, ...] = ()


def wrap(
    runtime: str | None,
    image: str,
    argv: Sequence[str],
    *,
    folder: Path,
    env: Mapping[str, str],
    name: str,
    user: str = "",
    cpu: int = 1,
    gpu: bool = False,
) -> Launch:
    """Return the command that runs `argv` in a container which sees one folder only, as `/work`.

    Args:
        runtime: Path of podman, docker, apptainer or singularity; None when none is installed.
        image: Image name, or for apptainer also a `.sif` file or a `docker://` address.
        argv: Program and arguments inside.
        folder: The folder of the host that becomes `/work`, writable.
        env: The environment inside.
        name: Name of the container, unique on this machine.
        user: `uid:gid` that docker runs it as, so that outputs belong to the caller.
        cpu: Processor cores.
        gpu: True gives it the NVIDIA accelerators.

    Raises:
        ConfigurationError: No container runtime is installed.
        ValidationError: The image name is malformed.
    """
    if runtime is None:
        raise ConfigurationError(
            f"The node wants the container '{image}', and no container runtime is installed.",
            hint="Install podman (apt install podman), docker or apptainer, or leave out 'container'.",
        )
    if not _IMAGE.fullmatch(image):
        raise ValidationError(f"'{image}' is not an image name.", hint="Write for instance docker.io/python:3.11.")
    kind = Path(runtime).name
    assigned = [f"{key}={value}" for key, value in env.items()]
    gpus = _GPUS[kind] if gpu else ()
    if kind in ("apptainer", "singularity"):
        return _apptainer(runtime, image, argv, folder, assigned, gpus)
    owner = ("--userns", "keep-id") if kind == "podman" else ("--user", user) if user else ()
    mount = ("--mount", f"type=bind,source={folder},target={INSIDE}", "--workdir", INSIDE)
    flags = [part for item in assigned for part in ("--env", item)]
    head = (
        runtime,
        "run",
        "--rm",
        "--init",
        "--interactive",
        "--name",
        name,
        *owner,
        *mount,
        "--cpus",
        str(cpu),
        *gpus,
    )
    start = ("--entrypoint", argv[0], image, *argv[1:])  # the image's own entry point would swallow the command
    return Launch((*head, *flags, *start), cleanup=(runtime, "rm", "--force", name))


def _apptainer(
    runtime: str, image: str, argv: Sequence[str], folder: Path, assigned: Sequence[str], gpus: Sequence[str]
) -> Launch:
    address = image if "://" in image or image.endswith(".sif") else f"docker://{image}"
    # --env would split values at commas; the prefixed variables are taken as they are.
    prefix = ("env", *(f"{Path(runtime).name.upper()}ENV_{item}" for item in assigned))
    binds = ("--containall", "--no-home", "--bind", f"{folder}:{INSIDE}", "--pwd", INSIDE)
    return Launch((*prefix, runtime, "exec", "--cleanenv", *binds, *gpus, address, *argv))

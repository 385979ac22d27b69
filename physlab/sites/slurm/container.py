"""A command inside a container: Apptainer's words, of which none can be anything but what it was given as."""

from __future__ import annotations

from physlab.model.job import JobRequest


def container_words(request: JobRequest, folder: str) -> list[str]:
    """Return the words that stand before a command so that it runs in the job's container; none without an image.

    The job's folder has the same path inside, and is where the command starts. Variables are handed on.

    Args:
        request: The job.
        folder: Its folder.
    """
    if request.image is None:
        return []
    words = ["apptainer", "exec", "--bind", f"{folder}:{folder}", "--pwd", folder]
    for mount in request.mounts:
        words += ["--bind", f"{mount.source}:{mount.target}:{'ro' if mount.readonly else 'rw'}"]
    if request.resources.gpus or request.resources.gres:
        words.append("--nv")
    return [*words, image_name(request.image)]


def image_name(image: str) -> str:
    """Return an image as Apptainer names it: `python:3.11` is Docker's, `x.sif` a file."""
    return image if "://" in image or image.startswith("/") or image.endswith(".sif") else f"docker://{image}"

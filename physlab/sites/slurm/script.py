"""A batch script from a request: directives from checked words, the rest as quoted data."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator

from physlab.errors import ValidationError
from physlab.model.job import JobRequest, JobResources

SENTINEL = "exit_status"
_DIRECTIVE = re.compile(r"#SBATCH\s+(?P<words>.*)")
_OURS = ("--output", "-o", "--error", "-e", "--array", "-a", "--parsable", "--wait", "-W", "--wrap", "--chdir", "-D")


def batch_script(request: JobRequest, folder: str) -> str:
    """Return the script that `sbatch` is given.

    Its output goes to `log.txt` in the job's folder. How it ended is written there as well, complete or not at all, so
    that it can be told where the scheduler keeps no accounts.

    Args:
        request: What to run.
        folder: Absolute path of the job's folder on the cluster, without blanks and percent signs.

    Raises:
        ValidationError: There is nothing to run, or both kinds; or the script's own directives touch what is ours.
    """
    if bool(request.command) == bool(request.script):
        raise ValidationError("A job needs either a command or a script.", hint="Give one of the two.")
    if not re.fullmatch(r"/[A-Za-z0-9._/+@-]+", folder):
        raise ValidationError(
            f"The folder '{folder}' cannot be a job's.", hint="Use an absolute path of letters, digits and . _ + @ - /"
        )
    theirs, body = _body(request)
    lines = ["#!/bin/bash", *(f"#SBATCH {word}" for word in (*_directives(request, folder), *theirs)), ""]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(request.environment.items())]
    lines += [
        f"cd {shlex.quote(folder)} || exit 72",
        "finish() {",
        f'    echo "$1 ${{SLURM_RESTART_COUNT:-0}}" >{SENTINEL}.tmp && mv {SENTINEL}.tmp {SENTINEL}',
        "}",
        "trap 'finish $?' EXIT",
        *body,
    ]
    return "\n".join(lines) + "\n"


def _directives(request: JobRequest, folder: str) -> Iterator[str]:
    asked = request.resources
    yield f"--job-name={request.name}"
    yield f"--output={folder}/log.txt"
    yield "--open-mode=append"
    yield "--requeue" if request.requeue else "--no-requeue"
    yield from resource_words(asked)
    if request.after:
        yield f"--dependency=afterok:{':'.join(request.after)}"
        yield "--kill-on-invalid-dep=yes"
    if request.comment:
        yield f"--comment={shlex.quote(request.comment)}"


def resource_words(asked: JobResources) -> Iterator[str]:
    """Yield the options that ask for resources."""
    yield f"--nodes={asked.nodes}"
    yield "--ntasks-per-node=1"
    yield f"--cpus-per-task={asked.cpus}"
    if asked.memory_mb is not None:
        yield f"--mem={asked.memory_mb}M"
    if asked.gres is not None:
        yield f"--gres={asked.gres}"
    elif asked.gpus:
        yield f"--gres=gpu:{asked.gpus}"
    if asked.walltime_s is not None:
        yield f"--time={spell_time(asked.walltime_s)}"
    for name in ("partition", "account", "qos", "constraint"):
        value = getattr(asked, name)
        if value is not None:
            yield f"--{name}={shlex.quote(value)}"
    if asked.exclude:
        yield f"--exclude={','.join(asked.exclude)}"


def spell_time(seconds: float) -> str:
    """Return a time limit as Slurm reads it, in whole minutes, never less than asked."""
    minutes = max(1, math.ceil(seconds / 60))
    days, minutes = divmod(minutes, 1440)
    return f"{days}-{minutes // 60:02d}:{minutes % 60:02d}:00" if days else f"{minutes // 60:02d}:{minutes % 60:02d}:00"


def _body(request: JobRequest) -> tuple[list[str], list[str]]:
    """Return the directives of a user's script, and the lines that run what is to be run."""
    if request.script is None:
        return [], [f"srun --ntasks={request.resources.nodes} -- {shlex.join(request.command)}"
                    if request.resources.nodes > 1 else shlex.join(request.command)]  # fmt: skip
    script = request.script if request.script.startswith("#!") else "#!/bin/bash\n" + request.script
    theirs = []
    for line in script.splitlines()[1:]:
        found = _DIRECTIVE.match(line)
        if found is not None:
            theirs.append(_checked(found["words"].partition(" #")[0].strip()))
        elif line.strip() and not line.startswith("#"):
            break  # Slurm reads no directive after the first command
    end = "PHYSLAB_END_OF_SCRIPT"
    while end in script:
        end += "_"
    lines = [f"cat >script <<'{end}'", *script.splitlines(), end, "chmod +x script", "./script"]
    return theirs, lines


def _checked(words: str) -> str:
    name = words.partition("=")[0].split()[0] if words.split() else ""
    if name in _OURS:
        raise ValidationError(
            f"The script's directive '#SBATCH {words}' sets what physlab sets itself.",
            hint="Leave it out: the log is kept and shown, jobs of one kind become an array by themselves.",
        )
    if not re.fullmatch(r"--?[A-Za-z][A-Za-z-]*([= ]\s*[^\s;$`\\'\"<>|]+)?", words):
        raise ValidationError(f"The script's directive '#SBATCH {words}' cannot be read.", hint="Write --name=value.")
    return words

"""A batch script from a request: directives from checked words, the rest as quoted data."""

from __future__ import annotations

import math
import posixpath
import re
import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from physlab.errors import ValidationError
from physlab.model.job import JobRequest, JobResources
from physlab.sites.slurm.container import container_words
from physlab.sites.slurm.states import OURS

SENTINEL = "exit_status"
OWN_ID = "job_id"
LOG = "log.txt"
OWN_FILES = frozenset((LOG, SENTINEL, OWN_ID, "script"))
"""What the batch script itself writes into the job's folder."""
COMMENT = 120
"""Characters of a comment that names a run."""
ARRAY = "$SLURM_ARRAY_TASK_ID"
_DIRECTIVE = re.compile(r"#SBATCH\s+(?P<words>.*)")
_OURS = ("--output", "-o", "--error", "-e", "--array", "-a", "--parsable", "--wait", "-W", "--wrap", "--chdir", "-D")


def batch_script(request: JobRequest, folder: str) -> str:
    """Return the script that `sbatch` is given.

    Its output goes to `log.txt` in the job's folder. How it ended is written there as well, complete or not at all, so
    that it can be told where the scheduler keeps no accounts; and which job it was, for whoever lost the answer.

    Args:
        request: What to run.
        folder: Absolute path of the job's folder on the cluster, without blanks and percent signs.

    Raises:
        ValidationError: There is nothing to run, or both kinds; or the script's own directives touch what is ours.
    """
    _check(request, folder)
    lines = _head([f"--chdir={folder}", f"--output={folder}/{LOG}", *directives(request)])
    lines += [f"here={folder}", *_frame(request), *_work(request, folder)]
    return "\n".join(lines) + "\n"


def array_script(requests: Sequence[JobRequest], folders: Sequence[str], *, throttle: int | None = None) -> str:
    """Return the script of several jobs that ask for the same: one array, each element at home in its own folder.

    Args:
        requests: What to run.
        folders: The folder of each, as for `batch_script`.
        throttle: How many of them may run at once.

    Raises:
        ValidationError: As for `batch_script`; or they do not ask for the same.
    """
    for request, folder in zip(requests, folders, strict=True):
        _check(request, folder)
    if len({tuple(directives(request)) for request in requests}) > 1:
        raise ValidationError(
            "The jobs of an array must ask for the same resources.", hint="Submit one array for each kind."
        )
    base = posixpath.dirname(folders[0])
    many = f"--array=0-{len(requests) - 1}" + (f"%{throttle}" if throttle else "")
    lines = _head([f"--chdir={base}", f"--output={base}/array-%A.log", many, *directives(requests[0])])
    lines += [f'case "{ARRAY}" in', *(f"{index}) here={folder} ;;" for index, folder in enumerate(folders)), "esac"]
    lines += _frame(requests[0], own_log=True)
    works = [_work(request, folder) for request, folder in zip(requests, folders, strict=True)]
    if all(work == works[0] for work in works):
        lines += works[0]
    else:
        lines.append(f'case "{ARRAY}" in')
        for index, work in enumerate(works):
            lines += [f"{index})", *work, ";;"]
        lines.append("esac")
    return "\n".join(lines) + "\n"


def _check(request: JobRequest, folder: str) -> None:
    if bool(request.command) == bool(request.script):
        raise ValidationError("A job needs either a command or a script.", hint="Give one of the two.")
    if not re.fullmatch(r"/[A-Za-z0-9._/+@-]+", folder):
        raise ValidationError(
            f"The folder '{folder}' cannot be a job's.", hint="Use an absolute path of letters, digits and . _ + @ - /"
        )


def _head(words: Iterable[str]) -> list[str]:
    return ["#!/bin/bash", *(f"#SBATCH {word}" for word in words), ""]


def directives(request: JobRequest) -> Iterator[str]:
    """Yield what is asked of the scheduler, whatever folder it is for: jobs for which it is the same fit one array."""
    asked = request.resources
    yield f"--job-name={request.name}"
    yield "--open-mode=append"
    yield "--requeue" if request.requeue else "--no-requeue"
    yield from resource_words(asked)
    if request.after:
        yield f"--dependency=afterok:{':'.join(request.after)}"
        yield "--kill-on-invalid-dep=yes"
    comment = " ".join(filter(None, (request.token, request.comment or f"{OURS} {request.name}")))
    yield f"--comment={shlex.quote(comment)}"
    yield from own_directives(request.script or "")


def comment_words(text: str) -> str:
    """Return a text as a comment may have it: plain letters, digits and a few signs, not too many of them."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(re.sub(r"[^A-Za-z0-9 ._:,+-]", " ", plain).split())[:COMMENT].rstrip()


def _frame(request: JobRequest, *, own_log: bool = False) -> list[str]:
    """Return the lines that every job begins with: its folder, its own record, the site's prologue."""
    own_id = '"${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"'
    lines = ['cd "$here" || exit 72', *([f"exec >>{LOG} 2>&1"] if own_log else [])]
    lines += [
        f"rm -f {SENTINEL} && echo {own_id} >{OWN_ID}",
        "finish() {",
        f'    cd "$here" && echo "$1 ${{SLURM_RESTART_COUNT:-0}}" >{SENTINEL}.tmp && mv {SENTINEL}.tmp {SENTINEL}',
        "}",
        "trap 'finish $?' EXIT",
    ]
    return [*lines, *request.prologue, 'cd "$here" || exit 72'] if request.prologue else lines


def _work(request: JobRequest, folder: str) -> list[str]:
    """Return the lines of one job: what it finds, what it takes from earlier jobs, what it does, what must be there."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(request.environment.items())]
    for name, source in sorted(request.takes.items()):
        if posixpath.dirname(name):
            lines.append(f"mkdir -p -- {shlex.quote('./' + posixpath.dirname(name))}")
        lines.append(f"cp -pr -- {shlex.quote(source)} {shlex.quote('./' + name)} || exit 74")
    lines += _body(request, folder)
    if request.makes:
        lines += ["code=$?", '[ "$code" -eq 0 ] || exit "$code"', 'cd "$here" || exit 72']
        for name in request.makes:
            said = shlex.quote(f"physlab: the job ended without making {name}")
            lines.append(f"[ -e {shlex.quote('./' + name)} ] || {{ echo {said} >&2; exit 75; }}")
    return lines


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


def _body(request: JobRequest, folder: str) -> list[str]:
    """Return the lines that run what is to be run, in its container if it has one."""
    before = container_words(request, folder)
    if request.resources.nodes > 1 and request.script is None:
        before = ["srun", f"--ntasks={request.resources.nodes}", "--", *before]
    if request.script is None:
        return [shlex.join([*before, *request.command])]
    script = request.script.replace("\r\n", "\n").rstrip("\n")
    script = script if script.startswith("#!") else "#!/bin/bash\n" + script
    end = "PHYSLAB_END_OF_SCRIPT"
    while end in script:
        end += "_"
    return [f"cat >script <<'{end}'", *script.split("\n"), end, "chmod +x script", shlex.join([*before, "./script"])]


def own_directives(script: str) -> Iterator[str]:
    """Yield the directives that a user's script has itself; they come last, so they count.

    Raises:
        ValidationError: One of them is ours to set, or cannot be read.
    """
    lines = script.splitlines()
    for line in lines[1:] if script.startswith("#!") else lines:
        found = _DIRECTIVE.match(line)
        if found is not None:
            yield _checked(found["words"].partition(" #")[0].strip())
        elif line.strip() and not line.startswith("#"):
            break  # Slurm reads no directive after the first command


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

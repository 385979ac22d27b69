"""A repository with everything a reader needs, ready to push; pushed only when that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physlab import keys
from physlab.errors import ConfigurationError, ValidationError
from physlab.settings import load_settings
from physlab.tools.context import Context
from physlab.tools.export.archive import write_zip
from physlab.tools.export.citation import citation_file
from physlab.tools.export.github_params import GithubParams
from physlab.tools.export.githubapi import HEADERS, Hosted, ensure_repository
from physlab.tools.export.gitrepo import BRANCH, Repository, Signature
from physlab.tools.export.given_files import named_files
from physlab.tools.export.licence_texts import licence_text
from physlab.tools.export.webclient import Service
from physlab.tools.registry import Port
from physlab.tools.types import File

MIB = 2**20
LARGE, TOO_LARGE = 50 * MIB, 100 * MIB  # docs.github.com, "About large files on GitHub"
IGNORED = "__pycache__/\n*.pyc\n.ipynb_checkpoints/\n.venv/\n.DS_Store\nresults/\nphyslab.toml\n"
PORTS = (
    Port("local_path", "file", description="The repository (.git and files) as a zip archive: unpack it and push"),
    Port("commit", "text", description="Hash of its one commit; the same content has the same hash"),
    Port("branch", "text", description="Its branch"),
    Port("files", "list", description="Names of the files in it"),
    Port("artifact_count", "number", "1", "how many artifacts are in it"),
    Port("github_url", "text", description="Its page; null when it was not pushed"),
    Port("topics", "list", description="Topics"),
)


def github(params: GithubParams, context: Context) -> dict[str, Any]:
    """Make a git repository with README, LICENSE, CITATION.cff and the files, and push it when asked.

    Nothing is sent unless `push` is true. A result from the cache sends nothing; the same content pushed again has the
    same commit, so that nothing changes. Nothing is ever pushed by force.

    Args:
        params: The repository.
        context: The surroundings of the call.

    Returns:
        The repository as an archive, its commit, and its page on GitHub when it was pushed.

    Raises:
        ValidationError: A file is larger than GitHub takes, or the repository on GitHub holds other work.
        ConfigurationError: git is missing, or the token.
        ResourceError: GitHub is busy; run again.
    """
    artifacts = named_files(params.artifacts, "artifacts") if params.include_artifacts else {}
    code = named_files(params.code, "code") if params.include_code else {}
    given = {
        **{f"artifacts/{name}": file for name, file in artifacts.items()},
        **{f"code/{name}": file for name, file in code.items()},
    }
    _check_sizes(given, context)
    files = {**_own_files(params, given), **{name: file.path for name, file in given.items()}}
    folder = context.workdir / params.repository_name
    log = context.workdir / "git.log"
    repository = Repository(folder, log, context.time_limit_s)
    commit = repository.commit(files, f"Add {params.repository_name}", _signature(params))
    packed = {f"{params.repository_name}/{name}": path for name, path in repository.contents().items()}
    archive = write_zip(context.workdir / f"{params.repository_name}.zip", packed)
    hosted = _push(params, repository, context) if params.push else None
    context.meta.update(file_count=len(files), pushed=hosted is not None, repository_made=bool(hosted and hosted.made))
    caption = f"Git repository '{params.repository_name}', commit {commit[:12]}."
    return {
        "local_path": context.save(archive, archive.name, role="document", caption=caption, field="local_path"),
        "commit": commit,
        "branch": BRANCH,
        "files": sorted(files),
        "artifact_count": len(artifacts),
        "github_url": hosted.page if hosted else None,
        "topics": params.topics,
    }


def _check_sizes(given: Mapping[str, File], context: Context) -> None:
    for name, file in given.items():
        size = file.path.stat().st_size
        if size > TOO_LARGE:
            raise ValidationError(
                f"'{name}' has {size / MIB:.0f} MiB, and GitHub refuses files above {TOO_LARGE // MIB} MiB.",
                hint="Deposit it with the export zenodo and link to it, or leave it out.",
                details={"file": name, "size": size},
            )
        if size > LARGE:
            context.warn(
                f"'{name}' has {size / MIB:.0f} MiB; GitHub warns above {LARGE // MIB} MiB. Git LFS keeps it out of "
                f"the history: git lfs track '{name}'."
            )


def _own_files(params: GithubParams, given: Mapping[str, File]) -> dict[str, Path | bytes | str]:
    names = [person.spoken for person in params.authors]
    holder = ", ".join(names) or f"the authors of {params.repository_name}"
    year = int(params.date[:4]) if params.date else None
    own: dict[str, Path | bytes | str] = {
        "LICENSE": licence_text(params.license, holder, year),
        ".gitignore": IGNORED,
        "CITATION.cff": citation_file(
            params.repository_name,
            params.authors,
            licence=params.license,
            abstract=params.description,
            keywords=params.topics,
            released=params.date[:10] if params.date else None,
            software=any(name.startswith("code/") for name in given) or not given,
        ),
    }
    if params.readme_content is not None:
        return {**own, "README.md": params.readme_content.rstrip("\n") + "\n"}
    return {**own, "README.md": _readme(params, given)}


def _readme(params: GithubParams, given: Mapping[str, File]) -> str:
    lines = [f"# {params.repository_name}", ""]
    if params.description:
        lines += [params.description, ""]
    if given:
        lines += ["| file | bytes | SHA-256 |", "|---|---|---|"]
        for name in sorted(given):
            with given[name].path.open("rb") as stream:
                sha256, size = keys.digest_stream(stream)
            shown = name.replace("|", "\\|")
            lines.append(f"| [`{shown}`](<{name}>) | {size} | `{sha256}` |")
        lines.append("")
    if params.authors:
        lines += ["By " + ", ".join(person.spoken for person in params.authors) + ".", ""]
    lines += ["How to cite: see [CITATION.cff](CITATION.cff).", "", f"Licence: [{params.license}](LICENSE).", ""]
    return "\n".join(lines)


def _signature(params: GithubParams) -> Signature:
    first = params.authors[0] if params.authors else None
    name = (first.spoken if first else "physlab").replace("<", "").replace(">", "")
    return Signature(name, (first.email if first else None) or "noreply@physlab.invalid", params.moment)


def _push(params: GithubParams, repository: Repository, context: Context) -> Hosted:
    export = load_settings().export
    token = export.github_token.get_secret_value().strip() if export.github_token else ""
    if not token:
        raise ConfigurationError(
            "push: true needs a token for GitHub, and there is none.",
            hint="Make one at https://github.com/settings/tokens that may write contents and administration, and set "
            "PHYSLAB_EXPORT__GITHUB_TOKEN; or leave push out, and the repository is made here.",
        )
    with Service(
        "GitHub", export.github_api, token, setting="export.github_token", headers=HEADERS,
        limit_s=context.time_limit_s,
    ) as service:  # fmt: skip
        hosted = ensure_repository(
            service,
            export.github_owner,
            params.repository_name,
            description=params.description,
            private=params.private,
            topics=params.topics,
        )
    repository.push(hosted.clone, token)
    if not hosted.made:
        context.warn(
            f"The repository {hosted.page} was there before; its description and topics are left as they were."
        )
    return hosted

"""A deposition: complete and checked on this machine, and sent only when that is asked for."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physlab import keys
from physlab.errors import ConfigurationError, ValidationError
from physlab.settings import load_settings
from physlab.tools.context import Context
from physlab.tools.export.archive import slug, write_zip
from physlab.tools.export.given_files import named_files
from physlab.tools.export.webclient import Service
from physlab.tools.export.zenodo_deposit import Deposited, deposit
from physlab.tools.export.zenodo_params import ZenodoParams
from physlab.tools.registry import Port
from physlab.tools.types import File

MOST_FILES, MOST_BYTES = 100, 50 * 10**9  # of one Zenodo record: help.zenodo.org, "What are the size limits?"
PORTS = (
    Port("package_directory", "text", description="The folder inside the archive"),
    Port("archive_path", "file", description="metadata.json, README.md, checksums and the files, as a zip archive"),
    Port("metadata", "object", description="The metadata as the deposit interface takes them"),
    Port("data_files", "list", description="{name, size, md5, sha256} of every file"),
    Port("zenodo_url", "text", description="Page of the draft or the record; null when nothing was sent"),
    Port("doi", "text", description="DOI, once it is published"),
    Port("reserved_doi", "text", description="DOI that the draft will get"),
    Port("deposition_id", "number", description="Number of the deposition"),
    Port("published", "boolean", description="True when everybody can see it"),
)


def zenodo(params: ZenodoParams, context: Context) -> dict[str, Any]:
    """Make a deposition package for Zenodo, and send or publish it when asked.

    Nothing is sent unless `upload` is true, nothing is published unless `publish` is true as well. A result from the
    cache sends nothing. The same content sent again finds its deposition instead of making a second one.

    Args:
        params: The record.
        context: The surroundings of the call.

    Returns:
        The package, and where the deposition is.

    Raises:
        ValidationError: Files are too many or too large, or the service refuses the record.
        ConfigurationError: There is no token, or it is refused.
        ResourceError: The service is busy, or a file did not arrive whole; run again to go on.
    """
    files = named_files(params.files, "files")
    _check_names(files)
    metadata = params.metadata()
    listed = [_listing(name, files[name]) for name in sorted(files)]
    _check_size(listed)
    folder = slug(params.title, "deposition")
    archive = write_zip(context.workdir / f"{folder}.zip", _package(params, metadata, listed, files, folder))
    _warn_of_names(params, context)
    sent = _send(params, metadata, files, listed, context) if params.upload else None
    context.meta.update(sandbox=params.sandbox, file_count=len(files), sent=list(sent.sent) if sent else [])
    caption = f"Deposition package '{params.title}'."
    return {
        "package_directory": folder,
        "archive_path": context.save(archive, archive.name, role="document", caption=caption, field="archive_path"),
        "metadata": metadata,
        "data_files": listed,
        "zenodo_url": sent.url if sent else None,
        "doi": sent.doi if sent else None,
        "reserved_doi": sent.reserved_doi if sent else None,
        "deposition_id": sent.number if sent else None,
        "published": bool(sent and sent.published),
    }


def _check_names(files: Mapping[str, File]) -> None:
    for name in files:
        if "/" in name:
            raise ValidationError(f"files: '{name}' has a folder, and Zenodo keeps none.", hint="Use a plain name.")


def _check_size(listed: list[dict[str, Any]]) -> None:
    total = sum(item["size"] for item in listed)
    if len(listed) > MOST_FILES:
        raise ValidationError(
            f"{len(listed)} files are more than the {MOST_FILES} of one record.", hint="Put them into an archive."
        )
    if total > MOST_BYTES:
        raise ValidationError(
            f"The files have {total / 1e9:.1f} GB, more than the {MOST_BYTES / 1e9:g} GB of one record.",
            hint="Divide them, or ask Zenodo for a larger quota and send them yourself.",
        )


def _listing(name: str, file: File) -> dict[str, Any]:
    with file.path.open("rb") as stream:
        md5 = keys.md5_stream(stream)
    with file.path.open("rb") as stream:
        sha256, size = keys.digest_stream(stream)
    return {"name": name, "size": size, "md5": md5, "sha256": sha256}


def _package(
    params: ZenodoParams, metadata: dict[str, Any], listed: list[dict[str, Any]], files: Mapping[str, File], folder: str
) -> dict[str, Path | bytes | str]:
    sums = "".join(f"{item['sha256']}  data/{item['name']}\n" for item in listed)
    return {
        f"{folder}/metadata.json": json.dumps({"metadata": metadata}, indent=2, ensure_ascii=False) + "\n",
        f"{folder}/README.md": _readme(params, listed),
        f"{folder}/SHA256SUMS": sums,
        **{f"{folder}/data/{name}": file.path for name, file in files.items()},
    }


def _readme(params: ZenodoParams, listed: list[dict[str, Any]]) -> str:
    plain = html.unescape(re.sub(r"<[^<>]+>", "", params.description))
    people = "; ".join(person.name for person in params.creators)
    rows = [f"| {item['name'].replace('|', chr(92) + '|')} | {item['size']} | `{item['md5']}` |" for item in listed]
    table = ["| file | bytes | MD5 |", "|---|---|---|", *rows] if rows else ["No files."]
    return "\n".join(
        [f"# {params.title}", "", people, "", plain, "", f"Licence: {params.license}.", "", *table, "",
         "`sha256sum -c SHA256SUMS` checks the files. `metadata.json` is what the deposit interface takes.", ""]
    )  # fmt: skip


def _warn_of_names(params: ZenodoParams, context: Context) -> None:
    for person in params.creators:
        if "," not in person.name and " " in person.name:
            context.warn(f"'{person.name}' is taken as it is; Zenodo asks for 'Family, Given' when it is a person.")


def _send(
    params: ZenodoParams,
    metadata: dict[str, Any],
    files: Mapping[str, File],
    listed: list[dict[str, Any]],
    context: Context,
) -> Deposited:
    export = load_settings().export
    name = "zenodo_sandbox" if params.sandbox else "zenodo"
    url, token = getattr(export, f"{name}_url"), getattr(export, f"{name}_token")
    if token is None or not token.get_secret_value().strip():
        raise ConfigurationError(
            f"upload: true needs a token for {url}, and there is none.",
            hint=f"Make one at {url}/account/settings/applications with deposit:write and deposit:actions, and set "
            f"PHYSLAB_EXPORT__{name.upper()}_TOKEN; or leave upload out, and the package is made here.",
        )
    digest = keys.digest({"metadata": metadata, "files": {item["name"]: item["sha256"] for item in listed}})
    with Service(
        "Zenodo" + (" (sandbox)" if params.sandbox else ""),
        url,
        token.get_secret_value().strip(),
        setting=f"export.{name}_token",
        limit_s=context.time_limit_s,
    ) as service:
        paths = {name: file.path for name, file in files.items()}
        sent = deposit(service, metadata, paths, digest, publish=params.publish)
    if sent.already:
        context.warn(f"This content is published already: {sent.url}. Nothing was sent.")
    if sent.strangers:
        context.warn(f"The draft also holds files that are not part of this: {', '.join(sent.strangers[:5])}.")
    return sent

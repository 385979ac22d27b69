"""A LaTeX project for Overleaf or any TeX: escaped, checked, and compiled where a TeX is."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError, nearest
from physlab.tools.context import Context
from physlab.tools.export import latex
from physlab.tools.export.archive import write_zip
from physlab.tools.export.latex_compile import NO_TEX, Compiled, compile_project
from physlab.tools.export.overleaf_document import Manuscript, Writer, write
from physlab.tools.export.overleaf_exhibits import Material, gather
from physlab.tools.export.overleaf_params import OverleafParams
from physlab.tools.registry import Port

MAIN = "main.tex"
PORTS = (
    Port("project_name", "text", description="Name of the project"),
    Port("project_directory", "text", description="The folder inside the archive"),
    Port("archive_path", "file", description="The project as a zip archive; Overleaf: New Project, Upload Project"),
    Port("main_file", "file", description="Its main.tex"),
    Port("artifact_files", "list", description="Names of the pictures inside the project"),
    Port("template", "text", description="Class of the document"),
    Port("overleaf_url", "text", description="Always null: Overleaf takes projects by upload in a browser"),
    Port("compiled", "any", description=f"true, false, `{NO_TEX}`, or `not checked` when it was not asked for"),
    Port("pdf", "file", description="The compiled document"),
    Port("log", "file", description="What TeX printed"),
)
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_CITATION = re.compile(r"\[((?:@[^\s\[\]@;,]+[;,]?\s*)+)\]|\\cite\{([^{}]*)\}")


def overleaf(params: OverleafParams, context: Context) -> dict[str, Any]:
    """Write a LaTeX project with figures, tables, equations and references.

    Args:
        params: The document.
        context: The surroundings of the call.

    Returns:
        The project as a zip archive, whose bytes depend on its content alone, and whether it compiles.

    Raises:
        ValidationError: Something in it cannot be printed, read or cited.
        TimeLimitError: TeX ran too long.
    """
    keys = _bibliography(params.bibliography)

    def cite(text: str, where: str, *, paragraphs: bool = False) -> str:
        return _cite(text, where, keys, paragraphs=paragraphs)

    material = gather(params, context, cite)
    entries: dict[str, Path | bytes | str] = dict(material.files)
    entries[MAIN] = write(params.template, _manuscript(params, material, cite, bool(keys)))
    if keys:
        entries["references.bib"] = "\n\n".join(source.strip() for source in params.bibliography) + "\n"
    compiled = _compile(params, entries, context) if params.check else Compiled("not checked")
    archive = write_zip(
        context.workdir / f"{params.name}.zip", {f"{params.name}/{name}": item for name, item in entries.items()}
    )
    caption = f"LaTeX project '{params.heading}' ({params.template})."
    context.meta.update(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        file_count=len(entries),
        ready_for_upload=compiled.state is not False,
        engine=compiled.engine,
    )
    return {
        "project_name": params.project_name or params.name,
        "project_directory": params.name,
        "archive_path": context.save(archive, archive.name, role="document", caption=caption, field="archive_path"),
        "main_file": context.save(
            str(entries[MAIN]), MAIN, role="document", field="main_file", media_type="text/x-tex"
        ),
        "artifact_files": sorted(material.files),
        "template": params.template,
        "overleaf_url": None,
        "compiled": compiled.state,
        **_outcome(params, compiled, context),
    }


def _manuscript(params: OverleafParams, material: Material, cite: Any, cites: bool) -> Manuscript:
    writers = [
        Writer(
            latex.escape(person.spoken, f"authors[{number}].name"),
            latex.escape(person.affiliation or "", f"authors[{number}].affiliation"),
            latex.escape(person.email or "", f"authors[{number}].email"),
            person.orcid or "",
        )
        for number, person in enumerate(params.authors)
    ]
    sources = [
        (latex.escape(name, "a name"), latex.escape(source, "the name of a file"), sha256)
        for name, source, sha256 in material.sources
    ]
    return Manuscript(
        title=latex.escape(params.heading, "title"),
        writers=writers,
        abstract=cite(params.abstract, "abstract", paragraphs=True),
        pieces=material.pieces,
        cites=cites,
        sources=sources if params.provenance == "included" else (),
    )


def _bibliography(sources: list[str]) -> list[str]:
    """Return the keys of BibTeX entries.

    Raises:
        ValidationError: A text is no BibTeX, holds a command that reads or writes, or a key occurs twice.
    """
    from pybtex.database.input.bibtex import Parser
    from pybtex.exceptions import PybtexError

    found: list[str] = []
    for number, source in enumerate(sources):
        where = f"bibliography[{number}] = {source.strip()[:60]!r}"
        try:
            parsed = Parser().parse_string(source)
        except PybtexError as error:
            raise ValidationError(f"{where} cannot be read: {error}.", hint="Check braces and commas.") from error
        if not parsed.entries:
            raise ValidationError(f"{where} holds no BibTeX entry.", hint="Give '@article{key, author = {…}, …}'.")
        if bad := latex.harmful(source):
            raise ValidationError(f"{where} holds '{bad}', which is not allowed.", hint="Remove it.")
        for key in parsed.entries:
            if not re.fullmatch(r"[A-Za-z0-9:._/+-]+", key):
                raise ValidationError(f"{where}: the key '{key}' is not possible.", hint="Use letters, digits, : . _ -")
            if key.lower() in (known.lower() for known in found):
                raise ValidationError(f"The BibTeX key '{key}' occurs twice.", hint="Give each entry its own key.")
            found.append(key)
    return found


def _cite(text: str, where: str, keys: list[str], *, paragraphs: bool) -> str:
    r"""Return a text for LaTeX, with `[@key]` and `\cite{key}` as citations."""
    marks: list[str] = []

    def mark(match: re.Match[str]) -> str:
        named = [key.strip().removeprefix("@") for key in re.split("[,;]", match[1] or match[2]) if key.strip()]
        for key in named:
            if key not in keys:
                raise ValidationError(f"{where} cites '{key}', which is in no BibTeX entry.", hint=nearest(key, keys))
        marks.append(rf"\cite{{{','.join(named)}}}")
        return f"\ue000{len(marks) - 1}\ue001"

    if _PRIVATE.search(text):
        raise ValidationError(f"{where} holds a sign of a private font.", hint="Remove it.")
    marked = latex.escape(_CITATION.sub(mark, text), where, paragraphs=paragraphs, keep="\ue000\ue001")
    return re.sub("\ue000(\\d+)\ue001", lambda match: marks[int(match[1])], marked)


def _compile(params: OverleafParams, entries: dict[str, Path | bytes | str], context: Context) -> Compiled:
    folder = context.workdir / "tex"
    for name, item in entries.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(item, Path):
            shutil.copyfile(item, target)
        else:
            target.write_bytes(item.encode() if isinstance(item, str) else item)
    return compile_project(
        folder, context.workdir / "tex.log", cites="references.bib" in entries, limit_s=context.time_limit_s
    )


def _outcome(params: OverleafParams, compiled: Compiled, context: Context) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if compiled.log is not None:
        fields["log"] = context.save(compiled.log, "tex.log", role="log", caption="What TeX printed.", field="log")
    if compiled.pdf is not None:
        fields["pdf"] = context.save(
            compiled.pdf, f"{params.name}.pdf", role="document", caption=f"{params.heading}.", field="pdf"
        )
    if compiled.state is False:
        context.warn(f"The project does not compile with {compiled.engine}: {compiled.trouble}. See its log.")
    elif compiled.trouble:
        context.warn(f"In the compiled document {compiled.trouble}.")
    return fields

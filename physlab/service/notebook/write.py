"""Writing into the notebook: entries with what the ledger knows of them, revisions, remarks and signatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from physlab.errors import ConfigurationError, PhyslabError, StoreError, ValidationError
from physlab.lab import Lab
from physlab.model import RunRecord
from physlab.model.notebook import Entry, EntrySignature, Meaning, Remark, Source, Word
from physlab.notebook import Draft, remark, revise, sign_entry, write
from physlab.notebook.book import Page
from physlab.notebook.templates import template
from physlab.notebook.writing import attach, named_files
from physlab.service.notebook.people import Ask, open_key, register_of, speaker_of
from physlab.service.notebook.places import find_there, notebook_for
from physlab.service.notebook.told import told_attachment, told_source
from physlab.signing import SecretKey
from physlab.store import schema

ANONYMOUS = "anonymous"


@dataclass(frozen=True)
class Wish:
    """What an entry shall say, as people say it.

    Attributes:
        title: Its title.
        notebook: Name of the notebook; None for that of the runs' session, without runs of the settings' session.
        content: Markdown with math.
        conclusions: Markdown with math.
        tools_used: Tools, as the author says.
        tags: Words to find it by.
        files: Its files: paths, or name → path.
        runs: Runs that it speaks of: ids, `latest`, titles.
        sign_as: Who signs it as its author; None or `anonymous` for nobody.
        template: What it is begun from, unless it has a text.
    """

    title: str
    notebook: str | None = None
    content: str = ""
    conclusions: str = ""
    tools_used: Sequence[str] = ()
    tags: Sequence[str] = ()
    files: Sequence[str] | Mapping[str, str] = ()
    runs: Sequence[str] = ()
    sign_as: str | None = None
    template: str | None = None


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        page: The revision.
        signed: Whether its author signed it.
        warnings: What its author should know.
        note: Why it is in this notebook, where nobody named it.
    """

    page: Page
    signed: bool
    warnings: tuple[str, ...] = ()
    note: str = ""


def add_entry(lab: Lab, wish: Wish, base_dir: Path, ask: Ask | None = None) -> Written:
    """Write an entry; a key that is locked or not here does not lose it, a wrong passphrase writes nothing.

    Raises:
        ValidationError: A file or run is not there, the title is empty, or the passphrase is another one; nothing was
            written.
        StoreError: The store cannot take it.
    """
    draft = _draft(lab, wish, base_dir)
    key = _key(lab, draft.sign_as, ask)
    page = write(lab.store, notebook_for(lab, wish.notebook, wish.runs), draft)
    return replace(_signed(lab, page, key), note=_moved(lab, wish, page.entry.notebook))


def _moved(lab: Lab, wish: Wish, notebook: str) -> str:
    """Say why an entry is in another notebook than the current one, '' where nothing is to be said."""
    if wish.notebook is not None or notebook == lab.settings.collaboration.session:
        return ""
    return f"The run is of the session {notebook}, so the entry goes into its notebook; another one: --notebook NAME"


def revise_entry(
    lab: Lab, page: Page, changes: Mapping[str, Any], reason: str, base_dir: Path, *,
    drop: Sequence[str] = (), sign: bool = False, ask: Ask | None = None,
) -> Written:  # fmt: skip
    """Write a new revision of an entry, with what is to be otherwise.

    Args:
        lab: The lab.
        page: The revision before.
        changes: Fields of a `Wish`; files and runs come beside those that it has.
        reason: Why.
        base_dir: Folder that relative paths start from.
        drop: Names of files that it has no more.
        sign: Sign it as its author.
        ask: Asks for the passphrase.

    Raises:
        ValidationError: There is nothing else in it, no reason, somebody revised it meanwhile, or the passphrase is
            another one; nothing was written.
    """
    draft = revision(lab, page, changes, base_dir, drop=drop, sign=sign)
    key = _key(lab, draft.sign_as, ask)
    return _signed(lab, revise(lab.store, page, draft, reason), key)


def revision(
    lab: Lab, page: Page, changes: Mapping[str, Any], base_dir: Path, *, drop: Sequence[str] = (), sign: bool = False
) -> Draft:
    """Return what a new revision of an entry would say.

    Raises:
        ValidationError: It would say the same, or it has no file of a name.
    """
    entry, author = page.entry, speaker_of(lab.settings).id
    unknown = sorted(set(drop) - {item.name for item in entry.attachments})
    if unknown:
        names = ", ".join(item.name for item in entry.attachments) or "none"
        raise ValidationError(f"The entry has no file '{unknown[0]}'.", hint=f"It has: {names}.")
    wish = Wish(**{
        "title": entry.title, "content": entry.content, "conclusions": entry.conclusions,
        "tools_used": entry.tools_used, "tags": entry.tags, "sign_as": author if sign else None, **changes,
    })  # fmt: skip
    draft = _draft(lab, wish, base_dir)
    kept = tuple(item for item in entry.attachments if item.name not in drop)
    gone = {item.record for item in entry.attachments} - {item.record for item in kept}
    sources = [item for item in entry.sources if item.record not in gone]
    draft = replace(draft, author=author, kept=kept, runs=[*sources, *draft.runs], template=entry.template)
    same = all(getattr(entry, name) == value for name, value in changes.items() if name not in ("files", "runs"))
    if same and not wish.files and not drop and list(draft.runs) == list(entry.sources):
        raise ValidationError("The revision would say the same.", hint="Change it: --text, --file, --edit or --attach.")
    return draft


def _draft(lab: Lab, wish: Wish, base_dir: Path) -> Draft:
    lab.store.refresh()
    signer = None if wish.sign_as in (None, "", ANONYMOUS) else speaker_of(lab.settings, wish.sign_as).id
    files = wish.files
    begun = template(wish.template) if wish.template else ""
    draft = Draft(
        title=wish.title, author=signer or speaker_of(lab.settings).id, content=wish.content or begun,
        template=wish.template,
        conclusions=wish.conclusions, tools_used=wish.tools_used, tags=wish.tags,
        files={name: base_dir / path for name, path in files.items()} if isinstance(files, Mapping)
        else [base_dir / Path(path).expanduser() for path in files], sign_as=signer,
    )  # fmt: skip
    runs: list[Source] = []
    wrong: list[ValidationError] = []
    try:
        named_files(draft)
    except ValidationError as error:
        wrong.append(error)
    for run in wish.runs:
        try:
            runs.append(source_of(lab, run))
        except ValidationError as error:
            wrong.append(error)
    if wrong:
        raise _together(wrong)
    return replace(draft, runs=runs)


def _together(wrong: Sequence[ValidationError]) -> ValidationError:
    """Return all that is wrong as one error, each hint once."""
    said, hints = (" ".join(dict.fromkeys(texts)) for texts in zip(*((e.message, e.hint) for e in wrong), strict=True))
    return ValidationError(said, hint=hints, details={name: value for e in wrong for name, value in e.details.items()})


def source_of(lab: Lab, name: str) -> Source:
    """Return a run as a source.

    Raises:
        ValidationError: There is none of that name.
    """
    run = lab.find_run(name)
    return Source(record=_run_records(lab, {run.run_id})[run.run_id], run_id=run.run_id)


def _run_records(lab: Lab, runs: set[str]) -> dict[str, str]:
    table = schema.runs
    rows = lab.store.index.rows(table.select().where(table.c.run_id.in_(runs)))
    return {row["run_id"]: row["digest"] for row in rows}


def unlinked_tools(lab: Lab, entry: Entry) -> list[str]:
    """Return the tools that the author names and no linked run used."""
    used = {str(item.tool) for item in entry.sources}
    for record in _run_records(lab, {item.run_id for item in entry.sources}).values():
        said = lab.store.record(record)
        nodes = RunRecord.model_validate(said).nodes if said.get("kind") == "run" else ()
        used |= {f"{node.tool}.{node.method}" if node.method else node.tool for node in nodes}
    used |= {name.partition(".")[0] for name in used}
    return [name for name in entry.tools_used if name not in used]


def _key(lab: Lab, signer: str | None, ask: Ask | None) -> SecretKey | ConfigurationError | None:
    """Return the key of who is to sign, or why it cannot be opened now; None where nobody is to.

    It is opened before anything is written: who types a wrong passphrase finds all as it was.
    """
    if signer is None:
        return None
    try:
        return open_key(lab.settings, signer, ask)
    except ConfigurationError as error:
        return error


def _signed(lab: Lab, page: Page, key: SecretKey | ConfigurationError | None) -> Written:
    entry = page.entry
    claimed = unlinked_tools(lab, entry)
    warnings = [f"{', '.join(claimed)}: said by the author, not in the linked runs"] if claimed else []
    if key is None or entry.sign_as is None:
        return Written(page, False, tuple(warnings))
    if isinstance(key, ConfigurationError):
        return Written(page, False, (*warnings, _awaits(page, key)))
    try:
        made = sign_entry(lab.store, page, entry.sign_as, key, "author")
    except StoreError as error:
        return Written(page, False, (*warnings, _awaits(page, error)))
    return Written(replace(page, signatures=(made,)), True, tuple(warnings))


def _awaits(page: Page, error: PhyslabError) -> str:
    entry = page.entry
    command = f"physlab notebook sign {entry.entry_id} --person {entry.sign_as} --notebook {entry.notebook}"
    return f"The entry is kept and awaits the signature of {entry.sign_as}: {error} Then: {command}"


def sign_page(
    lab: Lab, page: Page, person: str | None = None, meaning: Meaning | None = None, ask: Ask | None = None
) -> EntrySignature:
    """Sign a revision with the key of a person.

    Args:
        lab: The lab.
        page: The revision.
        person: Who signs; by default who speaks in this lab.
        meaning: As what; by default as the author of what is their own, else as a witness.
        ask: Asks for the passphrase.

    Raises:
        ConfigurationError: There is no key, or it is locked.
        ValidationError: The passphrase is another one, or the person cannot sign with this meaning.
    """
    speaker = speaker_of(lab.settings, person)
    wrote = speaker.is_author(page.entry.author)
    earlier = wrote and bool(register_of(lab.settings).of(page.entry.author))
    signer = page.entry.author if earlier else speaker.id
    said = meaning or ("author" if wrote else "witness")
    return sign_entry(lab.store, page, signer, open_key(lab.settings, signer, ask), said, wrote=wrote)


def remark_on(lab: Lab, page: Page, text: str, word: Word = "comment") -> Remark:
    """Say something of a revision, as the person of this lab."""
    speaker, author = speaker_of(lab.settings), page.entry.author
    reviews = word != "comment" and speaker.is_author(
        author
    )  # of themselves, which is refused whatever they are called
    return remark(lab.store, page, author if reviews else speaker.id, text, word)


def preview_entry(lab: Lab, wish: Wish, base_dir: Path) -> dict[str, Any]:
    """Return what `add_entry` would write; nothing is kept.

    Raises:
        ValidationError: A file or run is not there.
    """
    draft = _draft(lab, wish, base_dir)
    notebook = notebook_for(lab, wish.notebook, wish.runs)
    return {**told_draft(lab, draft, notebook), "note": _moved(lab, wish, notebook)}


def told_draft(lab: Lab, draft: Draft, notebook: str) -> dict[str, Any]:
    """Return what a draft would become."""
    attachments, made = attach(lab.store, draft, keep=False)
    sources = {item.record: item for item in [*draft.runs, *made]}
    return {
        "dry_run": True, "notebook": notebook, "title": draft.title,
        "author": draft.author, "content": draft.content, "conclusions": draft.conclusions, "tags": list(draft.tags),
        "attachments": [told_attachment(item) for item in attachments],
        "sources": [told_source(item) for item in sources.values()], "sign_as": draft.sign_as,
    }  # fmt: skip


def find_page(lab: Lab, name: str, notebook: str | None = None) -> Page:
    """Return a revision by the beginning of its entry's id, `@2` for its second revision, or its record's digest.

    Raises:
        ValidationError: There is none of that name in the notebook; the message says in which other one it is.
    """
    return find_there(lab, name, notebook)[1]

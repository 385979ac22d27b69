"""The running text of a report, composed from the graph and its run: nothing is said that they do not hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup, escape

from physlab.model import Dag, Node, Reference, RunRecord, find_references
from physlab.report import words
from physlab.report.bibliography import Bibliography
from physlab.report.captions import parameter
from physlab.report.contents import Content
from physlab.report.exhibits import Exhibit, Mentions

EACH = 30  # steps up to which each has its own paragraph
LATER = (dict, list)


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text: what blank lines part."""
    return [" ".join(part.split()) for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]


def abstract(
    given: str, dag: Dag, contents: Sequence[Content], shown: Sequence[Exhibit], bib: Bibliography
) -> list[Markup]:
    """Return the abstract: the given text, or the description with the facts of the run."""
    if given.strip() and paragraphs(given) != paragraphs(dag.description):
        return [bib.cite(part) for part in paragraphs(given)]
    told = [bib.cite(part) for part in paragraphs(dag.description)[:1]]
    tools = words.listed(list(dict.fromkeys(content.run.tool for content in contents)), 8)
    steps = words.count(len(contents), "step")
    facts = f"The experiment is a graph of {steps} that uses the tools {tools}. {_outcome(contents)} "
    figures = sum(not item.table for item in shown)
    tables = sum(bool(item.table) for item in shown)
    parts = [words.count(number, noun) for number, noun in ((figures, "figure"), (tables, "table")) if number]
    results = f"The results are shown in {words.listed(parts)}. " if parts else ""
    facts += f"{results}Every value can be traced to its parameters, inputs and code in Appendix A."
    return [Markup(" ").join([*told, escape(facts)])]


def _outcome(contents: Sequence[Content]) -> str:
    """Say how many steps were computed, taken from the store, failed or did not run."""
    tally: dict[str, int] = defaultdict(int)
    for content in contents:
        tally[content.run.status] += 1
    said = [(tally["completed"], "computed"), (tally["cached"], "taken unchanged from earlier runs")]
    said += [(tally["failed"], "failed"), (tally["skipped"] + tally["cancelled"] + tally["pending"], "not run")]
    parts = [(n, what if what == "failed" else f"{'was' if n == 1 else 'were'} {what}") for n, what in said if n]
    if len(parts) == 1 and parts[0][0] > 1:
        return f"All {parts[0][0]} steps {parts[0][1]}."
    return f"Of its steps, {words.listed([f'{n} {what}' for n, what in parts])}."


def introduction(dag: Dag, run: RunRecord, contents: Sequence[Content], bib: Bibliography, told: bool) -> list[Markup]:
    """Return the description (its first paragraph only when the abstract does not say it), then what was run when."""
    described = [bib.cite(part) for part in paragraphs(dag.description)[1 if told else 0 :]]
    steps = words.count(len(contents), "step")
    when = f"on {words.date(run.started_at)} and took {words.duration(run.duration_ms)}"
    graph = Markup(
        'This paper reports one run of an experiment that is described as a graph of {} (<a href="#figure-1">'
        "Fig.&nbsp;1</a>). Each step is a call of a tool; it runs when the steps it needs are done, and its result is"
        " kept under the digest of everything it depends on, so that an unchanged step is never computed twice. The run"
        " was started {}.{}"
    ).format(steps, when, "" if told else f" {_outcome(contents)}")
    return [*described, graph]


def methods(dag: Dag, contents: Sequence[Content], mentions: Mentions) -> Iterator[Markup]:
    """Yield a paragraph for each step; of a large graph one for each method."""
    asked = {node.id: node for node in dag.nodes}
    if len(contents) <= EACH:
        for content in contents:
            yield _step(content, asked.get(content.id), mentions)
        return
    groups: Mapping[str, list[Content]] = defaultdict(list)
    for content in contents:
        groups[content.name].append(content)
    for name, group in groups.items():
        if len(group) == 1:
            yield _step(group[0], asked.get(group[0].id), mentions)
        else:
            yield _alike(name, group)


def _step(content: Content, node: Node | None, mentions: Mentions) -> Markup:
    """Return one step in words: what it does, with which parameters, taking what from where."""
    head = Markup('<b><a href="#node-{0}">{0}</a></b> (<code>{1}</code>). ').format(content.id, content.name)
    does = content.method.summary.rstrip(".") + ". " if content.method and content.method.summary else ""
    params = node.params if node else {}
    given = [parameter(content, n, v) for n, v in params.items() if not any(True for _ in find_references(v))]
    taken = [_taken(n, list(find_references(v))) for n, v in params.items() if any(True for _ in find_references(v))]
    said = []
    if given:
        said.append(Markup("Set: ") + Markup(", ").join(given) + ".")
    if taken:
        said.append(Markup("Taken: ") + Markup(", ").join(taken) + ".")
    if content.record is None:
        said.append(Markup("<i>No result: {}.</i>").format(content.run.status))
    return head + escape(does) + Markup(" ").join(said) + mentions.links(content.id)


def _taken(name: str, references: Sequence[Reference]) -> Markup:
    """Return `f from psi (radial)`; of many sources the first ones and how many more."""
    sources = [
        Markup('<a href="#node-{0}">{0}</a>{1}').format(
            ref.node, Markup(" (<i>{}</i>)").format(".".join(ref.path)) if ref.path else ""
        )
        for ref in references[:4]
    ]
    more = f" and {len(references) - 4} more" if len(references) > 4 else ""
    return Markup("<i>{}</i> from {}{}").format(name, Markup(", ").join(sources), more)


def _alike(name: str, group: Sequence[Content]) -> Markup:
    """Return one paragraph for all steps of a method: what they share and what differs."""
    summary = next((c.method.summary for c in group if c.method and c.method.summary), "")
    text = Markup("<b>{}</b> in {} steps ({}). {} ").format(
        name, len(group), words.listed([content.id for content in group], 6), summary
    )
    records = [content.record for content in group if content.record]
    if not records:
        return text
    shared, varied = [], []
    for param in records[0].params:
        values = [record.params.get(param) for record in records]
        if isinstance(values[0], LATER):
            continue
        if len({words.compact(value) for value in values}) == 1:
            if values[0] not in (None, "", False):
                shared.append(parameter(group[0], param, values[0]))
            continue
        numbers = [value for value in values if isinstance(value, int | float)]
        if len(numbers) == len(values):
            low, high = words.number(min(numbers), 4), words.number(max(numbers), 4)
            varied.append(Markup("<i>{}</i> from {} to {}").format(param, low, high))
        else:
            varied.append(Markup("<i>{}</i> ({} values)").format(param, len({words.compact(v) for v in values})))
    if shared:
        text += Markup("All have {}. ").format(Markup(", ").join(shared[:12]))
    return text + (Markup("They differ in {}.").format(Markup(", ").join(varied)) if varied else Markup(""))


def software(contents: Sequence[Content]) -> Markup:
    """Return the sentence on software, devices and number types."""
    versions: dict[str, set[str]] = defaultdict(set)
    for content in contents:
        for name, version in (content.record.code if content.record else {}).items():
            if name != "fingerprint" and version != "not installed":
                versions[name].add(version)
    parts = [f"{name} {' and '.join(sorted(found))}" for name, found in sorted(versions.items())]
    devices = sorted({content.record.device for content in contents if content.record})
    dtypes = sorted({str(c.record.meta["dtype"]) for c in contents if c.record and c.record.meta.get("dtype")})
    text = f"Software: {words.listed(parts, 20)}. " if parts else ""
    text += f"Computed on {words.listed(devices)}" if devices else ""
    text += f" in {words.listed(dtypes)}." if devices and dtypes else "." if devices else ""
    fallbacks = [(c.id, c.record.fallback) for c in contents if c.record and c.record.fallback]
    return escape(" ".join([text, *(f"Step {name} fell back: {why.rstrip('.')}." for name, why in fallbacks[:10])]))


def results(shown: Sequence[Exhibit]) -> Markup:
    """Return the sentence that leads into the figures and tables."""
    if not shown:
        return Markup("The run gave no figure, no table and no scalar value.")
    tables, figures = [item for item in shown if item.table], [item for item in shown if not item.table]
    parts = [_span(found, word) for found, word in ((tables, "Table"), (figures, "Figure")) if found]
    return Markup(
        "The results stand in {}, in the order of the graph, numbers last. The captions are made from the parameters."
    ).format(Markup(" and ").join(parts))


def _span(found: Sequence[Exhibit], word: str) -> Markup:
    anchor = word.lower()
    link = Markup('<a href="#{0}-{1}">{1}</a>')
    first = link.format(anchor, found[0].number)
    if len(found) == 1:
        return Markup("{}&nbsp;{}").format(word, first)
    return Markup("{}s&nbsp;{}{}{}").format(
        word, first, Markup("–") if len(found) > 2 else Markup(" and "), link.format(anchor, found[-1].number)
    )


def trouble(contents: Sequence[Content]) -> list[Markup]:
    """Return a line for each step that gave no result."""
    lines = []
    for content in contents:
        if content.record is None and content.run.status not in ("completed", "cached"):
            error = content.run.error or {}
            said = " ".join(str(error.get(part, "")) for part in ("message", "hint")).strip()
            code = f" [{error['code']}]" if error.get("code") else ""
            why = words.cut(said or content.run.why or "no reason was recorded", 600)
            lines.append(Markup("<b>{}</b> {}{}: {}").format(content.id, content.run.status, code, why))
    shown = lines[:20]
    return shown + ([Markup("… and {} more steps.").format(len(lines) - 20)] if len(lines) > 20 else [])


def warnings(contents: Sequence[Content]) -> list[Markup]:
    """Return what the tools warned of."""
    lines = [Markup("<b>{}</b>: {}").format(c.id, w) for c in contents if c.record for w in c.record.warnings]
    return lines[:20] + ([Markup("… and {} more notes (run.json).").format(len(lines) - 20)] if len(lines) > 20 else [])


def availability(run: RunRecord) -> Markup:
    """Return where the data are and how they can be checked."""
    return Markup(
        "All files stand beside this paper in the folder of the run {}: the links below the figures lead to the full"
        " resolution, <code>run.json</code> holds every number. Each file can be checked with <code>sha256sum</code>"
        " against the digest printed here. Appendix&nbsp;A states for each step the tool, all parameters, the digests"
        " of its inputs, the fingerprint of the code and the versions of its libraries."
    ).format(run.run_id)

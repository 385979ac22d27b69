"use strict";
// A plain face of the API: what was shared, to look at. Nothing here is trusted: texts are set as text, never as HTML.
const API = "/api/v1/";
const main = document.getElementById("main");
let csrf = "";

class Refused extends Error {
  constructor(status, problem) { super(`${problem.message} ${problem.hint}`); this.status = status; this.kind = problem.kind; }
}

async function ask(method, path, body) {
  const headers = { "x-csrf-token": csrf };
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(API + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin" });
  const told = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, told.error);
  return told;
}

function make(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside.filter((one) => one !== null && one !== undefined));
  return made;
}

function table(heads, rows) {
  if (!rows.length) return make("p", { class: "soft" }, "Nothing yet.");
  const head = make("tr", {}, ...heads.map((text) => make("th", {}, text)));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell ?? ""))));
  return make("div", { class: "table" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
}

function show(...parts) { main.replaceChildren(...parts.filter((part) => part !== null)); }
function link(hash, text) { return make("a", { href: hash }, text); }
function at(session) { return `sessions/${encodeURIComponent(session)}`; }
function when(text) { return new Date(text).toLocaleString(); }
function size(bytes) { return bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`; }

function form(title, fields, button, send, note) {
  const inputs = {};
  const labels = fields.map(([name, text, type]) => {
    inputs[name] = make("input", { name, type, required: "", autocomplete: type === "password" ? "current-password" : name === "shown" ? "one-time-code" : "username" });
    return make("label", {}, text, inputs[name]);
  });
  const made = make("form", {}, make("h1", {}, title), note ? make("p", { class: "soft" }, note) : null, ...labels, make("button", {}, button));
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    try { await send(Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value]))); }
    catch (error) { complain(error, made); }
  });
  show(made);
}

function complain(error, where) {
  const said = make("p", { class: "error", role: "alert" }, error.message);
  where.querySelector(".error")?.remove();
  where.append(said);
}

function signIn() {
  form("Sign in", [["login", "Login or mail address", "text"], ["password", "Password", "password"]], "Sign in", async (given) => {
    const told = await ask("POST", "sign-in", given);
    csrf = told.csrf;
    if (told.needs_second_factor) secondFactor(); else await begin();
  }, "Or open the link that was sent to you.");
  main.append(make("p", {}, link("#/first", "I have a code for a first password")));
  offerInstitutes();
}

function firstPassword() {
  form("First password", [["code", "The code that you were given", "text"], ["password", "A new password", "password"]], "Set it", async (given) => {
    const told = await ask("POST", "password/first", given);
    location.hash = "#/";
    signIn();
    main.prepend(make("p", {}, `The password of ${told.login} is set; sign in with it.`));
  });
}

async function offerInstitutes() {
  const told = await ask("GET", "institutes");
  for (const name of told.institutes) {
    const button = make("button", { type: "button" }, `Sign in at ${name}`);
    button.addEventListener("click", async () => { location.assign((await ask("POST", `institutes/${name}`)).url); });
    main.append(make("p", {}, button));
  }
}

function secondFactor() {
  form("Second factor", [["shown", "Code of your authenticator app", "text"]], "Show it", async (given) => {
    await ask("POST", "prove", { how: given.shown.length > 8 ? "recovery" : "code", shown: given.shown });
    await begin();
  }, "A recovery code works too.");
}

async function join(token) {
  history.replaceState(null, "", "#/");  // the secret does not stay in the address
  const told = await ask("POST", "links/open", { token });
  csrf = told.csrf;
  location.hash = `#/sessions/${encodeURIComponent(told.session_id)}`;
  await begin();
}

async function home(me) {
  const rows = Object.entries(me.sessions).map(([name, role]) => [link(`#/sessions/${encodeURIComponent(name)}`, name), role]);
  show(make("h1", {}, "Sessions"), table(["session", "your role"], rows));
}

async function session(name) {
  const [told, runs, files, notebook] = await Promise.all([
    ask("GET", at(name)), ask("GET", `${at(name)}/runs?limit=50`), ask("GET", `${at(name)}/artifacts?limit=200`), ask("GET", `${at(name)}/notebook`),
  ]);
  const here = `#/sessions/${encodeURIComponent(name)}`;
  show(
    make("h1", {}, told.only ? told.only.title : name), make("p", { class: "soft" }, `Your role: ${told.role}`),
    told.only ? make("p", {}, "All of it in one signed file: ", download(name, { sha256: told.only.sha256, name: told.only.name.split("/").pop() }), ` (${size(told.only.size)})`) : null,
    make("h2", {}, "Notebook"),
    table(["entry", "by", "state", "when"], notebook.entries.map((one) => [link(`${here}/notebook/${one.entry_id}`, one.title), one.author_name, one.state, when(one.at)])),
    make("h2", {}, "Runs"),
    table(["run", "title", "state", "nodes", "when"], runs.runs.map((one) => [link(`${here}/runs/${one.run_id}`, one.run_id), one.title, one.status, `${one.total} (${one.cached} cached)`, when(one.started_at)])),
    make("h2", {}, "Files"),
    table(["file", "of", "size", "SHA-256"], files.artifacts.map((one) => [download(name, one), one.run_id ? `${one.run_id} ${one.node_id}` : "", size(one.size), one.sha256.slice(0, 16)])),
  );
}

function download(name, one) { return make("a", { href: `${API}${at(name)}/artifacts/${one.sha256}` }, one.name); }

async function run(name, id) {
  const told = await ask("GET", `${at(name)}/runs/${encodeURIComponent(id)}`);
  const here = `#/sessions/${encodeURIComponent(name)}`;
  show(make("p", {}, link(here, name)), make("h1", {}, told.title || id), make("p", { class: "soft" }, `${id}, ${told.status}, ${when(told.started_at)}`),
    table(["node", "tool", "state", "why"], told.nodes.map((one) => [link(`${here}/runs/${id}/${encodeURIComponent(one.id)}`, one.id), one.method ? `${one.tool}.${one.method}` : one.tool, one.status, one.why])));
}

async function node(name, id, which) {
  const told = await ask("GET", `${at(name)}/runs/${encodeURIComponent(id)}/nodes/${encodeURIComponent(which)}`);
  show(make("p", {}, link(`#/sessions/${encodeURIComponent(name)}/runs/${id}`, id)), make("h1", {}, which), make("pre", {}, JSON.stringify(told, null, 2)));
}

// The lab made it without anything active: Markdown without HTML, cleaned, and the page's policy runs no script in it.
function rendered(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const article = parsed.querySelector("article");
  for (const head of article.querySelectorAll(":scope > h1, :scope > .facts, :scope > .list")) head.remove();
  return document.importNode(article, true);
}

function called(told, who) { return told.names[who] ?? who; }

async function entry(name, id) {
  const path = `${at(name)}/notebook/${encodeURIComponent(id)}`;
  const [told, shown] = await Promise.all([ask("GET", path), ask("GET", `${path}/html`)]);
  show(make("p", {}, link(`#/sessions/${encodeURIComponent(name)}`, name)), make("h1", {}, told.title),
    make("p", { class: "soft" }, `${called(told, told.author)}, revision ${told.revision}, ${told.state}, ${when(told.at)}`), rendered(shown.html),
    make("p", {}, make("a", { href: `${API}${path}/pdf` }, "As PDF, with the seal of the lab")),
    table(["file", "size", "SHA-256"], told.attachments.map((one) => [download(name, one), size(one.size), one.sha256.slice(0, 16)])),
    ...(told.attachments.length ? [make("img", { src: `${API}${path}/sheet`, alt: "Small pictures of the files", loading: "lazy", class: "sheet" })] : []),
    make("h2", {}, "Remarks"), table(["who", "says", ""], told.remarks.map((one) => [called(told, one.author), one.word, one.text])),
    make("h2", {}, "Signatures"), table(["who", "meaning", "key", "when"], told.signatures.map((one) => [called(told, one.signer), one.meaning, one.key, when(one.at)])));
}

function nowhere() {
  show(make("h1", {}, "There is no such place"), make("p", {}, "The address may be mistyped or cut off."), make("p", {}, link("#/", "To the sessions")));
}

async function begin() {
  const parts = location.hash.replace(/^#\/?/, "").split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  try {
    if (parts[0] === "join" && parts[1]) return await join(parts[1]);
    if (parts[0] === "first") return firstPassword();
    const me = await ask("GET", "me");
    csrf = me.csrf ?? "";
    document.getElementById("who").textContent = me.name ?? (me.link ? "guest of a link" : "");
    document.getElementById("out").hidden = !me.csrf;
    if (!me.person && !me.link) return signIn();
    if (parts[0] === "sessions" && parts[2] === "notebook") return await entry(parts[1], parts[3]);
    if (parts[0] === "sessions" && parts[2] === "runs" && parts[4]) return await node(parts[1], parts[3], parts[4]);
    if (parts[0] === "sessions" && parts[2] === "runs") return await run(parts[1], parts[3]);
    if (parts[0] === "sessions" && parts[1]) return await session(parts[1]);
    if (parts[0] && parts[0] !== "sessions") return nowhere();
    return await home(me);
  } catch (error) {
    if (error.kind === "StepUpError") return secondFactor();
    if (error.status === 401) return signIn();
    show(make("h1", {}, "That did not work"), make("p", { class: "error", role: "alert" }, error.message), make("p", {}, link("#/", "To the sessions")));
  }
}

document.getElementById("out").addEventListener("click", async () => { await ask("POST", "sign-out"); csrf = ""; location.hash = "#/"; await begin(); });
addEventListener("hashchange", begin);
begin();

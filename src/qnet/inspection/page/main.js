"use strict";
// The page: keys, buttons, and the spectrum that is looked at.
const KEYS = [
  [["ArrowRight", "j"], "→ j", "next spectrum", () => step(1)],
  [["ArrowLeft", "k"], "← k", "spectrum before", () => step(-1)],
  [["n"], "n", "next spectrum without a verdict", () => step(1, true)],
  [["a"], "a", "accept the quasar and its ZBEST, and go on", () => accept()],
  ...CLASSES.map(([type, key, name]) => [[key], key, `decide: ${name}`, () => decideClass(type)]),
  ...QUALITIES.map((name, n) => [[String(n)], String(n), `quality: ${name}`, () => decide({ quality: n })]),
  [["v"], "v", "use the redshift of the marks for the verdict", () => decide({ z: view.z })],
  [["b"], "b", "bad spectrum", () => decide({ bad: !(verdictOf(items[view.n]) || {}).bad })],
  [["m"], "m", "write a comment", () => byId("comment").focus()],
  [["Backspace", "Delete"], "Delete", "clear the verdict", () => clearVerdict()],
  [["z"], "z", "marks to ZBEST", () => toBest()],
  [["x"], "x", "marks to the second redshift", () => candidate(1)],
  [["c"], "c", "marks to the next candidate", () => candidate(view.candidate + 1)],
  [["o"], "o", "marks to the redshift of the other catalogue", () => toOther()],
  [[",", "."], ", .", "marks by 100 km/s", (key) => shift(key === "," ? -100 : 100)],
  [["<", ">"], "< >", "marks by 1000 km/s", (key) => shift(key === "<" ? -1000 : 1000)],
  [["[", "]"], "[ ]", "less or more smoothing", (key) => smoothing(key === "[" ? -1 : 1)],
  [["w"], "w", "noise", () => byId("show-noise").click()],
  [["l"], "l", "line marks", () => byId("show-marks").click()],
  [["t"], "t", "mean quasar", () => byId("show-shape").click()],
  [["d"], "d", "best fit of redrock", () => byId("show-fit").click()],
  [["e"], "e", "what decided", () => byId("show-explain").click()],
  [["r"], "r", "whole range", () => wholeRange()],
  [["f"], "f", "search for a TARGETID", () => byId("f-id").focus()],
  [["?", "h"], "?", "this list", () => byId("help").showModal()],
];

function say(text) {
  byId("message").textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { byId("message").textContent = ""; }, 6000);
}

/** Candidate redshifts of a spectrum: ZBEST, Z2, then the other peaks and lines, each once. */
function candidates(item) {
  const found = [];
  const add = (z, label) => {
    if (z === null || z === undefined || found.some((other) => Math.abs(other.z - z) / (1 + z) < 2 * FAR)) return;
    found.push({ z, label });
  };
  const percent = (p) => (p === null || p === undefined ? "" : ` (${(100 * p).toFixed(0)} %)`);
  add(item.z, `ZBEST ${fixed(item.z, 4)}${percent(item.pz)}`);
  add(item.z2, `Z2 ${fixed(item.z2, 4)}${percent(item.p2)}`);
  for (const [z, p] of item.candidates) add(z, `${fixed(z, 4)}${percent(p)}`);
  item.lines.forEach(([c, z], n) => { if (c >= LEAST_CONFIDENCE) add(z, `${shared.lines[n][0]} ${fixed(z, 4)}`); });
  return found;
}

function candidate(n) {
  const found = candidates(items[view.n]);
  if (found.length < 2) return say("There is no second candidate.");
  view.candidate = n % found.length;
  return setZ(found[view.candidate].z);
}

function toBest() {
  view.candidate = 0;
  setZ(items[view.n].z);
}

function toOther() {
  const { other } = items[view.n];
  return other && other[1] !== null ? setZ(other[1]) : say("No other catalogue has this spectrum.");
}

const shift = (velocity) => setZ((1 + view.z) * (1 + velocity / 299792.458) - 1);

function smoothing(by) {
  const at = SMOOTHINGS.indexOf(view.smooth) + by;
  view.smooth = SMOOTHINGS[Math.min(SMOOTHINGS.length - 1, Math.max(0, at))];
  byId("smooth").value = view.smooth;
  draw();
}

function wholeRange() {
  view.xrange = null;
  draw();
  Plotly.relayout("plot", { "xaxis.range": view.xrange, "yaxis.range": limits(smooth(view.data.flux, view.data.sigma, view.smooth), median(view.data.sigma)) });
}

function decideClass(type) {
  if (type === "STAR" && Math.abs(view.z) > 0.01) setZ(0);
  decide(type ? { type } : { type, quality: 0 });
}

function accept() {
  const item = items[view.n];
  if (!item.qso) return say("The row is no quasar: say which class it is, g or s, or that it is a quasar, q.");
  setZ(item.z);
  decide({ type: "QSO", quality: 4 });
  return step(1);
}

function clearVerdict() {
  delete verdicts[keyOf(items[view.n])];
  keep();
  update();
}

/** Words on the spectrum: the row's answer. */
function answer(item) {
  const error = item.zerr === null ? "" : ` ± ${item.zerr.toFixed(4)}`;
  const kind = item.qso ? (item.bal ? "BAL quasar" : "quasar") : "no quasar";
  return `${kind}${item.qso ? " at" : ", best redshift"} z = ${fixed(item.z, 4)}${error}`;
}

/** Show spectrum n. */
function show(n) {
  const item = items[n], verdict = verdictOf(item);
  const number = (name, x, digits) => (x === null || x === undefined ? [] : [`${name} = ${x.toFixed(digits)}`]);
  Object.assign(view, { n, data: decode(n), xrange: null, candidate: 0 });
  const words = [...number("P_QSO", item.p, 4), ...number("P_Z", item.pz, 4), ...number("P_BAL", item.pbal, 2), ...number("S/N", item.snr, 1)];
  const name = item.cells[shared.columns.findIndex(([column]) => column === "TARGET_NAME")];
  byId("head").replaceChildren(make("span", item.id + (name ? ` (${name})` : "")), make("span", answer(item), "answer"),
    make("span", words.join(", ")), make("span", item.source, "small"));
  byId("reasons").textContent = [...item.reasons, item.wrong === null ? "" : `the answer is wrong with probability ${item.wrong.toFixed(2)}`]
    .filter(Boolean).join("; ");
  byId("flags").replaceChildren(...shared.flags.filter(([bit]) => item.flag & (1 << bit))
    .map(([, flag, meaning]) => make("li", `${flag}: ${meaning}`)));
  byId("row").replaceChildren(...shared.columns.map(([column, unit, description], k) => {
    const line = make("tr");
    line.title = description;
    line.append(make("td", column), make("td", item.cells[k] + (unit && item.cells[k] ? ` ${unit}` : "")));
    return line;
  }));
  byId("candidates").replaceChildren(...candidates(item).slice(0, 5).map(({ z, label }, k) => {
    const button = make("button", label);
    button.type = "button";
    button.addEventListener("click", () => { view.candidate = k; setZ(z); });
    return button;
  }));
  writeZ(verdict ? verdict.z : item.z);
  draw();
  drawPz();
  update();
}

/** Bring the verdict, the list's entry and the progress up to date. */
function update() {
  const done = items.filter(verdictOf).length;
  byId("progress").textContent = `${done} of ${items.length} inspected`;
  const verdict = verdictOf(items[view.n]) || {}, entry = byId("list").querySelector(`[data-n="${view.n}"]`);
  for (const button of byId("classes").children) button.classList.toggle("on", verdict.type === button.dataset.type);
  for (const button of byId("qualities").children) button.classList.toggle("on", verdict.quality === Number(button.dataset.quality));
  byId("bad").checked = Boolean(verdict.bad);
  if (document.activeElement !== byId("comment")) byId("comment").value = verdict.comment || "";
  byId("given").textContent = "quality" in verdict
    ? `Verdict: ${verdict.type || "unknown"}, z = ${verdict.z.toFixed(4)}, quality ${verdict.quality}` : "No verdict yet";
  if (entry) {
    entry.querySelector(".done")?.remove();
    if ("quality" in verdict) entry.prepend(make("span", `${verdict.type || "?"} ${verdict.quality}`, "done"));
  } else listItems();
  markCurrent();
}

/** A key that is pressed outside of a field. */
function press(event) {
  const field = event.target.closest("input:not([type=checkbox]):not([type=range]), select, textarea, dialog");
  if (event.key === "Escape" && event.target.blur) event.target.blur();
  if (event.key === "Enter" && event.target.tagName === "INPUT") event.target.blur();
  if (field || event.ctrlKey || event.metaKey || event.altKey) return;
  const row = KEYS.find(([keys]) => keys.includes(event.key) || keys.includes(event.key.toLowerCase()));
  if (!row) return;
  event.preventDefault();
  row[3](event.key);
}

function makeButtons() {
  for (const [type, key, name] of CLASSES) {
    const button = make("button", `${name} (${key})`);
    Object.assign(button, { type: "button", onclick: () => decideClass(type) });
    button.dataset.type = type;
    byId("classes").append(button, " ");
  }
  QUALITIES.forEach((name, n) => {
    const button = make("button", `${n} ${name}`);
    Object.assign(button, { type: "button", onclick: () => decide({ quality: n }) });
    button.dataset.quality = n;
    byId("qualities").append(button, " ");
  });
  const list = make("div", undefined, "keys");
  for (const [, keys, text] of KEYS) {
    const line = make("div");
    line.append(make("kbd", keys), ` ${text}`);
    list.append(line);
  }
  byId("help").append(list, make("p", "Drag over the spectrum to zoom; double-click for the whole range. Esc closes this list."));
}

function connect() {
  const on = (id, event, action) => byId(id).addEventListener(event, action);
  document.addEventListener("keydown", press);
  on("list", "click", (event) => { const entry = event.target.closest("li"); if (entry) show(Number(entry.dataset.n)); });
  on("slider", "input", () => setZ(Math.expm1(Number(byId("slider").value))));
  on("z", "change", () => setZ(Number(byId("z").value)));
  on("smooth", "change", () => { view.smooth = Number(byId("smooth").value); draw(); byId("smooth").blur(); });
  for (const id of ["show-noise", "show-marks", "show-shape", "show-fit", "show-explain"]) on(id, "change", draw);
  on("reset", "click", wholeRange);
  on("bad", "change", () => decide({ bad: byId("bad").checked }));
  on("comment", "change", () => decide({ comment: byId("comment").value }));
  on("verdict", "submit", (event) => event.preventDefault());
  on("accept", "click", accept);
  on("use-z", "click", () => decide({ z: view.z }));
  on("clear", "click", clearVerdict);
  on("next", "click", () => step(1, true));
  byId("filters").addEventListener("change", (event) => { if (event.target.tagName === "SELECT") event.target.blur(); });
  on("scanner", "change", keep);
  on("export", "click", download);
  on("import", "change", async () => {
    const [file] = byId("import").files;
    if (file) fromCsv(await file.text());
    byId("import").value = "";
  });
  on("help-open", "click", () => byId("help").showModal());
}

makeFilters();
makeButtons();
fill("smooth", SMOOTHINGS);
byId("smooth").value = view.smooth;
byId("catalogue").textContent = [shared.catalogue, shared.model, shared.other && `beside ${shared.other}`].filter(Boolean).join(", ");
byId("fit-option").hidden = !shared.fits;
byId("explain-option").hidden = !shared.parts;
restore();
listItems();
if (items.length) show(0);
byId("plot").on("plotly_relayout", (change) => {
  if (!("xaxis.range[0]" in change)) return;
  view.xrange = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
  Plotly.restyle("plot", { x: [foundLines(items[view.n]).x], y: [foundLines(items[view.n]).y] }, [4]);
  refresh();
});
byId("plot").on("plotly_doubleclick", wholeRange);
// The lines of text above it, and the rows of controls below it, change with the spectrum.
new ResizeObserver(() => Plotly.Plots.resize("plot")).observe(byId("plot"));
byId("pz").on("plotly_click", (event) => setZ(Math.expm1(event.points[0].x)));
connect();
document.body.dataset.ready = "yes";

"use strict";
// What the inspector decided: kept in the browser, exported and imported as CSV.
const CLASSES = [["QSO", "q", "quasar"], ["GALAXY", "g", "galaxy"], ["STAR", "s", "star"], ["", "u", "unknown"]];
// The qualities of DESI's visual inspections (Lan et al. 2023, section 3; Alexander et al. 2023, section 3).
const QUALITIES = ["no signal", "unlikely", "possible", "probable", "secure"];
const COLUMNS = ["TARGETID", ...shared.exported, "VI_scanner", "VI_quality", "VI_issue", "VI_z", "VI_spectype", "VI_comment"];
const FAR = 3000 / 299792.458;
let verdicts = {};

/** Key of a spectrum: its TARGETID, with its row where others have the same. */
const seen = {};
for (const item of items) (seen[item.id] = seen[item.id] || []).push(item);
const keyOf = (item) => (seen[item.id].length > 1 ? `${item.id}#${item.row}` : item.id);
const verdictOf = (item) => verdicts[keyOf(item)];

/** Keep what was decided; say so where the browser keeps nothing. */
function keep() {
  try {
    localStorage.setItem(shared.key, JSON.stringify({ verdicts, scanner: byId("scanner").value }));
  } catch (error) {
    say("This browser keeps nothing: export the table before you close the page.");
  }
}

/** Read what the browser has kept. */
function restore() {
  try {
    const kept = JSON.parse(localStorage.getItem(shared.key) || "{}");
    for (const [key, value] of Object.entries(kept.verdicts || {})) verdicts[key] = clean(value);
    byId("scanner").value = String(kept.scanner || "");
  } catch (error) {
    say("What the browser had kept cannot be read.");
  }
}

/** A verdict with legal values only. */
function clean({ type, z, quality, bad, comment }) {
  const known = CLASSES.some(([name]) => name === type), number = Number(z), level = Number(quality);
  return { type: known ? type : "", z: z !== "" && Number.isFinite(number) ? number : 0,
    quality: level >= 0 && level <= 4 ? level : 0, bad: Boolean(bad), comment: String(comment || "").slice(0, 200) };
}

/** Codes of DESI's inspections: R redshift, C class of the catalogue is wrong, S spectrum is bad. */
function issues(item, verdict) {
  let codes = "";
  const quasar = verdict.type === "QSO";
  if (quasar && item.qso && Math.abs(verdict.z - item.z) / (1 + item.z) > FAR) codes += "R";
  if (verdict.type && quasar !== item.qso) codes += "C";
  return codes + (verdict.bad ? "S" : "");
}

/** The table of all that was decided. */
function toCsv() {
  const rows = [COLUMNS], names = shared.columns.map(([name]) => name);
  for (const item of items) {
    const verdict = verdictOf(item);
    if (!verdict) continue;
    const extra = shared.exported.map((name) => item.cells[names.indexOf(name)]);
    rows.push([item.id, ...extra, byId("scanner").value, verdict.quality, issues(item, verdict),
      verdict.z.toFixed(5), verdict.type, verdict.comment]);
  }
  const quote = (cell) => (/[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replace(/"/g, '""')}"` : cell);
  return rows.map((row) => row.map((cell) => quote(String(cell))).join(",")).join("\r\n") + "\r\n";
}

/** Cells of CSV (RFC 4180). */
function parseCsv(text) {
  const rows = [[]];
  let cell = "", quoted = false;
  for (let i = 0; i < text.length; i++) {
    const letter = text[i];
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (text[i + 1] === '"') { cell += '"'; i++; } else quoted = false;
    } else if (letter === '"') quoted = true;
    else if (letter === ",") { rows[rows.length - 1].push(cell); cell = ""; }
    else if (letter === "\n") { rows[rows.length - 1].push(cell.replace(/\r$/, "")); cell = ""; rows.push([]); }
    else cell += letter;
  }
  rows[rows.length - 1].push(cell);
  return rows.filter((row) => row.length > 1 || row[0] !== "");
}

/** Take the rows of a table of inspections; say how many, and how many are not of this page. */
function fromCsv(text) {
  const [head = [], ...rows] = parseCsv(text.replace(/^\uFEFF/, ""));
  const at = Object.fromEntries(head.map((name, n) => [name.trim().toUpperCase(), n]));
  const missing = ["TARGETID", "VI_QUALITY", "VI_Z", "VI_SPECTYPE"].filter((name) => !(name in at));
  if (missing.length) return say(`The table lacks ${missing.join(", ")}.`);
  let taken = 0, others = 0;
  for (const row of rows) {
    const value = (name) => (row[at[name]] || "").trim();
    const found = seen[value("TARGETID")];
    if (!found || value("VI_QUALITY") === "" || Number(value("VI_QUALITY")) < 0) { others++; continue; }
    for (const item of found) {
      verdicts[keyOf(item)] = clean({ type: value("VI_SPECTYPE").toUpperCase(), z: value("VI_Z") || item.z || 0,
        quality: Math.floor(Number(value("VI_QUALITY"))), bad: value("VI_ISSUE").includes("S"), comment: value("VI_COMMENT") });
    }
    taken++;
  }
  if (!byId("scanner").value && rows.length && "VI_SCANNER" in at) byId("scanner").value = rows[0][at.VI_SCANNER] || "";
  keep();
  update();
  return say(`${taken} verdicts were read` + (others ? `; ${others} rows are not of this page or were not inspected.` : "."));
}

/** Give the browser a file to save. */
function download() {
  const link = make("a");
  const url = URL.createObjectURL(new Blob([toCsv()], { type: "text/csv" }));
  const who = byId("scanner").value.replace(/[^\w-]+/g, "_");
  link.href = url;
  link.download = `vi_${shared.catalogue.replace(/\.\w+$/, "").replace(/[^\w-]+/g, "_")}${who ? "_" + who : ""}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Decide on the spectrum that is looked at; the redshift is that of the marks. */
function decide(change) {
  const item = items[view.n];
  const before = verdictOf(item) || { type: "", z: view.z, quality: change.quality ?? 4, bad: false, comment: "" };
  const moves = "type" in change || "quality" in change;
  verdicts[keyOf(item)] = clean({ ...before, ...(moves ? { z: view.z } : {}), ...change });
  keep();
  update();
}

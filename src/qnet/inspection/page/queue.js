"use strict";
// The list of spectra: what is filtered, and in which order.
let shown = items.map((_, n) => n);
const SORTS = { "first to inspect": null, "redshift": (item) => item.z, "P_QSO": (item) => item.p,
  "S/N, highest first": (item) => -item.snr, "row of the catalogue": (item) => item.row };
const CLASS_FILTERS = { "all classes": () => true, "quasars": (item) => item.qso, "not quasars": (item) => !item.qso,
  "BAL quasars": (item) => item.bal, "differs from the other catalogue": (item) => item.reasons.length > 0 };
const DONE_FILTERS = { "inspected or not": () => true, "not inspected": (item) => !verdictOf(item),
  "inspected": (item) => Boolean(verdictOf(item)), "quality under 3": (item) => verdictOf(item) && verdictOf(item).quality < 3 };

function fill(id, names) {
  for (const name of names) byId(id).append(make("option", name));
}

/** Fill the choices of the filters. */
function makeFilters() {
  fill("f-sort", Object.keys(SORTS));
  fill("f-class", Object.keys(CLASS_FILTERS).slice(0, shared.other ? 5 : 4));
  fill("f-done", Object.keys(DONE_FILTERS));
  fill("f-flag", ["any flag or none", "no flag"]);
  for (const [bit, name] of shared.flags) {
    const count = items.filter((item) => item.flag & (1 << bit)).length;
    if (!count) continue;
    const option = make("option", `${name} (${count})`);
    option.value = String(bit);
    byId("f-flag").append(option);
  }
  byId("filters").addEventListener("input", applyFilters);
  byId("f-clear").addEventListener("click", clearFilters);
}

function clearFilters() {
  for (const element of byId("filters").querySelectorAll("input")) element.value = "";
  for (const element of byId("filters").querySelectorAll("select")) element.selectedIndex = 0;
  applyFilters();
}

/** Whether a value is in the range of two fields; a value that is not known is in the empty range. */
function inRange(value, name) {
  const [low, high] = ["low", "high"].map((end) => byId(`f-${name}-${end}`).value);
  if (low === "" && high === "") return true;
  if (value === null) return false;
  return (low === "" || value >= Number(low)) && (high === "" || value <= Number(high));
}

function passes(item) {
  const flag = byId("f-flag").value, id = byId("f-id").value.trim();
  if (id && !item.id.includes(id)) return false;
  if (flag === "no flag" ? item.flag !== 0 : /^\d+$/.test(flag) && !(item.flag & (1 << Number(flag)))) return false;
  return CLASS_FILTERS[byId("f-class").value](item) && DONE_FILTERS[byId("f-done").value](item)
    && inRange(item.z, "z") && inRange(item.p, "p") && inRange(item.pz, "pz");
}

/** Filter and sort; the spectrum that is looked at stays if it is among those. */
function applyFilters() {
  shown = items.map((_, n) => n).filter((n) => passes(items[n]));
  const key = SORTS[byId("f-sort").value];
  const value = (n) => (Number.isFinite(key(items[n])) ? key(items[n]) : Infinity);
  if (key) shown.sort((a, b) => value(a) - value(b) || a - b);
  listItems();
  if (shown.length && !shown.includes(view.n)) show(shown[0]);
}

/** Fill the list. */
function listItems() {
  const entries = shown.map((n) => {
    const item = items[n], entry = make("li"), verdict = verdictOf(item);
    entry.dataset.n = n;
    if (verdict) entry.append(make("span", `${verdict.type || "?"} ${verdict.quality}`, "done"));
    entry.append(make("div", item.id));
    const class_ = item.qso ? (item.bal ? "BAL quasar" : "quasar") : "no quasar";
    entry.append(make("div", `${class_}, z ${fixed(item.z, 3)}, P_QSO ${fixed(item.p, 3)}`, "small"));
    entry.append(make("div", `P(wrong) ${fixed(item.wrong, 2)}` + (item.reasons.length ? "; differs" : ""), "small"));
    if (n === view.n) entry.className = "current";
    return entry;
  });
  byId("list").replaceChildren(...entries);
  byId("f-count").textContent = `${shown.length} of ${items.length}`;
}

/** Mark the entry of the spectrum that is looked at, and bring it into view. */
function markCurrent() {
  for (const entry of byId("list").children) {
    const current = Number(entry.dataset.n) === view.n;
    entry.classList.toggle("current", current);
    if (current) entry.scrollIntoView({ block: "nearest" });
  }
}

/** Go on in the list; with `open`, to the next spectrum without a verdict. */
function step(by, open) {
  let at = shown.indexOf(view.n) + by;
  while (open && at >= 0 && at < shown.length && verdictOf(items[shown[at]])) at += by;
  if (at < 0 || at >= shown.length) return say(open ? "All that follow are inspected." : "There is no further spectrum.");
  return show(shown[at]);
}

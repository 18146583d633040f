"use strict";
// The figures: the spectrum with its lines, and p(z).
const COLOURS = { flux: "#222222", raw: "#bbbbbb", noise: "#cc79a7", shape: "#e69f00",
  found: "#d55e00", quasar: "#0072b2", narrow: "#007a5a", absorption: "#777777" };
const SMOOTHINGS = [0, 1, 2, 3, 5, 8, 12];
const LABEL_LEVELS = 3, LEAST_CONFIDENCE = 0.1;
const CONFIG = { displaylogo: false, responsive: true, doubleClick: false,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
const view = { n: -1, data: null, z: 0, smooth: 3, xrange: null, pending: false };

/** Gaussian smoothing with inverse-variance weights; pixels without weight stay gaps. */
function smooth(flux, sigma, width) {
  if (!width) return flux;
  const reach = Math.ceil(3 * width), kernel = [];
  for (let k = -reach; k <= reach; k++) kernel.push(Math.exp(-0.5 * (k / width) ** 2));
  return flux.map((value, i) => {
    if (Number.isNaN(value)) return NaN;
    let sum = 0, total = 0;
    for (let k = Math.max(-reach, -i); k <= reach && i + k < flux.length; k++) {
      const noise = sigma[i + k];
      if (Number.isNaN(noise)) continue;
      const weight = kernel[k + reach] / (noise * noise);
      sum += weight * flux[i + k];
      total += weight;
    }
    return sum / total;
  });
}

/** Running mean of the noise: pixels of the page that hold one native pixel or two take turns. */
function smoothNoise(sigma) {
  return sigma.map((value, i) => {
    if (Number.isNaN(value)) return NaN;
    let sum = 0, count = 0;
    for (const near of sigma.subarray(Math.max(0, i - 3), i + 4)) if (!Number.isNaN(near)) { sum += near; count++; }
    return sum / count;
  });
}

/** Limits that show a spectrum, but not its single bad pixels. */
function limits(values, noise) {
  const good = Array.from(values).filter((x) => !Number.isNaN(x)).sort((a, b) => a - b);
  if (!good.length) return [-1, 1];
  const at = (p) => good[Math.min(good.length - 1, Math.floor(p * good.length))];
  const low = Math.min(at(0.005), 0), height = Math.max(at(0.998) - low, 3 * noise);
  return [low - 0.12 * height, low + 1.3 * height];
}

const median = (values) => {
  const good = Array.from(values).filter((x) => !Number.isNaN(x)).sort((a, b) => a - b);
  return good.length ? good[good.length >> 1] : 1;
};

/** The mean quasar at a redshift, times the straight line in wavelength that fits best. */
function fitShape(data, z) {
  const { start, step, flux } = shared.shape, model = new Float32Array(wave.length).fill(NaN);
  let [a, b, c, d, e] = [0, 0, 0, 0, 0];
  const middle = wave[wave.length >> 1];
  for (let i = 0; i < wave.length; i++) {
    const at = (Math.log10(wave[i] / (1 + z)) - start) / step, k = Math.floor(at);
    if (k < 0 || k + 1 >= flux.length) continue;
    model[i] = flux[k] + (at - k) * (flux[k + 1] - flux[k]);
    if (Number.isNaN(data.sigma[i])) continue;
    const weight = 1 / data.sigma[i] ** 2, x = wave[i] / middle - 1, m = model[i];
    a += weight * m * m; b += weight * m * m * x; c += weight * m * m * x * x;
    d += weight * m * data.flux[i]; e += weight * m * x * data.flux[i];
  }
  const divisor = a * c - b * b;
  const [level, slope] = divisor > 0 ? [(d * c - e * b) / divisor, (a * e - b * d) / divisor] : [0, 0];
  return model.map((m, i) => m * (level + slope * (wave[i] / middle - 1)));
}

/** The marks of lines at a redshift: shapes and labels of plotly's layout. */
function marks(z) {
  if (!byId("show-marks").checked) return { shapes: [], annotations: [] };
  const [left, right] = view.xrange, ends = [], shapes = [], annotations = [];
  const there = shared.marks.map(([name, rest, kind]) => ({ name, kind, x: rest * (1 + z) }))
    .filter(({ x }) => x >= left && x <= right).sort((a, b) => a.x - b.x);
  for (const { name, kind, x } of there) {
    const color = COLOURS[kind], width = 0.008 * (name.length + 1) * (right - left);
    let level = ends.findIndex((end) => end < x);
    if (level < 0) level = ends.length < LABEL_LEVELS ? ends.length : ends.indexOf(Math.min(...ends));
    ends[level] = x + width;
    shapes.push({ type: "line", xref: "x", yref: "y domain", x0: x, x1: x, y0: 0, y1: 1,
      layer: "below", line: { color, width: 1, dash: kind === "absorption" ? "dot" : "dash" } });
    annotations.push({ xref: "x", yref: "y domain", x, y: 0.995 - 0.055 * level, text: name, showarrow: false,
      xanchor: "left", yanchor: "top", xshift: 1, font: { size: 11, color }, bgcolor: "rgba(255,255,255,0.7)", borderpad: 0 });
  }
  return { shapes, annotations };
}

/** The lines that the network found, at their own wavelengths. */
function foundLines(item) {
  const x = [], text = [], hover = [], opacity = [], ends = [], y = [];
  const add = (pairs, names, prefix, least) => pairs.forEach(([c, z], n) => {
    if (c === null || z === null || c < least || !names[n][1]) return;
    x.push(names[n][1] * (1 + z));
    text.push(`${prefix}${names[n][0]} ${c.toFixed(2)}`);
    hover.push(`${prefix}${names[n][0]}: confidence ${c.toFixed(3)}, z = ${z.toFixed(4)}`);
    opacity.push(0.35 + 0.65 * c);
  });
  add(item.lines, shared.lines, "", LEAST_CONFIDENCE);
  add(item.bals, shared.bals, "BAL ", shared.threshold);
  const span = view.xrange[1] - view.xrange[0];
  x.map((value, n) => [value, n]).sort((p, q) => p[0] - q[0]).forEach(([value, n]) => {
    let level = ends.findIndex((end) => end < value);
    if (level < 0) level = ends.length;
    ends[level] = value + 0.1 * span;
    y[n] = 0.03 + 0.055 * level;
  });
  return { x, y, text, hovertext: hover, hoverinfo: "text", xaxis: "x", yaxis: "y3", mode: "markers+text",
    name: "lines found, confidence", textposition: x.map((value) => `middle ${value > view.xrange[1] - 0.1 * span ? "left" : "right"}`), textfont: { size: 11, color: COLOURS.found },
    marker: { symbol: "triangle-up", size: 9, color: COLOURS.found, opacity } };
}

/** The traces of "what decided": the changes of both logits, part by part. */
function explanation(data) {
  const steps = (values) => [...values, values[values.length - 1]];
  return [["qso", "quasar or not", COLOURS.quasar], ["redshift", "this redshift", COLOURS.found]].map(([key, name, color]) => ({
    x: shared.parts, y: steps(data[key]), name: `decides on: ${name}`, xaxis: "x", yaxis: "y2",
    mode: "lines", line: { shape: "hv", width: 1.3, color }, fill: "tozeroy", opacity: 0.8,
    fillcolor: key === "qso" ? "rgba(0,114,178,0.25)" : "rgba(213,94,0,0.2)", hovertemplate: "%{y:.2f}" }));
}

/** Limits of the changes of the logits: changes of less than one are small. */
function spread({ qso, redshift }) {
  const all = [...qso, ...redshift];
  return [Math.min(-1, ...all) * 1.1, Math.max(1, ...all) * 1.1];
}

/** Draw the spectrum that is looked at. */
function draw() {
  const { data } = view, item = items[view.n], smoothed = smooth(data.flux, data.sigma, view.smooth);
  const on = data.qso !== null && byId("show-explain").checked, line = { mode: "lines", hoverinfo: "skip" };
  if (!view.xrange) view.xrange = [wave[0], wave[wave.length - 1]];
  const traces = [
    { x: wave, y: data.flux, ...line, name: "pixels", line: { color: COLOURS.raw, width: 0.7 }, visible: view.smooth > 0 },
    { x: wave, y: smoothNoise(data.sigma), ...line, name: "noise", line: { color: COLOURS.noise, width: 0.8 }, visible: byId("show-noise").checked },
    { x: wave, y: smoothed, mode: "lines", name: view.smooth ? `smoothed by ${view.smooth}` : "pixels",
      line: { color: COLOURS.flux, width: 1 }, hovertemplate: "%{x:.1f} Å: %{y:.3g}<extra></extra>" },
    { x: wave, y: byId("show-shape").checked ? fitShape(data, view.z) : [null], ...line, name: "mean quasar",
      line: { color: COLOURS.shape, width: 1.5 }, visible: byId("show-shape").checked },
    foundLines(item),
    { x: [null], y: [null], xaxis: "x2", yaxis: "y", showlegend: false, hoverinfo: "skip" },
    ...(on ? explanation(data) : []),
    ...(data.fit && byId("show-fit").checked ? [{ x: wave, y: data.fit, ...line, name: "redrock", line: { color: COLOURS.narrow, width: 1.3 } }] : []),
  ];
  const unit = shared.unit ? ` [${shared.unit}]` : "";
  const layout = { margin: { l: 62, r: 12, t: 42, b: 40 }, hovermode: "closest", dragmode: "zoom", font: { size: 12 },
    showlegend: false, uirevision: "fixed",
    xaxis: { title: { text: "observed wavelength [Å]", standoff: 4 }, range: view.xrange, anchor: on ? "y2" : "y", ticks: "outside", tickformat: "d", showgrid: false },
    xaxis2: { title: { text: "rest wavelength [Å]", standoff: 2 }, range: view.xrange.map((x) => x / (1 + view.z)), overlaying: "x",
      side: "top", anchor: "y", ticks: "outside", tickformat: "d", tickmode: "auto", nticks: 12, showgrid: false, fixedrange: true },
    yaxis: { title: { text: `flux${unit}`, font: { size: 11 } }, range: limits(smoothed, median(data.sigma)), domain: [on ? 0.25 : 0, 1], zeroline: true, zerolinecolor: "#ccc", ticks: "outside", showgrid: false },
    ...(on ? { yaxis2: { title: { text: "Δ logit", font: { size: 11 } }, domain: [0, 0.2], range: spread(data), ticks: "outside", showgrid: false, zerolinecolor: "#999" } } : {}),
    yaxis3: { range: [0, 1], overlaying: "y", visible: false, fixedrange: true }, ...marks(view.z) };
  Plotly.react("plot", traces, layout, CONFIG);
}

/** Move the marks, the rest-frame axis and the mean quasar, once for each frame of the screen. */
function refresh() {
  if (view.pending) return;
  view.pending = true;
  requestAnimationFrame(() => {
    view.pending = false;
    const update = { ...marks(view.z), "xaxis2.range": view.xrange.map((x) => x / (1 + view.z)) };
    if (byId("show-shape").checked) {
      Plotly.update("plot", { y: [fitShape(view.data, view.z)] }, update, [3]);
    } else Plotly.relayout("plot", update);
    Plotly.relayout("pz", { shapes: cursor() });
  });
}

/** The mark of the redshift in the figure of p(z). */
const cursor = () => [{ type: "line", xref: "x", yref: "paper", x0: Math.log1p(view.z), x1: Math.log1p(view.z),
  y0: 0, y1: 1, line: { color: COLOURS.quasar, width: 1.5 } }];

/** Draw p(z), with the redshifts of the lines that were found. */
function drawPz() {
  const { data } = view, item = items[view.n], ticks = [0, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 7, 8], traces = [];
  const end = shared.pz ? shared.pz[0] + shared.pz[1] * shared.pz[2] : Math.log1p(6.5);
  if (data.pz) {
    const [first, step, npz, least] = shared.pz, x = Array.from(data.pz, (_, n) => first + (n + 0.5) * step);
    traces.push({ x: [x[0], x[npz - 1]], y: [least, least], mode: "lines", line: { width: 0 }, hoverinfo: "skip" });
    traces.push({ x, y: data.pz, mode: "lines", fill: "tonexty", line: { color: COLOURS.flux, width: 1 }, fillcolor: "#dddddd",
      text: x.map((value) => `z = ${Math.expm1(value).toFixed(3)}`), hovertemplate: "%{text}: log p = %{y:.1f}<extra></extra>" });
  }
  const lines = item.lines.map(([c, z], n) => [c, z, shared.lines[n][0]]).filter(([c, z]) => c >= LEAST_CONFIDENCE && z > -0.5);
  const bottom = data.pz ? shared.pz[3] : 0, height = data.pz ? -bottom : 1;
  traces.push({ x: lines.map(([, z]) => Math.log1p(z)), y: lines.map(([c]) => bottom + height * c), mode: "markers",
    text: lines.map(([c, z, name]) => `${name}: z = ${z.toFixed(3)}, confidence ${c.toFixed(2)}`), hovertemplate: "%{text}<extra></extra>",
    marker: { symbol: "triangle-up", size: 8, color: COLOURS.found } });
  const layout = { margin: { l: 44, r: 8, t: 8, b: 36 }, showlegend: false, font: { size: 11 }, shapes: cursor(), dragmode: false,
    xaxis: { title: { text: "redshift", standoff: 2 }, range: [0, Math.max(end, Math.log1p(item.z ?? 0) + 0.02)], tickvals: ticks.map(Math.log1p), ticktext: ticks, ticks: "outside", showgrid: false },
    yaxis: { title: { text: data.pz ? "log p per 900 km/s" : "confidence", standoff: 4 }, range: [bottom, 0.15 + bottom + height], ticks: "outside", showgrid: false } };
  Plotly.react("pz", traces, layout, { ...CONFIG, displayModeBar: false });
}

/** Note the redshift of the marks, and write it into the fields. */
function writeZ(z) {
  view.z = Math.min(8, Math.max(-0.01, Number.isFinite(z) ? z : 0));
  byId("z").value = view.z.toFixed(5);
  byId("slider").value = Math.log1p(view.z);
}

/** Move the marks to a redshift. */
function setZ(z) {
  writeZ(z);
  refresh();
}

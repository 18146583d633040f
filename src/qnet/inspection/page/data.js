"use strict";
// The data of the page: shared values, and the spectra, decoded when they are looked at.
const shared = JSON.parse(document.getElementById("shared").textContent);
const items = shared.items;

/** Wavelengths of the pixels' centres [Angstrom]. */
const wave = Float64Array.from({ length: shared.grid.npix },
  (_, n) => 10 ** (shared.grid.start + (n + 0.5) * shared.grid.step));

/** A number of half precision (IEEE 754) as it is. */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, power = (bits >> 10) & 31, fraction = bits & 1023;
  if (power === 31) return NaN;
  return sign * (power === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (power - 15));
}

const HALF = new Float32Array(65536);
for (let bits = 0; bits < 65536; bits++) HALF[bits] = half(bits);

/** Flux, noise (NaN without weight), p(z) and the changes of logits of spectrum n. */
function decode(n) {
  const text = atob(document.getElementById("s" + n).textContent);
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const npix = shared.grid.npix, [scale, low, high] = items[n].scale;
  const flux = new Float32Array(npix), sigma = new Float32Array(npix);
  for (let i = 0; i < npix; i++) {
    const code = bytes[2 * npix + i];
    sigma[i] = code ? low * (high / low) ** ((code - 1) / 254) : NaN;
    flux[i] = code ? scale * HALF[bytes[2 * i] | (bytes[2 * i + 1] << 8)] : NaN;
  }
  const found = { flux, sigma, pz: null, qso: null, redshift: null, fit: null };
  let at = 3 * npix;
  if (shared.pz) {
    const [, , npz, least] = shared.pz;
    found.pz = Float32Array.from(bytes.subarray(at, at + npz), (code) => least * (1 - code / 255));
    at += npz;
  }
  const nparts = shared.parts ? shared.parts.length - 1 : 0;
  if (nparts && items[n].explained) {
    const signed = new Int8Array(bytes.buffer, at, 2 * nparts);
    const changes = Float32Array.from(signed, (code) => code * shared.change);
    found.qso = changes.subarray(0, nparts);
    found.redshift = changes.subarray(nparts);
  }
  at += 2 * nparts;
  if (items[n].fitted) found.fit = wave.map((_, i) => scale * HALF[bytes[at + 2 * i] | (bytes[at + 2 * i + 1] << 8)]);
  return found;
}

/** An element with text, which is never taken for HTML. */
function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

const byId = (id) => document.getElementById(id);
const fixed = (x, digits) => (x === null || x === undefined ? "?" : x.toFixed(digits));

// Figures, sizes and times as text. Everything here is pure: it takes the moment as an argument.
// MB are 1,000,000 bytes, as everywhere in the documentation. What is null or undefined is not known and stands as "–".

export const UNKNOWN = "–";

/** Between groups of digits, and between a number and its unit: thin, and no line breaks there. */
const THIN = "\u202f";

const KILO = 1000;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** @param {unknown} value */
export function isKnown(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** "1 234 567"; with `digits` as many behind the point. */
export function number(value, digits = 0) {
  if (!isKnown(value)) return UNKNOWN;
  const [whole, rest] = Math.abs(value).toFixed(digits).split(".");
  const sign = value < 0 && Number(value.toFixed(digits)) !== 0 ? "−" : "";
  // Four digits are read at a glance; from five on they are grouped.
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, THIN) : whole;
  return sign + grouped + (rest ? `.${rest}` : "");
}

/** Three digits that count: "0.04", "1.25", "12.5", "140". */
function three(value) {
  const size = Math.abs(value);
  const digits = size >= 99.95 || size === 0 ? 0 : size >= 9.995 ? 1 : 2;
  return number(value, digits);
}

/** The value in the largest step that is not above it, as [number, unit]. */
function scaled(value, steps) {
  if (!isKnown(value)) return [UNKNOWN, ""];
  let [factor, unit] = steps[0];
  for (const [each, name] of steps) {
    // What would be shown as 1000 of a unit is 1 of the next one.
    if (Math.abs(value) >= each * 0.9995) [factor, unit] = [each, name];
  }
  return [factor === 1 && Number.isInteger(value) ? number(value) : three(value / factor), unit];
}

const COUNTS = [[1, ""], [KILO, "k"], [1e6, "M"], [1e9, "G"]];
const SIZES = [[1, "B"], [KILO, "kB"], [1e6, "MB"], [1e9, "GB"], [1e12, "TB"]];
const DELAYS = [[1e-3, "µs"], [1, "ms"], [1e3, "s"], [6e4, "min"]];

function joined([value, unit]) {
  return unit ? value + THIN + unit : value;
}

/** "812", "1.28 k", "140 k", "1.28 M": for axes and other narrow places. */
export function compact(value) {
  return joined(scaled(value, COUNTS));
}

/** Without zeros behind the point that tell nothing on an axis: "50.0 k" is "50 k", "1.50 kB" is "1.5 kB". */
export function tidy(text) {
  return text.replace(/(\.\d*?)0+(?!\d)/, (all, kept) => (kept === "." ? "" : kept));
}

/** ["12.3", "kB"] */
export function bytesParts(value) {
  return scaled(value, SIZES);
}

/** "812 B", "12.3 kB", "1.23 GB" */
export function bytes(value) {
  return joined(bytesParts(value));
}

/** Of milliseconds: ["0.41", "ms"], ["12.3", "s"]. */
export function millisParts(value) {
  if (value === 0) return ["0", "ms"];
  return scaled(value, isKnown(value) && value < 0.0995 ? DELAYS : DELAYS.slice(1));
}

/** "80 µs", "0.41 ms", "250 ms", "12.3 s" */
export function millis(value) {
  return joined(millisParts(value));
}

/** ["2.5", "/s"], ["12 345", "/s"] */
export function rateParts(value) {
  if (!isKnown(value)) return [UNKNOWN, ""];
  return [value > 0 && value < 99.95 ? number(value, value < 9.995 ? 2 : 1) : number(value), "/s"];
}

/** "0 /s", "2.50 /s", "12 345 /s" */
export function rate(value) {
  return joined(rateParts(value));
}

/** Of a part of one: "0 %", "12.3 %", "100 %". */
export function percent(part) {
  if (!isKnown(part)) return UNKNOWN;
  const value = part * 100;
  if (value > 0 && value < 0.05) return `<${THIN}0.1${THIN}%`;
  return number(value, value === 0 || Math.abs(value) >= 99.95 ? 0 : 1) + THIN + "%";
}

/** Of seconds: "42 s", "3 min 20 s", "5 h 3 min", "3 d 4 h". */
export function duration(seconds) {
  if (!isKnown(seconds)) return UNKNOWN;
  const whole = Math.max(0, Math.floor(seconds));
  for (const [unit, name, below, belowName] of [[DAY, "d", HOUR, "h"], [HOUR, "h", MINUTE, "min"], [MINUTE, "min", 1, "s"]]) {
    if (whole >= unit) {
      const rest = Math.floor((whole % unit) / below);
      return `${Math.floor(whole / unit)}${THIN}${name}` + (rest ? ` ${rest}${THIN}${belowName}` : "");
    }
  }
  return `${whole}${THIN}s`;
}

/** Unix seconds of "2026-11-28T09:00:00.123Z" or of a number that is that already; null when it is neither. */
export function seconds(time) {
  if (isKnown(time)) return time;
  const parsed = typeof time === "string" ? Date.parse(time) / 1000 : NaN;
  return isKnown(parsed) ? parsed : null;
}

/** "now", "12 s ago", "3 min ago", "in 2 h": `time` and `now` in unix seconds. */
export function relative(time, now) {
  if (!isKnown(time) || !isKnown(now)) return UNKNOWN;
  const passed = now - time;
  const size = Math.abs(passed);
  if (size < 1.5) return "now";
  const [unit, name] = size < MINUTE ? [1, "s"] : size < HOUR ? [MINUTE, "min"] : size < 2 * DAY ? [HOUR, "h"] : [DAY, "d"];
  const text = `${Math.floor(size / unit)}${THIN}${name}`;
  return passed > 0 ? `${text} ago` : `in ${text}`;
}

function two(value) {
  return String(value).padStart(2, "0");
}

/** "2026-11-28 10:00:00.123 +01:00", in the time zone of this browser. */
export function exact(time) {
  const at = seconds(time);
  if (at === null) return UNKNOWN;
  const date = new Date(at * 1000);
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? "−" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${clock(at)}.${String(date.getMilliseconds()).padStart(3, "0")} ${zone}`;
}

/** "10:00:00", in the time zone of this browser. */
export function clock(time) {
  const date = new Date(time * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** "1 worker", "3 workers": with the plural by s, or the one that is given. */
export function counted(count, one, many = `${one}s`) {
  return count === 1 ? `1 ${one}` : `${number(count)} ${many}`;
}

// Marks that turn or hide what stands beside them, and what has no shape at all. The joiners of emoji (U+200C, U+200D)
// and the selectors of their variants stay, between other characters: names of people and emoji are written with them.
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\u0000-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\u{e0000}-\u{e0fff}]/u;

/**
 * A name in pieces: [{text, unseen}], where `unseen` pieces are written out ("U+202E").
 * @param {string} name
 */
export function visible(name) {
  if (!UNSEEN.test(name)) return name ? [{ text: name, unseen: false }] : [];
  const pieces = [];
  for (const character of name) {
    const unseen = UNSEEN.test(character);
    const text = unseen ? `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}` : character;
    const last = pieces.at(-1);
    if (last && !unseen && !last.unseen) last.text += text;
    else pieces.push({ text, unseen });
  }
  return pieces;
}

/** The name with its middle left out when it has more than `most` characters: ["begin", "end"], or ["all", ""]. */
export function shortened(name, most = 48) {
  if (name.length <= most) return [name, ""]; // code units are no fewer than what is seen; most names end here
  const characters = graphemes(name);
  if (characters.length <= most) return [name, ""];
  const tail = Math.floor((most - 1) / 3);
  return [characters.slice(0, most - 1 - tail).join(""), characters.slice(characters.length - tail).join("")];
}

// An emoji of several code points is one thing to the eye, and is not cut.
function graphemes(text) {
  if (typeof Intl.Segmenter !== "function") return [...text];
  return Array.from(new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text), (each) => each.segment);
}

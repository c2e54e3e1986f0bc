// The last hour as columns of numbers, for charts: what the server kept, and then each live frame. Bounded: points are a
// second apart for five minutes and then five seconds. Pure; live.js feeds it.

const of = (part, name) => (frame) => frame[part]?.[name] ?? null;

/** Each series of /api/trends, and how it is found in a live frame. */
const SERIES = {
  connections_poll: of("connections", "poll"),
  connections_sse: of("connections", "sse"),
  connections_stream: of("connections", "stream"),
  connections_ws: of("connections", "ws"),
  in: of("rates", "in"),
  out: of("rates", "out"),
  bytes_out: of("rates", "bytes_out"),
  accepts: of("rates", "accepts"),
  refused: of("rates", "refused"),
  latency_p50_ms: of("latency_ms", "p50"),
  latency_p99_ms: of("latency_ms", "p99"),
  memory: of("memory", "total"),
  memory_per_connection: of("memory", "per_connection"),
  cpu: (frame) => frame.cpu ?? null,
  lag_ms: (frame) => frame.lag_ms ?? null,
};
export const NAMES = Object.keys(SERIES);

/** Of several points that become one these tell the worst, all others the mean. */
const WORST = new Set(["latency_p50_ms", "latency_p99_ms", "lag_ms"]);

export class Trends {
  #keepS;
  #fineS;
  #stepS;
  /** Unix seconds of the points, oldest first; the first #coarse of them are #stepS apart. */
  #times = [];
  #columns = Object.fromEntries(NAMES.map((name) => [name, []]));
  #coarse = 0;

  constructor({ keepS = 3600, fineS = 300, stepS = 5 } = {}) {
    this.#keepS = keepS;
    this.#fineS = fineS;
    this.#stepS = stepS;
  }

  get length() {
    return this.#times.length;
  }

  /** Unix seconds of the newest point; null without one. */
  get last() {
    return this.#times.at(-1) ?? null;
  }

  /** Forget everything. */
  clear() {
    this.#keep(() => false);
  }

  /**
   * What /api/trends told. From its first known point on it is taken instead of what is here, up to its end; what is older
   * stays, since a manager that has just begun knows nothing of it.
   */
  load(told) {
    const length = told.end === null ? 0 : (told.series[NAMES[0]]?.length ?? 0);
    const known = (i) => NAMES.some((name) => told.series[name]?.[i] != null);
    let first = 0;
    while (first < length && !known(first)) first += 1;
    if (first === length) return;
    const begin = told.end - (length - 1 - first) * told.step_s;
    const older = this.#times.filter((time) => time < begin - told.step_s / 2).length;
    const newer = this.#times.findIndex((time) => time > told.end);
    const rest = newer < 0 ? this.#times.length : newer;
    const middle = Array.from({ length: length - first }, (_, i) => begin + i * told.step_s);
    this.#times = [...this.#times.slice(0, older), ...middle, ...this.#times.slice(rest)];
    for (const name of NAMES) {
      const column = this.#columns[name];
      const given = (told.series[name] ?? []).slice(first);
      while (given.length < middle.length) given.push(null);
      this.#columns[name] = [...column.slice(0, older), ...given, ...column.slice(rest)];
    }
    this.#coarse = older + middle.length;
    this.#drop();
  }

  /** Add a live frame; one that is not newer than the last point is passed over. */
  append(frame) {
    const last = this.last;
    if (last !== null && frame.time <= last) {
      // A clock that was set back: what it told before would stand in the future.
      if (last - frame.time < this.#stepS) return;
      this.#keep((time) => time < frame.time);
    }
    this.#times.push(frame.time);
    for (const name of NAMES) this.#columns[name].push(SERIES[name](frame));
    this.#thin();
    this.#drop();
  }

  /**
   * The points from `from` (unix seconds) on: [times, column, …], a column for each name. Where points are missing stands
   * one of nulls, so that a line has a gap there.
   * @param {string[]} names
   * @param {number} from
   */
  since(from, names) {
    const times = this.#times;
    let begin = times.findIndex((time) => time >= from);
    if (begin < 0) begin = times.length;
    if (begin > 0) begin -= 1; // the line comes in from outside
    const columns = names.map((name) => this.#columns[name]);
    const out = [[], ...names.map(() => [])];
    for (let i = begin; i < times.length; i++) {
      const apart = i > begin ? times[i] - times[i - 1] : 0;
      if (apart > this.#stepS * 1.9 || (i > this.#coarse && apart > 3.5)) {
        out[0].push(times[i - 1] + apart / 2);
        for (let k = 1; k < out.length; k++) out[k].push(null);
      }
      out[0].push(times[i]);
      for (let k = 0; k < columns.length; k++) out[k + 1].push(columns[k][i]);
    }
    return out;
  }

  #thin() {
    const times = this.#times;
    const limit = times.at(-1) - this.#fineS;
    const bucket = (i) => Math.floor(times[i] / this.#stepS);
    while (this.#coarse < times.length) {
      let end = this.#coarse + 1;
      while (end < times.length && bucket(end) === bucket(this.#coarse)) end += 1;
      if (end === times.length || times[end - 1] >= limit) return;
      this.#merge(this.#coarse, end);
      this.#coarse += 1;
    }
  }

  #merge(begin, end) {
    for (const name of NAMES) {
      const some = this.#columns[name].slice(begin, end).filter((value) => value !== null);
      const one = some.length === 0 ? null : WORST.has(name) ? Math.max(...some) : some.reduce((a, b) => a + b) / some.length;
      this.#columns[name].splice(begin, end - begin, one);
    }
    this.#times.splice(begin, end - begin, this.#times[end - 1]);
  }

  #drop() {
    const limit = this.#times.at(-1) - this.#keepS;
    let old = 0;
    while (this.#times[old] < limit) old += 1;
    if (old === 0) return;
    this.#times.splice(0, old);
    for (const name of NAMES) this.#columns[name].splice(0, old);
    this.#coarse = Math.max(0, this.#coarse - old);
  }

  #keep(wanted) {
    const count = this.#times.filter(wanted).length;
    this.#times.length = count;
    for (const name of NAMES) this.#columns[name].length = count;
    this.#coarse = Math.min(this.#coarse, count);
  }
}

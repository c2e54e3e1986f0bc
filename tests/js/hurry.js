// Put before the library: its clocks run RATE times as fast, in a page as in a SharedWorker.
(() => {
  const RATE = 10; // changed by who serves it
  const { setTimeout, setInterval } = globalThis;
  const now = Date.now.bind(Date);
  const sinceStart = performance.now.bind(performance);
  const zero = now();
  let slept = 0;
  globalThis.setTimeout = (act, ms = 0, ...rest) => setTimeout(act, ms / RATE, ...rest);
  globalThis.setInterval = (act, ms = 0, ...rest) => setInterval(act, ms / RATE, ...rest);
  Date.now = () => zero + (now() - zero) * RATE + slept;
  performance.now = () => sinceStart() * RATE;
  /** The machine was asleep for so many ms: the clock on the wall went on. */
  globalThis.sleptFor = (ms) => (slept += ms);
})();

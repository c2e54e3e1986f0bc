// Put before the library: its clocks run RATE times as fast, in a page as in a SharedWorker.
(() => {
  const RATE = 10; // changed by who serves it
  const { setTimeout, setInterval } = globalThis;
  const zero = Date.now();
  const now = Date.now.bind(Date);
  const sinceStart = performance.now.bind(performance);
  globalThis.setTimeout = (act, ms = 0, ...rest) => setTimeout(act, ms / RATE, ...rest);
  globalThis.setInterval = (act, ms = 0, ...rest) => setInterval(act, ms / RATE, ...rest);
  Date.now = () => zero + (now() - zero) * RATE;
  performance.now = () => sinceStart() * RATE;
})();

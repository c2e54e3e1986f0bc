// A live frame put together from what can be asked for, where the live stream does not come through. Pure.

/**
 * @param {any} stats of /api/stats
 * @param {any[]} workers of /api/workers
 * @param {any} told of /api/trends: its last points are the rates
 * @param {any} before the frame before this one, or null; what cannot be asked for is null
 */
export function snapshot(stats, workers, told, before) {
  const last = (name) => told.series[name]?.at(-1) ?? null;
  const sum = (of) => workers.reduce((total, each) => total + (of(each) ?? 0), 0);
  const isSame = before?.started === stats.started;
  return {
    time: told.end ?? Date.parse(stats.started) / 1000,
    version: stats.version,
    started: stats.started,
    ready: workers.every((each) => each.state !== "starting" && each.state !== "down"),
    epoch: isSame ? before.epoch : stats.started,
    connections: stats.connections,
    open: sum((each) => each.open),
    room: isSame ? before.room : null,
    rates: { in: last("in"), out: last("out"), bytes_out: last("bytes_out"), accepts: last("accepts"), refused: last("refused"), requests: null },
    latency_ms: { p50: last("latency_p50_ms"), p99: last("latency_p99_ms") },
    lag_ms: last("lag_ms"),
    cpu: last("cpu"),
    cores: isSame ? before.cores : null,
    memory: { total: last("memory"), manager: null, zygote: null, workers: null, per_connection: last("memory_per_connection"), available: null },
    fits: { descriptors: null, memory: null, more: null },
    store: { ...stats.store, max_bytes: isSame ? before.store.max_bytes : null },
    workers: workers.map((each) => ({
      worker: each.worker,
      state: each.state,
      pid: each.pid,
      open: each.open,
      room: isSame ? (before.workers.find((one) => one.worker === each.worker)?.room ?? null) : null,
      cpu: each.cpu_share,
      lag_ms: each.lag_s === null ? null : each.lag_s * 1000,
      memory: each.memory_bytes,
      restarts: each.restarts,
      accepts: null,
      out: null,
      drain: each.drain,
    })),
    broadcasts: [],
  };
}

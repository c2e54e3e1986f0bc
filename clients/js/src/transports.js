// The three ways to the server. Each opens a connection for a line, and tells it in one vocabulary what comes:
//
//   {op: "position", position}   where the client stands; the first one says that the connection works
//   {op: "message", channel, id, data} · {op: "gap", channels, position}, by WebSocket with one `channel`
//   {op: "ok", id, …} · {op: "error", id, code, message}   answers to what was sent, by WebSocket only
//
// and returns what closes it. What is told behind that the line does not hear.

import { backOff } from "./advice.js";
import { eventStream } from "./event_stream.js";
import { address, poll, request } from "./requests.js";

/** An answer that brings nothing and comes sooner than that did not wait, and the next request does. */
const HASTY_MS = 1000;

export function openWebSocket(line, call) {
  const { WebSocket } = call.environment;
  const socket = new WebSocket(address(call, "ws").replace("http", "ws"), call.isPlain ? [] : "megacomet.v1");
  socket.onmessage = ({ data }) => line.read(data);
  socket.onclose = ({ code, reason }) => line.end({ code, message: reason, wait: /retry=(\d+)/.exec(reason)?.[1] * 1000 });
  line.send = (object) => socket.send(JSON.stringify(object));
  return () => socket.close();
}

/** Server-sent events by fetch: an EventSource hides statuses and headers, and Node 20 has none. */
export function openEvents(line, call) {
  return running(line, async (signal) => {
    const { body } = await request(call, "events", {}, signal);
    const write = eventStream(
      (op, data, id) => line.read(data, { op, id, position: id }),
      (ms) => (line.retry = ms),
    );
    await body.pipeTo(new WritableStream({ write }));
    throw Error("the stream ended");
  });
}

export function openPolls(line, call) {
  const { environment } = call;
  return running(line, async (signal) => {
    // The first one does not wait, and shows so that polls work.
    for (let { since } = call, timeout = 0, hasty = 0; ; timeout = 50) {
      const asked = environment.now();
      const { messages, gaps, position } = await poll({ ...call, since }, { timeout }, signal);
      line.hear({ op: "position" });
      if (gaps) line.hear({ op: "gap", channels: gaps, position });
      for (const each of messages) line.hear({ op: "message", ...each });
      line.hear({ op: "position", position });
      const isSlow = !timeout || environment.now() - asked >= HASTY_MS;
      if (isSlow || (messages.length && position !== since)) hasty = 0;
      else await backOff(environment, hasty++);
      since = position;
    }
  });
}

// Runs until it throws how it ended.
function running(line, run) {
  const abort = new AbortController();
  run(abort.signal).catch((how) => {
    if (how.name === "SyntaxError") line.hear({ op: "error", code: 0, message: how.message });
    line.end(how);
  });
  return () => abort.abort();
}

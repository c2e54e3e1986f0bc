// The three ways to the server. Each opens a connection that tells, in one vocabulary, what comes:
//
//   {op: "position", position}   where the client stands; the first one says that the connection works
//   {op: "message", channel, id, data} · {op: "gap", channels, position}
//   {op: "ok", id, …} · {op: "error", id, code, message}    answers to what was sent, by WebSocket only
//
// `on.hear(object)`: the above; `on.alive()`: a sign of life; `on.garbage(message)`: what nobody understands;
// `on.end(ending)`: it is over, not told after close().

import { broken, closed, pause } from "./advice.js";
import { after } from "./environment.js";
import { EventStreamReader } from "./event_stream.js";
import { address, ask, askPoll } from "./requests.js";

/** What a poll asks for. */
export const POLL_S = 50;
/** An empty answer that comes sooner than that did not wait, and the next request does. */
const HASTY_MS = 1000;

/**
 * @param {import("./requests.js").Call} call
 * @param {object} on see above
 * @returns {{close: () => void, send: (object: object) => void}}
 */
export function openWebSocket(call, on) {
  const socket = new call.environment.WebSocket(address(call, "ws").replace("http", "ws"), "megacomet.v1");
  socket.onmessage = ({ data }) => {
    on.alive();
    const object = parseObject(data);
    if (object?.op === "gap") on.hear({ ...object, channels: [object.channel] });
    else if (object) on.hear(object);
    else on.garbage("a frame that is no object");
  };
  socket.onclose = ({ code, reason }) => on.end(closed(code, reason));
  return {
    send: (object) => socket.send(JSON.stringify(object)),
    close() {
      socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
}

/** Server-sent events by fetch: an EventSource hides statuses and headers, and Node 20 has none. */
export function openEvents(call, on) {
  const reader = new EventStreamReader(({ type, data, id }) => {
    const object = parseObject(data);
    if (type === "message" && object) on.hear({ op: "message", id, channel: object.channel, data: object.data });
    else if (type === "gap" && object) on.hear({ op: "gap", channels: object.channels, position: id });
    else if (type === "position" || type === "message") on.hear({ op: "position", position: id });
    if (!object) on.garbage("an event that is no object");
  });
  return running(on, async (signal) => {
    const response = await ask(call, address(call, "events"), "text/event-stream", signal);
    const body = response.body.getReader();
    try {
      for (let piece; !(piece = await body.read()).done; ) {
        on.alive();
        reader.read(piece.value);
      }
    } catch (error) {
      throw broken(error.message, reader.retry);
    }
    throw broken("the stream ended", reader.retry);
  });
}

export function openPolls(call, on) {
  const { environment } = call;
  let { since } = call;
  return running(on, async (signal) => {
    // The first one does not wait, and shows so that polls work.
    for (let timeout = 0, hasty = 0; ; timeout = POLL_S) {
      const asked = environment.now();
      const answer = await askPoll({ ...call, since }, { timeout }, signal);
      if (signal.aborted) return;
      on.alive();
      if (!timeout) on.hear({ op: "position", position: "" });
      if (answer.gaps?.length) on.hear({ op: "gap", channels: answer.gaps, position: answer.position });
      for (const { channel, id, data } of answer.messages) on.hear({ op: "message", channel, id, data });
      on.hear({ op: "position", position: answer.position });
      const isNew = answer.messages.length && answer.position !== since;
      since = answer.position;
      if (isNew || !timeout || environment.now() - asked >= HASTY_MS) hasty = 0;
      else await new Promise((go) => after(environment, pause(hasty++, HASTY_MS, environment.random), go));
    }
  });
}

// Runs until it throws how it ended.
function running(on, run) {
  const abort = new AbortController();
  run(abort.signal).catch((ending) => {
    if (abort.signal.aborted) return;
    if (ending.isGarbage) on.garbage(ending.reason);
    on.end(ending);
  });
  return { close: () => abort.abort(), send() {} };
}

function parseObject(text) {
  try {
    const object = JSON.parse(text);
    return typeof object === "object" ? object : null;
  } catch {
    return null;
  }
}

// A link in a world of its own, and what it has told.

import { Link } from "../../src/link.js";
import { World, settle } from "./world.js";

export const ALL = ["websocket", "sse", "poll"];

export class Linked extends World {
  events = [];
  /** hears each event as it is told */
  tell = () => {};

  constructor(options = {}, channels = ["news"], { random, hasWebSocket } = {}) {
    super(random, { hasWebSocket });
    this.link = new Link(
      { url: "http://comet.test/", transports: ALL, credentials: "same-origin", ...options, environment: this.environment },
      (event) => {
        this.events.push(structuredClone(event));
        this.tell(event);
      },
    );
    for (const channel of channels) this.link.subscribe(channel);
  }

  /** Begins, and lets what can happen happen. */
  async connect() {
    this.link.connect();
    await settle();
    return this;
  }

  /** All told of these types since the last time it was asked for. */
  told(...types) {
    const told = this.events.filter(({ type }) => types.includes(type));
    this.events = this.events.filter(({ type }) => !types.includes(type));
    return told;
  }

  get state() {
    return this.events.findLast(({ type }) => type === "state");
  }

  get data() {
    return this.events.filter(({ type }) => type === "message").map(({ data }) => data);
  }

  /** Requests for streams, and for polls, that nobody has answered yet. */
  open(path) {
    return this.requests.filter((request) => request.path === path && !request.isOver).at(-1);
  }
}

/** A link that is open on a transport, at a position. */
export async function linkedBy(transport, options = {}, channels = ["news"], surroundings = {}) {
  const world = new Linked({ transports: [transport], ...options }, channels, surroundings);
  await world.connect();
  await openAt(world, transport, "e-5");
  return world;
}

/** The server takes what was opened last. */
export async function openAt(world, transport, position, { retry = 2000 } = {}) {
  if (transport === "websocket") world.socket.open(position);
  else if (transport === "sse") world.open("events").begin(`retry: ${retry}\nevent: position\nid: ${position}\ndata: {}\n\n`);
  else world.open("poll").answer({ position, messages: [], gap: false });
  await settle();
}

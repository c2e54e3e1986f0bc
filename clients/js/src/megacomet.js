// What the library is to a page: a connection, its channels, and their events.

import { Emitter } from "./emitter.js";
import { baseOf, check, checkChannel, checkName, checkSince, isSince } from "./names.js";
import { OWN_URL } from "./own_url.js";
import { pageSurroundings, remember, watchPage } from "./page.js";
import { SharedLink } from "./shared.js";
import { Channel, Subscription } from "./subscription.js";

const BY_DEFAULT = ["websocket", "sse", "poll"];

/** A connection to a MegaComet server. See megacomet.d.ts for what it takes and tells. */
export class MegaComet extends Emitter {
  /** @type {"connecting" | "connected" | "disconnected"} */
  state = "disconnected";
  /** The one in use while connected, else "". */
  transport = "";
  /** By channel; who has unsubscribed stays, and can subscribe again. */
  subscriptions = new Map();
  #options;
  #link;
  /** Whether a connection is wanted. */
  #isOn;
  /** Whether the page is, and what happens to its connection meanwhile concerns nobody. */
  #isAway;
  #unwatch;

  constructor(url, options) {
    super();
    if (typeof url === "object" && !(url instanceof URL)) [url, options] = [undefined, url];
    options ??= {};
    const { client, since, credentials = "same-origin", transports = BY_DEFAULT, autoConnect = true } = options;
    const environment = pageSurroundings(options.environment);
    const { page, document, locks, SharedWorker } = environment;
    const areRight = transports?.length > 0 && [...transports].every((each) => BY_DEFAULT.includes(each));
    const isCredentials = ["same-origin", "include"].includes(credentials);
    const remembered = remember(environment, options.remember);
    this.#options = {
      remember: options.remember,
      url: baseOf(url ?? homeOf(environment), page.location?.href),
      client: client ? checkName("client", client, 250) : "",
      since: checkSince(isSince(remembered) ? remembered || since : since),
      transports: check("transports", transports, areRight, `some of ${BY_DEFAULT}`),
      credentials: check("credentials", credentials, isCredentials, "same-origin or include"),
      environment,
    };
    this.client = this.#options.client;
    this.mailbox = client ? new Channel(`@${client}`) : null;
    const isShared = (options.shared ?? !!document) && (locks || SharedWorker);
    this.#link = new (isShared ? SharedLink : environment.Link)(this.#options, (event) => this.#told(event));
    // Behind this turn, so that what it subscribes to is in the first request.
    this.#isOn = autoConnect;
    queueMicrotask(() => this.#isOn && this.connect());
  }

  /** Where the client stands: all up to here was told. "" before the first connection. */
  get position() {
    return this.#link.position;
  }

  connect() {
    this.#isOn = true;
    this.#unwatch ??= watchPage(this.#options.environment, (signal) => this.#signalled(signal));
    this.#link.connect();
  }

  /** For good, until connect(). */
  disconnect() {
    this.#isOn = this.#isAway = false;
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#link.disconnect();
    // Of a page that is away the link was ended before, and told nobody.
    this.#stateIs({ state: "disconnected", code: 0, reason: "" });
  }

  /** Disconnects, and forgets all subscriptions. */
  close() {
    this.disconnect();
    for (const channel of this.subscriptions.keys()) this.unsubscribe(channel);
    this.subscriptions.clear();
  }

  subscribe(channel, options) {
    checkChannel(channel);
    const since = checkSince(options?.since);
    let subscription = this.subscriptions.get(channel);
    if (!subscription) this.subscriptions.set(channel, (subscription = new Subscription(channel, this)));
    if (subscription.state === "unsubscribed") {
      subscription.state = "subscribing";
      this.#link.subscribe(channel, since);
    }
    return subscription;
  }

  unsubscribe(channel) {
    if (this.subscriptions.has(channel)) this.#link.unsubscribe(channel);
  }

  async publish(channel, data, options) {
    checkChannel(channel);
    check("data", data, JSON.stringify(data) !== undefined, "what JSON has a form for");
    await null; // a connection begins behind the turn that made it
    return { id: await this.#link.publish(channel, JSON.parse(JSON.stringify(data)), options?.key) };
  }

  // -- what the page goes through

  #signalled(signal) {
    const { environment, remember: name } = this.#options;
    if (signal === "away" || signal === "hidden") remember(environment, name, this.position);
    if (signal === "away") {
      // A page with a connection is not kept for the way back, and one that is frozen must not lead others.
      this.#isAway = true;
      this.#link.disconnect();
    } else if (signal === "back") {
      if (!this.#isAway) return;
      this.#isAway = false;
      this.#link.connect();
    } else if (signal !== "hidden") this.#link.wake(signal);
  }

  // -- what the link tells

  #told(event) {
    const { type, channel, code, reason, position } = event;
    const of = this.#channel(channel);
    if (type === "state") this.#stateIs(event);
    else if (type === "message") {
      const message = { channel, id: event.id, data: event.data };
      of?.emit(type, message);
      this.emit(type, message);
    } else if (type === "gap") {
      for (const each of event.channels) this.#channel(each)?.emit(type, { position });
      this.emit(type, { channels: event.channels, position });
    } else if (type === "error") this.emit(type, { code, message: event.message });
    else if (type === "alone") this.#goAlone(event);
    else if (type === "subscribed") of?.become(type, { position });
    else if (type === "unsubscribed") of?.become(type, { code, reason });
  }

  // Nothing can be shared.
  #goAlone({ since, channels }) {
    const { environment } = this.#options;
    this.#link = new environment.Link({ ...this.#options, since }, (event) => this.#told(event));
    for (const [channel, record] of channels) {
      if (this.subscriptions.has(channel)) this.#link.subscribe(channel, record.since);
    }
    this.#link.connect();
  }

  #stateIs({ state, transport, code, reason, delay }) {
    const used = state === "connected" ? transport : "";
    const isSame = state === this.state && used === this.transport && !code && !delay;
    if (this.#isAway || isSame) return;
    this.state = state;
    this.transport = used;
    if (state === "connecting") this.emit(state, { code, reason, delay, transport });
    else if (state === "disconnected") this.emit(state, { code, reason });
    else {
      this.mailbox?.become("subscribed", { position: this.position });
      this.emit(state, { transport, position: this.position });
    }
  }

  #channel(name) {
    return name === this.mailbox?.channel ? this.mailbox : this.subscriptions.get(name);
  }
}

// The server that the library came from, or the page.
function homeOf({ own = OWN_URL, page }) {
  return /^https?:/.test(own) ? new URL(own).origin : page.location?.origin;
}

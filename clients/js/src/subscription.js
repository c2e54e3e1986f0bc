// What comes on one channel.

import { Emitter } from "./emitter.js";

/** A channel that is heard; the client's mailbox is one that is heard by itself. */
export class Channel extends Emitter {
  /** @type {"subscribing" | "subscribed" | "unsubscribed"} */
  state = "unsubscribed";

  constructor(channel) {
    super();
    this.channel = channel;
  }

  /** It is told once what it has become. */
  become(state, event) {
    if (this.state === state) return;
    this.state = state;
    this.emit(state, event);
  }
}

/** A channel that somebody has subscribed to. */
export class Subscription extends Channel {
  #comet;

  constructor(channel, comet) {
    super(channel);
    this.#comet = comet;
  }

  subscribe(options) {
    return this.#comet.subscribe(this.channel, options);
  }

  unsubscribe() {
    this.#comet.unsubscribe(this.channel);
  }

  publish(data, options) {
    return this.#comet.publish(this.channel, data, options);
  }
}

// Events with names, and who listens to them.

import { check } from "./names.js";

/** An object that tells of events. */
export class Emitter {
  /** name → listener → whether it wants the next event alone */
  #listeners = { __proto__: null };

  /** @returns {() => void} takes the listener off */
  on(name, listener, isOnce) {
    check("listener", listener, typeof listener === "function", "a function");
    (this.#listeners[name] ??= new Map()).set(listener, isOnce);
    return () => this.off(name, listener);
  }

  once(name, listener) {
    return this.on(name, listener, true);
  }

  off(name, listener) {
    this.#listeners[name]?.delete(listener);
  }

  /** Tells all, whatever one of them does with it. */
  emit(name, event) {
    const listeners = this.#listeners[name] ?? new Map();
    for (const [listener, isOnce] of [...listeners]) {
      if (!listeners.has(listener)) continue;
      if (isOnce) listeners.delete(listener);
      try {
        listener(event);
      } catch (error) {
        // It is seen where errors are seen that nobody caught.
        (globalThis.reportError ?? console.error)(error);
      }
    }
  }
}

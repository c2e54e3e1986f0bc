// Where the browser is, and how it goes elsewhere.

import { parse } from "./router.js";
import { createStore } from "./store.js";

/** The route now: see router.js. */
export const route = createStore(parse(location.hash));

/** Whether the page on the screen is one that is being left: app.js waits for the data of the next. */
export const isLeaving = createStore(false);

addEventListener("hashchange", () => route.set(parse(location.hash)));

/** Go to an address of router.href as a link would; with `replace` the way back does not lead here again. */
export function go(address, { replace = false } = {}) {
  if (!replace) {
    location.hash = address;
    return;
  }
  history.replaceState(null, "", address);
  route.set(parse(address));
}

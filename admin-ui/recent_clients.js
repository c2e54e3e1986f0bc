// The clients that were looked at in this tab, newest first; until it is closed or somebody signs out.

import { session } from "./session.js";
import { createStore } from "./store.js";

const KEY = "megacomet-clients";
const MOST = 10;

function stored() {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY));
    return Array.isArray(found) ? found.filter((each) => typeof each === "string").slice(0, MOST) : [];
  } catch {
    return []; // storage may be forbidden
  }
}

/** Ids. */
export const recent = createStore(stored());

function keep(ids) {
  recent.set(ids);
  try {
    if (ids.length) sessionStorage.setItem(KEY, JSON.stringify(ids));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Then it holds until the page is loaded anew.
  }
}

/** Somebody looks at a client. */
export function remember(id) {
  if (recent.get()[0] !== id) keep([id, ...recent.get().filter((each) => each !== id)].slice(0, MOST));
}

session.subscribe((who) => {
  if (who.state === "out") keep([]);
});

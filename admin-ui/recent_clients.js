// The clients that were looked at in this tab, newest first; until it is closed, or somebody signs out or in with another key.

import { session } from "./session.js";
import { createStore } from "./store.js";

const KEY = "megacomet-clients";
const MOST = 10;

function stored() {
  try {
    const { key, ids } = JSON.parse(sessionStorage.getItem(KEY));
    return { key, ids: ids.filter((each) => typeof each === "string").slice(0, MOST) };
  } catch {
    return { key: "", ids: [] }; // there is none, or storage may be forbidden
  }
}

const before = stored();
/** The name of the key of whoever looked at them. */
let owner = before.key;
/** Ids. */
export const recent = createStore(before.ids);

function keep(ids) {
  recent.set(ids);
  try {
    if (ids.length) sessionStorage.setItem(KEY, JSON.stringify({ key: owner, ids }));
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
  const isOther = who.state === "in" && who.name !== owner;
  if (isOther) owner = who.name;
  if (isOther || who.state === "out") keep([]);
});

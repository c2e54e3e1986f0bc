// Who is signed in. Other parts ask `session` and never see the key: it is sent once and forgotten.

import * as api from "./api.js";
import { createStore, useStore } from "./store.js";

/** In this browser's storage while there may be a session: without it nobody has to be asked, and no refusal is counted. */
const MARK = "megacomet-signed-in";

/** What the server says of a request without a session (megacomet/console/sessions.py). */
const NO_COOKIE = "sign in first";

/**
 * @typedef {{state: "unknown" | "out" | "in", reason: string, problem: Error | null, name: string, scope: "read" | "admin" | ""}} Session
 * `reason`: why somebody who was signed in is not any more
 */
const NOBODY = { state: "out", reason: "", problem: null, name: "", scope: "" };

/** @type {{get: () => Session, set: (s: Session) => void, subscribe: Function}} */
export const session = createStore({ ...NOBODY, state: "unknown" });

const isAdmin = (who) => who.scope === "admin";

/** Whether the one who is signed in may change something. */
export function mayChange() {
  return isAdmin(session.get());
}

/** The same, for a component. */
export function useMayChange() {
  return useStore(session, isAdmin);
}

function mark(there) {
  try {
    if (there) localStorage.setItem(MARK, "1");
    else localStorage.removeItem(MARK);
  } catch {
    // Storage may be forbidden; then the server is asked.
  }
}

function isMarked() {
  try {
    return localStorage.getItem(MARK) !== null;
  } catch {
    return true;
  }
}

function begun(told) {
  const { state, name, scope } = session.get();
  // Somebody may have signed in with another key in another tab: nothing of the one before stays in this one.
  if (state === "in" && (name !== told.name || scope !== told.scope)) session.set({ ...NOBODY });
  mark(true);
  api.useSession(told.csrf, ended);
  session.set({ ...NOBODY, state: "in", name: told.name, scope: told.scope });
}

/** Nobody is signed in any more; `reason`: why, for the one who was. */
function out(reason = "") {
  api.useSession("");
  mark(false);
  session.set({ ...NOBODY, reason });
}

function ended(problem) {
  if (session.get().state === "in") out(whyEnded(problem));
}

/** A request without a cookie is told to sign in first; for who was signed in here that is no reason. */
function whyEnded({ detail }) {
  return !detail || detail === NO_COOKIE ? "The session has ended, here or in another tab." : detail;
}

/**
 * Go on with the session that the browser still has.
 * @returns {Promise<boolean>} whether the server answered
 */
export async function resume() {
  const isIn = session.get().state === "in";
  if (!isIn && !isMarked()) {
    session.set({ ...NOBODY });
    return true;
  }
  try {
    begun(await api.session.look());
    return true;
  } catch (problem) {
    if (problem.status === 401) out(isIn ? whyEnded(problem) : "");
    else if (!isIn) session.set({ ...NOBODY, state: "unknown", problem });
    return problem.status !== 0;
  }
}

/** @throws {api.ApiProblem} when the key is not taken */
export async function signIn(key) {
  begun(await api.session.begin(key));
}

/** Ends the session on the server too, so that its cookie is worth nothing any more. */
export async function signOut() {
  await api.session.end();
  out("You have signed out.");
}

// The cookie is renewed by looking, long before it ends, for as long as the page is open.
setInterval(() => {
  if (session.get().state === "in") resume();
}, 15 * 60 * 1000);

// What stands around every page: where one is, how the connection to the server stands, and who is signed in.

import { useEffect, useRef } from "preact/hooks";
import { second } from "./clock.js";
import { clock, duration, exact, seconds } from "./format.js";
import { html } from "./html.js";
import { live, outdated, retry, seen } from "./live.js";
import { isLeaving } from "./navigation.js";
import { href } from "./router.js";
import { session, signOut } from "./session.js";
import { useStore } from "./store.js";
import { CHOICES, choose, theme } from "./theme.js";
import { Button } from "./ui/button.js";
import { Notice } from "./ui/notices.js";
import { State } from "./ui/state.js";
import { toast, Toasts } from "./ui/toasts.js";

const PLACES = [
  ["", "Overview"], ["channels", "Channels"], ["clients", "Clients"], ["workers", "Workers"], ["broadcasts", "Broadcasts"],
  ["events", "Events"], ["audit", "Audit"], ["doctor", "Doctor"], ["settings", "Settings"],
];

/** Phase of live.js -> tone and word. */
const PHASES = {
  connecting: ["", "connecting"],
  live: ["ok", "live"],
  stale: ["warn", "no news"],
  held: ["warn", "every 5 s"],
  lost: ["bad", "not connected"],
  offline: ["bad", "offline"],
  paused: ["", "paused"],
};

/** @param {{page: string, children: any}} props `page`: the first part of the route */
export function Shell({ page, children }) {
  const main = useRef(null);
  const skip = (event) => {
    event.preventDefault(); // the address is the page's
    main.current.focus();
    main.current.scrollIntoView();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the page</a>
    <header class="shell-head">
      <div class="shell-bar">
        <a class="shell-mark" href=${href("")}>MegaComet</a>
        <${Server} />
        <${User} />
      </div>
      <${Places} page=${page} />
    </header>
    <main id="main" class="shell-main" ref=${main} tabindex="-1">
      <${Banner} />
      <${Outdated} />
      <${Old}>${children}</${Old}>
    </main>
    <${Toasts} />
  `;
}

function Places({ page }) {
  const scope = useStore(session, (who) => who.scope);
  const shown = PLACES.filter(([place]) => place !== "audit" || scope === "admin");
  return html`<nav class="shell-nav" aria-label="Pages">
    <ul>
      ${shown.map(
        ([place, text]) => html`<li key=${place}>
          <a href=${href(place)} data-text=${text} aria-current=${place === page ? "page" : undefined}>${text}</a>
        </li>`,
      )}
    </ul>
  </nav>`;
}

function Server() {
  const phase = useStore(live, (now) => now.phase);
  const version = useStore(live, (now) => now.frame?.version ?? "");
  const started = useStore(live, (now) => now.frame?.started ?? "");
  const up = useStore(second, (now) => duration(started ? now - seconds(started) : null));
  const [tone, word] = PHASES[phase];
  return html`<div class="shell-server">
    <span role="status"><${State} tone=${tone}>${word}</${State}></span>
    ${version && html`<span title=${`since ${exact(started)}`}>${version}, up ${up}</span>`}
  </div>`;
}

function User() {
  const { name, scope } = useStore(session);
  const choice = useStore(theme, (now) => now.choice);
  const leave = () => signOut().catch((problem) => toast(`Not signed out: ${problem.message}`, "bad"));
  return html`<div class="shell-user">
    <span class="shell-who" title=${`signed in as ${name}, scope ${scope}`}><bdi>${name}</bdi> <span class="muted">${scope}</span></span>
    <label>
      <span class="unseen">Theme</span>
      <select class="shell-theme" onChange=${(event) => choose(event.currentTarget.value)}>
        ${CHOICES.map(([each, text]) => html`<option value=${each} selected=${each === choice}>${text}</option>`)}
      </select>
    </label>
    <${Button} kind="quiet" onClick=${leave}>Sign out</${Button}>
  </div>`;
}

/** The page; what is old is not shown as if it were of now. */
function Old({ children }) {
  const busy = useStore(isLeaving);
  const old = useStore(live, (now) => now.frame !== null && !["live", "held", "paused"].includes(now.phase));
  return html`<div class=${`page ${old ? "is-old" : ""}`} aria-busy=${busy ? "true" : undefined}>${children}</div>`;
}

/** It is not loaded anew by itself: somebody may be writing. */
function Outdated() {
  if (!useStore(outdated)) return null;
  const reload = html`<${Button} kind="quiet" onClick=${() => location.reload()}>Reload</${Button}>`;
  return html`<div class="banner"><${Notice} action=${reload}>
    The server has another version of this console now. Reload the page to use it; what you are writing is lost then.
  </${Notice}></div>`;
}

/** What is wrong with the connection, or that the server is another one since a moment ago. */
function Banner() {
  const { phase, lostAt, restartedAt, at } = useStore(live);
  const now = useStore(second);
  useEffect(() => {
    if (!restartedAt || phase !== "live") return undefined;
    const timer = setTimeout(seen, 60_000);
    return () => clearTimeout(timer);
  }, [restartedAt, phase]);
  const since = lostAt === null ? "" : duration(now - lostAt);
  const old = at ? ` What is shown is from ${clock(at)}.` : "";
  const again = html`<${Button} kind="quiet" onClick=${retry}>Try now</${Button}>`;
  if (phase === "lost" || phase === "offline") {
    const why = phase === "offline" ? "this browser says that it is offline" : "it may be restarting";
    return html`<div class="banner"><${Notice} tone="warn" action=${again} role="note">
      No connection to the server for ${since}; ${why}.${old} It is tried again and again.
    </${Notice}></div>`;
  }
  if (phase === "stale") {
    return html`<div class="banner"><${Notice} tone="warn" action=${again} role="note">
      Nothing has come from the server for ${since}.${old} It is dialled again.
    </${Notice}></div>`;
  }
  if (phase === "held") {
    return html`<div class="banner"><${Notice} tone="warn" action=${again} role="note">
      The server answers, but its live stream does not come through: a proxy that buffers may hold it back, or too many consoles are
      open. Figures are asked for every 5 s instead; events are missing.
    </${Notice}></div>`;
  }
  if (restartedAt && phase === "live") {
    const close = html`<${Button} kind="quiet" onClick=${seen}>Close</${Button}>`;
    return html`<div class="banner"><${Notice} action=${close}>
      The server restarted ${duration(now - restartedAt)} ago. Clients come back by themselves; counts begin anew, charts keep what they had.
    </${Notice}></div>`;
  }
  return null;
}

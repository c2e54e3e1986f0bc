import { html } from "../html.js";
import { session } from "../session.js";
import { createStore, useStore } from "../store.js";

const toasts = createStore([]);
let count = 0;

/** Say that something has been done, or not: tones "ok", "bad". It goes after 6 s; a bad one stays until it is closed. */
export function toast(text, tone = "ok") {
  const id = ++count;
  toasts.set([...toasts.get(), { id, text, tone }].slice(-4));
  if (tone !== "bad") setTimeout(() => dismiss(id), 6000);
}

function dismiss(id) {
  toasts.set(toasts.get().filter((each) => each.id !== id));
}

// What was told to one is nothing for the next.
session.subscribe((who) => {
  if (who.state === "out") toasts.set([]);
});

/** Stands once in the page. */
export function Toasts() {
  const shown = useStore(toasts);
  return html`<div class="toasts" role="log" aria-live="polite" aria-label="Messages">
    ${shown.map(
      (each) => html`<div key=${each.id} class=${`toast is-${each.tone}`}>
        <span>${each.text}</span>
        <button type="button" class="button is-quiet" onClick=${() => dismiss(each.id)}>Close</button>
      </div>`,
    )}
  </div>`;
}

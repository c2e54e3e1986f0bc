import { html } from "../html.js";
import { Button } from "./button.js";

/** Something to know: tones "", warn, bad. `action` stands at its end. */
export function Notice({ tone = "", action, children, role = "status" }) {
  return html`<div class=${`notice ${tone ? `is-${tone}` : ""}`} role=${role}>
    <div class="notice-text">${children}</div>
    ${action}
  </div>`;
}

/** What went wrong, in the server's words, and a way to try again. */
export function ErrorNotice({ problem, onRetry, what = "" }) {
  if (!problem) return null;
  const more = [
    problem.retryAfterS && `Try again in ${problem.retryAfterS} s.`,
    problem.code && `${problem.status} ${problem.code}`,
    problem.requestId && `request ${problem.requestId}`,
  ].filter(Boolean);
  const action = onRetry && html`<${Button} kind="quiet" onClick=${onRetry}>Try again</${Button}>`;
  return html`<${Notice} tone="bad" role="alert" action=${action}>
    ${what && html`<strong>${what} </strong>`}${sentenceOf(problem.message)}
    ${more.length > 0 && html`<span class="notice-detail">${more.join(" · ")}</span>`}
  </${Notice}>`;
}

/** The server's details begin small and have no stop. */
export function sentenceOf(text) {
  const trimmed = String(text ?? "").trim();
  if (!trimmed) return "";
  return trimmed[0].toUpperCase() + trimmed.slice(1) + (/[.!?…]$/.test(trimmed) ? "" : ".");
}

/** Nothing is there: why, and what can be done. */
export function EmptyState({ title, children }) {
  return html`<div class="empty">
    <p class="empty-title">${title}</p>
    ${children && html`<p>${children}</p>`}
  </div>`;
}

/** It is being loaded. Said only when it takes long enough to be read. */
export function Loading({ what = "Loading" }) {
  return html`<p class="empty" role="status">${what}…</p>`;
}

import { useEffect } from "preact/hooks";
import { html } from "../html.js";

/** The title of the document, and so of the tab: "<title> · MegaComet". */
export function useTitle(title) {
  useEffect(() => void (document.title = `${title} · MegaComet`), [title]);
}

/**
 * The head of a page: its title, which is the document's too, a line about it, and what can be done (children).
 * @param {{title: string, show?: any, about?: any}} props `show`: instead of the title, for names
 */
export function PageHead({ title, show, about, children }) {
  useTitle(title);
  return html`<div class="page-head">
    <div class="page-title">
      <h1>${show ?? title}</h1>
      ${about && html`<p class="page-about">${about}</p>`}
    </div>
    ${children && html`<div class="row">${children}</div>`}
  </div>`;
}

/** A part of a page with a hairline above it. `actions` stand at the right of its title, `note` behind it. */
export function Section({ title, note, actions, children }) {
  return html`<section class="section">
    ${(title || actions) &&
    html`<div class="section-head">
      <h2>${title} ${note && html`<span class="section-note">${note}</span>`}</h2>
      ${actions && html`<div class="row">${actions}</div>`}
    </div>`}
    ${children}
  </section>`;
}

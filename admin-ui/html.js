// Elements without a build step: html`<p class="x">${text}</p>`. Text is always text, never markup.

import { h } from "preact";
import htm from "htm";

export const html = htm.bind(h);

import { useState } from "preact/hooks";
import * as api from "../api.js";
import { counted, duration } from "../format.js";
import { spelled } from "../names.js";
import { ConfirmDialog, Field, html, Input, Name, Segmented, toast } from "../ui/kit.js";

const MOST_BLOCK_S = 604_800;
const AFTER = [["back", "May come back"], ["away", "Is to stay away"]];

/**
 * Asks how a client is to be cut off, and does it.
 * @param {{name: string, count: number, onClose: (done: boolean) => void}} props `count`: its connections now
 */
export function CutOff({ name, count, onClose }) {
  const [after, setAfter] = useState("back");
  const [block, setBlock] = useState("60");
  const away = after === "away";
  const blockS = block.trim() === "" ? 0 : Number(block);
  const wrong = away && !(blockS >= 0 && blockS <= MOST_BLOCK_S) ? `Seconds from 0 to ${MOST_BLOCK_S}.` : "";
  const deed = () => api.post(api.path("clients", name, "disconnect"), away ? { reconnect: false, block_s: blockS } : { reconnect: true });
  const close = (result) => {
    if (result) toast(doneWords(spelled(name), result.disconnected, away ? blockS : 0));
    onClose(Boolean(result));
  };
  return html`<${ConfirmDialog} title="Cut this client off?" verb=${count ? `Cut off ${counted(count, "connection")}` : "Cut off"} deed=${deed} onClose=${close} disabled=${Boolean(wrong)}>
    <p><${Name} name=${name} /></p>
    <${Segmented} label="Afterwards it" options=${AFTER} value=${after} onValue=${setAfter} />
    ${away && html`<${Field} label="Kept out for (s)" hint="0: it is asked to stay away, and nothing keeps it out" error=${wrong}>
      <${Input} value=${block} onValue=${setBlock} inputmode="numeric" />
    </${Field}>`}
    <p class="cut-words">${willWords(count, away, wrong ? null : blockS)}</p>
  </${ConfirmDialog}>`;
}

/** What will happen. */
function willWords(count, away, blockS) {
  const ends = count ? `${counted(count, "connection ends", "connections end")}.` : "It has no connection now.";
  if (!away) return `${ends} The client may come back at once, and resumes from its position; nothing is lost.`;
  if (blockS === null) return ends;
  if (blockS === 0) return `${ends} The client is asked to stay away, but nothing keeps it out.`;
  return `${ends} The client is kept out for ${duration(blockS)}, on every worker; what is sent to it meanwhile waits as long as its mailbox keeps it.`;
}

function doneWords(name, count, blockS) {
  const ended = count ? `${counted(count, "connection")} of ${name} ended.` : `${name} had no connection.`;
  return blockS ? `${ended} It is kept out for ${duration(blockS)}.` : ended;
}

// Names of channels and clients in plain text, and which are which. Pure.

import { shortened, visible } from "./format.js";

/** What is written from the right to the left. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** The channel that every connection hears. */
export const EVERYONE = "*";

/** A name in a sentence or a title: what cannot be seen written out, long ones cut, its direction kept to itself. */
export function spelled(name, most = 48) {
  const [begin, end] = shortened(name, most);
  const text = visible(begin).map((piece) => piece.text).join("") + (end ? `…${visible(end).map((piece) => piece.text).join("")}` : "");
  return RIGHT_TO_LEFT.test(text) ? `\u2068${text}\u2069` : text;
}

export function isMailbox(channel) {
  return channel.startsWith("@");
}

/** The client whose mailbox a channel is, or null. */
export function clientOf(channel) {
  return isMailbox(channel) ? channel.slice(1) : null;
}

export function mailboxOf(client) {
  return `@${client}`;
}

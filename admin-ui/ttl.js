// How long a message is kept, as one writes it. Pure.

const MOST_S = 30 * 24 * 3600;

/** What is wrong with it, or "": nothing; an empty text is as the settings say. */
export function ttlFault(text) {
  const written = text.trim();
  if (!written || (/^[0-9]+(\.[0-9]+)?$/.test(written) && Number(written) <= MOST_S)) return "";
  return `Seconds from 0 to ${MOST_S}.`;
}

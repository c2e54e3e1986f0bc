// Addresses of the pages: "#/channels/<name>?prefix=…". A name is one segment, encoded as encodeURIComponent does it.
// Pure; where the browser is knows navigation.js.

/**
 * @typedef {{page: string, name: string | null, query: Record<string, string>}} Route
 * `page` is "" for the overview; `name` is the channel or the client; unreadable names are null.
 */

/**
 * @param {string} hash of the address, with or without its "#"
 * @returns {Route}
 */
export function parse(hash) {
  const text = hash.replace(/^#?\/?/, "");
  const at = text.indexOf("?");
  const [page = "", ...rest] = (at < 0 ? text : text.slice(0, at)).split("/");
  const query = Object.fromEntries(new URLSearchParams(at < 0 ? "" : text.slice(at + 1)));
  return { page, name: rest.length ? decoded(rest.join("/")) : null, query };
}

function decoded(segment) {
  try {
    return segment ? decodeURIComponent(segment) : null;
  } catch {
    return null; // it was typed by hand
  }
}

/** encodeURIComponent, also for half a surrogate pair that somebody has pasted. */
export function encoded(name) {
  return encodeURIComponent(name.toWellFormed ? name.toWellFormed() : name.replace(/[\ud800-\udfff]/gu, "\ufffd"));
}

/**
 * The address of a page: href("channels", "news"), href("channels", null, {prefix: "a"}). Empty parameters are left out.
 * @param {string} page
 * @param {string | null} [name]
 * @param {Record<string, string | number | null | undefined>} [query]
 */
export function href(page, name = null, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = given.map(([key, value]) => `${encoded(key)}=${encoded(String(value))}`).join("&");
  return `#/${page}${name === null ? "" : `/${encoded(name)}`}${search ? `?${search}` : ""}`;
}

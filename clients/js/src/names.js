// What the server would refuse is refused where it is said: one bad name in a request fails it for all others.

const FORBIDDEN = /[\p{Cc}\p{Z}\p{Cs}]|^\.{0,2}$/u;
const POSITION = /^(oldest|[0-9a-z]{1,16}-\d{1,19}(\.\d{1,19})*)?$/;

/** @returns {any} `value`, which is right */
export function check(what, value, isRight, wanted) {
  if (isRight) return value;
  throw new TypeError(`megacomet: bad ${what} ${JSON.stringify(value)}, it is ${wanted}`);
}

export function isName(name, most) {
  return typeof name === "string" && !FORBIDDEN.test(name) && new TextEncoder().encode(name).length <= most;
}

export function checkChannel(channel) {
  const isRight = isName(channel, 255) && channel !== "*" && channel[0] !== "@";
  return check("channel", channel, isRight, "1 to 255 bytes without spaces, not beginning with @, and not *");
}

export function isSince(since) {
  return POSITION.test(since);
}

export function checkSince(since) {
  return check("since", since, isSince(since), 'a position that was told, or "oldest"');
}

/** @returns {string} the server's address, which ends in "/" */
export function baseOf(url, page) {
  let base;
  try {
    base = new URL(url, page);
  } catch {
    // said below
  }
  check("url", url, /^https?:$/.test(base?.protocol), "the server's address, http:… or https:…");
  return base.origin + base.pathname.replace(/\/?$/, "/");
}

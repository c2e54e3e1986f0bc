// What the server would refuse is refused where it is said: one bad name in a request fails it for all others.

const NAME = /^(?!\.{1,2}$)[^\p{Cc}\p{Z}\p{Cs}]+$/u;
const POSITION = /^(oldest|[0-9a-z]{1,16}-\d{1,19}(\.\d{1,19})*)?$/;

/** @returns {any} `value`, which is right */
export function check(what, value, isRight, wanted) {
  if (isRight) return value;
  throw TypeError(`megacomet: bad ${what} ${JSON.stringify(value)}, it is ${wanted}`);
}

export function checkName(what, name, most) {
  const isRight = typeof name === "string" && NAME.test(name) && new TextEncoder().encode(name).length <= most;
  return check(what, name, isRight, `1 to ${most} bytes without spaces`);
}

export function checkChannel(channel) {
  checkName("channel", channel, 255);
  return check("channel", channel, !/^(@|\*$)/.test(channel), "not * and none that begins with @");
}

export function isSince(since) {
  return POSITION.test(since);
}

/** @returns {string} `since`, "" when there is none */
export function checkSince(since) {
  since ??= "";
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
  check("url", url, /^https?:$/.test(base?.protocol), "the server's address, http: or https:");
  return base.origin + base.pathname.replace(/\/?$/, "/");
}

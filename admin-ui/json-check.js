// Where a text stops being JSON, in words. Pure. JSON.parse tells the place in some browsers only.

const SPACE = /[ \t\n\r]*/y;
const TOKEN = /[{}[\],:]|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?![A-Za-z0-9_.+-])/y;
const TEXT_PART = /(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;

/** What may come next -> how that is said. */
const WANTED = {
  value: "a value",
  first: "a value or ]",
  firstKey: "a name in double quotes or }",
  key: "a name in double quotes",
  colon: "a colon",
  item: "a comma or ]",
  member: "a comma or }",
  end: "the end",
};

/**
 * What is wrong with a text that should be JSON: the first place, counted from 1, and why. null: nothing.
 * @param {string} text
 * @returns {{line: number, column: number, why: string} | null}
 */
export function jsonProblem(text) {
  try {
    JSON.parse(text);
    return null;
  } catch {
    const { at, why } = faultIn(text);
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    return { line, column: [...before.slice(before.lastIndexOf("\n") + 1)].length + 1, why };
  }
}

function faultIn(text) {
  const open = [];
  let wanted = "value";
  let at = 0;
  for (;;) {
    at = after(SPACE, text, at);
    const end = after(TOKEN, text, at);
    if (end === at) return { at: faultAt(text, at), why: reason(text, at, wanted) };
    const next = step(text.slice(at, Math.min(end, at + 1)), wanted, open);
    if (next === null) return { at, why: reason(text, at, wanted) };
    wanted = next;
    at = end;
  }
}

/** What may come behind a token that begins with `first`; null: it may not stand there. Keeps `open`, what is not closed. */
function step(first, wanted, open) {
  const behind = () => (open.length === 0 ? "end" : open.at(-1) === "[" ? "item" : "member");
  if (first === "]" || first === "}") {
    const fits = first === "]" ? ["first", "item"] : ["firstKey", "member"];
    if (!fits.includes(wanted)) return null;
    open.pop();
    return behind();
  }
  if (first === ",") return wanted === "item" ? "value" : wanted === "member" ? "key" : null;
  if (first === ":") return wanted === "colon" ? "value" : null;
  if (wanted === "key" || wanted === "firstKey") return first === '"' ? "colon" : null;
  if (wanted !== "value" && wanted !== "first") return null;
  if (first !== "[" && first !== "{") return behind();
  open.push(first);
  return first === "[" ? "first" : "firstKey";
}

function after(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

// Of a text in quotes the place within it.
function faultAt(text, at) {
  return text[at] === '"' ? after(TEXT_PART, text, at + 1) : at;
}

function reason(text, at, wanted) {
  if (at >= text.length) return `it ends where ${WANTED[wanted]} is expected`;
  const found = text[at];
  const end = faultAt(text, at);
  if (found === '"' && text[end] !== '"') {
    if (end >= text.length) return "a text is not closed by a double quote";
    return text[end] === "\\" ? "there is no such escape in JSON" : "a text has no line breaks or tabs; they are written \\n and \\t";
  }
  if (found === "'") return "texts stand in double quotes";
  if (/,\s*$/.test(text.slice(0, at)) && (found === "]" || found === "}")) return `there is a comma too many before ${found}`;
  return `${WANTED[wanted]} is expected`;
}

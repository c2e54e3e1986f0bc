import { useEffect, useMemo, useState } from "preact/hooks";
import { html } from "../html.js";
import { faultOf, faultWords } from "../jsontext.js";
import { Field, TextArea } from "./field.js";

/** Whoever is in the middle of a word is not told that it is none. */
const PAUSE_MS = 400;

/**
 * A field for JSON. What is wrong with it is told when the keys rest, with line and column; an empty one is not valid
 * and nothing is told.
 * @param {{label: string, value: string, onValue: (text: string) => void, onValid?: (valid: boolean) => void, hint?: any, error?: string}} props
 *   `onValid`: told at once with each change; `error`: what the server says, when there is nothing else wrong
 */
export function JsonField({ label, value, onValue, onValid, hint, error = "", ...rest }) {
  const fault = useMemo(() => faultOf(value), [value]);
  const told = useRested(value.trim() && fault ? faultWords(fault) : "");
  useEffect(() => onValid?.(fault === null), [fault === null]);
  return html`<${Field} label=${label} hint=${hint} error=${told || error}>
    <${TextArea} dir="ltr" value=${value} onValue=${onValue} ...${rest} />
  </${Field}>`;
}

/** The text, when it has not changed for a moment; nothing wrong is told at once. */
function useRested(text) {
  const [rested, setRested] = useState(text);
  useEffect(() => {
    if (!text) return void setRested("");
    const timer = setTimeout(() => setRested(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return text ? rested : "";
}

// The stream of a tail: kept while it is wanted and the tab is seen, dialled again when it breaks.

import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "./api.js";
import { parseExact } from "./jsontext.js";
import { resume } from "./session.js";

const BACK_OFF_MS = [500, 1000, 2000, 4000, 8000];
/** Whoever looks into another tab for a moment misses nothing. */
const HIDDEN_MS = 15_000;
const OFF = { state: "off", failures: 0 };

/**
 * @param {string} name of the channel
 * @param {boolean} on
 * @param {{onMessages: (told: {messages: any[], skipped: number}) => void, onBroken: () => void}} to
 *   `onBroken`: something may have come that is not told
 * @returns {{state: "off" | "connecting" | "live" | "broken" | "hidden", failures: number}} `failures` in a row
 */
export function useTailStream(name, on, to) {
  const [now, setNow] = useState(OFF);
  const told = useRef(to);
  told.current = to;
  useEffect(() => {
    if (!on) {
      setNow(OFF);
      return undefined;
    }
    let source = null;
    let timer = 0;
    let hide = 0;
    let failures = 0;
    let over = false;
    const shut = () => {
      source?.close();
      source = null;
      clearTimeout(timer);
    };
    const open = () => {
      shut();
      source = new EventSource(api.url(api.path("channels", name, "tail")));
      source.onopen = () => {
        failures = 0;
        setNow({ state: "live", failures });
      };
      source.addEventListener("messages", (event) => told.current.onMessages(parseExact(event.data)));
      source.onerror = failed;
    };
    const failed = () => {
      shut();
      told.current.onBroken();
      const wait = BACK_OFF_MS[Math.min(failures, BACK_OFF_MS.length - 1)];
      failures += 1;
      setNow({ state: "broken", failures });
      // An EventSource does not say why. When it was the session, this asks for the key.
      timer = setTimeout(async () => {
        await resume();
        if (!over && !source && !document.hidden) open();
      }, wait * (0.75 + Math.random() / 2));
    };
    const hidden = () => {
      shut();
      told.current.onBroken();
      setNow({ state: "hidden", failures: 0 });
    };
    const looked = () => {
      clearTimeout(hide);
      if (document.hidden) hide = setTimeout(hidden, HIDDEN_MS);
      else if (!source) begin();
    };
    const begin = () => {
      setNow({ state: "connecting", failures: 0 });
      open();
    };
    begin();
    document.addEventListener("visibilitychange", looked);
    return () => {
      document.removeEventListener("visibilitychange", looked);
      over = true;
      clearTimeout(hide);
      shut();
      told.current.onBroken();
    };
  }, [name, on]);
  return now;
}

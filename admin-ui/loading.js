// How a page gets its data: asked for when it opens, again when what it asks for changes, given up when it is left.

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { begun, taken } from "./ahead.js";

/**
 * @template T
 * @param {import("./ahead.js").Question<T>} question asked again when its key changes
 * @param {{everyS?: number, keep?: boolean, join?: (answer: T, before: T | null) => T}} [options] everyS: asked again so
 *   many seconds after each answer, while the tab is seen; keep: `data` stays until there is an answer, also when the key
 *   changes; join: makes `data` of an answer and of what was there
 * @returns {{data: T | null, problem: Error | null, loading: boolean, reload: () => void, set: (change: (data: T) => T) => void}}
 *   `data` stays while it is asked again, also when that fails; it is null again when the key changes.
 */
export function useLoad(question, { everyS = 0, keep = false, join = (answer) => answer } = {}) {
  const [first] = useState(() => taken(question.key));
  const [state, setState] = useState(() => (first?.answer ? after(null, first.answer, join) : { data: null, problem: null, loading: true }));
  const [turn, setTurn] = useState(0);
  const last = useRef(null);

  // Asked as soon as the page is drawn: any other effect waits for the frame after it.
  useLayoutEffect(() => {
    const one = (last.current === null && first) || begun(question);
    const changed = !keep && last.current !== null && last.current !== question.key;
    const { control, answer: drawn } = one;
    last.current = question.key;
    if (!drawn) setState((was) => ({ data: changed ? null : was.data, problem: changed ? null : was.problem, loading: true }));
    let timer;
    const run = async ({ done }) => {
      const answer = await done;
      if (control.signal.aborted) return;
      if (answer !== drawn) setState((was) => after(was.data, answer, join));
      // What is no request is none the next time either.
      if (everyS && answer.problem?.status !== 400) timer = setTimeout(again, everyS * 1000);
    };
    const ask = () => run(begun(question, control));
    const again = () => (document.hidden ? document.addEventListener("visibilitychange", ask, { once: true, signal: control.signal }) : ask());
    run(one);
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [question.key, turn]);

  const reload = useCallback(() => setTurn((count) => count + 1), []);
  const set = useCallback((change) => setState((was) => ({ ...was, data: change(was.data) })), []);
  return { ...state, reload, set };
}

function after(before, { data, problem = null }, join) {
  return { data: problem ? before : join(data, before), problem, loading: false };
}

/**
 * One deed at a time, for buttons and forms: `run(deed)` waits for it and keeps what went wrong.
 * @returns {{busy: boolean, problem: Error | null, run: <T>(deed: () => Promise<T>) => Promise<T | undefined>, clear: () => void}}
 */
export function useDeed() {
  const [state, setState] = useState({ busy: false, problem: null });
  const there = useRef(true);
  useEffect(() => () => void (there.current = false), []);
  const run = useCallback(async (deed) => {
    setState({ busy: true, problem: null });
    try {
      const result = await deed();
      if (there.current) setState({ busy: false, problem: null });
      return result;
    } catch (problem) {
      if (there.current) setState({ busy: false, problem });
      return undefined;
    }
  }, []);
  const clear = useCallback(() => setState({ busy: false, problem: null }), []);
  return { ...state, run, clear };
}

// How a page gets its data: loaded when it opens, again when what it asks for changes, given up when it is left.

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/**
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {unknown[]} inputs loads again when one of them changes
 * @param {{everyS?: number, keep?: boolean}} [options] everyS: loads again so many seconds after each answer, while the
 *   tab is seen; keep: `data` stays until there is an answer, also when `inputs` change
 * @returns {{data: T | null, problem: Error | null, loading: boolean, reload: () => void, set: (data: T) => void}}
 *   `data` stays while it is loaded again, also when that fails; it is null again when `inputs` change.
 */
export function useLoad(load, inputs, { everyS = 0, keep = false } = {}) {
  const [state, setState] = useState({ data: null, problem: null, loading: true });
  const [turn, setTurn] = useState(0);
  const last = useRef({ inputs: null });

  // Asked as soon as the page is drawn: any other effect waits for the frame after it.
  useLayoutEffect(() => {
    const control = new AbortController();
    const changed = !keep && last.current.inputs && inputs.some((each, i) => !Object.is(each, last.current.inputs[i]));
    last.current.inputs = inputs;
    setState((was) => ({ data: changed ? null : was.data, problem: changed ? null : was.problem, loading: true }));
    let timer;
    const run = async () => {
      let isRefused = false;
      try {
        const data = await load(control.signal);
        if (!control.signal.aborted) setState({ data, problem: null, loading: false });
      } catch (problem) {
        // What is no request is none the next time either.
        isRefused = problem.status === 400;
        if (!control.signal.aborted) setState((was) => ({ data: was.data, problem, loading: false }));
      }
      if (everyS && !isRefused && !control.signal.aborted) timer = setTimeout(again, everyS * 1000);
    };
    const again = () => (document.hidden ? document.addEventListener("visibilitychange", run, { once: true, signal: control.signal }) : run());
    run();
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [...inputs, turn]);

  const reload = useCallback(() => setTurn((count) => count + 1), []);
  const set = useCallback((data) => setState({ data, problem: null, loading: false }), []);
  return { ...state, reload, set };
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

// A value that changes, and who wants to know: the state that several parts of the page share.

import { useEffect, useRef, useState } from "preact/hooks";

/**
 * @template T
 * @param {T} value
 */
export function createStore(value) {
  const listeners = new Set();
  return {
    get: () => value,
    /** @param {T} next */
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const tell of [...listeners]) tell(value);
    },
    /** @returns {() => void} ends it */
    subscribe(tell) {
      listeners.add(tell);
      return () => listeners.delete(tell);
    },
  };
}

/**
 * The store's value, or what `select` takes of it; the component is drawn again when that has changed.
 * `select` must return the same object as long as nothing has changed.
 */
export function useStore(store, select = (value) => value) {
  const [, redraw] = useState(0);
  const shown = useRef();
  const chosen = useRef();
  chosen.current = select;
  shown.current = select(store.get());
  useEffect(() => {
    const look = () => {
      if (!Object.is(chosen.current(store.get()), shown.current)) redraw((count) => count + 1);
    };
    look(); // what came between drawing and here
    return store.subscribe(look);
  }, [store]);
  return shown.current;
}

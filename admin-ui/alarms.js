// From where on a figure is one that somebody should look at. Pure; the overview and the pages have the same.

/** Of one processor, and of the room of a worker. */
export const BUSY = 0.9;
/** Milliseconds that an event loop is late. */
export const LATE_MS = 100;

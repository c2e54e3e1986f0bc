// What a page asks for, asked as soon as one goes there, while the page before is still on the screen: a page that is
// drawn without its data is laid out and painted twice, and the data wait for the first of it. Pure.

/**
 * @template T
 * @typedef {{key: string, load: (signal: AbortSignal) => Promise<T> | T}} Question  what has the same key is the same question
 */

/**
 * @template T
 * @typedef {{data: T, problem?: undefined} | {problem: Error}} Answer
 */

/**
 * @typedef {{control: AbortController, answer: Answer<any> | null, done: Promise<Answer<any>>}} Asked
 *   `answer`: null until there is one
 */

/** Who has waited for so long wants to see that something goes on. */
const MOST_MS = 100;

/** @type {Map<string, Asked>} */
let waiting = new Map();

/**
 * Ask; what was asked ahead before, and was not taken, is given up.
 * @param {Question<any>[]} questions
 * @param {(ms: number) => Promise<void>} [pause]
 * @returns {Promise<void>} when all are answered, or a moment has passed
 */
export async function ahead(questions, pause = (ms) => new Promise((end) => setTimeout(end, ms))) {
  for (const { control } of waiting.values()) control.abort();
  waiting = new Map(questions.map((each) => [each.key, begun(each)]));
  if (waiting.size) await Promise.race([Promise.all([...waiting.values()].map((each) => each.done)), pause(MOST_MS)]);
}

/** What was asked ahead under this key; it is given once. @returns {Asked | undefined} */
export function taken(key) {
  const one = waiting.get(key);
  waiting.delete(key);
  return one;
}

/** Ask now. @param {Question<any>} question @returns {Asked} */
export function begun({ load }, control = new AbortController()) {
  const one = { control, answer: null, done: null };
  one.done = answered(load, control.signal).then((answer) => (one.answer = answer));
  return one;
}

async function answered(load, signal) {
  try {
    return { data: await load(signal) };
  } catch (problem) {
    return { problem };
  }
}

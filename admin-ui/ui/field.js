import { cloneElement } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { html } from "../html.js";

/**
 * A label, one control, a hint and what is wrong with it: html`<${Field} label="Prefix"><${Input} …/></${Field}>`.
 * @param {{label: string, hint?: any, error?: string, hideLabel?: boolean}} props
 */
export function Field({ label, hint, error, hideLabel = false, children }) {
  const id = useId();
  const control = Array.isArray(children) ? children.find((each) => each?.type) : children;
  const told = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  return html`<div class="field">
    <label class=${hideLabel ? "unseen" : "field-label"} for=${id}>${label}</label>
    ${cloneElement(control, { id, "aria-describedby": told, "aria-invalid": error ? "true" : undefined })}
    ${hint && html`<p class="field-hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="field-error" id=${`${id}-error`} role="alert">${error}</p>`}
  </div>`;
}

/** A line of text. `onValue(text)` is told with each change. */
export function Input({ onValue, class: extra = "", ...rest }) {
  return html`<input class=${`input ${extra}`} autocomplete="off" autocapitalize="off" spellcheck="false"
    onInput=${(event) => onValue?.(event.currentTarget.value)} ...${rest} />`;
}

/** Several lines of text. */
export function TextArea({ onValue, class: extra = "", ...rest }) {
  return html`<textarea class=${`input ${extra}`} autocomplete="off" spellcheck="false"
    onInput=${(event) => onValue?.(event.currentTarget.value)} ...${rest}></textarea>`;
}

/** One of several: options [[value, text], …]. */
export function Select({ options, value, onValue, ...rest }) {
  return html`<select class="input" onChange=${(event) => onValue?.(event.currentTarget.value)} ...${rest}>
    ${options.map(([each, text]) => html`<option value=${each} selected=${each === value}>${text}</option>`)}
  </select>`;
}

/** "/" goes to the field, from wherever nobody writes. @param {() => HTMLInputElement} field */
export function useSlash(field) {
  useEffect(() => {
    const focus = (event) => {
      const writing = event.target.closest?.("input, textarea, select, dialog[open], [contenteditable]");
      if (event.key !== "/" || writing || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      field().focus();
      field().select();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
}

/**
 * The field that "/" goes to. `onValue` is told 200 ms after the last key, and at once with Enter or when it is cleared.
 * @param {{label: string, value: string, onValue: (text: string) => void, placeholder?: string}} props
 */
export function SearchField({ label, value, onValue, placeholder, ...rest }) {
  const field = useRef(null);
  const timer = useRef(0);
  const tell = useRef(onValue);
  tell.current = onValue;
  useSlash(() => field.current);
  useEffect(() => () => clearTimeout(timer.current), []);
  // What was typed meanwhile is not taken back by what the address said before.
  useEffect(() => {
    if (field.current !== document.activeElement) field.current.value = value;
  }, [value]);
  const soon = (text, after) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => tell.current(text), after);
  };
  return html`<div class="search">
    <${Field} label=${label} hideLabel>
      <input ref=${field} class="input" type="search" defaultValue=${value} placeholder=${placeholder ?? `${label}  ( / )`}
        autocomplete="off" autocapitalize="off" spellcheck="false" aria-keyshortcuts="/"
        onInput=${(event) => soon(event.currentTarget.value, event.currentTarget.value ? 200 : 0)}
        onKeyDown=${(event) => event.key === "Enter" && soon(event.currentTarget.value, 0)} ...${rest} />
    </${Field}>
  </div>`;
}

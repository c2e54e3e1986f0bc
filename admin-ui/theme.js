// Light or dark: as the system has it, or as somebody chose in this browser.

import { createStore } from "./store.js";

const KEY = "megacomet-theme";
export const CHOICES = [["system", "System"], ["light", "Light"], ["dark", "Dark"]];

function stored() {
  try {
    const choice = localStorage.getItem(KEY);
    return CHOICES.some(([each]) => each === choice) ? choice : "system";
  } catch {
    return "system"; // storage may be forbidden
  }
}

function apply(choice) {
  if (choice === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
}

const system = matchMedia("(prefers-color-scheme: dark)");

/** {choice, dark}: what was chosen, and what comes of it. */
export const theme = createStore({ choice: "system", dark: system.matches });

export function choose(choice) {
  apply(choice);
  theme.set({ choice, dark: choice === "dark" || (choice === "system" && system.matches) });
  try {
    if (choice === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  } catch {
    // Then it holds for this page only.
  }
}

system.addEventListener("change", () => choose(theme.get().choice));
choose(stored());

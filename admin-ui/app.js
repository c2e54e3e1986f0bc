// Shows whether somebody is signed in, and lets them sign in and out.
const app = document.getElementById("app");
let csrf = "";

async function ask(method, body) {
  const headers = method === "GET" ? {} : { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  return fetch("/console/session", { method, headers, body: body && JSON.stringify(body) });
}

async function show() {
  const answer = await ask("GET");
  app.replaceChildren(answer.ok ? signedIn(await answer.json()) : signIn());
}

function signedIn(session) {
  csrf = session.csrf;
  const out = Object.assign(document.createElement("button"), { textContent: "Sign out" });
  out.addEventListener("click", async () => { await ask("DELETE"); await show(); });
  const told = document.createElement("p");
  told.append(`Signed in as ${session.name} (${session.scope}). `, out);
  return told;
}

function signIn() {
  const form = document.createElement("form");
  const key = Object.assign(document.createElement("input"), { type: "password", autocomplete: "current-password" });
  key.setAttribute("aria-label", "Key");
  const why = document.createElement("output");
  form.append(key, Object.assign(document.createElement("button"), { textContent: "Sign in" }), why);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await ask("POST", { key: key.value });
    if (answer.ok) await show();
    else why.textContent = (await answer.json()).detail;
  });
  return form;
}

show();

import { useEffect, useRef, useState } from "preact/hooks";
import { session, signIn } from "../session.js";
import { useStore } from "../store.js";
import { Button, Field, html, Input, Notice, sentenceOf, useTitle } from "../ui/kit.js";

/** What the server's refusal means to somebody with a key in their hand. */
function refusal(problem, waitS) {
  if (problem.status === 401) return "The server does not know this key. It may have been revoked, or a character is missing.";
  if (problem.status === 403 && problem.code === "forbidden") {
    return `${sentenceOf(problem.detail || "This key has the scope push")} The console needs a key of scope read or admin.`;
  }
  if (problem.status === 429) return waitS > 0 ? `Too many attempts from this address. Try again in ${waitS} s.` : "";
  return sentenceOf(problem.message);
}

export function SignIn() {
  const reason = useStore(session, (who) => who.reason);
  const [key, setKey] = useState("");
  const [shown, setShown] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const waitS = useCountdown(problem?.status === 429 ? (problem.retryAfterS ?? 60) : 0, problem);
  const field = useRef(null);
  useTitle("Sign in");
  useEffect(() => {
    field.current.focus();
  }, []);

  const submit = async (event) => {
    event.preventDefault();
    if (!key.trim() || busy || waitS > 0) return;
    setBusy(true);
    try {
      await signIn(key.trim());
    } catch (refused) {
      setProblem(refused);
      setBusy(false);
      field.current.select();
    }
  };
  const error = problem ? refusal(problem, waitS) : "";
  return html`<main class="signin">
    <div>
      <h1 class="signin-mark">MegaComet</h1>
      <p class="signin-host">Console of ${location.host}</p>
    </div>
    ${reason && !problem && html`<${Notice}>${sentenceOf(reason)}</${Notice}>`}
    <form class="stack" onSubmit=${submit}>
      <input type="text" name="username" autocomplete="username" value="MegaComet" hidden readonly />
      <${Field} label="API key" error=${error}>
        <${KeyInput} inputRef=${field} value=${key} onValue=${setKey} shown=${shown} />
      </${Field}>
      <div class="row">
        <${Button} type="submit" kind="primary" busy=${busy} disabled=${waitS > 0}>${busy ? "Signing in" : "Sign in"}</${Button}>
        <${Button} aria-pressed=${shown ? "true" : "false"} onClick=${() => setShown(!shown)}>${shown ? "Hide key" : "Show key"}</${Button}>
      </div>
    </form>
    <div class="signin-help">
      <p>The server's own key, which allows everything, is in the file <code>${"<state_dir>/api-key"}</code> on the server.</p>
      <p>A key for looking only is made there by <code>megacomet key new --scope read</code>.</p>
    </div>
  </main>`;
}

function KeyInput({ inputRef, shown, ...rest }) {
  return html`<${Input} ref=${inputRef} type=${shown ? "text" : "password"} name="key" autocomplete="current-password" required ...${rest} />`;
}

/** Seconds that are left of `from`, counted down from when `start` changed. */
function useCountdown(from, start) {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    const end = Date.now() + from * 1000;
    const look = () => setLeft(Math.max(0, Math.ceil((end - Date.now()) / 1000)));
    look();
    if (!from) return undefined;
    const timer = setInterval(look, 250);
    return () => clearInterval(timer);
  }, [from, start]);
  return left;
}

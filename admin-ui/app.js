// The console: from the session to the shell to the page of the address.

import { Component, render } from "preact";
import { useEffect } from "preact/hooks";
import { ahead } from "./ahead.js";
import { html } from "./html.js";
import { begin } from "./live.js";
import { isLeaving, route } from "./navigation.js";
import { Audit } from "./pages/audit.js";
import { Broadcasts } from "./pages/broadcasts.js";
import { Channel } from "./pages/channel.js";
import { Channels } from "./pages/channels.js";
import { Client } from "./pages/client.js";
import { Clients } from "./pages/clients.js";
import { Doctor } from "./pages/doctor.js";
import { Events } from "./pages/events.js";
import { Overview } from "./pages/overview.js";
import { Settings } from "./pages/settings.js";
import { SignIn } from "./pages/signin.js";
import { Workers } from "./pages/workers.js";
import { resume, session } from "./session.js";
import { Shell } from "./shell.js";
import { createStore, useStore } from "./store.js";
import { ErrorNotice } from "./ui/notices.js";
import { EmptyState, PageHead } from "./ui/kit.js";

/** The first part of the address -> the page without a name, and with one. */
const PAGES = {
  "": [Overview],
  channels: [Channels, Channel],
  clients: [Clients, Client],
  workers: [Workers],
  broadcasts: [Broadcasts],
  events: [Events],
  audit: [Audit],
  doctor: [Doctor],
  settings: [Settings],
};

const pageOf = ({ page, name }) => PAGES[page]?.[name === null ? 0 : 1] ?? Nowhere;

/** The route whose page is drawn: the one before is left when the next one has its data, or after a moment. */
const drawn = createStore(route.get());

async function follow(next) {
  const before = drawn.get();
  const isOther = next.page !== before.page || next.name !== before.name;
  const asks = (isOther && session.get().state === "in" && pageOf(next).asks?.(next)) || [];
  isLeaving.set(asks.length > 0);
  const asked = ahead(asks);
  if (asks.length) await asked;
  if (route.get() !== next) return;
  isLeaving.set(false);
  drawn.set(next);
}

function App() {
  const { state, problem, name, scope } = useStore(session);
  const here = useStore(drawn);
  if (state === "unknown") return problem && html`<main class="shell-main"><${ErrorNotice} problem=${problem} onRetry=${resume} /></main>`;
  if (state === "out") return html`<${SignIn} />`;
  const Page = pageOf(here);
  // Another channel is another page, and so is that of another key: nothing of the one before stays in it.
  return html`<${Shell} page=${here.page}>
    <${Fence} key=${`${name}/${scope}/${here.page}/${here.name ?? ""}`}><${Page} name=${here.name} query=${here.query} /></${Fence}>
  </${Shell}>`;
}

function Nowhere() {
  return html`<${PageHead} title="No such page" />
    <${EmptyState} title="There is no page at this address.">The pages are in the line above.</${EmptyState}>`;
}

/** An error of a page is shown in its place; the rest goes on. */
class Fence extends Component {
  componentDidCatch(error) {
    console.error(error);
    this.setState({ error });
  }

  render({ children }, { error }) {
    return error ? html`<${ErrorNotice} problem=${error} what="This page has failed." onRetry=${() => this.setState({ error: null })} />` : children;
  }
}

// Another page begins at its top.
function Root() {
  const { page, name } = useStore(drawn);
  useEffect(() => {
    scrollTo(0, 0);
  }, [page, name]);
  return html`<${App} />`;
}

route.subscribe(follow);
begin();
render(html`<${Root} />`, document.getElementById("app"));
resume();

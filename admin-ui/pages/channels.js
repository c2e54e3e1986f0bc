import * as api from "../api.js";
import { number } from "../format.js";
import { useLoad } from "../loading.js";
import { EVERYONE, isMailbox, spelled } from "../names.js";
import { go } from "../navigation.js";
import { href } from "../router.js";
import { EmptyState, html, Name, PageHead, Pager, SearchField, Segmented, Table } from "../ui/kit.js";

const PAGE = 50;
const EVERY_S = 4;
/** The API ranks so many. */
const MOST_RANKED = 1000;
const KINDS = [["channels", "Channels"], ["mailboxes", "Mailboxes"]];
const SORTS = [["name", "By name"], ["subscribers", "Most subscribers"]];

const sortOf = (query) => (query.sort === "subscribers" ? "subscribers" : "name");

function listed(query) {
  const { prefix = "", after = "" } = query;
  const sort = sortOf(query);
  return {
    key: `channels ${sort} ${JSON.stringify([prefix, after])}`,
    load: (signal) => api.get("/channels", { query: { prefix, sort, after, limit: PAGE }, signal }),
  };
}

export function Channels({ query }) {
  const { prefix = "", after = "" } = query;
  const sort = sortOf(query);
  const at = (changed, options) => go(href("channels", null, { prefix, sort: query.sort, ...changed }), options);
  const { data, problem, loading, reload } = useLoad(listed(query), { everyS: EVERY_S, keep: true });
  // What no name begins with is no list that is old, but none at all.
  const rows = problem?.status === 400 ? null : (data?.channels ?? null);
  return html`<${PageHead} title="Channels">
      <${SearchField} label="Search by prefix" value=${prefix} onValue=${(text) => at({ prefix: text }, { replace: true })} />
    </${PageHead}>
    <div class="row list-bar">
      <${Segmented} label="Which channels" options=${KINDS} value=${isMailbox(prefix) ? "mailboxes" : "channels"}
        onValue=${(kind) => at({ prefix: kind === "mailboxes" ? "@" : "" })} />
      <${Segmented} label="Order" options=${SORTS} value=${sort} onValue=${(value) => at({ sort: value === "name" ? "" : value })} />
    </div>
    <div class="rows-lead">
      <${Table} label=${isMailbox(prefix) ? "Mailboxes" : "Channels"} columns=${COLUMNS} rows=${rows} rowKey=${(row) => row.channel}
        loading=${loading} problem=${problem} onRetry=${reload} empty=${html`<${Nothing} prefix=${prefix} after=${after} />`} />
    </div>
    ${rows &&
    html`<${Pager} first=${!after} next=${data.after} onFirst=${() => at({})} onNext=${(cursor) => at({ after: cursor })}
      note=${sort === "subscribers" && !data.after && after ? `The ${number(MOST_RANKED)} with the most subscribers are ranked; by name there are all.` : null} />`}`;
}

Channels.asks = ({ query }) => [listed(query)];

const COLUMNS = [
  {
    key: "channel",
    label: "Channel",
    wide: true,
    cell: (row) => html`<span><${Name} name=${row.channel} to="channels" most=${80} />${row.channel === EVERYONE && html` <span class="muted">everyone</span>`}</span>`,
  },
  { key: "subscribers", label: "Subscribers", numeric: true, cell: (row) => number(row.subscribers) },
  { key: "messages", label: "Messages kept", numeric: true, cell: (row) => number(row.messages) },
];

function Nothing({ prefix, after }) {
  if (after) return html`<${EmptyState} title="Nothing comes behind this page any more.">It was there a moment ago; the first page has what is there now.</${EmptyState}>`;
  if (prefix === "@") {
    return html`<${EmptyState} title="No client is connected, and nothing waits for one.">
      A mailbox is listed while its client is connected, or while a message to it is kept.
    </${EmptyState}>`;
  }
  if (prefix) {
    return html`<${EmptyState} title=${`No ${isMailbox(prefix) ? "mailbox" : "channel"} that is in use begins with ${spelled(prefix)}.`}>
      One is listed while somebody hears it, or while a message of it is kept. It can be opened all the same: <${Name} name=${prefix} to="channels" />
    </${EmptyState}>`;
  }
  return html`<${EmptyState} title="No channel has a subscriber or a kept message.">
    A channel exists while somebody hears it, or while a message of it is kept; nothing has to be set up. Mailboxes of clients have a list of their own.
  </${EmptyState}>`;
}

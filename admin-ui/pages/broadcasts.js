import { useEffect, useRef } from "preact/hooks";
import * as api from "../api.js";
import { bytes, duration, number, percent, rate, seconds } from "../format.js";
import { live } from "../live.js";
import { useLoad } from "../loading.js";
import { go } from "../navigation.js";
import { href } from "../router.js";
import { useMayChange } from "../session.js";
import { useStore } from "../store.js";
import { BroadcastState, Button, EmptyState, html, Name, PageHead, Section, Table, Time } from "../ui/kit.js";
import { NewBroadcast } from "./broadcast_new.js";
import { isOver, Target, UnderWay } from "./broadcast_progress.js";

const LIST = { key: "broadcasts", load: (signal) => api.get("/broadcasts", { signal }) };

export function Broadcasts({ query }) {
  const mayChange = useMayChange();
  const { list, problem, loading, reload } = useBroadcasts();
  const writes = mayChange && query.new === "1";
  const open = () => go(href("broadcasts", null, { new: 1 }));
  const close = () => go(href("broadcasts"), { replace: true });
  const empty = html`<${EmptyState} title="There has been no broadcast since the server started.">
    One message to everyone who listens to a channel, or to all, at a rate that holds up nothing else.
  </${EmptyState}>`;
  return html`<${PageHead} title="Broadcasts" about="One message to many, at a pace that holds up no other message.">
      ${mayChange && !writes && html`<${Button} kind="primary" onClick=${open}>New broadcast</${Button}>`}
    </${PageHead}>
    ${writes && html`<${NewBroadcast} channel=${query.channel ?? ""} onClose=${close} onBegun=${() => { close(); reload(); }} />`}
    <${UnderWay} broadcasts=${list?.filter((each) => !isOver(each)) ?? []} mayChange=${mayChange} onChanged=${reload} />
    <${Section} title="The last broadcasts" note=${list?.length ? "the newest first" : ""}>
      <div class="broadcasts">
        <${Table} label="Broadcasts" columns=${COLUMNS} rows=${list} rowKey=${(row) => row.id} loading=${loading} problem=${problem} onRetry=${reload} empty=${empty} />
      </div>
    </${Section}>`;
}

Broadcasts.asks = () => [LIST];

/** All that the server remembers, newest first; of those that a frame tells of what the frame says. */
function useBroadcasts() {
  const inFrame = useStore(live, (now) => now.frame?.broadcasts ?? null);
  const { data, problem, loading, reload } = useLoad(LIST);
  // One that has begun, ended or been stopped, by whomever, is in the list a moment later.
  const states = inFrame?.map((each) => each.id + each.state).join();
  const before = useRef(states);
  useEffect(() => {
    if (before.current !== undefined && before.current !== states) reload();
    before.current = states;
  }, [states]);
  return { list: data && merged(data.broadcasts, inFrame ?? []), problem, loading, reload };
}

function merged(told, inFrame) {
  const newest = new Map(told.map((each) => [each.id, each]));
  // A list that came after the frame may know more: what is over stays over, and nothing is written back.
  for (const each of inFrame) {
    const known = newest.get(each.id);
    if (!known || (!isOver(known) && each.written + each.lost >= known.written + known.lost)) newest.set(each.id, each);
  }
  return [...newest.values()].sort((a, b) => seconds(b.started) - seconds(a.started));
}

const tookS = (row) => (row.ended ? seconds(row.ended) - seconds(row.started) : null);

const COLUMNS = [
  { key: "state", label: "State", short: true, cell: (row) => html`<${BroadcastState} state=${row.state} />` },
  { key: "target", label: "To", wide: true, cell: (row) => html`<${Target} channel=${row.channel} />` },
  { key: "written", label: "Written", numeric: true, cell: (row) => number(row.written) },
  { key: "of", label: "Of", numeric: true, cell: (row) => html`<span>${number(row.connections)} <span class="muted">${percent(row.connections ? row.written / row.connections : null)}</span></span>` },
  { key: "lost", label: "Lost", numeric: true, cell: (row) => number(row.lost) },
  { key: "rate", label: "Rate", numeric: true, cell: (row) => rate(row.per_s) },
  { key: "bytes", label: "Each", numeric: true, cell: (row) => bytes(row.bytes) },
  { key: "by", label: "By", short: true, cell: (row) => html`<${Name} name=${row.by} most=${32} />` },
  { key: "started", label: "Started", short: true, cell: (row) => html`<${Time} at=${row.started} focusable=${false} />` },
  { key: "took", label: "Took", numeric: true, cell: (row) => (isOver(row) ? duration(Math.ceil(tookS(row))) : html`<span class="muted">under way</span>`) },
];

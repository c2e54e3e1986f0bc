import { html } from "../html.js";
import { EmptyState, ErrorNotice, Loading } from "./notices.js";

/**
 * @typedef {{key: string, label: any, cell: (row: any) => any, numeric?: boolean, short?: boolean, wide?: boolean, sortable?: boolean, hideLabel?: boolean}} Column
 * `numeric`: right-aligned; `short`: not wrapped; `wide`: takes what is left.
 */

/**
 * A table with its states. Narrow, each row becomes a block (or with `scroll` the table scrolls in itself).
 * @param {{label: string, columns: Column[], rows: any[] | null, rowKey: (row: any) => any, sort?: {key: string, down: boolean},
 *   onSort?: (sort: {key: string, down: boolean}) => void, loading?: boolean, problem?: Error | null, onRetry?: () => void,
 *   empty?: any, scroll?: boolean, foot?: Record<string, any>, marked?: (row: any) => boolean}} props
 *   `label`: what it lists, for those who hear it; `rows` null: not known yet; `empty`: title or EmptyState; `foot`: a last
 *   row, for totals, by the keys of columns; `marked`: whether it is the row that is looked for
 */
export function Table({ label, columns, rows, rowKey, sort, onSort, loading = false, problem, onRetry, empty = "Nothing here.", scroll = false, foot, marked }) {
  if (problem && !rows) return html`<${ErrorNotice} problem=${problem} onRetry=${onRetry} />`;
  if (!rows) return html`<${Loading} />`;
  const again = problem && html`<${ErrorNotice} problem=${problem} onRetry=${onRetry} />`;
  if (rows.length === 0) return html`${again}${typeof empty === "string" ? html`<${EmptyState} title=${empty} />` : empty}`;
  // What scrolls must be reached by the keyboard, and so has a name.
  const frame = scroll ? { tabindex: 0, role: "region", "aria-label": label } : {};
  return html`${again}
    <div class=${scroll ? "table-frame" : ""} ...${frame}>
      <table class=${`table ${scroll ? "" : "is-stacked"} ${loading && problem ? "is-old" : ""}`} aria-busy=${loading ? "true" : undefined}>
        <caption class="unseen">${label}</caption>
        <thead><tr>${columns.map((column) => html`<${Head} key=${column.key} column=${column} sort=${sort} onSort=${onSort} />`)}</tr></thead>
        <tbody>${rows.map((row) => html`<tr key=${rowKey(row)} aria-current=${marked?.(row) ? "true" : undefined}>
          ${columns.map((column) => cell(column, column.cell(row)))}
        </tr>`)}</tbody>
        ${foot && html`<tfoot><tr>${columns.map((column) => cell(column, foot[column.key]))}</tr></tfoot>`}
      </table>
    </div>`;
}

function look(column) {
  return [column.numeric && "is-numeric", column.short && "is-short", column.wide && "is-wide"].filter(Boolean).join(" ");
}

function cell(column, content) {
  return html`<td key=${column.key} class=${look(column)} data-label=${column.hideLabel ? "" : column.label}>${content}</td>`;
}

function Head({ column, sort, onSort }) {
  const label = column.hideLabel ? html`<span class="unseen">${column.label}</span>` : column.label;
  if (!column.sortable || !onSort) return html`<th scope="col" class=${look(column)}>${label}</th>`;
  const here = sort?.key === column.key;
  const order = here ? (sort.down ? "descending" : "ascending") : "none";
  // Numbers are wanted largest first, names from A on; a second press turns it.
  const press = () => onSort({ key: column.key, down: here ? !sort.down : Boolean(column.numeric) });
  return html`<th scope="col" class=${look(column)} aria-sort=${order}>
    <button type="button" class="table-sort" onClick=${press}>${label}</button>
  </th>`;
}

/** Sort rows by what `of(row)` returns; null is last, equal ones stay in their order. */
export function sorted(rows, of, down = false) {
  const compare = (a, b) => {
    const [x, y] = [of(a), of(b)];
    if (x === y) return 0;
    if (x === null || x === undefined) return 1;
    if (y === null || y === undefined) return -1;
    return (x < y ? -1 : 1) * (down ? -1 : 1);
  };
  return [...rows].sort(compare);
}

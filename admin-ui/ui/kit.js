// All that pages are made of, from one place.

export { html } from "../html.js";
export { Button } from "./button.js";
export { Chart } from "./chart.js";
export { ConfirmDialog, Dialog } from "./dialog.js";
export { Field, Input, SearchField, Select, TextArea, useSlash } from "./field.js";
export { Json } from "./json.js";
export { JsonField } from "./json-field.js";
export { Copy, Name } from "./name.js";
export { EmptyState, ErrorNotice, Loading, Notice, sentenceOf } from "./notices.js";
export { PageHead, Section, useTitle } from "./page.js";
export { Pager } from "./pager.js";
export { Meter, Progress } from "./progress.js";
export { Segmented } from "./segmented.js";
export { Stat, Stats } from "./stat.js";
export { BroadcastState, State, Tag, WorkerState } from "./state.js";
export { sorted, Table } from "./table.js";
export { Time } from "./time.js";
export { toast } from "./toasts.js";

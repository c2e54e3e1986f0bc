/** Client of a MegaComet server. The reference: docs/reference/javascript.md of MegaComet's source. */

export type Transport = "websocket" | "sse" | "poll";
export type State = "connecting" | "connected" | "disconnected";

export interface Options {
  /** Whose mailbox is heard, too. */
  client?: string;
  /** Where to go on: a position that was told, or "oldest". Without it channels begin now. */
  since?: string;
  /** Those that may be used, the best one first. All three, in this order, by default. */
  transports?: Transport[];
  /** Whether the tabs of a browser share one connection. By default where there is a document. */
  shared?: boolean;
  /** A name under which the tab keeps the position, so that the page goes on from there when it is loaded again. */
  remember?: string;
  /** Of requests to another origin. "same-origin" by default. */
  credentials?: "same-origin" | "include";
  /** false: only connect() connects. */
  autoConnect?: boolean;
}

export interface Message<Data = any> {
  readonly channel: string;
  /** The position of the message. */
  readonly id: string;
  readonly data: Data;
}

export interface ChannelEvents<Data = any> {
  message: Message<Data>;
  /** Something was missed that is, or may be, no longer kept. */
  gap: { position: string };
  subscribed: { position: string };
  /** code 0: it was asked for; else the server refuses the channel, and it is not tried again. */
  unsubscribed: { code: number; reason: string };
}

export interface CometEvents {
  /** delay: ms until the next try; code: of what ended the connection before, a close code, an HTTP status, or 0. */
  connecting: { code: number; reason: string; delay: number; transport: Transport | "" };
  connected: { transport: Transport; position: string };
  /** For good: asked for (code 0), or the server wants no other try. */
  disconnected: { code: number; reason: string };
  /** Each one, of whatever channel, of the mailbox, and what is said to everyone (`*`). */
  message: Message;
  gap: { channels: string[]; position: string };
  /** Of the server, or of what stands between. The connection goes on by itself. */
  error: { code: number; message: string };
}

export interface Listenable<Events> {
  /** @returns takes the listener off */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void;
  once<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void;
  off<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): void;
}

export interface Channel<Data = any> extends Listenable<ChannelEvents<Data>> {
  readonly channel: string;
  readonly state: "subscribing" | "subscribed" | "unsubscribed";
}

export interface Subscription<Data = any> extends Channel<Data> {
  /** Again, after unsubscribe(). */
  subscribe(options?: { since?: string }): this;
  unsubscribe(): void;
  publish(data: Data, options?: { key?: string }): Promise<{ id: string }>;
}

/** What a publication rejects with. */
export interface PublishError extends Error {
  /** 103 not allowed, 108 not by this transport, 0 not connected, or the answer is lost: of the server else. */
  code: number;
}

export class MegaComet implements Listenable<CometEvents> {
  static readonly VERSION?: string;
  /** @param url of the server; by default the origin that the library was loaded from, else the page's */
  constructor(url: string | URL, options?: Options);
  constructor(options?: Options);

  readonly state: State;
  /** The one in use while connected, else "". */
  readonly transport: Transport | "";
  /** Up to where all was told; "" before the first connection. */
  readonly position: string;
  readonly client: string;
  /** Of the client, where one was given. */
  readonly mailbox: Channel | null;
  /** By channel, with those that were unsubscribed from. */
  readonly subscriptions: ReadonlyMap<string, Subscription>;

  on<Name extends keyof CometEvents>(name: Name, listener: (event: CometEvents[Name]) => void): () => void;
  once<Name extends keyof CometEvents>(name: Name, listener: (event: CometEvents[Name]) => void): () => void;
  off<Name extends keyof CometEvents>(name: Name, listener: (event: CometEvents[Name]) => void): void;

  connect(): void;
  /** For good, until connect(). */
  disconnect(): void;
  /** Disconnects, and forgets all subscriptions. */
  close(): void;

  /** The same object for the same channel. */
  subscribe<Data = any>(channel: string, options?: { since?: string }): Subscription<Data>;
  unsubscribe(channel: string): void;
  publish(channel: string, data: unknown, options?: { key?: string }): Promise<{ id: string }>;
}

export const VERSION: string;

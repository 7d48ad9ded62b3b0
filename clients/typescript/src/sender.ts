/** `Sender`: usage events are on disk when `add` resolves, and sent in batches until the API has stored each. */

import { gzipSync } from "node:zlib";
import { LOCAL } from "./client.ts";
import { API_VERSION } from "./generated/operations.ts";
import type { components } from "./generated/schema.ts";
import { ProblemError } from "./problems.ts";
import { RETRIES, type Retries, waitAfter } from "./retries.ts";
import type { Fetch } from "./session.ts";
import { type Batch, Spool, SpoolFullError } from "./spool.ts";

export { SpoolFullError };

const EVENT_LIMIT = 1 << 20;
/** Statuses of a request that will be answered the same again. */
const BATCH_REFUSED: ReadonlySet<number> = new Set([400, 413, 415, 422]);
/** How often a flush looks for what another process has sent. */
const LOOK_SECONDS = 1;

export type EventResult = components["schemas"]["EventResult"];

/** A usage event. `specversion`, `id`, `source` and `time` are filled where they are left out. */
export interface NewEvent {
  type: string;
  subject?: string;
  data: Record<string, unknown> | null;
  id?: string;
  source?: string;
  time?: string | Date;
  specversion?: "1.0";
  replaces?: string;
}

export interface SenderOptions {
  /** With the scope `events:write`. */
  apiKey: string;
  /** Of the API. */
  baseUrl?: string;
  /** File of the events that are not sent yet. */
  spool: string;
  /** Of events that name none; an id is unique within it. */
  source: string;
  /** Events of a request at most. */
  batchEvents?: number;
  /** Bytes of a request at most, before compression. */
  batchBytes?: number;
  /** Seconds that an event waits for others to be sent with it. */
  linger?: number;
  /** Bytes that events may take on disk; `add` rejects with `SpoolFullError` beyond it. */
  spoolBytes?: number;
  /** Seconds to wait for an answer. */
  timeout?: number;
  /** How long to wait between attempts; a sender never gives up. */
  retries?: Partial<Retries>;
  /** Called for each event that the API has quarantined or takes in no request; by default a warning is emitted. */
  onRefused?: (result: EventResult) => void;
  /** Instead of the global one. */
  fetch?: Fetch;
}

interface Waiting {
  lines: Uint8Array[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

const DEFAULTS = { baseUrl: LOCAL, batchEvents: 1000, batchBytes: 4 << 20, linger: 1, spoolBytes: 256 << 20, timeout: 30 };

/**
 * Sends usage events in the background.
 *
 * An event that `add` has taken is not lost, whatever happens to the network, the process or the power: it stays in the
 * spool until the API has answered that it is stored durably. It is sent at least once, always with the same id, and the
 * API counts it once. A sender that is started with the same spool goes on where the last one ended.
 */
export class Sender {
  readonly #options: Required<SenderOptions>;
  readonly #retries: Retries;
  readonly #spool: Spool;
  readonly #run: Promise<void>;
  #uncommitted: Waiting[] = [];
  #wake: () => void = () => {};
  #hurry = false;
  #closing = false;
  #closed = false;
  #failure: unknown;

  constructor(options: SenderOptions) {
    const plain: Fetch = (request) => fetch(request);
    this.#options = { ...DEFAULTS, retries: {}, onRefused: warn, fetch: plain, ...options };
    this.#retries = { ...RETRIES, ...options.retries };
    this.#spool = new Spool(this.#options.spool, this.#options.spoolBytes);
    this.#run = this.#work();
  }

  /**
   * Take an event: it is on disk once this resolves. Gives its id.
   *
   * @throws {SpoolFullError} there is no space left; the event is not taken
   * @throws {TypeError | RangeError} it is no JSON, or larger than 1 MiB
   */
  async add(event: NewEvent): Promise<string> {
    const [id] = await this.addAll([event]);
    return id as string;
  }

  /** Take all of the events or none. What is added in one turn of the event loop is one write to the disk. */
  async addAll(events: readonly NewEvent[]): Promise<string[]> {
    if (this.#closed) throw new TypeError("the sender is closed");
    const filled = events.map((event) => this.#filled(event));
    const lines = filled.map((event) => encoded(event));
    await new Promise<void>((resolve, reject) => {
      if (this.#uncommitted.push({ lines, resolve, reject }) === 1) setImmediate(() => this.#commit());
    });
    return filled.map((event) => event.id);
  }

  /** How many events are not sent yet. */
  get waiting(): number {
    return this.#spool.waiting();
  }

  /** Why the last attempt failed; undefined after one that did not. */
  get failure(): unknown {
    return this.#failure;
  }

  /**
   * Wait until the API has stored every event that is there now.
   *
   * @throws {Error} it has not within so many seconds; the events stay in the spool
   */
  async flush(seconds = Number.POSITIVE_INFINITY): Promise<void> {
    this.#commit();
    const newest = this.#spool.newest();
    const end = Date.now() + seconds * 1000;
    this.#hurry = true;
    this.#wake();
    let look = 0.005;
    while (this.#spool.hasUpTo(newest)) {
      const left = (end - Date.now()) / 1000;
      if (left <= 0) throw new Error(`${this.waiting} events are not sent yet: ${String(this.#failure)}`);
      await pause(Math.min(left, look));
      look = Math.min(look * 2, LOOK_SECONDS);
    }
  }

  /** Send what can be sent within so many seconds, and stop. Gives how many events stay for the next sender. */
  async close(seconds = 10): Promise<number> {
    if (this.#closed) return 0;
    await this.flush(seconds).catch(() => undefined);
    this.#closing = true;
    this.#wake();
    await this.#run;
    this.#closed = true;
    const left = this.waiting;
    this.#spool.close();
    return left;
  }

  #filled(event: NewEvent): NewEvent & { id: string } {
    const defaults = { specversion: "1.0" as const, id: crypto.randomUUID(), source: this.#options.source };
    return { ...defaults, time: new Date(), ...event };
  }

  #commit(): void {
    const groups = this.#uncommitted;
    if (groups.length === 0) return;
    this.#uncommitted = [];
    try {
      const taken = this.#spool.add(groups.map((one) => one.lines));
      const full = `the spool holds ${this.#options.spoolBytes} bytes of events that are not sent yet`;
      groups.forEach((one, place) => (taken[place] ? one.resolve() : one.reject(new SpoolFullError(full))));
    } catch (error) {
      for (const one of groups) one.reject(error);
    }
    this.#wake();
  }

  async #work(): Promise<void> {
    let failures = 0;
    let most = this.#options.batchEvents;
    while (!this.#closing) {
      try {
        most = await this.#sendNext(most);
        failures = 0;
        this.#failure = undefined;
      } catch (error) {
        if (failures++ === 0) process.emitWarning(`events wait in the spool: ${String(error)}`);
        this.#failure = error;
        const asked = error instanceof ProblemError ? error.retryAfter : undefined;
        await this.#until(() => this.#closing, waitAfter(this.#retries, failures, asked));
      }
    }
  }

  /** Send the next batch, once there is one. Gives how many events the one after it may have. */
  async #sendNext(most: number): Promise<number> {
    const batch = await this.#next(most);
    if (batch === undefined) return most;
    const results = await this.#send(batch).catch((problem: unknown) => {
      if (!(problem instanceof ProblemError) || !BATCH_REFUSED.has(problem.status)) throw problem;
      return problem;
    });
    if (!(results instanceof ProblemError)) {
      this.#spool.remove(batch.last);
      for (const result of results) if (result.status === "refused") this.#report(result);
    } else if (batch.lines.length > 1) {
      return Math.floor(batch.lines.length / 2);
    } else {
      this.#spool.setAside(batch.last, results.message);
      const refused = { source: null, id: null, status: "refused", leaf: "", path: null } as const;
      this.#report({ ...refused, reason: results.type, message: results.message });
    }
    return this.#options.batchEvents;
  }

  /** The next batch once it is due; undefined when the sender is closed first. */
  async #next(most: number): Promise<Batch | undefined> {
    if (!this.#spool.has(1)) {
      this.#hurry = false;
      await this.#until(() => this.#closing || this.#spool.has(1));
    }
    const isDue = () => this.#hurry || this.#closing || this.#failure !== undefined || this.#spool.has(most);
    await this.#until(isDue, this.#options.linger);
    return this.#closing ? undefined : this.#spool.oldest(most, this.#options.batchBytes);
  }

  async #send(batch: Batch): Promise<EventResult[]> {
    const parts = batch.lines.flatMap((line, place) => (place === 0 ? [line] : [NEW_LINE, line]));
    const answer = await this.#options.fetch(
      new Request(`${this.#options.baseUrl.replace(/\/+$/, "")}/v1/events`, {
        method: "POST",
        redirect: "manual",
        signal: AbortSignal.timeout(this.#options.timeout * 1000),
        body: gzipSync(Buffer.concat(parts), { level: 1 }),
        headers: {
          Authorization: `Bearer ${this.#options.apiKey}`,
          "Api-Version": API_VERSION,
          "Content-Type": "application/x-ndjson",
          "Content-Encoding": "gzip",
        },
      }),
    );
    const document = (await answer.json().catch(() => undefined)) as { results?: EventResult[] } | undefined;
    // Whatever else stands between: only the API's own word removes events from the spool.
    const results = document?.results;
    if (answer.status !== 202 || results?.length !== batch.lines.length) throw new ProblemError(document, answer);
    return results;
  }

  #report(result: EventResult): void {
    try {
      this.#options.onRefused(result);
    } catch (error) {
      process.emitWarning(`onRefused failed: ${String(error)}`);
    }
  }

  /** Wait until `holds`, asked whenever something changes, or until the seconds are over. */
  async #until(holds: () => boolean, seconds?: number): Promise<void> {
    const end = seconds === undefined ? undefined : Date.now() + seconds * 1000;
    while (!holds()) {
      const left = end === undefined ? undefined : end - Date.now();
      if (left !== undefined && left <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = left === undefined ? undefined : setTimeout(resolve, left);
        // While the API is away, waiting keeps no process alive that has nothing else to do: the spool keeps the events.
        if (this.#failure !== undefined) timer?.unref();
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

const NEW_LINE = new Uint8Array([10]);

/** JSON in which big integers are text. */
function encoded(event: NewEvent & { id: string }): Uint8Array {
  const line = Buffer.from(JSON.stringify(event, (_, value: unknown) => jsonValue(value)));
  if (line.length > EVENT_LIMIT) {
    throw new RangeError(`event "${event.id}" has ${line.length} bytes; ${EVENT_LIMIT} are allowed`);
  }
  return line;
}

function jsonValue(value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError(`JSON has no ${value}`);
  if (typeof value === "function" || typeof value === "symbol") throw new TypeError(`JSON has no ${typeof value}`);
  return typeof value === "bigint" ? String(value) : value;
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

function warn(result: EventResult): void {
  process.emitWarning(`event ${result.id} was refused: ${result.message ?? ""}`);
}

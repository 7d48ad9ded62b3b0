/** Events on disk that are not sent yet: they outlive the process, and the machine's power. */

import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";

// WAL with FULL: a commit is over when its pages are synced to an append file, and a torn one is never read.
const BEGIN = `
pragma busy_timeout = 30000;
pragma journal_mode = wal;
pragma synchronous = full;
pragma fullfsync = on;
create table if not exists event (sequence integer primary key autoincrement, line blob not null);
create table if not exists set_aside (
    sequence integer primary key autoincrement, line blob not null, reason text not null
);
`;

/** The spool holds as much as it may: the event is not taken, and the caller decides what becomes of it. */
export class SpoolFullError extends Error {
  override readonly name = "SpoolFullError";
}

/** Events that are sent together, the oldest of the spool; `last` is the sequence of the newest of them. */
export interface Batch {
  last: number;
  lines: Uint8Array[];
}

/** A SQLite file of events, in the order in which they were added. Processes may share one. */
export class Spool {
  readonly #file: DatabaseSync;
  readonly #limit: number;
  readonly #insert: StatementSync;

  /** `limit`: bytes that the file may take. */
  constructor(path: string, limit: number) {
    mkdirSync(dirname(path), { recursive: true });
    closeSync(openSync(path, "a", 0o600)); // the log beside it gets the same rights
    this.#limit = limit;
    this.#file = new DatabaseSync(path);
    this.#file.exec(BEGIN);
    this.#insert = this.#file.prepare("insert into event (line) values (?)");
  }

  /**
   * Store groups of events; they are on the disk when it returns. Gives for each group whether it was taken: all of it,
   * or nothing of it because the limit would be passed.
   */
  add(groups: readonly (readonly Uint8Array[])[]): boolean[] {
    return this.#inTransaction(() => {
      let used = this.#bytes();
      return groups.map((lines) => {
        const size = lines.reduce((total, line) => total + line.length, 0);
        if (used + size > this.#limit) return false;
        used += size;
        for (const line of lines) this.#insert.run(line);
        return true;
      });
    });
  }

  /** The next events to send: at most so many, of so many bytes together unless a single one is larger. */
  oldest(events: number, size: number): Batch | undefined {
    const batch: Batch = { last: 0, lines: [] };
    let total = 0;
    for (const row of this.#file.prepare("select sequence, line from event order by sequence limit ?").iterate(events)) {
      const line = row["line"] as Uint8Array;
      total += line.length;
      if (batch.lines.length > 0 && total > size) break;
      batch.last = Number(row["sequence"]);
      batch.lines.push(line);
    }
    return batch.lines.length > 0 ? batch : undefined;
  }

  /** Forget events up to this sequence: the API has stored them. */
  remove(last: number): void {
    this.#file.prepare("delete from event where sequence <= ?").run(last);
  }

  /** Move events up to this sequence to those that the API takes in no request, so that later ones are sent. */
  setAside(last: number, reason: string): void {
    const move = "insert into set_aside (line, reason) select line, ? from event where sequence <= ?";
    this.#inTransaction(() => {
      this.#file.prepare(move).run(reason, last);
      this.remove(last);
    });
  }

  /** Sequence of the newest event; 0 where there is none. */
  newest(): number {
    return this.#number("select coalesce(max(sequence), 0) as n from event");
  }

  /** How many events are not sent. */
  waiting(): number {
    return this.#number("select count(*) as n from event");
  }

  /** Whether so many events are not sent. */
  has(events: number): boolean {
    return this.#number("select count(*) as n from (select 1 from event limit ?)", events) === events;
  }

  /** Whether an event up to this sequence is not sent. */
  hasUpTo(last: number): boolean {
    return this.#number("select exists (select 1 from event where sequence <= ?) as n", last) === 1;
  }

  close(): void {
    this.#file.close();
  }

  #number(query: string, ...values: number[]): number {
    return Number(this.#file.prepare(query).get(...values)?.["n"]);
  }

  #bytes(): number {
    const [pages, free, size] = ["page_count", "freelist_count", "page_size"].map((name) =>
      Number(this.#file.prepare(`pragma ${name}`).get()?.[name]),
    );
    return ((pages ?? 0) - (free ?? 0)) * (size ?? 0);
  }

  #inTransaction<Result>(work: () => Result): Result {
    this.#file.exec("begin immediate");
    try {
      const result = work();
      this.#file.exec("commit");
      return result;
    } catch (error) {
      this.#file.exec("rollback");
      throw error;
    }
  }
}

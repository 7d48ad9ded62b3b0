/** The TypeScript sender over a `fetch` that fails as a test says: nothing taken is lost or gets another id. */

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { type EventResult, Sender, type SenderOptions, SpoolFullError } from "../../../clients/typescript/src/sender.ts";
import { noConnection, QUICK } from "./answers.mts";

const SECONDS = 60;

interface Sent {
  id: string;
  source: string;
  time: string;
}

/** `POST /v1/events`: stores what comes, unless `before` answers first. */
class Receiver {
  readonly requests: Sent[][] = [];
  before: (events: Sent[]) => Response | Error | undefined = () => undefined;

  get ids(): string[] {
    return this.requests.flat().map((one) => one.id);
  }

  sender(spool: string, more: Partial<SenderOptions> = {}): Sender {
    const fetch = async (request: Request) => {
      assert.equal(request.headers.get("authorization"), "Bearer vv_k");
      const lines = gunzipSync(Buffer.from(await request.arrayBuffer())).toString().split("\n");
      const events = lines.map((line) => JSON.parse(line) as Sent);
      this.requests.push(events);
      const answer = this.before(events) ?? stored(events);
      if (answer instanceof Error) throw answer;
      return answer;
    };
    return new Sender({ apiKey: "vv_k", baseUrl: "http://api.test", spool, source: "s", linger: SECONDS, retries: QUICK, fetch, ...more });
  }
}

function stored(events: Sent[], more: object = { status: "accepted" }): Response {
  return Response.json({ results: events.map(({ source, id }) => ({ source, id, leaf: "", ...more })) }, { status: 202 });
}

function usage(number: number | string, data: Record<string, unknown> = { n: 1 }) {
  return { type: "call", subject: "c", id: `e-${number}`, data };
}

function newSpool(): string {
  return join(mkdtempSync(join(tmpdir(), "spool-")), "below", "usage.spool");
}

async function count(times: number, work: () => Promise<unknown>): Promise<number> {
  let done = 0;
  for (; done < times; done++) await work();
  return done;
}

test("events are sent in batches in their order, with what was left out filled", async () => {
  const [spool, receiver] = [newSpool(), new Receiver()];
  const sender = receiver.sender(spool, { batchEvents: 2 });
  const named = await sender.add({ type: "call", data: { big: 12345678901234567890n } });
  await Promise.all([0, 1, 2, 3].map((number) => sender.add(usage(number))));
  await sender.flush(SECONDS);
  for (const name of readdirSync(dirname(spool))) assert.equal(statSync(join(dirname(spool), name)).mode & 0o777, 0o600);
  assert.equal(await sender.close(), 0);
  assert.deepEqual(receiver.requests.map((events) => events.length), [2, 2, 1]);
  assert.deepEqual(receiver.ids, [named, "e-0", "e-1", "e-2", "e-3"]);
  const first = receiver.requests[0]?.[0];
  const data = { big: "12345678901234567890" };
  assert.deepEqual({ ...first, time: "" }, { specversion: "1.0", id: named, source: "s", time: "", type: "call", data });
  assert.match(first?.time ?? "", /Z$/);
});

test("what was taken while the network is away is sent by the next sender with the same ids", async () => {
  const [spool, first, second] = [newSpool(), new Receiver(), new Receiver()];
  first.before = noConnection;
  let sender = first.sender(spool);
  const ids = await sender.addAll([usage(1), { type: "call", data: {} }]);
  await assert.rejects(sender.flush(0.05), /2 events are not sent yet: TypeError: fetch failed/);
  assert.equal(await sender.close(0), 2);
  await assert.rejects(sender.add(usage(2)), /closed/);
  sender = second.sender(spool);
  await sender.flush(SECONDS);
  assert.equal(sender.failure, undefined);
  assert.equal(await sender.close(), 0);
  assert.deepEqual(second.ids, ids);
});

test("whatever else answers, only the API's own word removes an event", async () => {
  const answers = [
    () => new Response(null, { status: 500 }),
    () => Response.json({}, { status: 401 }),
    () => new Response(null, { status: 429, headers: { "retry-after": "0" } }),
    () => new Response("<html>sign in to this network</html>"),
    () => new Response("<html>", { status: 202 }),
    () => Response.json({ results: [] }, { status: 202 }),
    () => new Response(null, { status: 302, headers: { location: "http://elsewhere.test" } }),
  ];
  const receiver = new Receiver();
  receiver.before = () => answers.shift()?.();
  const sender = receiver.sender(newSpool());
  await sender.add(usage(1));
  await sender.flush(SECONDS);
  assert.equal(await sender.close(), 0);
  assert.deepEqual(receiver.ids, Array.from({ length: 8 }, () => "e-1"));
});

test("a batch that is refused is divided, and the event at fault set aside", async () => {
  const [spool, receiver] = [newSpool(), new Receiver()];
  const isRefused = (events: Sent[]) => events.some((one) => one.id === "e-3");
  receiver.before = (events) => (isRefused(events) ? Response.json({}, { status: 400 }) : undefined);
  const refused: EventResult[] = [];
  const sender = receiver.sender(spool, { onRefused: (result) => refused.push(result) });
  await sender.addAll([0, 1, 2, 3, 4, 5].map((number) => usage(number)));
  await sender.flush(SECONDS);
  await sender.close();
  const answered = receiver.requests.filter((events) => !isRefused(events)).flat();
  assert.deepEqual(answered.map((one) => one.id), ["e-0", "e-1", "e-2", "e-4", "e-5"]);
  assert.deepEqual(refused.map((one) => [one.status, one.message]), [["refused", "HTTP status 400 (400): about:blank"]]);
  const rows = new DatabaseSync(spool).prepare("select line, reason from set_aside").all();
  assert.deepEqual(rows.map((row) => (JSON.parse(Buffer.from(row["line"] as Uint8Array).toString()) as Sent).id), ["e-3"]);
});

test("what the API quarantines is reported, and a report that fails stops nothing", async () => {
  const receiver = new Receiver();
  receiver.before = (events) => stored(events, { status: "refused", reason: "bad_time", message: "no time" });
  const reported: (string | null)[] = [];
  const sender = receiver.sender(newSpool(), {
    onRefused: (result) => {
      reported.push(result.id);
      throw new Error("cannot report");
    },
  });
  for (const number of [1, 2]) {
    await sender.add(usage(number));
    await sender.flush(SECONDS);
  }
  await sender.close();
  assert.deepEqual(reported, ["e-1", "e-2"]);
});

test("a spool is bounded, and takes again what it has sent", async () => {
  const receiver = new Receiver();
  receiver.before = () => new Response(null, { status: 503 });
  const sender = receiver.sender(newSpool(), { spoolBytes: 200_000 });
  const add = () => sender.add(usage("large", { text: "x".repeat(50_000) }));
  await assert.rejects(count(10, add), SpoolFullError);
  assert(sender.waiting > 1 && sender.waiting < 4);
  receiver.before = () => undefined;
  await sender.flush(SECONDS);
  await add();
  await sender.close();
});

test("what is no event is refused before it is taken", async () => {
  const sender = new Receiver().sender(newSpool());
  for (const data of [{ x: "y".repeat(1 << 20) }, { x: Number.NaN }, { x: () => 1 }]) {
    await assert.rejects(sender.addAll([usage(0), usage(1, data)]), /allowed|JSON has no/);
  }
  assert.equal(await sender.close(), 0);
});

test("processes may share a spool", async () => {
  const [spool, receiver] = [newSpool(), new Receiver()];
  const senders = [receiver.sender(spool), receiver.sender(spool)];
  await Promise.all(senders.map((sender, name) => sender.addAll(Array.from({ length: 50 }, (_, n) => usage(`${name}-${n}`)))));
  await Promise.all(senders.map((sender) => sender.flush(SECONDS)));
  await Promise.all(senders.map((sender) => sender.close()));
  assert.equal(new Set(receiver.ids).size, 100);
});

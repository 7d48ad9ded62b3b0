/** The TypeScript client over a `fetch` that answers as a test says: sessions, retries, problems, pages. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, iterate, ok, ProblemError } from "../../../clients/typescript/src/index.ts";
import { RETRIES, waitAfter } from "../../../clients/typescript/src/retries.ts";
import { Answers, inTurn, KEY, NONE_THERE, noConnection, problem, QUICK } from "./answers.mts";

function client(api: Answers) {
  return createClient({ apiKey: KEY, baseUrl: "http://api.test/", fetch: api.fetch, retries: QUICK });
}

test("the API key is sent to open a session alone, and the session is ended", async () => {
  const api = new Answers(() => Response.json(NONE_THERE));
  const asking = client(api);
  await ok(asking.GET("/v1/invoices"));
  await ok(asking.GET("/v1/customers"));
  await asking.close();
  assert.deepEqual(api.sessions, [`Bearer ${KEY}`]);
  assert.deepEqual(api.asked.slice(2).map((one) => [one.method, one.path]), [["DELETE", "/v1/sessions"]]);
  assert.deepEqual(new Set(api.asked.map((one) => one.headers.get("authorization"))), new Set(["Bearer t1"]));
  assert.equal(api.asked[0]?.headers.get("api-version"), "2026-11-01");
});

test("a session is renewed before it ends, with each refresh token once", async () => {
  const api = new Answers(() => Response.json(NONE_THERE));
  api.lifetime = 30; // over as soon as it begins
  const asking = client(api);
  await ok(asking.GET("/v1/invoices"));
  await ok(asking.GET("/v1/invoices"));
  api.goodRefresh.clear();
  await ok(asking.GET("/v1/invoices"));
  assert.deepEqual(api.sessions, [`Bearer ${KEY}`, "vvr_1", `Bearer ${KEY}`]);
});

test("requests share one session and one renewal", async () => {
  const api = new Answers(() => Response.json(NONE_THERE));
  const asking = client(api);
  const together = () => Promise.all(Array.from({ length: 8 }, () => ok(asking.GET("/v1/invoices"))));
  await together();
  assert.deepEqual(api.sessions, [`Bearer ${KEY}`]);
  api.refused = "Bearer t1";
  await together();
  assert.deepEqual(api.sessions, [`Bearer ${KEY}`, "vvr_1"]);
});

test("a write keeps its key and its bytes however often it is sent", async () => {
  const wait = { "retry-after": "0" };
  const failures = [new Error("slow"), problem("internal-error", 500), problem("unavailable", 503, {}, wait)];
  const done = () => Response.json({ status: "recorded" }, { status: 201 });
  const api = new Answers(inTurn(...failures, problem("idempotency-in-flight", 409, {}, wait), done(), done()));
  const asking = client(api);
  const body = { invoice: "n-1", amount: "1.10", currency: "EUR" };
  const written = await ok(asking.POST("/v1/payments", { body }));
  assert.equal(written.status, "recorded");
  assert.equal(api.asked.length, 5);
  assert.equal(new Set(api.asked.map((one) => `${one.headers.get("idempotency-key")} ${one.body}`)).size, 1);
  assert.equal(api.asked[0]?.headers.get("idempotency-key")?.length, 36);
  await ok(asking.POST("/v1/payments", { body, params: { header: { "Idempotency-Key": "mine" } } }));
  assert.equal(api.asked[5]?.headers.get("idempotency-key"), "mine");
});

test("a POST without a key is sent again only where nothing was done", async () => {
  const cases: [() => Response | Error, number][] = [
    [() => new Error("slow"), 1],
    [() => problem("internal-error", 500), 1],
    [() => problem("unavailable", 503, {}, { "retry-after": "0" }), 2],
    [noConnection, 2],
  ];
  for (const [failure, times] of cases) {
    const api = new Answers(inTurn(failure(), Response.json({ ok: true })));
    const asked = ok(client(api).POST("/v1/invoices/preview", { body: { customer: "c" } }));
    await (times === 1 ? assert.rejects(asked) : asked);
    assert.equal(api.asked.length, times);
  }
});

test("what is refused is an exception of its type, with places, and is not sent again", async () => {
  const errors = [{ path: "body.currency", message: "ISO 4217" }];
  const elsewhere = new Response(null, { status: 307, headers: { location: "http://elsewhere.test" } });
  const api = new Answers(inTurn(problem("invalid-request", 422, { errors }), problem("conflict", 409), new Response("<html>", { status: 400 }), elsewhere));
  const asking = client(api);
  const write = () => ok(asking.POST("/v1/customers", { body: { customer: "c" } }));
  await assert.rejects(write, (error: unknown) => {
    assert(error instanceof ProblemError);
    assert.equal(error.type, "urn:valueverse:problem:invalid-request");
    assert.deepEqual([error.status, error.detail, error.instance, error.places], [422, "D", "I", errors]);
    assert.match(error.message, /body\.currency: ISO 4217/);
    return true;
  });
  await assert.rejects(write, { type: "urn:valueverse:problem:conflict" });
  await assert.rejects(write, { type: "about:blank", status: 400 });
  await assert.rejects(write, { type: "about:blank", status: 307 });
  assert.equal(api.asked.length, 4);
});

test("waits double up to a bound, and what the server asks for is waited in full", () => {
  const plan = { ...RETRIES, firstWait: 1, longestWait: 5, jitter: 0.5 };
  for (const [failures, wait] of [[1, 1], [2, 2], [3, 4], [4, 5], [1000, 5]] as const) {
    const waited = waitAfter(plan, failures);
    assert(wait <= waited && waited < wait + 0.5);
  }
  assert(waitAfter(plan, 1, 40) >= 40);
  assert(new Set(Array.from({ length: 50 }, () => waitAfter(plan, 1))).size > 1);
});

test("a client gives up after its attempts, and at once when it is aborted", async () => {
  const api = new Answers(() => problem("unavailable", 503));
  const asking = createClient({ apiKey: KEY, fetch: api.fetch, retries: { ...QUICK, attempts: 3 } });
  await assert.rejects(ok(asking.GET("/v1/me")), { type: "urn:valueverse:problem:unavailable" });
  assert.equal(api.asked.length, 3);
  const signal = AbortSignal.abort();
  await assert.rejects(asking.GET("/v1/me", { signal }), { name: "AbortError" });
  assert.equal(api.asked.length, 3);
});

test("every row of a list is iterated, and keys are percent-encoded", async () => {
  const api = new Answers(({ path }) => {
    const { pathname, searchParams } = new URL(path);
    assert.equal(pathname, "/v1/customers/a%2Fb%20c/usage");
    assert.equal(searchParams.get("meter"), "calls");
    const cursor = searchParams.get("cursor");
    return Response.json({ data: [{ quantity: cursor ?? "first" }], has_more: !cursor, next_cursor: cursor ? null : "x" });
  });
  const rows: string[] = [];
  const params = { path: { key: "a/b c" }, query: { meter: "calls" } };
  for await (const row of iterate(client(api), "/v1/customers/{key}/usage", { params })) rows.push(row.quantity ?? "");
  assert.deepEqual(rows, ["first", "x"]);
});

/** What the client reads, writes and follows on the running server: `node against_the_server.mts ADDRESS KEY SPOOL`. */

import assert from "node:assert/strict";
import { createClient, iterate, ok } from "../../../clients/typescript/src/index.ts";
import { Sender } from "../../../clients/typescript/src/sender.ts";

const [baseUrl, apiKey, spool] = process.argv.slice(2) as [string, string, string];
const client = createClient({ apiKey, baseUrl });
assert.equal((await ok(client.GET("/v1/me"))).tenant, "acme");

const numbers: string[] = [];
for await (const invoice of iterate(client, "/v1/invoices", { params: { query: { limit: 1 } } })) {
  if (invoice.number !== null) numbers.push(invoice.number);
}
assert.deepEqual(numbers.sort(), ["acme-000001", "acme-000002"]);
const invoice = await ok(client.GET("/v1/invoices/{number}", { params: { path: { number: "acme-000001" } } }));
assert.equal(invoice.total, "71.12");
const foreign = client.GET("/v1/invoices/{number}", { params: { path: { number: "birch-000001" } } });
await assert.rejects(ok(foreign), { type: "urn:valueverse:problem:not-found" });
const wrong = client.POST("/v1/customers", { body: { customer: "c-2", currency: "euro" } });
await assert.rejects(ok(wrong), (error: { places: { path: string }[] }) => error.places[0]?.path === "body.currency");

const sender = new Sender({ apiKey, baseUrl, spool, source: "a/b c" });
const id = await sender.add({ type: "call", subject: "c-1", data: { n: 1 } });
await sender.flush(60);
await sender.close();
const fate = await ok(client.GET("/v1/events/{source}/{id}", { params: { path: { source: "a/b c", id } } }));
assert.equal(fate.outcome, "waiting");
await client.close();
process.stdout.write("all of it\n");

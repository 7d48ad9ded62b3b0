// The public clients of other systems, whose address and key alone are others than their own. The key is in KEY.
//
//   node clients.js send ADDRESS OPENMETER LAGO STRIPE   sends a file of events (a CloudEvent per line) by each of them
//   node clients.js read ADDRESS                         prints what they read, as JSON
import { readFile } from "node:fs/promises";
import { OpenMeter } from "@openmeter/sdk";
import { Client as Lago, getLagoError } from "lago-javascript-client";
import Stripe from "stripe";

const [task, address, ...files] = process.argv.slice(2);
const key = process.env.KEY;
const { hostname: host, port } = new URL(address);
const stripeAt = (secret) => new Stripe(secret, { host, port, protocol: "http", telemetry: false });
const openmeter = new OpenMeter({ baseUrl: `${address}/compat/openmeter`, apiKey: key });
const lago = Lago(key, { baseUrl: `${address}/compat/lago/api/v1` });
const stripe = stripeAt(key);

function* parts(events, size) {
  for (let first = 0; first < events.length; first += size) yield events.slice(first, first + size);
}

async function sendByOpenMeter(events) {
  for (const part of parts(events, 2000)) {
    await openmeter.events.ingest(
      part.map(({ id, source, type, subject, time, data }) => ({ id, source, type, subject, time: new Date(time), data })),
    );
  }
}

async function sendByLago(events) {
  for (const part of parts(events, 2000)) {
    await lago.events.createBatchEvents({
      events: part.map((one) => ({
        transaction_id: one.id,
        external_subscription_id: `${one.subject}-inference`,
        code: one.type,
        timestamp: one.time,
        properties: one.data,
      })),
    });
  }
}

function meterEvent(one, timestamp) {
  const numbers = Object.entries(one.data).map(([name, value]) => [name, String(value)]);
  const payload = { stripe_customer_id: one.subject, ...Object.fromEntries(numbers) };
  return { event_name: one.type, identifier: one.id, timestamp, payload };
}

async function sendByStripe([form, single, ...streamed]) {
  await stripe.billing.meterEvents.create(meterEvent(form, Math.floor(Date.parse(form.time) / 1000)));
  await stripe.v2.billing.meterEvents.create(meterEvent(single, single.time));
  const session = await stripe.v2.billing.meterEventSession.create();
  const stream = stripeAt(session.authentication_token).v2.billing.meterEventStream;
  for (const part of parts(streamed, 100)) {
    await stream.create({ events: part.map((one) => meterEvent(one, one.time)) });
  }
}

async function send() {
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  const shares = texts.map((text) => text.trim().split("\n").map((line) => JSON.parse(line)));
  await sendByOpenMeter(shares[0]);
  await sendByLago(shares[1]);
  await sendByStripe(shares[2]);
}

async function read() {
  const question = {
    from: new Date("2023-11-01T00:00:00Z"),
    to: new Date("2023-12-01T00:00:00Z"),
    windowSize: "MONTH",
    windowTimeZone: "UTC",
    groupBy: ["subject"],
  };
  const { data } = await openmeter.meters.query("context_tokens", question);
  const over = lago.customers
    .findCustomerCurrentUsage("chat", { external_subscription_id: "chat-inference" })
    .catch(async (error) => (await getLagoError(error)).code);
  const event = { event_name: "call", payload: { stripe_customer_id: "chat", value: "1" } };
  console.log(
    JSON.stringify({
      meters: (await openmeter.meters.list()).map((one) => one.slug),
      usage: data.map((row) => [row.subject, row.windowStart, row.value]),
      lago: await over,
      stripe: await stripeAt("vv_000000000000_wrong").billing.meterEvents.create(event).catch((error) => error.type),
    }),
  );
}

await { send, read }[task]();

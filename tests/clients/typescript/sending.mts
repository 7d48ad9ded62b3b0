/**
 * Sends usage events until it is killed: `node sending.mts ADDRESS KEY SPOOL SOURCE COUNT`. It prints the id of each
 * event once the sender has taken it, in lines of 200 characters: a pipe holds few of them, and so it is never many
 * events ahead of its reader. With a COUNT of 0 it sends what is in the spool, and ends.
 */

import { writeSync } from "node:fs";
import { Sender } from "../../../clients/typescript/src/sender.ts";

const [baseUrl, apiKey, spool, source, count] = process.argv.slice(2) as [string, string, string, string, string];
const retries = { firstWait: 0.05, longestWait: 0.2 };
const sender = new Sender({ apiKey, baseUrl, spool, source, batchEvents: 20, linger: 0.01, retries });
for (let number = 0; number < Number(count); number++) {
  const taken = await sender.add({ type: "call", subject: "c-1", id: `${source}-${number}`, data: { n: number } });
  writeSync(1, `${taken.padEnd(200)}\n`);
}
await sender.flush(120);
await sender.close();
writeSync(1, "sent\n");

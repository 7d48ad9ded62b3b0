// Load of a fixed rate, whatever the server does: `node tail.mjs ADDRESS REQUESTS RATE SECONDS CONNECTIONS`.
// REQUESTS has an address and an access token on each line. What was measured is printed as JSON; times are in
// milliseconds from when a request was due, so that a slow answer also counts for those that had to wait for it.
import { readFileSync } from "node:fs";
import autocannon from "autocannon";

const [address, file, rate, seconds, connections] = process.argv.slice(2);
const asked = readFileSync(file, "utf8").trim().split("\n").map((line) => {
  const [path, token] = line.split(" ");
  return { method: "GET", path, headers: { authorization: `Bearer ${token}` } };
});
let begun = 0;

const result = await autocannon({
  url: address,
  connections: Number(connections),
  overallRate: Number(rate),
  duration: Number(seconds),
  timeout: 10,
  setupClient(client) {
    const place = begun++;
    client.setRequests(asked.filter((_, number) => number % Number(connections) === place));
  },
});
const { requests, latency, errors, timeouts, non2xx } = result;
console.log(JSON.stringify({
  requests: requests.total,
  failed: errors + timeouts + non2xx,
  p50: latency.p50,
  p97_5: latency.p97_5,
  p99: latency.p99,
}));

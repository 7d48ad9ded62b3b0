/** The client: the routes of the API with sessions, retries and keys of writes. */

import createFetchClient, { type Client as FetchClient } from "openapi-fetch";
import { API_VERSION, KEYED } from "./generated/operations.ts";
import type { paths } from "./generated/schema.ts";
import { RETRIES, type Retries, withRetries } from "./retries.ts";
import { type Fetch, Session } from "./session.ts";

export const LOCAL = "http://127.0.0.1:8000";
const KEY = "Idempotency-Key";
const EVENTS = "/v1/events";

export interface ClientOptions {
  /** `vv_…`; it is sent to open sessions alone. */
  apiKey: string;
  /** Of the API, with `https` unless it is on this machine. */
  baseUrl?: string;
  /** Seconds to wait for an answer. */
  timeout?: number;
  /** When a request is sent again. */
  retries?: Partial<Retries>;
  /** Instead of the global one. */
  fetch?: Fetch;
}

/** `GET`, `POST`, … take a path of the API and answer as openapi-fetch does; `ok` turns a refusal into an exception. */
export interface Client extends FetchClient<paths> {
  /** End the session. */
  close(): Promise<void>;
}

/** A client of one tenant. */
export function createClient(options: ClientOptions): Client {
  const baseUrl = (options.baseUrl ?? LOCAL).replace(/\/+$/, "");
  const plain = options.fetch ?? ((request: Request) => fetch(request));
  const seconds = options.timeout ?? 30;
  const once: Fetch = async (request) => {
    request.signal.throwIfAborted();
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(seconds * 1000)]);
    // The API sends nobody elsewhere, and nobody else may be given what it is sent.
    return plain(new Request(request, { signal, redirect: "manual" }));
  };
  const session = new Session(options.apiKey, baseUrl, once);
  const retries = { ...RETRIES, ...options.retries };
  const signed: Fetch = (request) =>
    withRetries(retries, isRepeatable(request), () => send(session, once, request), () => request.signal.aborted);
  const client = createFetchClient<paths>({ baseUrl, fetch: signed, headers: { "Api-Version": API_VERSION } });
  client.use({
    onRequest({ request, schemaPath }) {
      if (KEYED.has(`${request.method} ${schemaPath}`) && !request.headers.has(KEY)) {
        request.headers.set(KEY, crypto.randomUUID());
      }
      return request;
    },
  });
  return Object.assign(client, { close: () => session.close() });
}

/** Sent with a token that is good; once more with a new one if it is refused. */
async function send(session: Session, once: Fetch, request: Request): Promise<Response> {
  let refused: string | undefined;
  for (;;) {
    const token = await session.token(refused);
    const signed = request.clone();
    signed.headers.set("Authorization", `Bearer ${token}`);
    const answer = await once(signed);
    if (answer.status !== 401 || refused !== undefined) return answer;
    await answer.body?.cancel();
    refused = token;
  }
}

/** Whether a second time has no second effect. */
function isRepeatable(request: Request): boolean {
  return request.method !== "POST" || request.headers.has(KEY) || new URL(request.url).pathname.endsWith(EVENTS);
}

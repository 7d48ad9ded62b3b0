/** An API that opens sessions, and answers everything else as a test says. */

import assert from "node:assert/strict";
import type { Fetch } from "../../../clients/typescript/src/session.ts";

export const KEY = "vv_aaaaaaaaaaaa_secret";
export const QUICK = { firstWait: 0.001, longestWait: 0.002, jitter: 0 };
export const NONE_THERE = { data: [], has_more: false, next_cursor: null };

export interface Asked {
  method: string;
  path: string;
  headers: Headers;
  body: string;
}

export class Answers {
  readonly asked: Asked[] = [];
  readonly sessions: string[] = [];
  readonly goodRefresh = new Set<string>();
  refused: string | undefined;
  lifetime = 300;
  readonly #answer: (asked: Asked) => Response | Error;

  constructor(answer: (asked: Asked) => Response | Error) {
    this.#answer = answer;
  }

  readonly fetch: Fetch = async (request) => {
    assert.equal(request.redirect, "manual");
    const path = new URL(request.url).pathname;
    const body = await request.text();
    const bearer = request.headers.get("authorization") ?? "";
    if (path === "/v1/sessions/refresh") {
      const token = (JSON.parse(body) as { refresh_token: string }).refresh_token;
      return this.goodRefresh.delete(token) ? this.#opened(token) : problem("invalid-credentials", 401);
    }
    if (path === "/v1/sessions" && request.method === "POST") return this.#opened(bearer);
    this.asked.push({ method: request.method, path, headers: request.headers, body });
    if (bearer === this.refused) return problem("invalid-token", 401);
    if (request.method === "DELETE") return new Response(null, { status: 204 });
    const answer = this.#answer({ method: request.method, path: request.url, headers: request.headers, body });
    if (answer instanceof Error) throw answer;
    return answer;
  };

  #opened(by: string): Response {
    const number = this.sessions.push(by);
    this.goodRefresh.add(`vvr_${number}`);
    const tokens = { access_token: `t${number}`, refresh_token: `vvr_${number}`, token_type: "Bearer" };
    return Response.json({ ...tokens, expires_in: this.lifetime });
  }
}

export function problem(name: string, status: number, more: object = {}, headers: Record<string, string> = {}): Response {
  const document = { type: `urn:valueverse:problem:${name}`, title: "T", status, detail: "D", instance: "I", ...more };
  return new Response(JSON.stringify(document), { status, headers: { "content-type": "application/problem+json", ...headers } });
}

/** Answers one after the other. */
export function inTurn(...answers: (Response | Error)[]): () => Response | Error {
  return () => answers.shift() ?? new Error("nothing more was expected");
}

/** As `fetch` fails where nobody listens. */
export function noConnection(): Error {
  return new TypeError("fetch failed", { cause: { code: "ECONNREFUSED" } });
}

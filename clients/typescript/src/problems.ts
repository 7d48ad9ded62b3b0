/** What the API refuses, as one exception that names its kind (RFC 9457). */

import type { components } from "./generated/schema.ts";

export type Problem = components["schemas"]["Problem"];

/** A value at fault: where it is, such as `body.currency`, and what is wrong with it. */
export interface Place {
  path: string;
  message: string;
}

/** The API has refused a request, or failed. Decide by `type`. */
export class ProblemError extends Error {
  /** Names the kind, such as `urn:valueverse:problem:not-found`; `about:blank` for what is no problem document. */
  readonly type: Problem["type"] | "about:blank";
  readonly title: string;
  readonly status: number;
  /** What happened, and the cure. */
  readonly detail: string;
  /** Names the request, as the API's log does. */
  readonly instance: string;
  readonly places: readonly Place[];
  /** Seconds after which a repetition may succeed, where the API says so. */
  readonly retryAfter: number | undefined;

  constructor(document: unknown, response: Response) {
    const problem = isProblem(document) ? document : undefined;
    const places = (problem?.errors ?? []).map((one) => ({ path: one.path ?? "", message: one.message ?? "" }));
    const title = problem?.title ?? `HTTP status ${response.status}`;
    const named = places.map((one) => `; ${one.path}: ${one.message}`).join("");
    super(`${title} (${response.status}): ${problem?.detail ?? "about:blank"}${named}`);
    this.name = "ProblemError";
    this.type = problem?.type ?? "about:blank";
    this.title = title;
    this.status = response.status;
    this.detail = problem?.detail ?? "";
    this.instance = problem?.instance ?? "";
    this.places = places;
    this.retryAfter = secondsToWait(response);
  }
}

/** What `Retry-After` says, in seconds; the API never writes a date there. */
export function secondsToWait(response: Response): number | undefined {
  const value = response.headers.get("retry-after");
  const seconds = value === null ? Number.NaN : Number(value);
  return Number.isFinite(seconds) ? Math.max(seconds, 0) : undefined;
}

function isProblem(document: unknown): document is Problem {
  return typeof document === "object" && document !== null && "type" in document && "title" in document;
}

/** What openapi-fetch answers where all went well. */
type Success<Answer> = Answer extends { data: infer Data; error?: never } ? Data : never;

/**
 * What an answer of the client holds: `await ok(client.GET("/v1/me"))`.
 *
 * @throws {ProblemError} where the API has refused the request
 */
export async function ok<Answer extends { data?: unknown; error?: unknown; response: Response }>(
  asked: Promise<Answer>,
): Promise<Success<Answer>> {
  const answer = await asked;
  if (!answer.response.ok) throw new ProblemError(answer.error, answer.response);
  return answer.data as Success<Answer>;
}

/** When a request is sent again, and after how long. */

import { secondsToWait } from "./problems.ts";

/** How long a client tries; all times in seconds. */
export interface Retries {
  /** Of one request, the first included. */
  attempts: number;
  /** After the first attempt none is begun any more. */
  seconds: number;
  /** Before the second attempt; each later wait is twice as long. */
  firstWait: number;
  /** The longest wait; what `Retry-After` asks for is waited in full. */
  longestWait: number;
  /** Up to so much is added to every wait, so that clients do not come back all at once. */
  jitter: number;
}

export const RETRIES: Readonly<Retries> = { attempts: 8, seconds: 120, firstWait: 0.2, longestWait: 15, jitter: 1 };

const PASSING: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
/** Statuses that say that nothing was done. */
const NOT_BEGUN: ReadonlySet<number> = new Set([429, 503]);
const NO_CONNECTION: ReadonlySet<unknown> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]);

/** Seconds to wait after so many failures in a row; `asked`: by the server. */
export function waitAfter(retries: Retries, failures: number, asked?: number): number {
  const wait = asked ?? Math.min(retries.firstWait * 2 ** Math.min(failures - 1, 30), retries.longestWait);
  return wait + Math.random() * retries.jitter;
}

/**
 * The answer to a request that is sent until it passes or may not be sent again. Where `repeatable` is false it is only
 * sent again where the first time has certainly done nothing.
 */
export async function withRetries(
  retries: Retries,
  repeatable: boolean,
  send: () => Promise<Response>,
  isAborted: () => boolean,
): Promise<Response> {
  const end = Date.now() + retries.seconds * 1000;
  for (let failures = 1; ; failures++) {
    const outcome = await send().catch((error: unknown) => ({ error }));
    const again = !isAborted() && failures < retries.attempts && mayRepeat(outcome, repeatable);
    const wait = waitAfter(retries, failures, outcome instanceof Response ? secondsToWait(outcome) : undefined);
    if (again && Date.now() + wait * 1000 < end) {
      if (outcome instanceof Response) await outcome.body?.cancel();
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    } else if (outcome instanceof Response) {
      return outcome;
    } else {
      throw outcome.error;
    }
  }
}

function mayRepeat(outcome: Response | { error: unknown }, repeatable: boolean): boolean {
  if (!(outcome instanceof Response)) return repeatable || hasNotConnected(outcome.error);
  // A conflict is final, but a write that is still being answered says when to ask again.
  if (outcome.status === 409) return secondsToWait(outcome) !== undefined;
  return (repeatable ? PASSING : NOT_BEGUN).has(outcome.status);
}

function hasNotConnected(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return typeof cause === "object" && cause !== null && "code" in cause && NO_CONNECTION.has(cause.code);
}

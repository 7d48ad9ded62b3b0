/** Sessions: an API key is exchanged for an access token, which is renewed before it ends. */

import type { components } from "./generated/schema.ts";
import { ProblemError } from "./problems.ts";

type Opened = components["schemas"]["Session"];
export type Fetch = (request: Request) => Promise<Response>;

/** Before its end an access token is renewed: clocks differ, and requests take time. */
const EARLY_SECONDS = 30;

/** One session of an API key. One renewal at a time: a refresh token that is used twice ends its session. */
export class Session {
  readonly #apiKey: string;
  readonly #address: string;
  readonly #fetch: Fetch;
  #opened: Opened | undefined;
  #ends = 0;
  #renewal: Promise<Opened> | undefined;

  constructor(apiKey: string, baseUrl: string, fetch: Fetch) {
    this.#apiKey = apiKey;
    this.#address = `${baseUrl}/v1/sessions`;
    this.#fetch = fetch;
  }

  /** An access token that is good, and not the one that was `refused`. */
  async token(refused?: string): Promise<string> {
    const opened = this.#opened;
    if (opened !== undefined && opened.access_token !== refused && Date.now() < this.#ends) return opened.access_token;
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = undefined;
    });
    return (await this.#renewal).access_token;
  }

  /** End the session, if there is one. */
  async close(): Promise<void> {
    if (this.#opened === undefined) return;
    const headers = { Authorization: `Bearer ${this.#opened.access_token}` };
    this.#opened = undefined;
    await this.#fetch(new Request(this.#address, { method: "DELETE", headers }));
  }

  async #renew(): Promise<Opened> {
    const refresh = this.#opened?.refresh_token;
    this.#opened = undefined;
    let answer: Response | undefined;
    if (refresh !== undefined) {
      const init = { method: "POST", body: JSON.stringify({ refresh_token: refresh }) };
      answer = await this.#fetch(new Request(`${this.#address}/refresh`, { ...init, headers: JSON_BODY }));
    }
    if (answer === undefined || answer.status === 401) {
      const headers = { Authorization: `Bearer ${this.#apiKey}` };
      answer = await this.#fetch(new Request(this.#address, { method: "POST", headers }));
    }
    if (!answer.ok) throw new ProblemError(await answer.json().catch(() => undefined), answer);
    this.#opened = (await answer.json()) as Opened;
    this.#ends = Date.now() + (this.#opened.expires_in - EARLY_SECONDS) * 1000;
    return this.#opened;
  }
}

const JSON_BODY = { "Content-Type": "application/json" };

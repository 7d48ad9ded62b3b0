/** Client of the ValueVerse API. The sender of usage events, which needs Node, is in `@valueverse/client/sender`. */

export { type Client, type ClientOptions, createClient } from "./client.ts";
export type { components, paths } from "./generated/schema.ts";
export { iterate, type PagedPath, type RowOf } from "./pages.ts";
export { ok, type Place, type Problem, ProblemError } from "./problems.ts";
export type { Retries } from "./retries.ts";

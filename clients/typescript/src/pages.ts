/** Lists, row by row. */

import type { FetchOptions } from "openapi-fetch";
import type { Client } from "./client.ts";
import type { paths } from "./generated/schema.ts";
import { ok } from "./problems.ts";

interface Page<Row> {
  data: Row[];
  next_cursor: string | null;
}
type Get<Path extends keyof paths> = paths[Path] extends { get: infer Operation } ? Operation : never;
type Answer<Path extends keyof paths> =
  Get<Path> extends { responses: { 200: { content: { "application/json": infer Body } } } } ? Body : never;
type HasCursor<Path extends keyof paths> =
  Get<Path> extends { parameters: { query?: { cursor?: unknown } } } ? Answer<Path> : never;

/** Paths of lists that come in pages. */
export type PagedPath = { [Path in keyof paths]: HasCursor<Path> extends Page<unknown> ? Path : never }[keyof paths];
/** Rows of a list. */
export type RowOf<Path extends keyof paths> = Answer<Path> extends Page<infer Row> ? Row : never;

/** Every row of a list, page by page: `for await (const row of iterate(client, "/v1/invoices")) …`. */
export async function* iterate<Path extends PagedPath>(
  client: Client,
  path: Path,
  options: Partial<FetchOptions<Get<Path>>> = {},
): AsyncGenerator<RowOf<Path>, void, undefined> {
  type Query = { params?: { query?: object } };
  const get = client.GET as (path: string, init: object) => Promise<{ data: Page<RowOf<Path>>; response: Response }>;
  let cursor: string | null = null;
  do {
    const { params, ...rest } = options as Query;
    const query = cursor === null ? { ...params?.query } : { ...params?.query, cursor };
    const page: Page<RowOf<Path>> = await ok(get(path, { ...rest, params: { ...params, query } }));
    yield* page.data;
    cursor = page.next_cursor;
  } while (cursor !== null);
}

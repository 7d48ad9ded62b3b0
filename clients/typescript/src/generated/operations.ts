/** Generated, see docs/clients.md. */

export const API_VERSION = "2026-11-01";

/** Operations whose repetition is recognised by an `Idempotency-Key`. */
export const KEYED: ReadonlySet<string> = new Set([
  "PATCH /v1/customers/{key}",
  "PATCH /v1/webhook-endpoints/{endpoint}",
  "POST /v1/api-keys",
  "POST /v1/api-keys/{prefix}/rotate",
  "POST /v1/catalogs",
  "POST /v1/credit-notes",
  "POST /v1/customers",
  "POST /v1/invitations",
  "POST /v1/invoices/{key}/void",
  "POST /v1/one-offs",
  "POST /v1/payments",
  "POST /v1/portal-sessions",
  "POST /v1/subscriptions",
  "POST /v1/subscriptions/{key}/change",
  "POST /v1/subscriptions/{key}/end",
  "POST /v1/subscriptions/{key}/pause",
  "POST /v1/subscriptions/{key}/resume",
  "POST /v1/users/{user}/disable",
  "POST /v1/value-models",
  "POST /v1/wallets",
  "POST /v1/webhook-deliveries/replay",
  "POST /v1/webhook-deliveries/{delivery}/replay",
  "POST /v1/webhook-endpoints",
  "POST /v1/webhook-endpoints/{endpoint}/disable",
  "POST /v1/webhook-endpoints/{endpoint}/enable",
  "POST /v1/webhook-endpoints/{endpoint}/rotate",
  "POST /v1/webhook-endpoints/{endpoint}/test",
  "PUT /v1/value-models/{key}",
]);

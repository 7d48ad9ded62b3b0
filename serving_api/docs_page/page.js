"use strict";

// Tokens live in this scope alone: no storage, no cookie. A reload signs out.
let session = null;
let renewal = 0;

const WRITES = new Set(["POST", "PUT", "PATCH"]);

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#routes",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor: (request) => {
    const headers = request.headers;
    if (session && !headers.Authorization) headers.Authorization = `Bearer ${session.access_token}`;
    // A repeated click is another write, unless one gives the key of the first.
    if (WRITES.has(request.method) && !headers["Idempotency-Key"]) headers["Idempotency-Key"] = crypto.randomUUID();
    return request;
  },
});

const state = document.getElementById("state");
const key = document.getElementById("api-key");
const signOut = document.getElementById("sign-out");

function show(text, refused = false) {
  state.textContent = text;
  state.classList.toggle("refused", refused);
  for (const one of [key, key.labels[0], document.querySelector("#sign-in [type=submit]")]) one.hidden = session !== null;
  signOut.hidden = session === null;
}

async function ask(method, path, headers, body) {
  const given = body ? { ...headers, "Content-Type": "application/json" } : headers;
  const answer = await fetch(path, { method, headers: given, body: body && JSON.stringify(body) });
  const document = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(document.detail || document.title);
  return document;
}

function opened(found) {
  session = found;
  clearTimeout(renewal);
  renewal = setTimeout(renew, (found.expires_in - 30) * 1000);
  show("Signed in. Every request of this page carries the session; it is renewed while the page is open.");
}

async function renew() {
  try {
    opened(await ask("POST", "/v1/sessions/refresh", {}, { refresh_token: session.refresh_token }));
  } catch (error) {
    session = null;
    show(`The session ended: ${error.message}`, true);
  }
}

document.getElementById("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    opened(await ask("POST", "/v1/sessions", { Authorization: `Bearer ${key.value.trim()}` }));
    key.value = "";
  } catch (error) {
    show(error.message, true);
  }
});

signOut.addEventListener("click", async () => {
  const headers = { Authorization: `Bearer ${session.access_token}` };
  session = null;
  clearTimeout(renewal);
  show("Signed out.");
  await ask("DELETE", "/v1/sessions", headers).catch(() => undefined);
});

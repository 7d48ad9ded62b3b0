// A real provider of OpenID Connect: it prints its address, and signs in whoever is named, without a password.
// A name is "subject address", or "subject address unverified". Requests to /rotate give it other keys.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [redirects, secret] = process.argv.slice(2);
const server = createServer();
const people = new Map();

function clientOf(name, uris) {
  return { client_id: name, client_secret: secret, redirect_uris: uris, grant_types: ["authorization_code"] };
}

function made(issuer, number) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const provider = new Provider(issuer, {
    clients: [clientOf("valueverse", redirects.split(",")), clientOf("another", redirects.split(","))],
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: `key ${number}`, use: "sig", alg: "RS256" }] },
    cookies: { keys: [secret] },
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/sign-in/${interaction.uid}` },
    findAccount: (_, subject) => ({ accountId: subject, claims: () => ({ sub: subject, ...people.get(subject) }) }),
    loadExistingGrant: async (context) => {
      const { client, session } = context.oidc;
      const grant = new context.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope("openid email");
      await grant.save();
      return grant;
    },
  });
  provider.use(async (context, next) => {
    if (!context.path.startsWith("/sign-in/")) return next();
    const [subject, email, unverified] = (context.query.as ?? "").split(" ");
    people.set(subject, { email, email_verified: unverified === undefined });
    const result = subject ? { login: { accountId: subject } } : { error: "access_denied" };
    await provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: false });
    context.respond = false;
  });
  return provider.callback();
}

server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  let number = 1;
  let answer = made(issuer, number);
  server.on("request", (request, response) => {
    if (request.url === "/rotate") {
      number += 1;
      answer = made(issuer, number);
      response.end();
    } else {
      answer(request, response);
    }
  });
  console.log(issuer);
});

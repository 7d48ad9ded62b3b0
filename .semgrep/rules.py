# Cases of rules.yaml: what follows "ruleid" has to be found, what follows "ok" must not be.
import random
import secrets
import ssl
import uuid

import httpx
import jwt


async def reads(connection, pool, database, tenant):
    # ruleid: api-reads-through-functions
    await connection.fetch("select * from billing.invoice where tenant_id = $1", tenant)
    # ruleid: api-reads-through-functions
    await connection.fetchval("select 1")
    # ruleid: api-reads-through-functions
    await pool.execute("delete from billing.invoice")
    # ok: api-reads-through-functions
    await database.call("invoice", tenant)


async def states(request, database, connection):
    # ruleid: statement-from-a-request
    await database.call(request.query_params["function"])
    order = request.query_params["order"]
    # ruleid: statement-from-a-request, api-reads-through-functions
    await connection.fetch(f"select * from api.invoices($1) order by {order}")
    # ok: statement-from-a-request
    await database.call("invoices", request.query_params["customer"])


def compares(secret, given, stored_password, client_secret):
    # ruleid: secrets-compared-in-constant-time
    if secret == given:
        return True
    # ruleid: secrets-compared-in-constant-time
    if stored_password != given:
        return False
    # ok: secrets-compared-in-constant-time
    if client_secret == "":
        return False
    # ok: secrets-compared-in-constant-time
    return secrets.compare_digest(secret, given)


def logs(log, service, key, prefix):
    # ruleid: secrets-stay-out-of-logs
    log.info("session opened", api_key=key)
    # ruleid: secrets-stay-out-of-logs
    service.log.warning("refused", token=key, prefix=prefix)
    # ok: secrets-stay-out-of-logs
    service.log.info("session opened", key=prefix)


def verifies(token, key):
    # ruleid: tokens-are-verified
    jwt.decode(token, options={"verify_signature": False})
    # ruleid: tokens-are-verified
    jwt.decode(token, key)
    # ruleid: tokens-are-verified
    jwt.decode(token, key, algorithms=["RS256"], options={"verify_exp": False})
    # ok: tokens-are-verified
    jwt.decode(token, key, algorithms=["RS256"], audience="api", issuer="valueverse")


def connects(context):
    # ruleid: certificates-are-verified
    httpx.get("https://example.com", verify=False)
    # ruleid: certificates-are-verified
    context.verify_mode = ssl.CERT_NONE
    # ok: certificates-are-verified
    context.verify_mode = ssl.CERT_REQUIRED


def draws():
    # ruleid: secrets-come-from-the-systems-source
    random.choice("abc")
    # ruleid: secrets-come-from-the-systems-source
    uuid.uuid1()
    # ok: secrets-come-from-the-systems-source
    return secrets.token_bytes(32), uuid.uuid4()


def delivers(client):
    # ruleid: no-redirects-towards-other-networks
    httpx.Client(follow_redirects=True)
    # ruleid: no-redirects-towards-other-networks
    client.post("https://example.com", follow_redirects=True)
    # ok: no-redirects-towards-other-networks
    client.post("https://example.com", follow_redirects=False)


def weakens(run):
    # ruleid: no-statement-that-ends-isolation
    run("alter table billing.invoice disable row level security")
    # ruleid: no-statement-that-ends-isolation
    run("set row_security = off")
    # ok: no-statement-that-ends-isolation
    run("create role api login nobypassrls")

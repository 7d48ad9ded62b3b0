import asyncio
from support.serving import *
def test_smoke(settings):
    keys = seed(settings)
    async def go():
        async with serving(settings, keys) as api:
            for a in [await api.client.get('/healthz'), await api.client.get('/readyz'), await api.get('acme','/v1/invoices'),
                await api.get('acme','/v1/invoices/acme-000001'), await api.get('acme','/v1/invoices/birch-000001'), await api.get('acme','/v1/customers'),
                await api.get('acme', f'/v1/customers/customer zz-acme-only/usage'), await api.client.get('/nope'), await api.client.get('/v1/.well-known/jwks.json'),
                await api.client.get('/openapi.json'), await api.client.get('/docs'), await api.get('acme', '/v1/invoices', limit=1), await api.get('acme','/v1/invoices', bogus=1),
                await api.client.post('/v1/sessions/refresh', json={"refresh_token": api.tokens['acme']['refresh_token']}),
                await api.client.request('BREW','/v1/invoices')]:
                print(a.status_code, dict(a.headers), a.text[:600]); print()
            print(api.log.getvalue().decode())
    asyncio.run(go())

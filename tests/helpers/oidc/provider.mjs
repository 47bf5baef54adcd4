// An OpenID Connect provider on a port of 127.0.0.1, with a new key at each start:
//
//     node provider.mjs MODULE PORT
//
// MODULE is the main file of oidc-provider. The client `ada` gets tokens for itself. The resource
// says who the token is for, and whether it has expired already.
import { generateKeyPairSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [module, port] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(module));

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const resources = {
  'urn:greetings': { audience: 'greetings' },
  'urn:orders': { audience: 'orders' },
  'urn:expired': { audience: 'greetings', age: 3600 },
};

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'ada', client_secret: 'hunter2', grant_types: ['client_credentials'],
    redirect_uris: [], response_types: [],
  }],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => ({
        audience: resources[resource].audience, scope: 'greetings:read greetings:write',
        accessTokenFormat: 'jwt', accessTokenTTL: 600,
      }),
    },
  },
  formats: {
    customizers: {
      jwt: (ctx, token, jwt) => {
        jwt.payload.exp -= resources[token.resourceServer.identifier()].age ?? 0;
      },
    },
  },
});
provider.listen(Number(port), '127.0.0.1');

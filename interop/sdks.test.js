// Three SDKs register clients, as real programs do, at
//
//	go run ./examples/quickstart -open
//
// The environment variable ISSUER has its issuer.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as mcp from '@modelcontextprotocol/sdk/client/auth.js'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'

const issuer = new URL(process.env.ISSUER ?? 'http://127.0.0.1:8080')

const confidential = {
  client_name: 'A web application',
  redirect_uris: ['https://app.example.com/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'client_secret_basic',
  scope: 'openid profile',
}
const publicClient = {
  client_name: 'A native application',
  redirect_uris: ['http://127.0.0.1:33418/callback'],
  grant_types: ['authorization_code'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
}

// How each SDK registers metadata at the issuer and returns the answer.
const sdks = {
  async oauth4webapi(metadata) {
    const insecure = { [oauth.allowInsecureRequests]: true }
    const discovered = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' })
    const server = await oauth.processDiscoveryResponse(issuer, discovered)
    const response = await oauth.dynamicClientRegistrationRequest(server, metadata, insecure)
    return oauth.processDynamicClientRegistrationResponse(response)
  },
  async 'openid-client'(metadata) {
    const insecure = { algorithm: 'oauth2', execute: [openid.allowInsecureRequests] } // not every preset has ID Tokens
    const config = await openid.dynamicClientRegistration(issuer, metadata, undefined, insecure)
    return config.clientMetadata()
  },
  async '@modelcontextprotocol/sdk'(clientMetadata) {
    const metadata = await mcp.discoverAuthorizationServerMetadata(issuer)
    return mcp.registerClient(issuer, { metadata, clientMetadata })
  },
}

for (const [name, register] of Object.entries(sdks)) {
  test(`${name} registers a confidential client`, async () => {
    const client = await register(confidential)
    assertRegistered(client, confidential)
    assert.ok(client.client_secret, 'there is a secret')
    assert.equal(client.client_secret_expires_at, 0)
  })
  test(`${name} registers a public client`, async () => {
    const client = await register(publicClient)
    assertRegistered(client, publicClient)
    assert.equal(client.client_secret, undefined)
    assert.equal(client.client_secret_expires_at, undefined)
  })
  test(`${name} says why a client was refused`, async () => {
    await assert.rejects(register({ ...confidential, redirect_uris: ['https://app.example.com/#fragment'] }), (refused) => {
      const told = JSON.stringify([refused.message, refused.cause, refused.error, refused.error_description])
      assert.match(told, /redirect_uris/)
      return true
    })
  })
}

// A client that openid-client registered reads, updates and deletes itself (RFC 7592).
test('openid-client gets back what it registered', async () => {
  const client = await sdks['openid-client'](confidential)
  const manage = (method, body) => fetch(client.registration_client_uri, {
    method,
    headers: { authorization: `Bearer ${client.registration_access_token}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  })
  const read = await manage('GET')
  assert.equal(read.status, 200)
  assertRegistered(await read.json(), confidential)

  const { registration_client_uri, registration_access_token, client_secret_expires_at, client_id_issued_at, ...metadata } = client
  const updated = await manage('PUT', { ...metadata, client_name: 'Renamed' })
  assert.equal(updated.status, 200)
  assert.equal((await updated.json()).client_name, 'Renamed')

  assert.equal((await manage('DELETE')).status, 204)
  assert.equal((await manage('GET')).status, 401)
})

function assertRegistered(client, asked) {
  assert.ok(client.client_id, 'there is a client_id')
  assert.equal(typeof client.client_id_issued_at, 'number')
  for (const [member, value] of Object.entries(asked)) {
    assert.deepEqual(client[member], value, member)
  }
}

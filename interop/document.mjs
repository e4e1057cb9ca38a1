// The MCP SDK logs in at the issuer in the environment variable ISSUER with the metadata
// document whose URL is CLIENT_ID, without registering. document_test.go runs this.

import assert from 'node:assert/strict'

import { auth } from '@modelcontextprotocol/sdk/client/auth.js'

const { ISSUER: issuer, CLIENT_ID: clientID } = process.env
let client, tokens, verifier, authorizationURL

const provider = {
  clientMetadataUrl: clientID,
  redirectUrl: 'http://127.0.0.1:54545/callback',
  clientMetadata: { client_name: 'An MCP client', redirect_uris: ['http://127.0.0.1/callback'], scope: 'openid' },
  state: () => 'a state',
  clientInformation: () => client,
  saveClientInformation: (saved) => { client = saved },
  tokens: () => tokens,
  saveTokens: (saved) => { tokens = saved },
  redirectToAuthorization: (url) => { authorizationURL = url },
  saveCodeVerifier: (saved) => { verifier = saved },
  codeVerifier: () => verifier,
}

assert.equal(await auth(provider, { serverUrl: issuer }), 'REDIRECT')
assert.equal(client.client_id, clientID, 'it did not register')

const page = await fetch(authorizationURL) // the person reads the page and presses the button
assert.equal(page.status, 200, await page.text())
const back = await fetch(authorizationURL, { method: 'POST', redirect: 'manual' })
const answer = new URL(back.headers.get('location'))
assert.equal(answer.searchParams.get('state'), 'a state')
assert.equal(answer.searchParams.get('iss'), issuer)

assert.equal(await auth(provider, { serverUrl: issuer, authorizationCode: answer.searchParams.get('code') }), 'AUTHORIZED')
assert.ok(tokens.access_token)

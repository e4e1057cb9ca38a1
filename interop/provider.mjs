// Three SDKs register clients of every kind at the issuer in the environment variable
// ISSUER, log in, and update and delete the clients. provider_test.go runs this. KEY is
// a private JWK whose public half is served at JWKS_URI. CLIENT_ID is the URL of a
// metadata document.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as mcp1 from '@modelcontextprotocol/sdk/client/auth.js'
import * as mcp2 from '@modelcontextprotocol/client'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'

const issuer = process.env.ISSUER
const jwk = JSON.parse(process.env.KEY)
const { d: _, key_ops: __, ...publicJWK } = jwk
const { kid: ___, ...withoutKid } = publicJWK
const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const scope = 'openid profile'

const web = 'https://app.example.com/callback'
const kinds = {
  'native, on another port': { redirect: 'http://127.0.0.1:49152/callback', metadata: { redirect_uris: ['http://127.0.0.1/callback'], application_type: 'native', token_endpoint_auth_method: 'none' } },
  'with a private-use scheme': { redirect: 'com.example.app:/callback', metadata: { redirect_uris: ['com.example.app:/callback'], application_type: 'native', token_endpoint_auth_method: 'none' } },
  'in a browser': { redirect: web, metadata: { redirect_uris: [web], token_endpoint_auth_method: 'none' } },
  'with basic': { redirect: web, metadata: { redirect_uris: [web], token_endpoint_auth_method: 'client_secret_basic' } },
  'with post': { redirect: web, metadata: { redirect_uris: [web], token_endpoint_auth_method: 'client_secret_post' } },
  'with a key': { redirect: web, kid: jwk.kid, metadata: { redirect_uris: [web], token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [publicJWK] } } },
  'with a key without a kid': { redirect: web, metadata: { redirect_uris: [web], token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [withoutKid] } } },
  'with keys at a URL': { redirect: web, kid: jwk.kid, metadata: { redirect_uris: [web], token_endpoint_auth_method: 'private_key_jwt', jwks_uri: process.env.JWKS_URI } },
}
const document = { redirect: 'http://127.0.0.1:49152/callback', metadata: { token_endpoint_auth_method: 'none' } }

// browse acts as the browser of a person whom -auto-approve signs in. It follows
// redirects at the provider, and returns the one to the client, or null.
async function browse(url) {
  for (let next = new URL(url); ;) {
    const response = await fetch(next, { redirect: 'manual' })
    await response.body?.cancel()
    if (!response.headers.has('location')) return null
    next = new URL(response.headers.get('location'), next)
    if (next.origin !== issuer) return next
  }
}

// lose replaces the redirect URI of a client, deletes the client, and checks both.
async function lose(client, kind, authorize, refresh) {
  const manage = (method, body) => fetch(client.registration_client_uri, {
    method, body: body && JSON.stringify(body),
    headers: { authorization: `Bearer ${client.registration_access_token}`, 'content-type': 'application/json' },
  })
  const other = kind.metadata.application_type === 'native' ? 'com.example.other:/callback' : 'https://other.example.com/callback'
  const updated = await manage('PUT', { ...kind.metadata, client_id: client.client_id, grant_types: ['authorization_code', 'refresh_token'], scope, redirect_uris: [other] })
  assert.equal(updated.status, 200, await updated.clone().text())
  assert.equal(await browse(await authorize(kind.redirect)), null, 'the old redirect URI is refused at once')
  assert.ok((await browse(await authorize(other))).searchParams.get('code'), 'the new one is accepted')
  assert.equal((await manage('DELETE')).status, 204)
  await assert.rejects(refresh(), (refused) => {
    const told = JSON.stringify([refused.message, refused.error, refused.errorCode, refused.code, refused.cause]) + refused.name
    assert.match(told, /invalid_client|InvalidClient|"scheme":"basic"/) // some SDKs read only the challenge
    return true
  })
}

async function withOpenIDClient(kind, clientID) {
  const insecure = { execute: [openid.allowInsecureRequests] }
  const authentication = (client) => ({
    none: () => openid.None(), client_secret_basic: () => openid.ClientSecretBasic(client.client_secret),
    client_secret_post: () => openid.ClientSecretPost(client.client_secret), private_key_jwt: () => openid.PrivateKeyJwt({ key, kid: kind.kid }),
  })[kind.metadata.token_endpoint_auth_method]()
  let client = { client_id: clientID }
  if (!clientID) {
    const registered = await openid.dynamicClientRegistration(new URL(issuer), { ...kind.metadata, grant_types: ['authorization_code', 'refresh_token'], scope }, undefined, insecure)
    client = registered.clientMetadata()
  }
  const config = await openid.discovery(new URL(issuer), client.client_id, undefined, authentication(client), insecure)
  const [verifier, state, nonce] = [openid.randomPKCECodeVerifier(), openid.randomState(), openid.randomNonce()]
  const challenge = await openid.calculatePKCECodeChallenge(verifier)
  const authorize = (redirect_uri) => openid.buildAuthorizationUrl(config, { redirect_uri, scope, state, nonce, code_challenge: challenge, code_challenge_method: 'S256' })
  const answer = await browse(authorize(kind.redirect))
  const tokens = await openid.authorizationCodeGrant(config, answer, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true })
  assert.equal((await openid.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)).name, 'Paula Person')
  const refreshed = await openid.refreshTokenGrant(config, tokens.refresh_token)
  if (['client_secret_basic', 'client_secret_post', 'private_key_jwt'].includes(kind.metadata.token_endpoint_auth_method)) {
    assert.equal((await openid.tokenIntrospection(config, refreshed.access_token)).active, true)
    await openid.tokenRevocation(config, refreshed.access_token)
    assert.equal((await openid.tokenIntrospection(config, refreshed.access_token)).active, false)
  }
  if (!clientID) await lose(client, kind, authorize, () => openid.refreshTokenGrant(config, refreshed.refresh_token))
}

async function withOAuth4webapi(kind, clientID) {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const url = new URL(issuer)
  const server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure))
  let client = { client_id: clientID }
  if (!clientID) {
    client = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(server, { ...kind.metadata, grant_types: ['authorization_code', 'refresh_token'], scope }, insecure))
  }
  const authentication = {
    none: () => oauth.None(), client_secret_basic: () => oauth.ClientSecretBasic(client.client_secret),
    client_secret_post: () => oauth.ClientSecretPost(client.client_secret), private_key_jwt: () => oauth.PrivateKeyJwt({ key, kid: kind.kid }),
  }[kind.metadata.token_endpoint_auth_method]()
  const [verifier, state, nonce] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState(), oauth.generateRandomNonce()]
  const challenge = await oauth.calculatePKCECodeChallenge(verifier)
  const authorize = (redirect_uri) => {
    const to = new URL(server.authorization_endpoint)
    to.search = new URLSearchParams({ client_id: client.client_id, redirect_uri, response_type: 'code', scope, state, nonce, code_challenge: challenge, code_challenge_method: 'S256' })
    return to
  }
  const parameters = oauth.validateAuthResponse(server, client, await browse(authorize(kind.redirect)), state)
  const response = await oauth.authorizationCodeGrantRequest(server, client, authentication, parameters, kind.redirect, verifier, insecure)
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, { expectedNonce: nonce, requireIdToken: true })
  const { sub } = oauth.getValidatedIdTokenClaims(tokens)
  assert.equal((await oauth.processUserInfoResponse(server, client, sub, await oauth.userInfoRequest(server, client, tokens.access_token, insecure))).name, 'Paula Person')
  const refresh = async (token) => oauth.processRefreshTokenResponse(server, client, await oauth.refreshTokenGrantRequest(server, client, authentication, token, insecure))
  const refreshed = await refresh(tokens.refresh_token)
  const asked = process.env.ACCESS_TOKENS === 'jwt' && new Request('https://api.example.com/', { headers: { authorization: `Bearer ${refreshed.access_token}` } })
  if (asked) assert.equal((await oauth.validateJwtAccessToken(server, asked, issuer, insecure)).scope, scope, 'the access token conforms to RFC 9068')
  if (!clientID) await lose(client, kind, authorize, () => refresh(refreshed.refresh_token))
}

const withMCP = (sdk) => async (kind, clientID) => {
  let client, tokens, verifier, authorizationURL, registered
  const fetchFn = async (url, init) => { // the SDKs drop the members for managing a client
    const response = await fetch(url, init)
    if (response.status === 201) registered = await response.clone().json()
    return response
  }
  const provider = {
    clientMetadataUrl: clientID,
    redirectUrl: kind.redirect,
    clientMetadata: { client_name: 'An MCP client', grant_types: ['authorization_code', 'refresh_token'], scope, ...kind.metadata },
    state: () => 'a state',
    clientInformation: () => client,
    saveClientInformation: (saved) => { client = saved },
    tokens: () => tokens,
    saveTokens: (saved) => { tokens = saved },
    redirectToAuthorization: (url) => { authorizationURL = url },
    saveCodeVerifier: (saved) => { verifier = saved },
    codeVerifier: () => verifier,
  }
  assert.equal(await sdk.auth(provider, { serverUrl: issuer, fetchFn }), 'REDIRECT')
  const answer = await browse(authorizationURL)
  assert.equal(answer.searchParams.get('state'), 'a state')
  const { code: authorizationCode, iss } = Object.fromEntries(answer.searchParams)
  assert.equal(iss, issuer)
  assert.equal(await sdk.auth(provider, { serverUrl: issuer, authorizationCode, iss }), 'AUTHORIZED')
  const first = tokens
  assert.ok(first.refresh_token, 'it does not request offline_access, but gets a refresh token')
  assert.equal(await sdk.auth(provider, { serverUrl: issuer }), 'AUTHORIZED', 'it refreshes')
  assert.notEqual(tokens.access_token, first.access_token)
  const told = await fetch(`${issuer}/userinfo`, { headers: { authorization: `Bearer ${tokens.access_token}` } })
  assert.equal((await told.json()).name, 'Paula Person')
  if (clientID) {
    assert.equal(client.client_id, clientID, 'it did not register')
    return
  }
  const metadata = await sdk.discoverAuthorizationServerMetadata(issuer)
  const authorize = async (redirect_uri) => {
    const to = new URL(authorizationURL)
    to.searchParams.set('redirect_uri', redirect_uri)
    return to
  }
  await lose(registered, kind, authorize, () => sdk.refreshAuthorization(issuer, { metadata, clientInformation: client, refreshToken: tokens.refresh_token }))
}

const ofMCP = Object.fromEntries(Object.entries(kinds).filter(([, kind]) => kind.metadata.token_endpoint_auth_method !== 'private_key_jwt'))
for (const [sdk, live, has] of [
  ['openid-client', withOpenIDClient, kinds], ['oauth4webapi', withOAuth4webapi, kinds],
  ['@modelcontextprotocol/sdk', withMCP(mcp1), ofMCP], ['@modelcontextprotocol/client', withMCP(mcp2), ofMCP],
]) {
  for (const [name, kind] of Object.entries(has)) test(`${sdk}: ${name}`, () => live(kind))
  test(`${sdk}: with a document`, () => live(document, process.env.CLIENT_ID))
}

// openid-client and oauth4webapi register at the issuer in the environment variable
// ISSUER, authenticate and get a token. authenticate_test.go runs this.

import assert from 'node:assert/strict'

import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'

const issuer = new URL(process.env.ISSUER)
const metadata = { grant_types: ['client_credentials'], response_types: [], token_endpoint_auth_method: 'client_secret_basic' }

const config = await openid.dynamicClientRegistration(issuer, metadata, undefined, {
  algorithm: 'oauth2', execute: [openid.allowInsecureRequests],
})
const { client_id, client_secret } = config.clientMetadata()
const basic = new openid.Configuration(config.serverMetadata(), client_id, undefined, openid.ClientSecretBasic(client_secret))
openid.allowInsecureRequests(basic)
assert.equal((await openid.clientCredentialsGrant(basic)).access_token, 'a token', 'openid-client')

const insecure = { [oauth.allowInsecureRequests]: true }
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' }))
const client = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(server, metadata, insecure))
const granted = async (secret) => oauth.processClientCredentialsResponse(server, client,
  await oauth.clientCredentialsGrantRequest(server, client, oauth.ClientSecretBasic(secret), {}, insecure))
assert.equal((await granted(client.client_secret)).access_token, 'a token', 'oauth4webapi')
await assert.rejects(granted('a guess'), 'oauth4webapi with another secret')

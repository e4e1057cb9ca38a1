package spec_test

import "testing"

const logout = `{` + openID + `,"end_session_endpoint":"https://id.example.com/logout","frontchannel_logout_supported":true,"backchannel_logout_supported":true}`

func TestPostLogoutRedirectURIs(t *testing.T) {
	r := start(t, logout)
	r.judge(t, []wireCase{
		{sentence: "https (RP-Init §3.1)", request: `{"post_logout_redirect_uris":["https://rp.example.com/out","https://other.example.com/out?a=b"]}`, answer: `{"post_logout_redirect_uris":["https://rp.example.com/out","https://other.example.com/out?a=b"]}`},
		{sentence: "a private-use scheme (RP-Init §3.1)", request: `{"post_logout_redirect_uris":["com.example.app:/out","myapp://out"]}`, answer: `{"post_logout_redirect_uris":["com.example.app:/out","myapp://out"]}`},
		{sentence: "http on the user's own machine", request: `{"post_logout_redirect_uris":["http://localhost:3000/out"]}`},
		{sentence: "left out or empty, it is not returned", request: `{"post_logout_redirect_uris":[]}`, answer: `{"post_logout_redirect_uris":null}`},
		{sentence: "remote http (RP-Init §3.1)", request: `{"post_logout_redirect_uris":["http://rp.example.com/out"]}`, code: dcrMetadata, says: "post_logout_redirect_uris[0] must be an https URL"},
		{sentence: "a fragment", request: `{"post_logout_redirect_uris":["https://rp.example.com/out","https://rp.example.com/out#x"]}`, code: dcrMetadata, says: "post_logout_redirect_uris[1] must not have a fragment"},
		{sentence: "an empty fragment", request: `{"post_logout_redirect_uris":["https://rp.example.com/out#"]}`, code: dcrMetadata, says: "fragment"},
	})
	r.judge(t, one("they must be URIs that lead back", "post_logout_redirect_uris", []string{`["not a uri"]`, `["javascript:alert(1)"]`, `["data:text/html,<b>x</b>"]`, `["/out"]`, `"https://rp.example.com/out"`, `{}`, `5`, `true`, `[5]`, `[null]`, `[""]`}, dcrMetadata, "post_logout_redirect_uris"))
	start(t, logout, allowHTTP).judge(t, []wireCase{
		{sentence: "remote http for a confidential client, if the host allows it (RP-Init §3.1)", request: `{"post_logout_redirect_uris":["http://rp.example.com/out"]}`},
		{sentence: "but not for a public one (RP-Init §3.1)", request: `{"post_logout_redirect_uris":["http://rp.example.com/out"],"token_endpoint_auth_method":"none"}`, code: dcrMetadata, says: "post_logout_redirect_uris[0]"},
	})
}

func TestBackChannelLogout(t *testing.T) {
	r := start(t, logout)
	r.judge(t, []wireCase{
		{sentence: "an https URI; its query is kept (BCL §2.2)", request: `{"backchannel_logout_uri":"https://rp.example.com/bcl?a=b"}`, answer: `{"backchannel_logout_uri":"https://rp.example.com/bcl?a=b","backchannel_logout_session_required":false}`},
		{sentence: "it may require the session (BCL §2.2)", request: `{"backchannel_logout_uri":"https://rp.example.com/bcl","backchannel_logout_session_required":true}`, answer: `{"backchannel_logout_session_required":true}`},
		{sentence: "it may be on any host", request: `{"backchannel_logout_uri":"https://elsewhere.example.com/bcl"}`},
		{sentence: "the session flag is returned only with the URI", request: `{"backchannel_logout_session_required":true}`, answer: `{"backchannel_logout_session_required":null,"backchannel_logout_uri":null}`},
		{sentence: "a fragment (BCL §2.2)", request: `{"backchannel_logout_uri":"https://rp.example.com/bcl#x"}`, code: dcrMetadata, says: "backchannel_logout_uri must not have a fragment"},
		{sentence: "http", request: `{"backchannel_logout_uri":"http://rp.example.com/bcl"}`, code: dcrMetadata, says: "backchannel_logout_uri must be an https URL"},
	})
	r.judge(t, one("the URI must be absolute (BCL §2.2)", "backchannel_logout_uri", []string{`"/bcl"`, `"rp.example.com"`, `"com.example:/bcl"`, `"javascript:x"`, `"https://user@rp.example.com/"`, `[]`, `5`, `true`, `{}`}, dcrMetadata, "backchannel_logout_uri must"))
	r.judge(t, one("the flag must be true or false", "backchannel_logout_session_required", []string{`"true"`, `1`, `{}`, `[]`}, dcrMetadata, "backchannel_logout_session_required must be true or false"))
	start(t, logout, allowHTTP).judge(t, []wireCase{
		{sentence: "http for a confidential client, if the host allows it (BCL §2.2)", request: `{"backchannel_logout_uri":"http://rp.example.com/bcl"}`},
		{sentence: "but not for a public one (BCL §2.2)", request: `{"backchannel_logout_uri":"http://rp.example.com/bcl","token_endpoint_auth_method":"none"}`, code: dcrMetadata, says: "backchannel_logout_uri"},
	})
}

func TestFrontChannelLogout(t *testing.T) {
	r := start(t, logout)
	r.judge(t, []wireCase{
		{sentence: "the origin of a redirect URI; the query is kept (FCL §2)", request: `{"frontchannel_logout_uri":"https://rp.example.com/fcl?a=b"}`, answer: `{"frontchannel_logout_uri":"https://rp.example.com/fcl?a=b","frontchannel_logout_session_required":false}`},
		{sentence: "the port that https implies is the same port", request: `{"frontchannel_logout_uri":"https://RP.example.com:443/fcl"}`},
		{sentence: "the origin of any of them", request: `{"redirect_uris":["https://a.example.com/cb","https://b.example.com:8443/cb"],"frontchannel_logout_uri":"https://b.example.com:8443/fcl","frontchannel_logout_session_required":true}`, answer: `{"frontchannel_logout_session_required":true}`},
		{sentence: "the session flag is returned only with the URI", request: `{"frontchannel_logout_session_required":true}`, answer: `{"frontchannel_logout_session_required":null,"frontchannel_logout_uri":null}`},
		{sentence: "another host (FCL §2)", request: `{"frontchannel_logout_uri":"https://other.example.com/fcl"}`, code: dcrMetadata, says: "frontchannel_logout_uri must have the scheme, host and port of one of redirect_uris"},
		{sentence: "another port (FCL §2)", request: `{"frontchannel_logout_uri":"https://rp.example.com:8443/fcl"}`, code: dcrMetadata, says: "scheme, host and port"},
		{sentence: "another scheme (FCL §2)", request: `{"frontchannel_logout_uri":"http://rp.example.com/fcl"}`, code: dcrMetadata, says: "frontchannel_logout_uri must be an https URL"},
		{sentence: "a fragment (FCL §2)", request: `{"frontchannel_logout_uri":"https://rp.example.com/fcl#"}`, code: dcrMetadata, says: "must not have a fragment"},
	})
	r.judge(t, one("the URI must be absolute (FCL §2)", "frontchannel_logout_uri", []string{`"/fcl"`, `"rp.example.com"`, `"com.example:/fcl"`, `"javascript:x"`, `[]`, `5`, `true`, `{}`}, dcrMetadata, "frontchannel_logout_uri must"))
	r.judge(t, one("the flag must be true or false", "frontchannel_logout_session_required", []string{`"true"`, `1`, `{}`, `[]`}, dcrMetadata, "frontchannel_logout_session_required must be true or false"))
	start(t, logout, allowHTTP).judge(t, []wireCase{
		{sentence: "http for a confidential client with such a redirect, if the host allows it (FCL §2)", request: `{"redirect_uris":["http://rp.example.com/cb"],"frontchannel_logout_uri":"http://rp.example.com/fcl"}`},
	})
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "without logout its members are unknown",
			request: `{"post_logout_redirect_uris":"x","frontchannel_logout_uri":5,"frontchannel_logout_session_required":"x","backchannel_logout_uri":"javascript:x","backchannel_logout_session_required":5}`,
			answer:  `{"post_logout_redirect_uris":null,"frontchannel_logout_uri":null,"frontchannel_logout_session_required":null,"backchannel_logout_uri":null,"backchannel_logout_session_required":null}`},
	})
}

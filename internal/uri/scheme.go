package uri

// Schemes that no client may be sent to: RFC 8252 section 7.1 lets an app
// claim a scheme of its own, and these are already someone else's.

import "strings"

// RefusedScheme reports whether scheme, in any case, is one that browsers or
// operating systems treat specially.
func RefusedScheme(scheme string) bool { return refused(strings.ToLower(scheme)) }

// refused is RefusedScheme for lower case.
func refused(scheme string) bool {
	switch scheme {
	case "https", "http":
		return false

	// A browser runs or shows what stands in the URI itself, or what it makes
	// of another URI in it.
	case "javascript", "data", "vbscript", "livescript", "mocha", "ecmascript",
		"blob", "filesystem", "view-source", "view-cache", "feed", "pcast",
		"jar", "mhtml", "mk", "its", "wyciwyg", "cid", "mid":
		return true

	// A browser's own pages. An extension too is refused: what Chrome and
	// Firefox provide for OAuth are https hosts (chromiumapp.org,
	// extensions.allizom.org), and a page of the extension would have to be
	// open to every website.
	case "about", "resource", "res", "brave", "edge", "opera", "vivaldi", "devtools",
		"isolated-app", "safari-extension", "safari-web-extension", "extension":
		return true

	// Files and applications' contents.
	case "file", "content", "shell", "smb", "cifs", "afp", "nfs",
		"dav", "davs", "webdav", "webdavs", "ftp", "ftps", "sftp", "tftp", "scp":
		return true

	// An operating system starts a program, installs one, changes a setting,
	// or hands the URI to a browser of someone's choice.
	case "intent", "android-app", "market", "search", "search-ms", "hcp", "help",
		"microsoft-edge", "microsoft-edge-holographic", "firefox", "firefox-private",
		"googlechrome", "googlechromes", "itms", "itms-apps", "itms-appss", "itms-services", "itms-beta",
		"macappstore", "macappstores", "shortcuts", "applescript",
		"x-man-page", "x-web-search", "prefs", "app-prefs", "app-settings",
		"maps", "dict", "webcal", "apt", "steam":
		return true

	// Network protocols with clients of their own.
	case "ws", "wss", "gopher", "wais", "finger", "ldap", "ldaps", "telnet", "rlogin", "tn3270",
		"ssh", "rdp", "vnc", "git", "svn", "rsync", "rtsp", "rtsps", "rtmp", "mms",
		"irc", "irc6", "ircs", "xmpp", "news", "nntp", "snews", "imap", "pop", "magnet":
		return true

	// Someone or something to write to, to call or to pay; the list of schemes
	// that any website may handle (HTML, "safelisted scheme") is among them.
	case "mailto", "tel", "sms", "smsto", "mmsto", "fax", "modem", "callto",
		"facetime", "facetime-audio", "im", "pres", "sip", "sips", "matrix",
		"openpgp4fpr", "bitcoin", "ethereum", "geo", "wtai":
		return true

	// Names, which lead nowhere. urn:ietf:wg:oauth:2.0:oob was a redirect that
	// showed the code to whoever looked.
	case "urn", "tag", "info", "doi", "oid", "ni", "nih", "did":
		return true
	}
	return hasRefusedPrefix(scheme)
}

// hasRefusedPrefix knows the families: ms-appx, ms-appx-web, ms-msdt and the
// rest of Windows, chrome and chrome-extension, moz-extension, x-apple-… and
// Safari's x-safari-https, and web+… and ext+…, which any website or extension
// may handle.
func hasRefusedPrefix(scheme string) bool {
	for _, prefix := range [...]string{"ms-", "chrome-", "moz-", "x-apple", "x-safari-", "web+", "ext+"} {
		if strings.HasPrefix(scheme, prefix) {
			return true
		}
	}
	return scheme == "chrome"
}

package uri

// Schemes that no client may be sent to. RFC 8252 section 7.1 lets an app claim
// a scheme of its own; these already belong to someone else.

import (
	"slices"
	"strings"
)

// A SchemeGroup is a part of the list of refused schemes.
type SchemeGroup struct {
	Why   string // what the schemes lead to
	Names string // separated by blanks; "a*" is every name that begins with a, "*a" every name that ends with it
}

// RefusedSchemes is the whole list. A name with an empty label is refused too:
// one that ends with a dot, or has two dots in a row.
//
// The list is a second line of defence, since new schemes appear every day. If
// a host restricts redirects, package policy accepts only schemes that are
// listed by name or are a reversed domain.
var RefusedSchemes = []SchemeGroup{
	{"A browser runs or shows the contents of the URI itself, or of another URI inside it.",
		`javascript jscript data vbscript vbs livescript mocha ecmascript wasm wasm-js blob filesystem view-source view-cache
		feed feeds feedready pcast podcast podcasts itpc jar netdoc mhtml mk its wyciwyg cid mid attachment embedded
		thismessage cached-favicon page-icon webkit-fake-url applewebdata x-webdoc x-jsd srcdoc`},

	{"A browser's own pages and extensions. For OAuth, extensions of Chrome and Firefox use https hosts (chromiumapp.org, extensions.allizom.org).",
		`about resource res chrome chrome-* moz moz-* brave edge opera opera-* vivaldi devtools isolated-app externalfile
		safari-* extension browserext crx ext+* web+* indexeddb`},

	{"A disguised form of http, or a browser that opens the http URI inside.",
		`*http *https http.* http+* http-* https.* https+* https-* hxxp hxxps httpx googlechrome* microsoft-edge* msedge
		firefox firefox-* klar touch-* x-safari-* *-x-callback *-x-callback-url x-callback x-callback-url x-web-search
		onionbrowser onionhttps icabmobile icabmobiles mercurys puffin puffins ucbrowser alohabrowser
		ddglaunch ddgquicklink yandexbrowser-open-url samsunginternet webview webviews`},

	{"Files, and the contents of applications.",
		`file content shell local computer network recent recentdocuments recentlyused trash starred
		timeline filenamesearch baloosearch thumbnail programs applications smb smb+* cifs afp nfs dav davs dav+* davs+*
		webdav webdavs ftp ftps sftp tftp scp fish mtp gphoto2 gphoto camera afc obex cdda dns-sd archive tar zip krarc
		google-drive photos-* assets-library ph fd php phar expect zlib glob sysimage vnd.sun.star.*`},

	{"An operating system starts a program, opens a setting, or acts as an administrator.",
		`ms-* microsoft.windows.* windows-* windowsdefender hcp help ghelp gnome-help yelp man x-man-page x-help-* x-apple* com-apple-*
		prefs app-prefs app-settings settings settings-* systemsettings admin burn workflow shortcuts
		shortcuts-production applescript automator jnlp jnlps search search-ms calculator quickassist
		onenote onenote-cmd ms-its stssync outlookfeed conf first-run-pen-experience android.* android-* intent
		google.navigation google.streetview diagnostics diags tap-to-radar radar rdar bluetooth wifi`},

	{"A program is installed, or an app store is opened that installs one.",
		`package market android-app itms itms-* macappstore* appstore samsungapps appmarket mimarket vivomarket
		oppomarket hiapplink tstore onestore amzn apt apt+* apt-repo apturl appstream snap flatpak flatpak+* ymp cydia
		sileo zbra zebra filza altstore altstore-* sidestore apple-magnifier scarlet steam com.epicgames.launcher
		battlenet uplay roblox-player fuchsia-pkg kns knewstuff vsweb+* machineprovisioningprogressreporter`},

	{"An application of the operating system's vendor.",
		`maps comgooglemaps* google.maps bingmaps bingnews bingweather calshow calinvite calinvitelist contact contacts
		addressbook message mobilemail mobilenotes mobilephone voicemail vmshow facetime* imessage music musics
		videos ibooks shoebox wallet findmy fmip1 fmf1 gamecenter applenews applenewss applefeedback activitytoday
		icloud-sharing icloud-vetting garageband imovie clips dict x-dictionary mswindowsmusic mswindowsvideo
		microsoftmusic microsoftvideo zune zunemusic xbox xbox-* webcal webcals`},

	{"A network protocol with clients of its own.",
		`ws wss gopher wais finger ldap ldaps ldapi telnet rlogin tn3270 ssh rdp vnc spice x-ssh mosh git git+* svn svn+*
		cvs bzr hg rsync rtsp rtsps rtspt rtspu rtmp rtmps rtmpt rtmfp mms mmst mmsu mmsh icy icyx irc irc6 ircs xmpp jabber
		news newsrc nntp nntps snews imap imaps pop pop3 pops smtp smtps lmtp sieve mailbox mailserver magnet ed2k dchub
		adc adcs dns snmp ntp coap coap+* coaps coaps+* mqtt mqtts amqp amqps stomp nats redis rediss mongodb mongodb+*
		mysql postgres postgresql jdbc odbc tcp udp unix npipe quic-transport ipp ipps pkcs11 rmi iiop corba jms soap.beep
		soap.beeps xmlrpc.beep xmlrpc.beeps iris.* z39.50 z39.50r z39.50s stun stuns turn turns proxy socks socks4 socks5
		h323 iax ipfs ipns dweb nxm docker oci aaa aaas acap cap crid dvb icap msrp msrps mumble mupdate
		prospero ventrilo teamspeak videotex vemmi xcon xri ymsgr msnim aim skype lync lync15`},

	{"A message, a call or a payment, including HTML's safelisted schemes.",
		`mailto tel telprompt sms sms-private smsto mms-sms mmsto fax modem callto im pres sip sips matrix openpgp4fpr bitcoin
		bitcoincash litecoin dogecoin monero ethereum lightning lnurl* web3 payto upi geo wtai otpauth
		otpauth-migration fido mdoc mdoc-openid4vp`},

	{"A name that leads nowhere. urn:ietf:wg:oauth:2.0:oob was a redirect that showed the code to the person.",
		`urn tag info doi oid ni nih did uuid uuid-in-package opaquelocktoken secret-token swid swidpath swh`},
}

// refusals is RefusedSchemes in the form in which refused looks names up.
var refusals = func() (list struct {
	names              map[string]bool
	prefixes, suffixes []string
}) {
	list.names = make(map[string]bool)
	for _, group := range RefusedSchemes {
		for _, name := range strings.Fields(group.Names) {
			if prefix, ok := strings.CutSuffix(name, "*"); ok {
				list.prefixes = append(list.prefixes, prefix)
			} else if suffix, ok := strings.CutPrefix(name, "*"); ok {
				list.suffixes = append(list.suffixes, suffix)
			} else {
				list.names[name] = true
			}
		}
	}
	return list
}()

// RefusedScheme reports whether scheme, in any case, is on the list of refused
// schemes.
func RefusedScheme(scheme string) bool { return refused(strings.ToLower(scheme)) }

// refused is RefusedScheme for a scheme in lower case.
func refused(scheme string) bool {
	if scheme == "https" || scheme == "http" {
		return false
	}
	return refusals.names[scheme] || emptyLabel(scheme) ||
		slices.ContainsFunc(refusals.prefixes, func(prefix string) bool { return strings.HasPrefix(scheme, prefix) }) ||
		slices.ContainsFunc(refusals.suffixes, func(suffix string) bool { return strings.HasSuffix(scheme, suffix) })
}

// emptyLabel reports whether a name has an empty label.
func emptyLabel(name string) bool {
	return strings.HasSuffix(name, ".") || strings.HasPrefix(name, ".") || strings.Contains(name, "..")
}

//go:generate go run -C ../generate ./tld ../uri/tld.go

// IsTopLevelDomain reports whether label, in lower case, is a top-level domain.
func IsTopLevelDomain(label string) bool {
	return label != "" && strings.Contains(topLevelDomains, " "+label+" ")
}

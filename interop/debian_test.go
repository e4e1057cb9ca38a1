//go:build unix

package interop

// Clients from Debian that log in at examples/authserver: oidc-agent for the command
// line, and mod_auth_openidc for web sites. .ci/long runs these tests.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dynreg/dcr/dcrtest"
)

func needs(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv("DCR_TEST_LONG") == "" {
		t.Skip("needs DCR_TEST_LONG")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed; on Debian: apt-get install oidc-agent-cli libapache2-mod-auth-openidc", program)
		}
	}
}

// waitFor asks until there is an answer, for up to half a minute.
func waitFor[T comparable](t *testing.T, what string, ask func() T) (answer T) {
	t.Helper()
	var none T
	for range 300 {
		if answer = ask(); answer != none {
			return answer
		}
		time.Sleep(100 * time.Millisecond) // other people's programs have no better sign that they are ready
	}
	t.Fatal("there is no ", what)
	return none
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func TestDebianOIDCAgent(t *testing.T) {
	needs(t, "oidc-agent", "oidc-gen", "oidc-token")
	for _, at := range [][2]string{{"authserver", ""}, {"authserver", "mcp"}, {"fositeserver", ""}, {"fositeserver", "mcp"}} {
		t.Run(at[0]+", preset "+at[1], func(t *testing.T) {
			issuer, home := provider(t, at[0], dcrtest.NewPublisher(t), "-preset="+at[1]), t.TempDir()
			environment := append(os.Environ(), "HOME="+home, "OIDC_CONFIG_DIR="+home, "XDG_RUNTIME_DIR="+home, "TMPDIR="+home, "OIDC_ENCRYPTION_PW=a password")
			command := func(name string, args ...string) *exec.Cmd {
				made := exec.Command(name, args...)
				made.Env, made.Dir = environment, home
				return made
			}
			agent, err := command("oidc-agent", "--no-autoload").Output()
			if err != nil {
				t.Fatal(err)
			}
			environment = append(environment, regexp.MustCompile(`(OIDC_SOCK|OIDCD_PID)=([^;]+)`).FindAllString(string(agent), -1)...)
			t.Cleanup(func() { command("oidc-agent", "--kill").Run() })

			said, err := os.Create(filepath.Join(home, "said"))
			if err != nil {
				t.Fatal(err)
			}
			defer said.Close()
			generate := command("oidc-gen", "--pw-env", "--prompt=none", "--confirm-yes", "--no-url-call", "--no-scheme",
				fmt.Sprintf("--port=%d", freePort(t)), "--flow=code", "--scope=openid profile offline_access", "--issuer="+issuer, "test")
			generate.Stdout, generate.Stderr = said, said
			if err := generate.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { generate.Process.Kill(); generate.Wait() })
			address := waitFor(t, "authorization request", func() string {
				text, _ := os.ReadFile(said.Name())
				return regexp.MustCompile(`http://\S+/authorize\?\S+`).FindString(string(text))
			})
			response, err := http.Get(address) // acts as the browser until it reaches the agent
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			token := waitFor(t, "token", func() string {
				text, _ := command("oidc-token", "test").Output()
				return strings.TrimSpace(string(text))
			})
			request, _ := http.NewRequest("GET", issuer+"/userinfo", nil)
			request.Header.Set("Authorization", "Bearer "+token)
			told, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer told.Body.Close()
			var claims struct{ Sub, Name string }
			if err := json.NewDecoder(told.Body).Decode(&claims); err != nil || claims.Sub != "paula" || claims.Name != "Paula Person" {
				t.Errorf("userinfo says %+v, %v", claims, err)
			}
		})
	}
}

// certify creates a certificate for localhost, in files.
func certify(t *testing.T, folder string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(folder, "certificate.pem"), filepath.Join(folder, "key.pem")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: public}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// site is the configuration of Apache.
const site = `ServerRoot %[1]s
PidFile %[1]s/pid
ServerName localhost
Listen 127.0.0.1:%[2]d
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule auth_openidc_module /usr/lib/apache2/modules/mod_auth_openidc.so
User www-data
Group www-data
ErrorLog %[1]s/log
DocumentRoot %[1]s
SSLEngine on
SSLCertificateFile %[1]s/certificate.pem
SSLCertificateKeyFile %[1]s/key.pem
OIDCMetadataDir %[1]s/metadata
OIDCRedirectURI https://localhost:%[2]d/redirect
OIDCCryptoPassphrase "a passphrase"
OIDCCABundlePath %[1]s/certificate.pem
OIDCRemoteUserClaim sub
<Location />
AuthType openid-connect
Require valid-user
Header always set X-User "expr=%%{REMOTE_USER}"
</Location>
`

func TestDebianApache(t *testing.T) {
	needs(t, "apache2")
	if _, err := os.Stat("/usr/lib/apache2/modules/mod_auth_openidc.so"); err != nil {
		t.Skip("on Debian: apt-get install libapache2-mod-auth-openidc")
	}
	for _, preset := range []string{"", "mcp", "oidc"} {
		t.Run("preset "+preset, func(t *testing.T) {
			folder, err := os.MkdirTemp("", "apache") // where www-data can read it
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(folder) })
			certificate, key := certify(t, folder)
			port := freePort(t)
			host := fmt.Sprintf("localhost:%d", port)
			provider(t, "authserver", dcrtest.NewPublisher(t), "-addr=127.0.0.1:"+fmt.Sprint(port), "-issuer=https://"+host, "-certificate="+certificate, "-key="+key, "-preset="+preset)

			pool, text := x509.NewCertPool(), []byte(nil)
			if text, err = os.ReadFile(certificate); err != nil || !pool.AppendCertsFromPEM(text) {
				t.Fatal(err)
			}
			jar, _ := cookiejar.New(nil)
			browser := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}, Timeout: 10 * time.Second}
			discovered, err := browser.Get("https://" + host + "/.well-known/openid-configuration")
			if err != nil {
				t.Fatal(err)
			}
			defer discovered.Body.Close()
			document, err := io.ReadAll(discovered.Body)
			if err != nil {
				t.Fatal(err)
			}
			apache := freePort(t)
			name := filepath.Join("metadata", url.QueryEscape(host))
			if err := os.Mkdir(filepath.Join(folder, "metadata"), 0o777); err != nil {
				t.Fatal(err)
			}
			for _, writable := range []string{folder, filepath.Join(folder, "metadata")} {
				if err := os.Chmod(writable, 0o777); err != nil {
					t.Fatal(err)
				}
			}
			for file, text := range map[string]string{
				name + ".provider": string(document), name + ".conf": `{"scope":"openid profile","pkce_method":"S256","client_name":"Apache"}`,
				"httpd.conf": fmt.Sprintf(site, folder, apache), "index.html": "for people who are signed in",
			} {
				if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			program := exec.Command("apache2", "-f", filepath.Join(folder, "httpd.conf"), "-D", "FOREGROUND")
			program.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // because Apache signals its whole group when it ends
			if err := program.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { program.Process.Signal(syscall.SIGTERM); program.Wait() })
			at := fmt.Sprintf("https://localhost:%d/", apache)
			waitFor(t, "site", func() bool {
				connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", apache))
				if err == nil {
					connection.Close()
				}
				return err == nil
			})
			response, err := browser.Get(at + "redirect?" + url.Values{"iss": {"https://" + host}, "target_link_uri": {at + "index.html"}}.Encode())
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			page, _ := io.ReadAll(response.Body)
			if response.StatusCode != 200 || response.Header.Get("X-User") != "paula" || !strings.Contains(string(page), "signed in") {
				log, _ := os.ReadFile(filepath.Join(folder, "log"))
				t.Errorf("status %d, user %q: %s\n%s", response.StatusCode, response.Header.Get("X-User"), page, log)
			}
		})
	}
}

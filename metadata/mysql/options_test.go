package mysql_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/mysql"
)

func TestBadOptions(t *testing.T) {
	leaktest.Check(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	must(t, os.WriteFile(empty, nil, 0o600))
	f := func(change func(*mysql.Options), words ...string) {
		t.Helper()
		o := mysql.Options{User: "u", Database: "d"}
		change(&o)
		c, err := mysql.New(o)
		if err == nil {
			t.Errorf("%+v is taken: %v", o, c.Close())
			return
		}
		wantError(t, err, metadata.ErrOptions, words...)
	}
	f(func(o *mysql.Options) { o.User = "" }, "user")
	f(func(o *mysql.Options) { o.Database = "" }, "database")
	f(func(o *mysql.Options) { o.Port = 70000 }, "70000")
	f(func(o *mysql.Options) { o.Port = -1 }, "-1")
	f(func(o *mysql.Options) { o.Tracking = 3 }, "access_tracking", "3")
	f(func(o *mysql.Options) { o.TLS = "yes" }, `"yes"`, `"skip-verify"`)
	f(func(o *mysql.Options) { o.TLSCA = empty }, "tls_ca", `"true"`)
	f(func(o *mysql.Options) { o.TLS, o.TLSCA = "true", "/no/such/file" }, "/no/such/file")
	f(func(o *mysql.Options) { o.TLS, o.TLSCA = "true", empty }, "no certificate")
}

// certificates writes an authority, and a certificate of it for 127.0.0.1 with its key.
func certificates(t *testing.T) (ca, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	template := func(n int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: "prism test"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	authority := template(1)
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, &authorityKey.PublicKey, authorityKey)
	must(t, err)
	ca = write("ca.pem", "CERTIFICATE", der)
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err = x509.CreateCertificate(rand.Reader, template(2), authority, &serverKey.PublicKey, authorityKey)
	must(t, err)
	cert = write("cert.pem", "CERTIFICATE", der)
	der, err = x509.MarshalPKCS8PrivateKey(serverKey)
	must(t, err)
	return ca, cert, write("key.pem", "PRIVATE KEY", der)
}

func TestTLS(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	ca, cert, key := certificates(t)
	otherCA, _, _ := certificates(t)
	s := testbed.MariaDB(t, testbed.MariaDBOptions{Args: []string{"--ssl-cert=" + cert, "--ssl-key=" + key}})
	_, err := s.DB.ExecContext(t.Context(), "CREATE USER secret@'127.0.0.1' IDENTIFIED BY 'p' REQUIRE SSL; GRANT ALL ON *.* TO secret@'127.0.0.1'")
	must(t, err)
	f := func(tls, tlsCA string, want error, words ...string) {
		t.Helper()
		o := options(s, "prism_1")
		o.User, o.Password, o.TLS, o.TLSCA, o.CreateSchema = "secret", "p", tls, tlsCA, true
		c := open(t, o)
		defer c.Close()
		err := c.Check(t.Context())
		if want == nil && err != nil || want != nil {
			wantError(t, err, want, words...)
		}
	}
	s.Database(t)
	f("", "", metadata.ErrDenied)
	f("false", "", metadata.ErrDenied)
	f("preferred", "", nil)
	f("skip-verify", "", nil)
	f("true", ca, nil)
	f("true", otherCA, metadata.ErrUnavailable, "tls_ca")
	f("true", "", metadata.ErrUnavailable, "tls_ca")

	plain := testbed.MariaDB(t, testbed.MariaDBOptions{Args: []string{"--skip-ssl"}})
	_, err = plain.DB.ExecContext(t.Context(), "CREATE USER secret@'127.0.0.1' IDENTIFIED BY 'p'; GRANT ALL ON *.* TO secret@'127.0.0.1'")
	must(t, err)
	plain.Database(t)
	s = plain
	f("preferred", "", nil)
	f("skip-verify", "", metadata.ErrUnavailable, "see tls")
}

// A socket's path is a host.
func TestSocket(t *testing.T) {
	s := testbed.MariaDB(t, testbed.MariaDBOptions{Args: []string{"--socket=" + filepath.Join(shortDir(t), "s")}})
	_, err := s.DB.ExecContext(t.Context(), "CREATE USER local@localhost IDENTIFIED BY 'p'; GRANT ALL ON *.* TO local@localhost")
	must(t, err)
	var socket string
	must(t, s.DB.QueryRowContext(t.Context(), "SELECT @@socket").Scan(&socket))
	c := open(t, mysql.Options{User: "local", Password: "p", Host: socket, Database: s.Database(t), CreateSchema: true})
	defer c.Close()
	must(t, c.Check(t.Context()))
}

// shortDir is a folder whose path is short enough for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// log_queries says what is asked, how long it took, and no password.
func TestLogQueries(t *testing.T) {
	o := options(shared.server, made(t))
	f := func(on bool) string {
		var log bytes.Buffer
		o.LogQueries, o.Logger = on, slog.New(slog.NewTextHandler(&log, nil))
		c := open(t, o)
		must(t, put(t, c, "x"), c.Close())
		return log.String()
	}
	if got := f(false); got != "" {
		t.Errorf("logged without being asked: %s", got)
	}
	got := f(true)
	for _, w := range []string{"INSERT INTO blob_", "args=30", "took="} {
		if !strings.Contains(got, w) {
			t.Errorf("%q is not logged in\n%s", w, got)
		}
	}
	if strings.Contains(got, o.Password) {
		t.Error("the password is logged")
	}
}

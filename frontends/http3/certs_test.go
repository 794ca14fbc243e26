package http3d_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// lines is a log that may be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.buf.Bytes(), []byte(text))
}

// pair makes a certificate with a name, and its key.
func pair(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// shown is the name of the certificate that the server shows now.
func (s *server) shown() string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := quic.DialAddr(ctx, s.addr, clientTLS(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	state := conn.ConnectionState().TLS
	_ = conn.CloseWithError(0, "")
	if state.Version != tls.VersionTLS13 {
		s.t.Errorf("TLS %x", state.Version)
	}
	cert := state.PeerCertificates[0]
	if ends := s.Stats().CertificateEnds; !ends.Equal(cert.NotAfter) {
		s.t.Errorf("shows a certificate until %v, and says %v", cert.NotAfter, ends)
	}
	return cert.Subject.CommonName
}

// Files that change are taken without a restart; bad ones are logged once, and the last good pair stays.
func TestCertificateFiles(t *testing.T) {
	dir := t.TempDir()
	o := options(newShelf())
	log := &lines{}
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	o.TLSCert, o.TLSKey = filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	write := func(cert, key []byte) {
		t.Helper()
		for file, data := range map[string][]byte{o.TLSCert: cert, o.TLSKey: key} {
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	cert, key := pair(t, "first")
	write(cert, key)
	s := start(t, o)
	if got := s.shown(); got != "first" {
		t.Errorf("shows %q", got)
	}
	write(cert, []byte("garbage"))
	until(t, "the bad key to be logged", func() bool { return s.shown() == "first" && log.count("level=ERROR") == 1 })
	if err := os.Remove(o.TLSKey); err != nil {
		t.Fatal(err)
	}
	until(t, "the missing key to be logged", func() bool { return s.shown() == "first" && log.count("level=ERROR") == 2 })
	write(pair(t, "second"))
	until(t, "the new certificate", func() bool { return s.shown() == "second" })
	write(cert, key)
	until(t, "the first certificate again", func() bool { return s.shown() == "first" })
	if n := log.count("level=ERROR"); n > 4 { // a pair may be read half written
		t.Errorf("%d errors were logged", n)
	}
}

func TestMadeCertificate(t *testing.T) {
	s := start(t, options(newShelf()))
	if got := s.shown(); got != "prism" {
		t.Errorf("shows %q", got)
	}
}

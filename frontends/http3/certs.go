package http3d

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certEvery is how often the files of a certificate are looked at, while there are handshakes.
const certEvery = time.Second

// certificates gives each handshake a certificate: one that was made, or the last good one of two files.
type certificates struct {
	cert, key string // files; empty when the certificate was made
	log       *slog.Logger
	current   atomic.Pointer[tls.Certificate] // with its Leaf

	mu     sync.Mutex // of whoever looks at the files; nobody waits for it
	looked time.Time
	tried  [2][]byte // the contents that were last judged
	failed string    // what is wrong with the files, as it was logged
}

// madeCertificates makes one that is signed by itself.
func madeCertificates(host string) (*certificates, error) {
	c, err := selfSigned(host, time.Now())
	if err != nil {
		return nil, fmt.Errorf("http3: make a certificate: %w", err)
	}
	out := &certificates{}
	out.current.Store(c)
	return out, nil
}

// fileCertificates reads one from files.
func fileCertificates(cert, key string, log *slog.Logger) (*certificates, error) {
	c := &certificates{cert: cert, key: key, log: log, looked: time.Now()}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("http3: %w", err)
	}
	return c, nil
}

// get implements tls.Config.GetCertificate. There is one certificate, whatever name the client asks for.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.cert != "" && c.mu.TryLock() {
		if now := time.Now(); now.Sub(c.looked) >= certEvery {
			c.looked = now
			c.reload()
		}
		c.mu.Unlock()
	}
	return c.current.Load(), nil
}

// reload takes what is new in the files; what is wrong with them is logged once, and the last good certificate stays.
func (c *certificates) reload() {
	err := c.load()
	switch {
	case err == nil:
		c.failed = ""
	case err.Error() != c.failed:
		c.failed = err.Error()
		c.log.Error("http3: the new certificate is not used; the last good one stays", "error", err)
	}
}

// load reads the files and takes them if they differ from what was read last. Contents are compared, not times: a file
// may change without its time doing so.
func (c *certificates) load() error {
	cert, err := os.ReadFile(c.cert)
	if err != nil {
		return fmt.Errorf("read tls_cert: %w", err)
	}
	key, err := os.ReadFile(c.key)
	if err != nil {
		return fmt.Errorf("read tls_key: %w", err)
	}
	if c.failed == "" && bytes.Equal(cert, c.tried[0]) && bytes.Equal(key, c.tried[1]) {
		return nil
	}
	c.tried = [2][]byte{cert, key}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("%s and %s are no pair: %w", c.cert, c.key, err)
	}
	c.current.Store(&pair)
	return nil
}

// selfSigned makes a certificate for a host.
func selfSigned(host string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	names := []string{"localhost"}
	if host != "" {
		names = append(names, host)
	}
	form := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "prism"},
		DNSNames:              names,
		NotBefore:             now.Add(-24 * time.Hour), // clocks differ
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

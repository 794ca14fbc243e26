package liststest

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
)

// Server serves one list over HTTPS.
type Server struct {
	*httptest.Server
	Asked atomic.Int64 // requests

	mu     sync.Mutex
	answer http.HandlerFunc
}

// NewServer starts a server that answers 404. It stops with the test.
func NewServer(t testing.TB) *Server {
	s := &Server{answer: http.NotFound}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Asked.Add(1)
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of clients that do not trust the certificate
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// Handle has the server answer with a function.
func (s *Server) Handle(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Answer has the server answer with a text.
func (s *Server) Answer(status int, text string) {
	s.Handle(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
}

// Block has the server list outputs, as TXID:NOUT.
func (s *Server) Block(outpoints ...string) {
	s.data(map[string]any{"outpoints": append([]string{}, outpoints...)})
}

// Protect has the server list hashes.
func (s *Server) Protect(hashes ...blob.Hash) {
	all := []map[string]string{}
	for _, h := range hashes {
		all = append(all, map[string]string{"sd_hash": h.String(), "claim_id": "7de3b3f4d2c2a3f1e2b1b7d9b1d1a4c1f0b9a8e7"})
	}
	s.data(all)
}

func (s *Server) data(data any) {
	text, err := json.Marshal(map[string]any{"success": true, "error": nil, "data": data})
	if err != nil {
		panic(err)
	}
	s.Answer(http.StatusOK, string(text))
}

// Roots hold what signed the server's certificate.
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

// CAFile writes what signed the certificates of servers into a file, for SSL_CERT_FILE.
func CAFile(t testing.TB, servers ...*Server) string {
	var text []byte
	for _, s := range servers {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})...)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

package benchmarks

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/OdyseeTeam/prism/blob"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	http3d "github.com/OdyseeTeam/prism/frontends/http3"
	"github.com/OdyseeTeam/prism/internal/yamlnode"
	"github.com/OdyseeTeam/prism/stores/all"
	"github.com/OdyseeTeam/prism/stores/compose"
)

// h3loadEnv names the program that asks over HTTP/3 (h3load). It costs more than the servers, so it is no part of this
// process, whose other benchmarks count on being light.
const h3loadEnv = "PRISM_H3LOAD"

// BenchmarkHTTP3Hit2MiB compares hits on full blobs over HTTP/3, from the page cache, on 4 connections of 4 streams: CPU
// seconds per GB. One iteration asks each server for three seconds. Bar: 1.05 × a bare quic-go server that writes the
// same bytes from memory.
func BenchmarkHTTP3Hit2MiB(b *testing.B) {
	tool := os.Getenv(h3loadEnv)
	if tool == "" {
		b.Skipf("%s does not name the program that asks over HTTP/3", h3loadEnv)
	}
	d := makeData(b, 64, blob.MaxSize)
	origin := startOrigin(b, d.dir)
	names := filepath.Join(b.TempDir(), "hashes")
	if err := os.WriteFile(names, []byte(strings.Join(d.hashes, "\n")+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	p, q := port(b), port(b)
	prism := start(b, "http3", asRole("http3", fmt.Sprintf("127.0.0.1:%d", p), b.TempDir(), origin), p, "/readyz")
	bare := start(b, "bare http3", asRole("bare http3", d.list, fmt.Sprintf("127.0.0.1:%d", q)), q, "/readyz")
	for range 2 { // fill, then read once
		askHTTP3(b, tool, names, prism, 2*time.Second)
	}
	askHTTP3(b, tool, names, bare, time.Second)
	var ours, theirs []float64
	for b.Loop() {
		ours = append(ours, askHTTP3(b, tool, names, prism, 3*time.Second))
		theirs = append(theirs, askHTTP3(b, tool, names, bare, 3*time.Second))
	}
	report(b, "http3/bare", median(each(ours, theirs, func(x, y float64) float64 { return x / y })), atMost(1.05))
	report(b, "http3-cpu-s/GB", median(ours), bar{})
	report(b, "bare-cpu-s/GB", median(theirs), bar{})
}

var h3loadLine = regexp.MustCompile(`ok=(\d+) bad=(\d+) .*cpu/GB=([0-9.]+)s`)

// askHTTP3 asks a server for a while and returns its processor time in seconds per GB.
func askHTTP3(b *testing.B, tool, names string, s *server, d time.Duration) float64 {
	b.Helper()
	out, err := exec.Command(tool, "-addr", s.addr, "-list", names, "-c", "4", "-s", "4", "-d", d.String(),
		"-pid", strconv.Itoa(s.PID())).CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	m := h3loadLine.FindSubmatch(out)
	if m == nil || string(m[1]) == "0" || string(m[2]) != "0" {
		b.Fatalf("%s", out)
	}
	used, err := strconv.ParseFloat(string(m[3]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return used
}

// serveHTTP3 is the HTTP/3 frontend over a cache with an empty mount in dir, in front of an origin.
func serveHTTP3(addr, dir, origin string) error {
	conf := fmt.Sprintf("caching: {cache: {disk: {mode: segments, mount_point: %q, max_size: 4GB}}, origin: {http: {endpoint: %q}}}",
		dir, origin+"/")
	r := &yamlnode.Report{}
	tree := compose.Check(all.Kinds(), yamlnode.Parse("store.yaml", []byte(conf), os.LookupEnv, r), r)
	if err := r.Err(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := tree.Open(ctx, compose.Env{Logger: slog.Default()}); err != nil {
		return err
	}
	s, err := http3d.New(http3d.Options{Options: httpd.Options{Store: tree.Store()}})
	if err != nil {
		return errors.Join(err, tree.Close())
	}
	pc, err := listenHTTP3(addr)
	if err != nil {
		return errors.Join(err, tree.Close())
	}
	return errors.Join(s.Serve(ctx, pc), tree.Close())
}

// listenHTTP3 makes the socket of a server, and answers /readyz on the TCP port of the same number.
func listenHTTP3(addr string) (net.PacketConn, error) {
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, err
	}
	http.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	go func() {
		s := &http.Server{Addr: addr, ReadHeaderTimeout: 10 * time.Second}
		fmt.Fprintln(os.Stderr, s.ListenAndServe())
	}()
	return pc, nil
}

// serveBareHTTP3 is the floor: quic-go, one write of the blob from memory, no store. list names the blobs.
func serveBareHTTP3(list, addr string) error {
	names, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	blobs := map[string][]byte{}
	for path := range strings.FieldsSeq(string(names)) {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		blobs[filepath.Base(path)] = data
	}
	cert, err := bareCertificate()
	if err != nil {
		return err
	}
	pc, err := listenHTTP3(addr)
	if err != nil {
		return err
	}
	s := &http3.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}, //nolint:gosec // QUIC is TLS 1.3
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			data, ok := blobs[filepath.Base(r.URL.Path)]
			if !ok {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			_, _ = w.Write(data)
		}),
	}
	return s.Serve(pc)
}

func bareCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

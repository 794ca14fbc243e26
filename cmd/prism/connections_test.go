package main_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// TestConnectionBounds opens one connection more than the configuration allows to every server that bounds them, by
// each of the keys.
func TestConnectionBounds(t *testing.T) {
	for _, key := range []string{"max_connections", "max_connections_per_address"} {
		t.Run(key, func(t *testing.T) {
			few := strings.ReplaceAll(servers, "%d,", "%d, "+key+": 2,")
			if key == "max_connections_per_address" {
				few = strings.Replace(few, "http: {port: %d, "+key+": 2,", "http: {port: %d,", 1) // it has no such key
			}
			few = strings.Replace(few, "store:", "  receiver: {"+key+": 2}\nstore:", 1)
			n := startServers(t, "reflector", few, "  mem: {}\n")
			onTCP := func(port int, hello string) func() bool {
				return func() bool { return isAnswered(t, port, hello) }
			}
			for name, ask := range map[string]func() bool{
				"peer":      onTCP(n.peer, "{}"),
				"reflector": onTCP(n.take, `{"version":1}`),
				"http3":     func() bool { return shakesHands(t, n.http3) },
			} {
				for i := range 3 {
					if got := ask(); got != (i < 2) {
						t.Errorf("%s: connection %d is answered: %v", name, i+1, got)
					}
				}
			}
		})
	}
}

// isAnswered says whether a server answers on a new connection, which stays open.
func isAnswered(t *testing.T, port int, hello string) bool {
	t.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false // the reset may come before Dial returns
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err = io.WriteString(c, hello); err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		t.Errorf("port %d: neither an answer nor an end", port)
	}
	return err == nil
}

// shakesHands says whether a server lets in a new connection, which stays open.
func shakesHands(t *testing.T, port int) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := quic.DialAddr(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, //nolint:gosec // it signed its own
		nil)
	if ctx.Err() != nil {
		t.Errorf("port %d: neither a connection nor a refusal", port)
	}
	if err != nil {
		return false
	}
	t.Cleanup(func() { _ = c.CloseWithError(0, "") })
	return true
}

// TestBoundsArePrinted reads them back from check-config.
func TestBoundsArePrinted(t *testing.T) {
	const doc = "servers: {http3: {max_connections: 9}, peer: {max_connections_per_address: 8}, receiver: {max_connections: 7}}\nstore: {mem: }\n"
	dir := t.TempDir()
	for _, command := range []string{"blobcache", "reflector"} {
		if err := os.WriteFile(filepath.Join(dir, command+".yaml"), []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		got := prism(t, "check-config", command, "--conf-dir", dir)
		const served = "http3: :5568, 200 requests and 9 connections at once, 256 of an address, a certificate of its own\n" +
			"peer: :5567, 16000 connections at once, 8 of an address\n"
		want := served + "receiver: --receiver-port, 7 connections at once, 500 of an address\n"
		if command == "blobcache" {
			want = served
			if !strings.Contains(got.stdout, "servers.receiver: has no effect: only prism reflector takes uploads") {
				t.Errorf("no warning in %s", got.stdout)
			}
		}
		if got.status != 0 || !strings.Contains(got.stdout, want) {
			t.Errorf("%s: %+v, want %s", command, got, want)
		}
	}
}

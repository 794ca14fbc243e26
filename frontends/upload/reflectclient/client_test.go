package reflectclient_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/upload/reflectclient"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/protocol/reflector"
)

// serve accepts one connection and runs f on it, which says what a server of that kind would. The real server and this
// client meet in the tests of frontends/reflector; here are those that do not keep to the protocol.
func serve(t *testing.T, f func(c net.Conn)) (address string) {
	t.Helper()
	leaktest.Check(t)
	leaktest.FDs(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		f(c)
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return ln.Addr().String()
}

// expect reads exactly these bytes.
func expect(t *testing.T, c net.Conn, want string) {
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("the server hears %q (%v), want %q", got[:n], err, want)
	}
}

func say(c net.Conn, text string) { _, _ = io.WriteString(c, text) }

func someBlob(t *testing.T, data string) (v blob.Verified, request string) {
	t.Helper()
	v, err := blob.Verify(blob.Sum([]byte(data)), []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return v, string(reflector.AppendRequest(nil, reflector.Request{Hash: v.Hash(), Size: v.Size()}))
}

func TestDialRefuses(t *testing.T) {
	for answer, want := range map[string]error{
		`{"version":0}`:            reflector.ErrVersion,
		`{"version":2}`:            reflector.ErrVersion,
		`{"error":"go away"}`:      reflector.ErrVersion,
		"HTTP/1.1 400 Bad Request": reflector.ErrSyntax,
		`{"version":`:              io.ErrUnexpectedEOF,
		"":                         io.ErrUnexpectedEOF,
		`{"a":"` + strings.Repeat("x", reflector.MaxAnswer): reflector.ErrTooLong,
	} {
		t.Run(answer[:min(len(answer), 20)], func(t *testing.T) {
			address := serve(t, func(c net.Conn) {
				expect(t, c, `{"version":1}`)
				say(c, answer)
			})
			if c, err := reflectclient.Dial(t.Context(), address, reflectclient.Options{}); !errors.Is(err, want) || c != nil {
				t.Errorf("%v, want %v", err, want)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		if _, err := reflectclient.Dial(t.Context(), ln.Addr().String(), reflectclient.Options{}); err == nil {
			t.Error("no error")
		}
	})
}

func TestUpload(t *testing.T) {
	v, request := someBlob(t, "hello")
	for name, c := range map[string]struct {
		offer, receipt string
		sent           bool
		want           error
	}{
		"sent":               {`{"send_blob": true}`, `{"received_blob": true}`, true, nil},
		"not wanted":         {`{"send_blob":false}`, "", false, nil},
		"not kept":           {`{"send_blob":true}`, `{"received_blob":false}`, false, reflectclient.ErrNotReceived},
		"closed":             {`{"send_blob":true}`, ``, false, io.ErrUnexpectedEOF},
		"closed on an offer": {``, ``, false, io.ErrUnexpectedEOF},
		"another answer":     {`{"send_sd_blob":true}`, ``, false, reflector.ErrSyntax},
		"another receipt":    {`{"send_blob":true}`, `{"received_sd_blob":true}`, false, reflector.ErrSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, func(conn net.Conn) {
				expect(t, conn, `{"version":1}`)
				say(conn, `{"version":1}`)
				expect(t, conn, request)
				say(conn, c.offer)
				if strings.Contains(c.offer, "send_blob") && strings.Contains(c.offer, "true") {
					expect(t, conn, "hello")
					say(conn, c.receipt)
				}
			})
			client, err := reflectclient.Dial(t.Context(), address, reflectclient.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			r, err := client.Upload(t.Context(), v, blob.KindContent)
			if r.Sent != c.sent || len(r.Needed) != 0 || !errors.Is(err, c.want) {
				t.Errorf("%+v, %v; want sent %v, %v", r, err, c.sent, c.want)
			}
		})
	}
}

// A server that says nothing costs the patience that was set, or what ctx allows.
func TestPatience(t *testing.T) {
	v, request := someBlob(t, "hello")
	for name, want := range map[string]error{"answer": os.ErrDeadlineExceeded, "context": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			heard := make(chan struct{})
			address := serve(t, func(c net.Conn) {
				say(c, `{"version":1}`)
				expect(t, c, `{"version":1}`+request)
				close(heard)
				_, _ = io.Copy(io.Discard, c) // until the client goes
			})
			o := reflectclient.Options{AnswerTimeout: time.Minute}
			if name == "answer" {
				o.AnswerTimeout = time.Second
			}
			client, err := reflectclient.Dial(t.Context(), address, o)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if name == "context" {
				go func() { <-heard; cancel() }()
			}
			if _, err := client.Upload(ctx, v, blob.KindContent); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			client.Close()
		})
	}
}

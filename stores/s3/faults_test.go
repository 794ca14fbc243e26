package s3_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/breaker"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/stores/s3"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// calls are all calls that a server may refuse.
func calls(v blob.Verified) map[string]func(context.Context, *s3.Store) error {
	return map[string]func(context.Context, *s3.Store) error{
		"Has":    func(ctx context.Context, s *s3.Store) error { _, err := s.Has(ctx, v.Hash()); return err },
		"Get":    func(ctx context.Context, s *s3.Store) error { _, err := getters["Get"](ctx, s, v.Hash()); return err },
		"Open":   func(ctx context.Context, s *s3.Store) error { _, err := getters["Open"](ctx, s, v.Hash()); return err },
		"Put":    func(ctx context.Context, s *s3.Store) error { return s.Put(ctx, v, blob.KindContent) },
		"Delete": func(ctx context.Context, s *s3.Store) error { return s.Delete(ctx, v.Hash()) },
	}
}

// Settings that the server refuses are errors that say what to change, hold no secrets, and mean nothing about the blob.
func TestWrongSettings(t *testing.T) {
	leaktest.Check(t)
	server := testbed.S3(t)
	good := options(server)
	v := storetest.Blob(t, 1, 1000)
	f := func(name string, change func(*s3.Options), hint string, answersHas bool) {
		t.Helper()
		o := good
		change(&o)
		s := open(t, o)
		for call, do := range calls(v) {
			err := do(t.Context(), s)
			if call == "Has" && answersHas {
				if err != nil {
					t.Errorf("%s: %s: %v", name, call, err)
				}
				continue
			}
			text := errorText(err)
			if !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotFound) || !strings.Contains(text, hint) {
				t.Errorf("%s: %s: %v, want %q", name, call, err, hint)
			}
			if strings.Contains(text, o.SecretKey) || strings.Contains(text, o.AccessKey) {
				t.Errorf("%s: %s: the keys are in %q", name, call, text)
			}
		}
	}
	f("another secret", func(o *s3.Options) { o.SecretKey = "wrong" }, "aws_secret does not belong to aws_id", false)
	f("an unknown id", func(o *s3.Options) { o.AccessKey = "wrong" }, "aws_id is not known there", false)
	f("no such bucket", func(o *s3.Options) { o.Bucket = "nothing-here" }, "check bucket, region and endpoint, or make it", true)
	f("another region", func(o *s3.Options) { o.Region = "eu-west-1" }, "region", false)
}

// What is in the bucket under a blob's name and is not the blob never passes for it.
func TestBadObjects(t *testing.T) {
	leaktest.Check(t)
	server := testbed.S3(t)
	o := options(server)
	s := open(t, o)
	v := storetest.Blob(t, 1, 300_000)
	f := func(name string, data []byte, want error) {
		t.Helper()
		plant(t, server, o.Bucket, v.Hash(), data)
		for how, get := range getters {
			if _, err := get(t.Context(), s, v.Hash()); !errors.Is(err, want) || errors.Is(err, blob.ErrNotFound) != (want == blob.ErrNotFound) {
				t.Errorf("%s: %s: %v, want %v", name, how, err, want)
			}
		}
		has, err := s.Has(t.Context(), v.Hash())
		if has != (want != blob.ErrNotFound) || err != nil {
			t.Errorf("%s: Has = %v, %v", name, has, err)
		}
	}
	data := v.Bytes()
	f("empty", nil, blob.ErrNotFound)
	f("short", data[:len(data)-1], blob.ErrCorrupt)
	f("long", append(bytes.Clone(data), 0), blob.ErrCorrupt)
	f("other bytes", storetest.Blob(t, 2, len(data)).Bytes(), blob.ErrCorrupt)
	f("too big", make([]byte, blob.MaxSize+1), blob.ErrTooBig)
	put(t, s, v)
	for how, get := range getters {
		if got, err := get(t.Context(), s, v.Hash()); err != nil || !bytes.Equal(got, data) {
			t.Errorf("after a good put: %s: %v, or other bytes", how, err)
		}
	}
}

// Bad input 24: whatever a server answers in place of a blob is an error, and a miss only where it says so in a way that
// S3 has.
func TestFaults(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	server := testbed.S3(t)
	for how, get := range getters {
		for _, fault := range storetest.Faults() {
			t.Run(how+"/"+fault.Name, func(t *testing.T) {
				t.Parallel()
				p := newProxy(t, server)
				s := open(t, s3.Options{
					AccessKey: "id", SecretKey: "secret", Bucket: "b", Endpoint: p.URL,
					DialTimeout: time.Second, HeaderTimeout: time.Second, IdleTimeout: time.Second,
					MaxBuffers: 1,
				})
				v := storetest.Blob(t, 1, 300_000)
				p.answer(fault.Handler(v))
				for range 2 {
					data, err := get(t.Context(), s, v.Hash())
					if err == nil {
						t.Fatalf("%d bytes were taken", len(data))
					}
					if missing := errors.Is(err, blob.ErrNotFound); missing != (fault.Name == "missing" || fault.Name == "200 with 0 bytes") {
						t.Errorf("missing = %v: %v", missing, err)
					}
				}
				if n := len(p.requests()); n < 2 || n > 6 {
					t.Errorf("the server saw %d requests of 2 calls", n)
				}
			})
		}
	}
}

// A refusal says nothing about the blob, is not tried again, and reaches people without the server's own words.
func TestRefusals(t *testing.T) {
	leaktest.Check(t)
	server := testbed.S3(t)
	p := newProxy(t, server)
	o := options(server)
	o.Endpoint = p.URL
	s := open(t, o)
	v := storetest.Blob(t, 1, 1000)
	f := func(status int, code, hint string, want error) {
		t.Helper()
		for call, do := range calls(v) {
			if call == "Has" {
				continue
			}
			p.answer(refusal(status, code))
			err := do(t.Context(), s)
			if !errors.Is(err, want) || errors.Is(err, blob.ErrNotFound) || !strings.Contains(errorText(err), hint) {
				t.Errorf("%d %s: %s: %v, want %v and %q", status, code, call, err, want, hint)
			}
			if strings.Contains(errorText(err), "secret words") {
				t.Errorf("%d %s: %s: the server's words are in %v", status, code, call, err)
			}
			if n := len(p.requests()); n != 1 {
				t.Errorf("%d %s: %s: %d requests", status, code, call, n)
			}
		}
	}
	f(404, "NoSuchBucket", "or make it", blob.ErrUnavailable)
	f(403, "AccessDenied", "s3:ListBucket", blob.ErrUnavailable)
	f(403, "InvalidAccessKeyId", "aws_id is not known", blob.ErrUnavailable)
	f(403, "SignatureDoesNotMatch", "aws_secret does not belong", blob.ErrUnavailable)
	f(400, "AccessControlListNotSupported", "acl: none", blob.ErrUnavailable)
	f(301, "PermanentRedirect", "another region", blob.ErrUnavailable)
	f(403, "RequestTimeTooSkewed", "clocks", blob.ErrUnavailable)
	f(403, "QuotaExceeded", "403 QuotaExceeded", blob.ErrFull)
	f(507, "", "507", blob.ErrFull)
	f(418, strings.Repeat("x", 1000), "418 I'm a teapot", blob.ErrUnavailable)

	p.answer(refusal(404, "NoSuchKey"))
	for call, do := range calls(v) {
		err := do(t.Context(), s)
		switch call {
		case "Has", "Delete":
			if err != nil {
				t.Errorf("NoSuchKey: %s: %v", call, err)
			}
		case "Put":
			if !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotFound) {
				t.Errorf("NoSuchKey: Put: %v", err)
			}
		default:
			if !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("NoSuchKey: %s: %v", call, err)
			}
		}
	}
	if s.Stats().Open {
		t.Error("a server that refuses counts as one that fails")
	}
}

// A bucket that its keys may not list refuses to say that a blob is missing; wrong keys are something else.
func TestHasOfWhatIsForbidden(t *testing.T) {
	server := testbed.S3(t)
	p := newProxy(t, server)
	o := options(server)
	o.Endpoint = p.URL
	s := open(t, o)
	f := func(code string, wantErr bool) {
		t.Helper()
		p.answer(refusal(http.StatusForbidden, code))
		has, err := s.Has(t.Context(), blob.Hash{1})
		if has || (err != nil) != wantErr || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: Has = %v, %v", code, has, err)
		}
		if n := len(p.requests()); n != 2 {
			t.Errorf("%s: %d requests, want 2", code, n)
		}
	}
	f("AccessDenied", false)
	f("InvalidAccessKeyId", true)
	f("SignatureDoesNotMatch", true)
}

// What fails for a passing reason is tried three times, and no longer than the caller waits.
func TestRetries(t *testing.T) {
	leaktest.Check(t)
	server := testbed.S3(t)
	p := newProxy(t, server)
	o := options(server)
	o.Endpoint = p.URL
	s := open(t, o)
	v := storetest.Blob(t, 1, blob.MaxSize)
	put(t, s, v)
	for call, do := range calls(v) {
		p.answer(func(w http.ResponseWriter, r *http.Request) {
			if len(p.requests()) < 3 {
				refusal(http.StatusServiceUnavailable, "SlowDown")(w, r)
				return
			}
			p.through(w, r)
		})
		if err := do(t.Context(), s); err != nil {
			t.Errorf("%s, which fails twice: %v", call, err)
		}
		put(t, s, v)
	}

	p.answer(refusal(http.StatusServiceUnavailable, "SlowDown"))
	if err := s.Put(t.Context(), v, blob.KindContent); !errors.Is(err, blob.ErrUnavailable) || !strings.Contains(errorText(err), "503 SlowDown") {
		t.Errorf("a storm of 503: %v", err)
	}
	if n := len(p.requests()); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p.answer(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		refusal(http.StatusServiceUnavailable, "SlowDown")(w, r)
	})
	if err := s.Put(ctx, v, blob.KindContent); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v", err)
	}
	if n := len(p.requests()); n != 1 {
		t.Errorf("%d requests for a caller who left, want 1", n)
	}
}

// A server that does not answer, or takes no bytes, holds nobody for longer than the limits say, or than Close.
func TestHangs(t *testing.T) {
	leaktest.Check(t)
	server := testbed.S3(t)
	p := newProxy(t, server)
	o := options(server)
	o.Endpoint = p.URL
	o.DialTimeout, o.HeaderTimeout = 300*time.Millisecond, 300*time.Millisecond
	v := storetest.Blob(t, 1, blob.MaxSize)
	for call, do := range calls(v) {
		s := open(t, o)
		p.answer(p.hang)
		if err := do(t.Context(), s); !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: %v", call, err)
		}
	}
	o.DialTimeout, o.HeaderTimeout = time.Hour, time.Hour
	for call, do := range calls(v) {
		s := open(t, o)
		asked := make(chan struct{}, 1)
		p.answer(func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			p.hang(w, r)
		})
		result := make(chan error)
		go func() { result <- do(t.Context(), s) }()
		<-asked
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-result; !errors.Is(err, blob.ErrUnavailable) {
			t.Errorf("%s, closed: %v", call, err)
		}
	}
}

// Through an outage every call is an error that says so, soon without asking; afterwards everything is there.
func TestOutage(t *testing.T) {
	leaktest.Check(t)
	server := testbed.S3(t)
	s := open(t, options(server))
	v := storetest.Blob(t, 1, 100_000)
	put(t, s, v)
	stream, err := s.Open(t.Context(), v.Hash())
	if err != nil {
		t.Fatal(err)
	}
	stream.Close()
	server.Stop()
	alone := 0
	for range 4 {
		for call, do := range calls(v) {
			err := do(t.Context(), s)
			if !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotFound) {
				t.Errorf("%s during the outage: %v", call, err)
			}
			if errors.Is(err, breaker.ErrOpen) {
				alone++
			}
		}
	}
	if alone == 0 {
		t.Error("20 calls in a row asked a server that is not there")
	}
	server.Start()
	for how, get := range getters {
		eventually(t, func() error {
			data, err := get(t.Context(), s, v.Hash())
			if err == nil && !bytes.Equal(data, v.Bytes()) {
				t.Fatalf("%s gives other bytes", how)
			}
			return err
		})
	}
	put(t, s, storetest.Blob(t, 2, 1000))
}

package s3_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/s3"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

func TestConformance(t *testing.T) {
	server := testbed.S3(t)
	buckets := map[string]s3.Options{}
	storetest.Run(t, storetest.Config{
		OpenDir: func(t *testing.T, dir string) stores.Store {
			o, ok := buckets[dir]
			if !ok {
				o = options(server)
				buckets[dir] = o
			}
			s, err := s3.New(o)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	})
}

// What is stored is what older servers store: the key, the type and the list of who may read it.
func TestObjects(t *testing.T) {
	server := testbed.S3(t)
	p := newProxy(t, server)
	v := storetest.Blob(t, 1, 5000)
	hex := v.Hash().String()
	slash := ""
	f := func(shard int, acl, wantKey, wantACL string) {
		t.Helper()
		o := options(server)
		o.Endpoint, o.ShardingSize, o.ACL = p.URL+slash, shard, acl
		s := open(t, o)
		p.answer(nil)
		put(t, s, v)
		r := p.requests()[0]
		if got := r.Header.Get("X-Amz-Acl"); got != wantACL || len(p.requests()) != 1 {
			t.Errorf("%q: sent the access list %q in %d requests, want %q", acl, got, len(p.requests()), wantACL)
		}
		if got, want := r.URL.Path, "/"+o.Bucket+"/"+wantKey; got != want {
			t.Errorf("put to %s, want %s", got, want)
		}
		if got := r.Header.Get("X-Amz-Content-Sha256"); got != "UNSIGNED-PAYLOAD" {
			t.Errorf("the payload is signed: %s", got)
		}
		out, err := server.Client.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: &o.Bucket, Key: &wantKey})
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		data, err := io.ReadAll(out.Body)
		if err != nil || !bytes.Equal(data, v.Bytes()) || *out.ContentType != "application/octet-stream" {
			t.Errorf("the object has %d bytes of %s, %v", len(data), *out.ContentType, err)
		}
	}
	f(0, "", hex, "public-read")
	f(4, "private", hex[:4]+"/"+hex, "private")
	f(0, s3.ACLNone, hex, "")
	slash = "/" // which an endpoint may end in
	f(2, s3.ACLNone, hex[:2]+"/"+hex, "")
}

// The checksum that goes with a blob makes the server refuse one that changed on its way.
func TestDamageOnTheWay(t *testing.T) {
	server := testbed.S3(t)
	p := newProxy(t, server)
	o := options(server)
	bucket := o.Bucket
	o.Endpoint = p.URL
	s := open(t, o)
	v := storetest.Blob(t, 1, 100_000)
	p.answer(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		data[len(data)/2] ^= 1
		r.Body = io.NopCloser(bytes.NewReader(data))
		p.through(w, r)
	})
	if err := s.Put(t.Context(), v, blob.KindContent); !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("Put of a blob that changed on its way: %v", err)
	}
	p.answer(nil)
	if has, err := s.Has(t.Context(), v.Hash()); has || err != nil {
		t.Errorf("afterwards: %v, %v; bucket %s", has, err, bucket)
	}
	put(t, s, v)
}

func TestStats(t *testing.T) {
	server := testbed.S3(t)
	s := open(t, options(server))
	a, b := storetest.Blob(t, 1, 1000), storetest.Blob(t, 2, 30_000)
	put(t, s, a)
	put(t, s, b)
	if _, err := getters["Open"](t.Context(), s, a.Hash()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), blob.Hash{1}); !errors.Is(err, blob.ErrNotFound) {
		t.Fatal(err)
	}
	if got, want := s.Stats(), (s3.Stats{BytesIn: 1000, BytesOut: 31_000, Requests: 4}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := s3.Options{AccessKey: "id", SecretKey: "secret-1", Bucket: "b", Endpoint: "s3.example.com"}
	f := func(change func(*s3.Options), want string) {
		t.Helper()
		o := good
		change(&o)
		s, err := s3.New(o)
		if err == nil {
			s.Close()
		}
		if got := errorText(err); !strings.Contains(got, want) || (want == "") != (err == nil) || strings.Contains(got, "secret") && strings.Contains(got, "-1") {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	f(func(*s3.Options) {}, "")
	f(func(o *s3.Options) { o.Endpoint = "http://127.0.0.1:9" }, "")
	f(func(o *s3.Options) { o.Endpoint, o.Region = "", "eu-west-1" }, "")
	f(func(o *s3.Options) { o.Endpoint = "" }, "region is missing")
	f(func(o *s3.Options) { o.Bucket = "" }, "no bucket")
	f(func(o *s3.Options) { o.SecretKey = "" }, "aws_id and aws_secret")
	f(func(o *s3.Options) { o.AccessKey = "" }, "aws_id and aws_secret")
	f(func(o *s3.Options) { o.ShardingSize = 96 }, "sharding_size is 96")
	f(func(o *s3.Options) { o.ACL = "everybody" }, "acl is none of none, private")
	f(func(o *s3.Options) { o.Endpoint = "ftp://h" }, "endpoint is no address")
	f(func(o *s3.Options) { o.Endpoint = "https://" }, "endpoint is no address")
	f(func(o *s3.Options) { o.Endpoint = "https://id:secret-1@h" }, "endpoint is more than an address")
	f(func(o *s3.Options) { o.Endpoint = "https://h/?key=secret-1" }, "endpoint is more than an address")
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

package httpblob_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/httpblob"
)

// The golden transcripts: the very bytes that deployed clients parse.
func TestEncodeViaGolden(t *testing.T) {
	f := func(hops []blob.Hop, want string) {
		t.Helper()
		if got := httpblob.EncodeVia(hops, "edge1"); got != want {
			t.Errorf("EncodeVia(%v)\n got %s\nwant %s", hops, got, want)
		}
	}
	f(nil, "")
	f([]blob.Hop{}, "")
	f([]blob.Hop{{Origin: "disk-a", Elapsed: 81 * time.Microsecond}},
		`{"stacks":[{"origin_name":"disk-a","host_name":"edge1","timing":81000}]}`)
	f([]blob.Hop{
		{Origin: "disk", Elapsed: 1},
		{Origin: "http-player", Host: "origin7", Elapsed: 2 * time.Second},
		{Origin: "caching", Elapsed: 3 * time.Second},
	}, `{"stacks":[{"origin_name":"disk","host_name":"edge1","timing":1},`+
		`{"origin_name":"http-player","host_name":"origin7","timing":2000000000},`+
		`{"origin_name":"caching","host_name":"edge1","timing":3000000000}]}`)
	f([]blob.Hop{{Origin: "a\"\\\r\n\x7f\x00é😀\xff", Host: "h", Elapsed: -5}},
		`{"stacks":[{"origin_name":"a\"\\\u000d\u000a\u007f\u0000\u00e9\ud83d\ude00\ufffd","host_name":"h","timing":0}]}`)
}

func TestDecodeVia(t *testing.T) {
	hop := func(origin, host string, ns int64) blob.Hop {
		return blob.Hop{Origin: origin, Host: host, Elapsed: time.Duration(ns)}
	}
	f := func(in string, want ...blob.Hop) {
		t.Helper()
		if got := httpblob.DecodeVia(in); !slices.Equal(got, want) {
			t.Errorf("DecodeVia(%.80q) = %v, want %v", in, got, want)
		}
	}
	// As the deployed servers order their keys.
	f(`{"stacks":[{"timing":5,"origin_name":"s3","host_name":"h"},{"timing":9,"origin_name":"caching","host_name":"h"}]}`,
		hop("s3", "h", 5), hop("caching", "h", 9))
	f(` { "stacks" : [ { "origin_name" : "a", "more" : [1] } ], "x": {} } `, hop("a", httpblob.UnknownHost, 0))
	f(`{"stacks":[{}]}`, hop("", httpblob.UnknownHost, 0))

	for _, odd := range []string{
		"", " ", "1.1 vegur", "{", "null", "[]", `"x"`, "{}", `{"stacks":null}`, `{"stacks":[]}`, `{"stacks":{}}`,
		`{"stacks":[1]}`, `{"stacks":[{"timing":-1}]}`, `{"stacks":[{"timing":1.5}]}`, `{"stacks":[{"timing":"1"}]}`,
		`{"stacks":[{"timing":9223372036854775808}]}`, `{"stacks":[{"origin_name":1}]}`, `{"stacks":[{}]}x`,
		`{"stacks":[{"origin_name":"` + strings.Repeat("a", httpblob.MaxViaName+1) + `"}]}`,
		`{"stacks":[` + strings.Repeat(`{},`, httpblob.MaxViaHops) + `{}]}`,
		`{"stacks":[{}]}` + strings.Repeat(" ", httpblob.MaxViaBytes),
		strings.Repeat("[", httpblob.MaxViaBytes),
	} {
		f(odd)
	}
}

// A trace of any length gives a header within the bounds that this package itself reads back.
func TestEncodeViaBounds(t *testing.T) {
	for _, name := range []string{"disk-a", strings.Repeat("é", 400), strings.Repeat("\x00", 400), strings.Repeat("\x80", 400)} {
		for _, n := range []int{1, httpblob.MaxViaHops, 10 * httpblob.MaxViaHops} {
			hops := slices.Repeat([]blob.Hop{{Origin: name, Host: name, Elapsed: time.Hour}}, n)
			checkVia(t, httpblob.EncodeVia(hops, "local"))
		}
	}
}

// checkVia demands what clients and proxies need of a header value.
func checkVia(t *testing.T, s string) {
	t.Helper()
	if s == "" || len(s) > httpblob.MaxViaBytes {
		t.Fatalf("a value of %d bytes", len(s))
	}
	if !json.Valid([]byte(s)) {
		t.Fatalf("not JSON: %q", s)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
		t.Fatalf("byte %d is not printable ASCII: %q", i, s)
	}
}

func FuzzDecodeVia(f *testing.F) {
	f.Add(`{"stacks":[{"origin_name":"disk-a","host_name":"edge1","timing":81000}]}`)
	f.Add(`{"stacks":[{"timing":5,"origin_name":"s3","host_name":""},{}]}`)
	f.Add("1.1 varnish")
	f.Add(`{"stacks":[{"origin_name":"\ud83d\ude00\ud800"}]}`)
	f.Fuzz(func(t *testing.T, in string) {
		hops := httpblob.DecodeVia(in)
		if hops == nil {
			return
		}
		out := httpblob.EncodeVia(hops, "local")
		checkVia(t, out)
		again := httpblob.DecodeVia(out)
		if len(again) == 0 || len(again) > len(hops) || !slices.Equal(again, hops[:len(again)]) {
			t.Fatalf("%q decodes to %v, encodes to %q, decodes to %v", in, hops, out, again)
		}
	})
}

func FuzzEncodeVia(f *testing.F) {
	f.Add("disk-a", "edge1", int64(81000))
	f.Add("\xff\x00\"", "", int64(-1))
	f.Fuzz(func(t *testing.T, origin, host string, ns int64) {
		checkVia(t, httpblob.EncodeVia([]blob.Hop{{Origin: origin, Host: host, Elapsed: time.Duration(ns)}}, "local"))
	})
}

func TestPaths(t *testing.T) {
	h := blob.Sum([]byte("x"))
	hex := h.String()
	for shard, want := range map[int]string{
		-1: hex, 0: hex, 2: hex[:2] + "/" + hex, 95: hex[:95] + "/" + hex, 96: hex, 1000: hex,
	} {
		if got := httpblob.ObjectPath(h, shard); got != want {
			t.Errorf("ObjectPath(%d) = %s, want %s", shard, got, want)
		}
	}
	if got := httpblob.ETag(h); got != `"`+hex+`"` {
		t.Errorf("ETag = %s", got)
	}
	if got := httpblob.ContentDisposition(h); got != "filename="+hex {
		t.Errorf("ContentDisposition = %s", got)
	}
}

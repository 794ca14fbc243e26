package stream_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

func TestSniff(t *testing.T) {
	f := func(data string, want blob.Kind) {
		t.Helper()
		if got := stream.Sniff([]byte(data)); got != want {
			t.Errorf("Sniff(%.60q) = %v, want %v", data, got, want)
		}
	}
	const sd = `{"blobs": [{"blob_hash": "ab", "blob_num": 0, "iv": "00", "length": 16}, {"blob_num": 1, "iv": "01", ` +
		`"length": 0}], "key": "00", "stream_hash": "cd", "stream_name": "61", "stream_type": "lbryfile"}`
	f(sd, blob.KindSD)
	f(`{"stream_hash":"x"}`, blob.KindSD)
	f(`{"blobs":7,"stream_hash":"x"}`+"\n", blob.KindSD)

	for _, content := range []string{
		"", "{", "{}", `{"stream_hash":""}`, `{"stream_hash":null}`, `{"stream_hash":1}`, `{"stream_hash":["x"]}`,
		` {"stream_hash":"x"}`, "\ufeff" + `{"stream_hash":"x"}`, `[{"stream_hash":"x"}]`, `"stream_hash"`,
		`{"stream_hash":"x"`, `{"stream_hash":"x"}}`, `{"a":{"stream_hash":"x"}}`, sd[:len(sd)-1], sd + "x",
		"{" + strings.Repeat("\x00", 100), strings.Repeat("[", blob.MaxSize),
		`{"a":` + strings.Repeat("[", blob.MaxSize-5),
	} {
		f(content, blob.KindContent)
	}
}

func TestMaySniff(t *testing.T) {
	f := func(head string, want bool) {
		t.Helper()
		if got := stream.MaySniff([]byte(head)); got != want {
			t.Errorf("MaySniff(%q) = %v", head, got)
		}
	}
	f("{", true)
	f("{ \r\n\t", true)
	f(`{"`, true)
	f("{\n  \"stream_hash", true)
	f("", false)
	f("{}", false)
	f("{a", false)
	f(" {", false)
	f("{\x00", false)
}

func FuzzSniff(f *testing.F) {
	f.Add([]byte(`{"stream_hash":"cd","blobs":[]}`))
	f.Add([]byte("{ \n\t\"stream_hash\": \"cd\"}"))
	f.Add([]byte(`{"stream_hash":""}`))
	f.Add([]byte("{\x00\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		kept := bytes.Clone(data)
		kind := stream.Sniff(data)
		if !bytes.Equal(data, kept) {
			t.Fatal("Sniff changed its argument")
		}
		for n := 1; kind == blob.KindSD && n <= min(len(data), 64); n++ {
			if !stream.MaySniff(data[:n]) {
				t.Fatalf("%q is an SD blob, and its first %d bytes say that it is none", data, n)
			}
		}
		if kind == blob.KindSD && (data[0] != '{' || !json.Valid(data)) {
			t.Fatalf("%q is called an SD blob", data)
		}
		// The plain case, one key without an escape: with duplicates the two ways of parsing may differ.
		if kind == blob.KindContent && bytes.HasPrefix(data, []byte("{")) && !bytes.Contains(data, []byte(`\`)) &&
			bytes.Count(data, []byte("stream_hash")) == 1 {
			var all map[string]any
			if json.Unmarshal(data, &all) == nil && len(all) == 1 && all["stream_hash"] != "" {
				if s, ok := all["stream_hash"].(string); ok {
					t.Fatalf("%q with stream_hash %q is called content", data, s)
				}
			}
		}
	})
}

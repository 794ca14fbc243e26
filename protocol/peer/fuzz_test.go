package peer_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/peer"
)

func seeds(f *testing.F) {
	for _, tr := range transcripts {
		f.Add([]byte(named(tr.request)+named(tr.bytes)), uint64(1))
	}
	for _, s := range []string{
		"", "{", "x", "{}{}", "{} \n{}x", `{"a":"}\"}{"}`, `{"a":"\u0000\\"}{"requested_blob":5}`, "{\"\xff\":1}", "{]{}",
		strings.Repeat("{", 100), `{"a":[` + strings.Repeat(" ", 70_000) + `]}`,
		`{"requested_blobs":[1,"x",null,[]],"requested_blobs":null,"blob_data_payment_rate":-0e5}`,
		`{"incoming_blob":{"error":"\ud800"}}`,
	} {
		f.Add([]byte(named(s)), uint64(2))
	}
}

// FuzzMessages demands that what comes out does not depend on how it came in.
func FuzzMessages(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, input []byte, seed uint64) {
		whole, wholeErr := cut(t, string(input), 1<<30)
		r := rand.New(rand.NewPCG(seed, 0))
		sizes := make([]int, 50)
		for i := range sizes {
			sizes[i] = 1 + r.IntN(1<<r.IntN(18))
		}
		pieces, err := cut(t, string(input), sizes...)
		if !slices.Equal(whole, pieces) || (err == nil) != (wholeErr == nil) || err != nil && kindOf(err) != kindOf(wholeErr) {
			t.Fatalf("%d messages and %v in one piece, %d and %v in pieces", len(whole), wholeErr, len(pieces), err)
		}
		// The first JSON object that there is, is the first message.
		var first json.RawMessage
		if json.NewDecoder(bytes.NewReader(input)).Decode(&first) == nil && input[0] == '{' && wholeErr == nil {
			if len(whole) == 0 || whole[0] != string(first) {
				t.Fatalf("the first message is %q, want %q", whole, first)
			}
		}
	})
}

// FuzzParse compares the parsers with encoding/json, which reads the same keys.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, input []byte, _ uint64) {
		messages, _ := cut(t, string(input), 1<<30)
		for _, message := range append(messages, string(input)) {
			checkRequest(t, message)
			if r, err := peer.ParseResponse([]byte(message)); err == nil {
				again, err := peer.ParseResponse(r.Append(nil))
				if r.Incoming != nil && r.Incoming.Error != "" { // its text may have lost what is no UTF-8
					again.Incoming.Error = r.Incoming.Error
				}
				if err != nil || !reflect.DeepEqual(again, r) {
					t.Fatalf("%+v reads back as %+v, %v", r, again, err)
				}
			}
		}
	})
}

func checkRequest(t *testing.T, message string) {
	t.Helper()
	r, err := peer.ParseRequest([]byte(message))
	if err != nil {
		if !reflect.DeepEqual(r, peer.Request{}) {
			t.Fatalf("%+v beside an error", r)
		}
		return
	}
	var want map[string]any
	if e := json.Unmarshal([]byte(message), &want); e != nil && !strings.Contains(e.Error(), "cannot unmarshal number") {
		t.Fatalf("%q was read, and encoding/json says %v", message, e)
	}
	text, _ := want["requested_blob"].(string)
	h, e := blob.ParseHash(text)
	if e == nil && (!r.HasBlob || r.Blob != h) {
		t.Fatalf("%q: requested_blob was lost", message)
	}
	list, _ := want["requested_blobs"].([]any)
	for _, v := range list {
		text, _ := v.(string)
		if h, e := blob.ParseHash(text); e == nil && !slices.Contains(r.Wanted, h) {
			t.Fatalf("%q: %s was lost", message, h)
		}
	}
	if again, err := peer.ParseRequest(r.Append(nil)); err != nil || !reflect.DeepEqual(again, r) {
		t.Fatalf("%+v reads back as %+v, %v", r, again, err)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	message := []byte(named(transcripts[0].request))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := peer.ParseRequest(message); err != nil {
			b.Fatal(err)
		}
	}
}

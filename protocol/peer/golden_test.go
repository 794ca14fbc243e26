package peer_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/peer"
)

// transcript is one request as a deployed client sends it, what it means, an answer, and its very bytes.
type transcript struct {
	name    string
	request string
	means   string
	answer  peer.Response
	bytes   string
}

// What every answer starts with.
const top = `{"lbrycrd_address":"bJxKvpD96kaJLriqVajZ7SaQTsWWyrGQct","available_blobs":`

var transcripts = []transcript{
	{"the SDK asks for a blob",
		`{"requested_blobs": ["$A"], "lbrycrd_address": true, "blob_data_payment_rate": 0.0, "requested_blob": "$A"}`,
		"wanted A, blob A, accepted",
		peer.Response{Available: []blob.Hash{hashA}, Rate: peer.RateAccepted, Incoming: &peer.Incoming{Hash: hashA, Length: 2097152}},
		top + `["$A"],"blob_data_payment_rate":"RATE_ACCEPTED","incoming_blob":{"blob_hash":"$A","length":2097152}}`},
	{"the SDK asks for a blob that is missing",
		`{"requested_blobs": ["$A"], "lbrycrd_address": true, "blob_data_payment_rate": 0.0, "requested_blob": "$A"}`,
		"wanted A, blob A, accepted",
		peer.Response{Rate: peer.RateAccepted, Incoming: &peer.Incoming{Error: peer.NotFound}},
		top + `[],"blob_data_payment_rate":"RATE_ACCEPTED","incoming_blob":{"error":"blob not found","blob_hash":"","length":0}}`},
	{"a Go client asks for a blob",
		`{"requested_blob":"$B"}`, "blob B",
		peer.Response{Incoming: &peer.Incoming{Hash: hashB, Length: 1}},
		top + `[],"incoming_blob":{"blob_hash":"$B","length":1}}`},
	{"a Go client asks for a blob that is missing",
		`{"requested_blob":"$B"}`, "blob B",
		peer.Response{Incoming: &peer.Incoming{Error: peer.NotFound}},
		top + `[],"incoming_blob":{"error":"blob not found","blob_hash":"","length":0}}`},
	{"a Go client asks whether a blob is there",
		`{"lbrycrd_address":false,"requested_blobs":["$A"]}`, "wanted A",
		peer.Response{Available: []blob.Hash{hashA}}, top + `["$A"]}`},
	{"several, of which some are there",
		`{"lbrycrd_address":true,"requested_blobs":["$A","$B","$C"]}`, "wanted A, wanted B, wanted C",
		peer.Response{Available: []blob.Hash{hashC, hashA}}, top + `["$C","$A"]}`},
	{"none of them is there",
		`{"lbrycrd_address":true,"requested_blobs":["$A"]}`, "wanted A", peer.Response{}, top + `[]}`},
	{"only the rate", `{"blob_data_payment_rate":0}`, "accepted",
		peer.Response{Rate: peer.RateAccepted}, top + `[],"blob_data_payment_rate":"RATE_ACCEPTED"}`},
	{"a rate that is too low", `{"blob_data_payment_rate":-0.0001}`, "too low",
		peer.Response{Rate: peer.RateTooLow}, top + `[],"blob_data_payment_rate":"RATE_TOO_LOW"}`},
	{"only the address", `{"lbrycrd_address":true}`, "", peer.Response{}, top + `[]}`},
	{"nothing", `{}`, "", peer.Response{}, top + `[]}`},
}

func TestGolden(t *testing.T) {
	for _, tr := range transcripts {
		request := named(tr.request)
		if got := parsed(request); got != tr.means {
			t.Errorf("%s: means %q, want %q", tr.name, got, tr.means)
		}
		got := string(tr.answer.Append(nil))
		if want := named(tr.bytes); got != want {
			t.Errorf("%s:\n got %s\nwant %s", tr.name, got, want)
		}
		if len(tr.answer.Available) <= 1 && len(got) >= 512 {
			t.Errorf("%s: %d bytes, and clients read 512", tr.name, len(got))
		}
		back, err := peer.ParseResponse([]byte(got))
		if err != nil || !reflect.DeepEqual(back, tr.answer) {
			t.Errorf("%s: reads back as %+v, %v", tr.name, back, err)
		}
	}
}

// The length of what the SDK sends, as it was seen on the wire.
func TestRequestOfTheSDK(t *testing.T) {
	if n := len(named(transcripts[0].request)); n != 295 {
		t.Errorf("%d bytes, want 295", n)
	}
}

// Every request a byte at a time, alone and all of them in a row, and in one piece.
func TestGoldenByteAtATime(t *testing.T) {
	var all []string
	for _, tr := range transcripts {
		request := named(tr.request)
		all = append(all, request)
		if got, err := cut(t, request, 1); err != nil || len(got) != 1 || got[0] != request {
			t.Errorf("%s: came apart as %q, %v", tr.name, got, err)
		}
		if got, err := cut(t, request[:len(request)-1], 1); err != nil || len(got) != 0 {
			t.Errorf("%s: without its end it is %q, %v", tr.name, got, err)
		}
		answer := named(tr.bytes)
		if got, err := cut(t, answer, 1); err != nil || len(got) != 1 || got[0] != answer {
			t.Errorf("%s: the answer came apart as %q, %v", tr.name, got, err)
		}
	}
	for _, size := range []int{1, 7, 300, 1 << 20} {
		for _, between := range []string{"", "\n", " \r\n\t"} {
			got, err := cut(t, strings.Join(all, between)+between, size)
			if err != nil || !reflect.DeepEqual(got, all) {
				t.Errorf("in pieces of %d with %q between: %d messages, %v", size, between, len(got), err)
			}
		}
	}
}

// Two requests in one piece that is split at every byte.
func TestSplitEverywhere(t *testing.T) {
	first, second := named(transcripts[0].request), named(transcripts[2].request)
	for i := range len(first) + len(second) {
		got, err := cut(t, first+second, max(i, 1), 1<<20)
		if err != nil || len(got) != 2 || got[0] != first || got[1] != second {
			t.Fatalf("split at %d: %q, %v", i, got, err)
		}
	}
}

// What our own client sends is short enough for old servers, and means what it says.
func TestOwnRequests(t *testing.T) {
	f := func(r peer.Request, want, means string) {
		t.Helper()
		got := string(r.Append(nil))
		if got != named(want) || parsed(got) != means || len(got) > 512 {
			t.Errorf("%d bytes %s, means %q", len(got), got, parsed(got))
		}
	}
	f(peer.Request{Blob: hashA, HasBlob: true}, `{"lbrycrd_address":true,"requested_blob":"$A"}`, "blob A")
	f(peer.Request{Wanted: []blob.Hash{hashA, hashB, hashC}},
		`{"requested_blobs":["$A","$B","$C"],"lbrycrd_address":true}`, "wanted A, wanted B, wanted C")
	f(peer.Request{Wanted: []blob.Hash{hashA}, Blob: hashA, HasBlob: true, Rate: peer.RateAccepted},
		`{"requested_blobs":["$A"],"lbrycrd_address":true,"blob_data_payment_rate":0.0,"requested_blob":"$A"}`,
		"wanted A, blob A, accepted")
	f(peer.Request{Rate: peer.RateTooLow}, `{"lbrycrd_address":true,"blob_data_payment_rate":-1.0}`, "too low")
}

// The bytes of a blob follow its message at once, and may look like anything.
func TestTake(t *testing.T) {
	body := "{\"\n} the blob"
	var m peer.Messages
	m.Add(copy(m.Room(), "{} \n"+body))
	if got, err := m.Next(); string(got) != "{}" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if m.Held() != 2+len(body) {
		t.Errorf("%d bytes held", m.Held())
	}
	out := make([]byte, 5)
	var got bytes.Buffer
	for n := m.Take(out); n > 0; n = m.Take(out) {
		got.Write(out[:n])
	}
	if got.String() != " \n"+body || m.Held() != 0 {
		t.Errorf("took %q, %d held", got.String(), m.Held())
	}
	m.Add(copy(m.Room(), "{}"))
	if got, err := m.Next(); string(got) != "{}" || err != nil {
		t.Errorf("the next message is %q, %v", got, err)
	}
}

package peer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/peer"
)

// BAD-INPUTS 37 to 40, 42: what is no message, and what is a large one. In pieces of any size it ends the same way, and
// as soon as it can.
func TestBadMessages(t *testing.T) {
	filled := func(n int) string { return `{"a":"` + strings.Repeat("}", n-len(`{"a":""}`)) + `"}` }
	for _, c := range []struct {
		name, input string
		messages    int
		err         string
	}{
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", 0, "not an object"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 0, "not an object"},
		{"BOM", "\xef\xbb\xbf{}", 0, "not an object"},
		{"a list", "[{}]", 0, "not an object"},
		{"a blank first", " {}", 0, "not an object"},
		{"garbage after a message", "{}x{}", 1, "not an object"},
		{"a brace too many", "{}}{}", 1, "not an object"},
		{"a brace that closes a bracket", `{"a":[}]}`, 0, "syntax"},
		{"a bracket that closes a brace", "{]", 0, "syntax"},
		{"a brace alone", "{", 0, ""},
		{"a string without end", `{"a":"}}}`, 0, ""},
		{"escapes", `{"\"}":"\\\"}","\\":"\\"}{}`, 2, ""},
		{"64 KiB", filled(peer.MaxMessage) + "{}", 2, ""},
		{"64 KiB and a byte", filled(peer.MaxMessage + 1), 0, "too large"},
		{"64 KiB without an end", "{" + strings.Repeat(" ", 1<<20), 0, "too large"},
		{"braces in a string without end", `{"a":"` + strings.Repeat("}", 1<<20), 0, "too large"},
		{"1,000,000 braces", strings.Repeat("{", 1_000_000), 0, "too deep"},
		{"100,000 nested objects", strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000), 0, "too deep"},
		{"100,000 nested lists", `{"a":` + strings.Repeat("[", 100_000), 0, "too deep"},
		{"as deep as may be", strings.Repeat(`{"a":`, peer.MaxDepth) + "1" + strings.Repeat("}", peer.MaxDepth), 1, ""},
		{"10^5 hashes", `{"requested_blobs":["` + strings.Repeat(hashA.String()+`","`, 100_000) + `"]}`, 0, "too large"},
		{"blanks without end", "{}" + strings.Repeat(" \n", 1<<17), 1, ""},
	} {
		for _, size := range []int{1, 4095, 1 << 20} {
			got, err := cut(t, c.input, size)
			if len(got) != c.messages || err == nil != (c.err == "") || err != nil && kindOf(err) != c.err {
				t.Errorf("%s in pieces of %d: %d messages, %v; want %d, %q", c.name, size, len(got), err, c.messages, c.err)
			}
		}
	}
}

// A buffer that was large is given back.
func TestIdleHoldsLittle(t *testing.T) {
	var m peer.Messages
	for input := `{"a":"` + strings.Repeat("x", 60_000) + `"}`; input != ""; {
		n := copy(m.Room(), input)
		m.Add(n)
		input = input[n:]
		if got, err := m.Next(); (got != nil) != (input == "") || err != nil {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if n := len(m.Room()); n > 512 {
		t.Errorf("%d bytes of room while nothing is held", n)
	}
}

// BAD-INPUTS 41 to 45: what requests may hold.
func TestRequests(t *testing.T) {
	f := func(request, want string) {
		t.Helper()
		if got := parsed(named(request)); got != want {
			t.Errorf("%.200s: %q, want %q", request, got, want)
		}
	}
	f(`{"blob_data_payment_rate":1e999}`, "accepted")
	f(`{"blob_data_payment_rate":-1e-999}`, "too low")
	f(`{"blob_data_payment_rate":-1}`, "too low")
	f(`{"blob_data_payment_rate":-0.0E9}`, "accepted")
	f(`{"blob_data_payment_rate":"x"}`, "error: malformed")
	f(`{"blob_data_payment_rate":true}`, "error: malformed")
	f(`{"blob_data_payment_rate":[0]}`, "error: malformed")
	f(`{"blob_data_payment_rate":NaN}`, "error: syntax")
	f(`{"blob_data_payment_rate":Infinity}`, "error: syntax")
	f(`{"blob_data_payment_rate":01}`, "error: syntax")
	f(`{"blob_data_payment_rate":null}`, "")

	f(`{"requested_blob":null}`, "")
	f(`{"requested_blob":1}`, "error: malformed")
	f(`{"requested_blob":["$A"]}`, "error: malformed")
	f(`{"requested_blob":{}}`, "error: malformed")
	f(`{"requested_blob":""}`, "error: hash")
	f(`{"requested_blob":"`+hashA.String()[1:]+`"}`, "error: hash")
	f(`{"requested_blob":"$A0"}`, "error: hash")
	f(`{"requested_blob":"`+strings.ToUpper(hashA.String())+`"}`, "error: hash")
	f(`{"requested_blob":"..`+hashA.String()[2:]+`"}`, "error: hash")
	f(`{"requested_blob":"`+strings.Repeat("../", 32)+`"}`, "error: hash")
	f(`{"requested_blob":"\u0000`+hashA.String()[1:]+`"}`, "error: hash")
	f(`{"requested_blob":"`+fmt.Sprintf(`\u%04x`, hashA.String()[0])+hashA.String()[1:]+`"}`, "blob A")

	f(`{"requested_blobs":null}`, "")
	f(`{"requested_blobs":[]}`, "")
	f(`{"requested_blobs":"$A"}`, "error: malformed")
	f(`{"requested_blobs":{"$A":1}}`, "error: malformed")
	f(`{"requested_blobs":["$A","$B","$A","$B"]}`, "wanted A, wanted B")
	f(`{"requested_blobs":[ "$B" , null , 1, true, "", "..", ["$A"], {"$A":"$A"}, "`+strings.ToUpper(hashA.String())+`", "$C" ]}`,
		"wanted B, wanted C")

	f(`{"lbrycrd_address":null}`, "")
	f(`{"lbrycrd_address":1}`, "error: malformed")
	f(`{"lbrycrd_address":"true"}`, "error: malformed")

	f(`{"requested_blob":"x","requested_blob":"$A"}`, "error: hash")
	f(`{"requested_blob":"$A","requested_blob":"$B"}`, "blob B")
	f(`{"requested_blobs":["$A"],"requested_blobs":["$B"]}`, "wanted B")
	f(`{"Requested_Blob":"$A","REQUESTED_BLOB":1}`, "")
	f(`{"\ud800":"\udfff","a":"\ud800x","requested_blob":"$A"}`, "blob A")
	f(`{"requested_blob":"\ud800"}`, "error: hash")
	f("{\"\xff\":\"\xfe\",\"requested_blob\":\"$A\"}", "blob A")
	f(`{"unknown":{"requested_blob":"$B","a":["]","}",{"\"":"\\"}]},"requested_blob":"$A","more":[[[1.5e3]],false]}`, "blob A")
	f(" {}", "error: syntax")
	f("", "error: syntax")
	f("[]", "error: syntax")
	f("{}x", "error: syntax")
	f("{]", "error: syntax")
	f(`{"a" "b"}`, "error: syntax")
	f(`{"a":1,}`, "error: syntax")
	f(`{a:1}`, "error: syntax")
	f("{\"a\":\"\n\"}", "error: syntax")
	f(strings.Repeat(`{"a":`, 1000)+"1"+strings.Repeat("}", 1000), "error: too deep")
}

// A request for 500 hashes, in order.
func TestManyHashes(t *testing.T) {
	var want []blob.Hash
	for i := range 500 {
		want = append(want, blob.Sum(fmt.Append(nil, i)))
	}
	r := peer.Request{Wanted: want}
	message := r.Append(nil)
	if len(message) > peer.MaxMessage {
		t.Fatalf("%d bytes", len(message))
	}
	messages, err := cut(t, string(message), 1000)
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	got, err := peer.ParseRequest([]byte(messages[0]))
	if err != nil || fmt.Sprint(got.Wanted) != fmt.Sprint(want) {
		t.Errorf("%d hashes, %v", len(got.Wanted), err)
	}
}

// What servers answer is read whatever the order of its keys, and not taken for a blob unless it names one.
func TestResponses(t *testing.T) {
	f := func(answer, want string) {
		t.Helper()
		r, err := peer.ParseResponse([]byte(named(answer)))
		got := fmt.Sprint("error: ", kindOf2(err))
		if err == nil {
			got = fmt.Sprintf("%d available, rate %d", len(r.Available), r.Rate)
			if in := r.Incoming; in != nil {
				got += fmt.Sprintf(", %q %s %d", in.Error, letterOrNone(in.Hash), in.Length)
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", answer, got, want)
		}
	}
	f(`{}`, "0 available, rate 0")
	f(`{"incoming_blob": {"length": 5, "blob_hash": "$A"}, "blob_data_payment_rate": "RATE_ACCEPTED", "available_blobs": ["$A", "$B"]}`,
		`2 available, rate 1, "" A 5`)
	f(`{"incoming_blob":{"blob_hash":"$A","length":5,"x":[]},"x":1,"blob_data_payment_rate":7,"available_blobs":null}`,
		`0 available, rate 0, "" A 5`)
	f(`{"incoming_blob":{"blob_hash":"$A","length":-5}}`, `0 available, rate 0, "" A -5`)
	f(`{"incoming_blob":{"error":"blob not found","blob_hash":"$A","length":5}}`, `0 available, rate 0, "blob not found" none 0`)
	f(`{"incoming_blob":{"error":"blob not found"}}`, `0 available, rate 0, "blob not found" none 0`)
	f(`{"incoming_blob":{"error":""}}`, `0 available, rate 0, "an error without a text" none 0`)
	f(`{"incoming_blob":{"error":5}}`, `0 available, rate 0, "an error without a text" none 0`)
	f(`{"incoming_blob":{"error":null,"blob_hash":"$A","length":5}}`, `0 available, rate 0, "" A 5`)
	f(`{"incoming_blob":null}`, "0 available, rate 0")
	for _, bad := range []string{
		`{"incoming_blob":{}}`, `{"incoming_blob":[]}`, `{"incoming_blob":{"blob_hash":"$A"}}`, `{"incoming_blob":{"length":5}}`,
		`{"incoming_blob":{"blob_hash":"$A","length":"5"}}`, `{"incoming_blob":{"blob_hash":"$A","length":1.5}}`,
		`{"incoming_blob":{"blob_hash":"$A","length":1e99}}`, `{"incoming_blob":{"blob_hash":"$A","length":9223372036854775808}}`,
		`{"incoming_blob":{"blob_hash":"","length":5}}`, `{"incoming_blob":{"blob_hash":5,"length":5}}`, `{"available_blobs":"$A"}`,
	} {
		f(bad, "error: malformed")
	}
	f(`{"incoming_blob":{"blob_hash"}}`, "error: syntax")
	f(`x`, "error: syntax")
}

func kindOf2(err error) string {
	if err == nil {
		return ""
	}
	return kindOf(err)
}

func letterOrNone(h blob.Hash) string {
	if h == (blob.Hash{}) {
		return "none"
	}
	return letter(h)
}

// Whatever the text of an error, the answer is JSON that clients can read.
func TestErrorText(t *testing.T) {
	r := peer.Response{Incoming: &peer.Incoming{Error: "a \"quote\"\n\xff"}}
	got := r.Append(nil)
	if !json.Valid(got) || bytes.ContainsAny(got, "\n") {
		t.Errorf("%q", got)
	}
}

package reflector_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/reflector"
)

var (
	hashA = strings.Repeat("a1", blob.HashSize)
	hashB = strings.Repeat("0f", blob.HashSize)
)

// transcripts are the uploads of deployed clients, with bodies of 5 bytes, and the answers to the byte. The SDK writes
// JSON with blanks, Go clients without.
var transcripts = []struct {
	name   string
	client []string // objects and bodies, in turns as the answers demand
	server []string
}{
	{
		"the SDK uploads a stream",
		[]string{
			`{"version": 1}`,
			`{"sd_blob_hash": "` + hashA + `", "sd_blob_size": 5}`, "hello",
			`{"blob_hash": "` + hashB + `", "blob_size": 5}`, "{\"}\x00{",
			`{"blob_hash": "` + hashA + `", "blob_size": 2097152}`,
		},
		[]string{`{"version":1}`, `{"send_sd_blob":true}`, `{"received_sd_blob":true}`, `{"send_blob":true}`, `{"received_blob":true}`, `{"send_blob":false}`},
	},
	{
		"a Go client, a known stream",
		[]string{
			`{"version":0}`,
			`{"sd_blob_hash":"` + hashA + `","sd_blob_size":5}`,
			`{"sd_blob_hash":"` + hashB + `","sd_blob_size":5}` + "\n",
			`{"blob_hash":"` + hashB + `","blob_size":5}`, "wrong",
		},
		[]string{
			`{"version":0}`, `{"send_sd_blob":false}`, `{"send_sd_blob":false,"needed_blobs":["` + hashB + `","` + hashA + `"]}`,
			`{"send_blob":true}`, `{"received_blob":false}`,
		},
	},
}

// Every transcript is read the same however it is cut.
func TestTranscripts(t *testing.T) {
	for _, tr := range transcripts {
		t.Run(tr.name, func(t *testing.T) {
			for _, piece := range []int{1, 2, 3, 64, 97, 1 << 20} {
				replay(t, strings.Join(tr.client, ""), tr.client, tr.server, piece)
				answers(t, strings.Join(tr.server, ""), tr.server, piece)
			}
		})
	}
}

// replay reads what a client sends in pieces; the server's side of the transcript says where bodies are.
func replay(t *testing.T, all string, client, server []string, piece int) {
	t.Helper()
	d := reflector.NewDecoder(reflector.MaxMessage)
	feed := func() {
		n := min(piece, len(all))
		if n == 0 {
			t.Fatalf("pieces of %d: more is wanted than there is", piece)
		}
		_, _ = d.Write([]byte(all[:n]))
		all = all[n:]
	}
	object := func() []byte {
		for {
			o, ok, err := d.Next()
			if err != nil {
				t.Fatalf("pieces of %d: %v", piece, err)
			}
			if ok {
				return o
			}
			feed()
		}
	}
	want := func(i int, got string) {
		if got != strings.TrimSpace(client[i]) {
			t.Fatalf("pieces of %d: message %d is %q, want %q", piece, i, got, client[i])
		}
	}
	o := object()
	want(0, string(o))
	v, err := reflector.ParseVersion(o)
	if got := reflector.AppendVersion(nil, v); err != nil || string(got) != server[0] {
		t.Fatalf("handshake %q: %v, answer %q", o, err, got)
	}
	i := 1
	for i < len(client) {
		o := object()
		want(i, string(o))
		i++
		r, err := reflector.ParseRequest(o)
		if err != nil || !strings.Contains(string(o), r.Hash.String()) || (r.Kind == blob.KindSD) != strings.Contains(string(o), "sd_") {
			t.Fatalf("%q: %+v, %v", o, r, err)
		}
		if i == len(client) || strings.HasPrefix(client[i], `{"s`) || strings.HasPrefix(client[i], `{"b`) {
			continue // it was not wanted
		}
		body := bytes.Clone(d.TakeBytes(int(r.Size)))
		for len(body) < int(r.Size) {
			feed()
			body = append(body, d.TakeBytes(int(r.Size)-len(body))...)
		}
		want(i, string(body))
		i++
	}
	if d.Pending() != 0 || len(all) != 0 {
		t.Errorf("pieces of %d: %d and %d bytes are left", piece, d.Pending(), len(all))
	}
}

// answers reads what the server says, as a client does, and writes it again.
func answers(t *testing.T, all string, server []string, piece int) {
	t.Helper()
	d := reflector.NewDecoder(reflector.MaxAnswer)
	var got []string
	for len(all) > 0 {
		n := min(piece, len(all))
		_, _ = d.Write([]byte(all[:n]))
		all = all[n:]
		for {
			o, ok, err := d.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			got = append(got, rewritten(t, o))
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(server) {
		t.Errorf("pieces of %d: answers %q, want %q", piece, got, server)
	}
}

func rewritten(t *testing.T, o []byte) string {
	t.Helper()
	kind := blob.KindContent
	if bytes.Contains(o, []byte("_sd_")) {
		kind = blob.KindSD
	}
	switch {
	case bytes.Contains(o, []byte("version")):
		v, err := reflector.ParseVersion(o)
		if err != nil {
			t.Fatal(err)
		}
		return string(reflector.AppendVersion(nil, v))
	case bytes.Contains(o, []byte("received")):
		ok, err := reflector.ParseReceipt(o, kind)
		if err != nil {
			t.Fatal(err)
		}
		return string(reflector.AppendReceipt(nil, kind, ok))
	}
	offer, err := reflector.ParseOffer(o, kind)
	if err != nil {
		t.Fatal(err)
	}
	return string(reflector.AppendOffer(nil, kind, offer))
}

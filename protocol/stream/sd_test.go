package stream_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// sdk is an SD blob as the SDK writes it.
const sdk = `{"blobs": [{"blob_hash": "7fbbe509272c28476ea9bfed7ac5e1eee9823025430a9537a88e14eb908ec0fcd6f3ee6c8a882f2266296bc115cf0076", ` +
	`"blob_num": 0, "iv": "00000000000000000000000000000000", "length": 2097152}, {"blob_hash": ` +
	`"b9c753d4cadae797e4b91303b6024de2f06ab90f5deace8c3b09c37e4b4db7ddf95c6c93ed7f8c6fc6a42d31a4af5b3f", "blob_num": 1, ` +
	`"iv": "01010101010101010101010101010101", "length": 2097152}, {"blob_num": 2, "iv": "02020202020202020202020202020202", ` +
	`"length": 0}], "key": "000102030405060708090a0b0c0d0e0f", "stream_hash": ` +
	`"423947fdd542ba1bcb2d049d1752dbfbf3bd967cc2cad3568187e644e48ec3f70ee73d16cbe5e695f4d3c5d22c3989a0", ` +
	`"stream_name": "61", "stream_type": "lbryfile", "suggested_file_name": "61"}`

// list is an SD blob with those hashes, or other texts in their place.
func list(texts ...string) string {
	var b strings.Builder
	for i, text := range texts {
		fmt.Fprintf(&b, `{"blob_num":%d,"length":5,"blob_hash":"%s"},`, i, text)
	}
	return `{"stream_hash":"s","blobs":[` + b.String() + `{"blob_num":9,"length":0}]}`
}

func TestParseSD(t *testing.T) {
	a, b := strings.Repeat("a0", blob.HashSize), strings.Repeat("0b", blob.HashSize)
	f := func(data, streamHash string, want ...string) {
		t.Helper()
		sd, err := stream.ParseSD([]byte(data))
		var got []string
		for _, h := range sd.Blobs {
			got = append(got, h.String())
		}
		if err != nil || sd.StreamHash != streamHash || !slices.Equal(got, want) {
			t.Errorf("ParseSD(%.80q) = %q, %.8q, %v; want %q, %.8q", data, sd.StreamHash, got, err, streamHash, want)
		}
	}
	f(sdk, "423947fdd542ba1bcb2d049d1752dbfbf3bd967cc2cad3568187e644e48ec3f70ee73d16cbe5e695f4d3c5d22c3989a0",
		"7fbbe509272c28476ea9bfed7ac5e1eee9823025430a9537a88e14eb908ec0fcd6f3ee6c8a882f2266296bc115cf0076",
		"b9c753d4cadae797e4b91303b6024de2f06ab90f5deace8c3b09c37e4b4db7ddf95c6c93ed7f8c6fc6a42d31a4af5b3f")
	f(`{"stream_hash":"x"}`, "x")
	f(`{"stream_hash":"x","blobs":null}`, "x")
	f(`{"stream_hash":"x","blobs":[]}`, "x")
	f(` {"stream_hash" : "x" , "blobs" : [ { } ] } `+"\n", "x")
	f(`{"stream\u005fhash":"\u0078\""}`, `x"`)
	f(`{"stream_hash":"x","stream_hash":"y"}`, "y")
	f(`{"a":{"stream_hash":"no","blobs":7},"b":[1,-2.5e9,true,null,"]}"],"stream_hash":"x"}`, "x")
	// BAD-INPUTS 55: what the stricter reader of a stream refuses is taken in.
	f(list(a, b), "s", a, b)
	f(list(b, a, b, a), "s", b, a)
	f(list("", a), "s", a)
	f(`{"stream_hash":"x","blobs":[{"length":-1,"blob_num":0,"blob_hash":"`+a+`"},{"length":1e99,"blob_num":0,"iv":[],"blob_hash":"`+b+`"}]}`, "x", a, b)
	f(`{"stream_hash":"x","blobs":[{"blob_hash":"`+b+`","blob_hash":"`+a+`"},{"blob_hash":null}]}`, "x", a)
	f(strings.Replace(list(a), "a0", `\u0061\u0030`, 1), "s", a)
}

func TestParseSDLengths(t *testing.T) {
	f := func(value string, want int) {
		t.Helper()
		sd, err := stream.ParseSD([]byte(strings.ReplaceAll(list(strings.Repeat("a0", blob.HashSize)), ":5,", ":"+value+",")))
		if err != nil || !slices.Equal(sd.Lengths, []int{want}) {
			t.Errorf("length %s: %v, %v, want %d", value, sd.Lengths, err, want)
		}
	}
	f("5", 5)
	f(" 2097152 ", blob.MaxSize)
	for _, none := range []string{"2097153", "0", "-1", "1e3", "5.0", `"5"`, "null", "[5]", "99999999999999999999"} {
		f(none, 0)
	}
}

func TestParseSDRefuses(t *testing.T) {
	a := strings.Repeat("a0", blob.HashSize)
	for _, data := range []string{
		"", "{", "{}", "null", "7", `"stream_hash"`, `[{"stream_hash":"x"}]`, "\ufeff" + `{"stream_hash":"x"}`, "\x00",
		`{"stream_hash":""}`, `{"stream_hash":null}`, `{"stream_hash":1}`, `{"stream_hash":["x"]}`, `{"Stream_hash":"x"}`,
		`{"stream_hash":"x"`, `{"stream_hash":"x"}}`, `{"stream_hash":"x",}`, `{"a":{"stream_hash":"x"}}`, sdk[:len(sdk)-1], sdk + "x",
		`{"stream_hash":"x","blobs":7}`, `{"stream_hash":"x","blobs":{}}`, `{"stream_hash":"x","blobs":[7]}`,
		`{"stream_hash":"x","blobs":[null]}`, `{"stream_hash":"x","blobs":[{"blob_hash":7}]}`,
		list("abc"), list(a[1:]), list(a + "0"), list(strings.ToUpper(a)), list("../" + a[3:]),
		strings.Repeat("[", blob.MaxSize), `{"a":` + strings.Repeat("[", blob.MaxSize-5), strings.Repeat(`{"a":`, blob.MaxSize/5),
		`{"stream_hash":"` + strings.Repeat("x", blob.MaxSize) + `"}`,
	} {
		if sd, err := stream.ParseSD([]byte(data)); !errors.Is(err, stream.ErrNotSD) || sd.StreamHash != "" || sd.Blobs != nil {
			t.Errorf("ParseSD(%.60q) = %q, %d blobs, %v", data, sd.StreamHash, len(sd.Blobs), err)
		}
	}
}

// However many entries an SD blob of 2 MiB has, they take little memory.
func TestParseSDIsBounded(t *testing.T) {
	var hashes strings.Builder
	n := 0
	for ; hashes.Len() < blob.MaxSize-300; n++ {
		fmt.Fprintf(&hashes, `{"blob_hash":"%s"},`, blob.Sum(fmt.Append(nil, n)))
	}
	fill := func(element string, n int) string { return strings.TrimSuffix(strings.Repeat(element+",", n), ",") }
	for _, c := range []struct {
		name, blobs string
		want        int // hashes; -1: refused
	}{
		{"100,000 entries", fill(`{"blob_num":5}`, 100_000), 0},
		{"as many as fit", fill("{}", (blob.MaxSize-40)/3), 0},
		{"1,000,000 numbers", fill("0", 1_000_000), -1},
		{"as many hashes as fit", hashes.String() + "{}", n},
		{"one hash, as often as it fits", fill(`{"blob_hash":"`+strings.Repeat("0", blob.HexSize)+`"}`, 18_000), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := []byte(`{"stream_hash":"x","blobs":[` + c.blobs + `]}`)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			sd, err := stream.ParseSD(data)
			runtime.ReadMemStats(&after)
			if (err == nil) != (c.want >= 0) || err == nil && len(sd.Blobs) != c.want {
				t.Errorf("%d hashes, %v, want %d", len(sd.Blobs), err, c.want)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
				t.Errorf("it allocated %d bytes", took)
			}
		})
	}
}

func FuzzParseSD(f *testing.F) {
	f.Add([]byte(sdk))
	f.Add([]byte(list(strings.Repeat("a0", blob.HashSize), "")))
	f.Add([]byte(`{"stream_hash":"x\"","a":[{"b":[]},-1e5,null,"\\"],"blobs":[{},{"blob_hash":null}]}`))
	f.Add([]byte(`{"stream_hash":"x","blobs":[{"blob_hash":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		kept := bytes.Clone(data)
		sd, err := stream.ParseSD(data)
		if !bytes.Equal(data, kept) {
			t.Fatal("ParseSD changed its argument")
		}
		var keys map[string]json.RawMessage
		if e := json.Unmarshal(data, &keys); e != nil || keys == nil {
			if err == nil {
				t.Fatalf("%q is taken: %v", data, e)
			}
			return
		}
		if err != nil {
			return
		}
		var want string
		if e := json.Unmarshal(keys["stream_hash"], &want); e != nil || want != sd.StreamHash {
			t.Fatalf("%q: stream_hash %q, want %q, %v", data, sd.StreamHash, want, e)
		}
		var entries []map[string]json.RawMessage
		if raw, ok := keys["blobs"]; ok {
			if e := json.Unmarshal(raw, &entries); e != nil {
				t.Fatalf("%q: blobs: %v", data, e)
			}
		}
		var list []blob.Hash
		for _, e := range entries {
			var text string
			if raw, ok := e["blob_hash"]; ok {
				_ = json.Unmarshal(raw, &text)
			}
			if h, e := blob.ParseHash(text); e == nil && !slices.Contains(list, h) {
				list = append(list, h)
			} else if e != nil && text != "" {
				t.Fatalf("%q: a hash %q is taken", data, text)
			}
		}
		if !slices.Equal(list, sd.Blobs) {
			t.Fatalf("%q: blobs %v, want %v", data, sd.Blobs, list)
		}
	})
}

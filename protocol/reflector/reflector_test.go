package reflector_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/reflector"
)

func TestParseVersion(t *testing.T) {
	f := func(object string, version int, want error) {
		t.Helper()
		got, err := reflector.ParseVersion([]byte(object))
		if got != version || !errors.Is(err, want) {
			t.Errorf("%q: %d, %v; want %d, %v", object, got, err, version, want)
		}
	}
	f(`{"version":0}`, 0, nil)
	f(`{ "x" : [ ] , "version" : 1 }`, 1, nil)
	f(`{"version":2,"version":1}`, 1, nil)
	// BAD-INPUTS 49.
	for _, v := range []string{"2", "3", "-1", "-0", `"1"`, "null", "1e99", "1e0", "1.0", "true", "[1]", "{}", "01234567890123456789"[1:]} {
		f(`{"version":`+v+`}`, 0, reflector.ErrVersion)
	}
	f(`{}`, 0, reflector.ErrVersion)
	f(`{"Version":1}`, 0, reflector.ErrVersion)
	f(`{"blob_hash":"`+hashA+`","blob_size":1}`, 0, reflector.ErrVersion)
	f(`{"version":01}`, 0, reflector.ErrSyntax)
	f(`{"version":NaN}`, 0, reflector.ErrSyntax)
	f(`null`, 0, reflector.ErrSyntax)
}

func TestParseRequest(t *testing.T) {
	parse := func(object string) (reflector.Request, error) { return reflector.ParseRequest([]byte(object)) }
	f := func(object string, kind blob.Kind, hash string, size int64) {
		t.Helper()
		if got, err := parse(object); err != nil || got.Kind != kind || got.Hash.String() != hash || got.Size != size {
			t.Errorf("%q: %v %v %d, %v", object, got.Kind, got.Hash, got.Size, err)
		}
	}
	content, sd := `"blob_hash":"`+hashA+`","blob_size":7`, `"sd_blob_hash":"`+hashB+`","sd_blob_size":8`
	f("{"+content+"}", blob.KindContent, hashA, 7)
	f("{"+sd+"}", blob.KindSD, hashB, 8)
	// BAD-INPUTS 52.
	f("{"+content+","+sd+"}", blob.KindSD, hashB, 8)
	f("{"+sd+","+content+"}", blob.KindSD, hashB, 8)
	f(`{"sd_blob_hash":"","sd_blob_size":0,`+content+"}", blob.KindContent, hashA, 7)
	f(`{"sd_blob_hash":null,`+content+"}", blob.KindContent, hashA, 7)
	f(`{"blob_size":2097152,"blob_hash":"`+hashA+`","more":{"blob_size":1}}`, blob.KindContent, hashA, blob.MaxSize)

	bad := func(object string, want ...error) {
		t.Helper()
		_, err := parse(object)
		for _, w := range want {
			if !errors.Is(err, w) {
				t.Errorf("%.200q: %v, want %v", object, err, w)
			}
		}
	}
	for _, key := range []string{"blob", "sd_blob"} {
		// BAD-INPUTS 50.
		size := func(n string, want ...error) {
			t.Helper()
			bad(`{"`+key+`_hash":"`+hashA+`","`+key+`_size":`+n+`}`, append(want, reflector.ErrSize)...)
		}
		size("-1")
		size("-9223372036854775809")
		size("0", blob.ErrEmpty)
		size("2097153", blob.ErrTooBig)
		size("2147483648", blob.ErrTooBig)
		size("9223372036854775808", blob.ErrTooBig)
		size("18446744073709551615", blob.ErrTooBig)
		for _, n := range []string{"1.5", `"5"`, "null", "1e3", "5.0", "true", "[5]", "{}"} {
			size(n)
		}
		bad(`{"`+key+`_hash":"`+hashA+`"}`, reflector.ErrSize)
		// BAD-INPUTS 51.
		for _, h := range []string{
			`"abcdefg"`, `"` + strings.ToUpper(hashA) + `"`, `"` + hashA[1:] + `"`, `"` + hashA + `0"`, `"../../../etc/passwd"`,
			`"` + strings.Repeat("g", 96) + `"`, `"` + strings.Repeat("../", 32) + `"`, "5", "true", `["` + hashA + `"]`, `{}`,
		} {
			bad(`{"`+key+`_hash":`+h+`,"`+key+`_size":5}`, blob.ErrInvalidHash)
		}
	}
	bad(`{"blob_hash":"","blob_size":5}`, blob.ErrInvalidHash)
	bad(`{"blob_hash":null,"blob_size":5}`, blob.ErrInvalidHash)
	bad(`{"sd_blob_hash":"","sd_blob_size":5}`, reflector.ErrSyntax)
	bad(`{"BLOB_HASH":"`+hashA+`","BLOB_SIZE":5}`, reflector.ErrSyntax)
	bad(`{}`, reflector.ErrSyntax)
	bad(`{"version":1}`, reflector.ErrSyntax)
	bad(`{"blob_hash":"`+hashA+`","blob_size":5,}`, reflector.ErrSyntax)
}

func TestAppendRequest(t *testing.T) {
	h, err := blob.ParseHash(hashA)
	if err != nil {
		t.Fatal(err)
	}
	f := func(kind blob.Kind, want string) {
		t.Helper()
		r := reflector.Request{Kind: kind, Hash: h, Size: 2097152}
		got := reflector.AppendRequest(nil, r)
		if string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if back, err := reflector.ParseRequest(got); err != nil || back != r {
			t.Errorf("%s reads as %+v, %v", got, back, err)
		}
	}
	f(blob.KindContent, `{"blob_hash":"`+hashA+`","blob_size":2097152}`)
	f(blob.KindSD, `{"sd_blob_hash":"`+hashA+`","sd_blob_size":2097152}`)
}

func TestAppendOffer(t *testing.T) {
	f := func(kind blob.Kind, o reflector.Offer, want string) {
		t.Helper()
		if got := string(reflector.AppendOffer([]byte("x"), kind, o)); got != "x"+want {
			t.Errorf("%v %+v: %s, want %s", kind, o, got, want)
		}
	}
	needed := []blob.Hash{{}}
	zeros := strings.Repeat("0", blob.HexSize)
	f(blob.KindContent, reflector.Offer{Send: true}, `{"send_blob":true}`)
	f(blob.KindContent, reflector.Offer{Needed: needed}, `{"send_blob":false}`)
	f(blob.KindSD, reflector.Offer{Send: true, Needed: needed}, `{"send_sd_blob":true}`)
	f(blob.KindSD, reflector.Offer{Needed: []blob.Hash{}}, `{"send_sd_blob":false}`)
	f(blob.KindSD, reflector.Offer{Needed: needed}, `{"send_sd_blob":false,"needed_blobs":["`+zeros+`"]}`)

	many := make([]blob.Hash, reflector.MaxNeeded+5)
	got := reflector.AppendOffer(nil, blob.KindSD, reflector.Offer{Needed: many})
	if len(got) > reflector.MaxAnswer || len(got) < reflector.MaxAnswer-100 {
		t.Errorf("the longest answer has %d bytes", len(got))
	}
	if o, err := reflector.ParseOffer(got, blob.KindSD); err != nil || len(o.Needed) != reflector.MaxNeeded {
		t.Errorf("it names %d blobs, %v", len(o.Needed), err)
	}
}

func TestParseAnswers(t *testing.T) {
	offer := func(kind blob.Kind, object string, want error) {
		t.Helper()
		if o, err := reflector.ParseOffer([]byte(object), kind); !errors.Is(err, want) || err != nil && (o.Send || o.Needed != nil) {
			t.Errorf("%q: %+v, %v; want %v", object, o, err, want)
		}
	}
	offer(blob.KindSD, `{"send_sd_blob":false,"needed_blobs":null}`, nil)
	offer(blob.KindSD, `{"send_sd_blob":true,"needed_blobs":7}`, nil)
	offer(blob.KindSD, `{"send_sd_blob":false,"needed_blobs":7}`, reflector.ErrSyntax)
	offer(blob.KindSD, `{"send_sd_blob":false,"needed_blobs":[7]}`, reflector.ErrSyntax)
	offer(blob.KindSD, `{"send_sd_blob":false,"needed_blobs":["7"]}`, blob.ErrInvalidHash)
	offer(blob.KindSD, `{"send_blob":true}`, reflector.ErrSyntax)
	offer(blob.KindContent, `{"send_blob":"true"}`, reflector.ErrSyntax)
	offer(blob.KindContent, `{"send_blob":null}`, reflector.ErrSyntax)
	offer(blob.KindContent, `{"error":"no"}`, reflector.ErrSyntax)
	for _, object := range []string{`{"received_blob":true}`, `{}`, `{"received_sd_blob":1}`, `{"received_sd_blob":true`} {
		if ok, err := reflector.ParseReceipt([]byte(object), blob.KindSD); ok || !errors.Is(err, reflector.ErrSyntax) {
			t.Errorf("%q: %v, %v", object, ok, err)
		}
	}
}

func TestDecoder(t *testing.T) {
	next := func(data string) (string, error) {
		d := reflector.NewDecoder(reflector.MaxMessage)
		_, _ = d.Write([]byte(data))
		o, _, err := d.Next()
		return string(o), err
	}
	for _, data := range []string{"x", "[{}]", "\ufeff{}", "\x00", `"{}"`, "\n}", "{]", "GET / HTTP/1.1\r\n", "\x16\x03\x01"} {
		if o, err := next(data); o != "" || !errors.Is(err, reflector.ErrSyntax) {
			t.Errorf("%q: %q, %v", data, o, err)
		}
	}
	if _, err := next(`{"a":` + strings.Repeat("[", 1000)); !errors.Is(err, reflector.ErrSyntax) {
		t.Errorf("a deep object: %v", err)
	}
	if o, err := next(" \r\n\t{}"); o != "{}" || err != nil {
		t.Errorf("blanks before an object: %q, %v", o, err)
	}
	longest := `{"a":"` + strings.Repeat("}", reflector.MaxMessage-8) + `"}`
	if o, err := next(longest + "{"); o != longest || err != nil {
		t.Errorf("the longest object: %d bytes, %v", len(o), err)
	}
	if _, err := next(`{"a":"}` + longest[6:]); !errors.Is(err, reflector.ErrTooLong) {
		t.Errorf("one byte more: %v", err)
	}
}

// A client that never ends its object costs no more than the limit.
func TestDecoderIsBounded(t *testing.T) {
	d := reflector.NewDecoder(reflector.MaxMessage)
	_, _ = d.Write([]byte(`{"a":"`))
	for fed := 0; ; fed += 1000 {
		if fed > reflector.MaxMessage+1000 {
			t.Fatalf("%d bytes are taken", fed)
		}
		_, ok, err := d.Next()
		if ok {
			t.Fatal("an object without an end has one")
		}
		if err != nil {
			if !errors.Is(err, reflector.ErrTooLong) {
				t.Fatal(err)
			}
			return
		}
		_, _ = d.Write(bytes.Repeat([]byte("}"), 1000))
	}
}

func FuzzDecoder(f *testing.F) {
	for _, tr := range transcripts {
		f.Add([]byte(strings.Join(tr.client, "")), byte(1))
		f.Add([]byte(strings.Join(tr.server, "")), byte(7))
	}
	f.Add([]byte("{\"blob_hash\":\"\\u0000\",\"blob_size\":1e400} {}\n[]"), byte(2))
	f.Fuzz(func(t *testing.T, data []byte, piece byte) {
		d := reflector.NewDecoder(4096)
		taken := 0
		for at := 0; at < len(data); at += int(piece) + 1 {
			_, _ = d.Write(data[at:min(len(data), at+int(piece)+1)])
			for {
				o, ok, err := d.Next()
				if err != nil {
					return
				}
				if !ok {
					break
				}
				if taken += len(o); !bytes.Contains(data, o) || len(o) > 4096 {
					t.Fatalf("%q is no object of %q", o, data)
				}
				parseAll(t, o)
			}
			if d.Pending() > 4096 || taken+d.Pending() > len(data) {
				t.Fatalf("%d bytes are kept after %d of %d", d.Pending(), taken, len(data))
			}
		}
	})
}

// parseAll reads an object in every way, and what can be read must survive being written.
func parseAll(t *testing.T, o []byte) {
	if v, err := reflector.ParseVersion(o); err == nil {
		if back, err := reflector.ParseVersion(reflector.AppendVersion(nil, v)); err != nil || back != v {
			t.Fatalf("%q: version %d reads as %d, %v", o, v, back, err)
		}
	}
	if r, err := reflector.ParseRequest(o); err == nil {
		if back, err := reflector.ParseRequest(reflector.AppendRequest(nil, r)); err != nil || back != r || r.Size < 1 || r.Size > blob.MaxSize {
			t.Fatalf("%q: %+v reads as %+v, %v", o, r, back, err)
		}
	}
	for _, kind := range []blob.Kind{blob.KindContent, blob.KindSD} {
		if offer, err := reflector.ParseOffer(o, kind); err == nil {
			back, err := reflector.ParseOffer(reflector.AppendOffer(nil, kind, offer), kind)
			if err != nil || back.Send != offer.Send || len(back.Needed) != len(offer.Needed) {
				t.Fatalf("%q: %+v reads as %+v, %v", o, offer, back, err)
			}
		}
		_, _ = reflector.ParseReceipt(o, kind)
	}
}

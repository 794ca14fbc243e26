package stream_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// Older streams order keys otherwise, and white space has no meaning.
func TestReadAnyOrder(t *testing.T) {
	v, _ := readVector(t)
	want, err := stream.Read([]byte(v.SDBlob))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(v.SDBlob), &all); err != nil {
		t.Fatal(err)
	}
	keys := slices.Sorted(maps.Keys(all))
	for range len(keys) {
		keys = append(keys[1:], keys[0])
		other := "\n{ \"more\": [1, {}] "
		for _, k := range keys {
			other += ",\"" + k + "\":" + strings.NewReplacer(`, "length"`, "\n,\t\"x\" : null, \"length\"", ": ", " :").Replace(string(all[k]))
		}
		got, err := stream.Read([]byte(other + "}"))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %v", other, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	v, _ := readVector(t)
	f := func(old, replacement, want string) {
		t.Helper()
		data := strings.Replace(v.SDBlob, old, replacement, 1)
		if data == v.SDBlob {
			t.Fatalf("%q is not in the SD blob", old)
		}
		d, err := stream.Read([]byte(data))
		if d != nil || !errors.Is(err, stream.ErrNotSD) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s for %s: %v, want %q", replacement, old, err, want)
		}
	}
	iv1 := strings.Repeat("01", 16)
	f(`{`, ``, "not JSON")
	f(`{"blobs": [`, `{"blobs": null, "b": [`, "blobs: a list is missing")
	f(`"blobs"`, `"blobz"`, "the key blobs is missing")
	f(`"key"`, `"kez"`, "the key key is missing")
	f(`"stream_type": "lbryfile"`, `"stream_type": ""`, "the key stream_type is missing or empty")
	f(`"stream_type": "lbryfile"`, `"stream_type": 7`, "stream_type: a text is missing")
	f(`"stream_name": "70`, `"stream_name": "71`, "stream_hash")
	f(`"suggested_file_name": "70`, `"suggested_file_name": "71`, "stream_hash")
	f(`"stream_hash": "42`, `"stream_hash": "43`, "stream_hash")
	f(`"key": "00`, `"key": "01`, "stream_hash")
	f(iv1, strings.Repeat("02", 16), "stream_hash")
	f(iv1, iv1[1:], "entry 1: iv: 31 characters, want 32")
	f(iv1, iv1[1:]+"x", "entry 1: iv: not hexadecimal")
	f(`"blob_num": 1,`, `"blob_num": 2,`, "entry 1: blob_num is 2, want 1")
	f(`"blob_num": 1,`, ``, "entry 1: blob_num is missing, want 1")
	f(`"blob_num": 1,`, `"blob_num": "1",`, `entry 1: blob_num: want a whole number, not "\"1\""`)
	f(`"blob_num": 1,`, `"blob_num": 1.0,`, "want a whole number")
	f(`"blob_num": 1,`, `"blob_num": 1e99,`, "want a whole number")
	f(`"blob_num": 1,`, `"blob_num": `+strings.Repeat("9", 5000)+`,`, "want a whole number")
	f(`"length": 805712`, `"length": -16`, "entry 2: length: want a whole number")
	f(`"length": 805712`, `"length": 805711`, "entry 2: length is 805711, which is no multiple of 16")
	f(`"length": 805712`, `"length": 2097168`, "entry 2: length is 2097168, more than 2 MiB")
	f(`"length": 805712`, `"length": 805728`, "stream_hash")
	f(`"length": 805712`, `"length": 0`, "entry 2: it has a blob_hash, and length 0")
	f(`, "length": 805712`, ``, "entry 2: there is no length")
	f(`"length": 0}`, `"length": 0}, {}`, "entry 4: it comes after")
	f(`"length": 0}`, `"length": 16}`, "entry 3: blob_hash: invalid blob hash")
	f(`, {"blob_num": 3, "iv": "03030303030303030303030303030303", "length": 0}`, ``, "the entry that ends the list")
	f(`"7fbb`, `"7FBB`, "entry 0: blob_hash: invalid blob hash")
	f(`{"blob_hash"`, `7, {"blob_hash"`, "entry 0: an object is missing")
	for _, data := range []string{"", "[]", "null", "{}", strings.Repeat("[", blob.MaxSize), strings.Repeat(" ", blob.MaxSize+1)} {
		if _, err := stream.Read([]byte(data)); !errors.Is(err, stream.ErrNotSD) {
			t.Errorf("%.20q: %v", data, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	v, _ := readVector(f)
	f.Add([]byte(v.SDBlob))
	f.Add([]byte(sdk))
	f.Add([]byte(`{"blobs":[{"blob_num":0,"iv":"00000000000000000000000000000000","length":0}],"key":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		kept := bytes.Clone(data)
		d, err := stream.Read(data)
		if !bytes.Equal(data, kept) {
			t.Fatal("Read changed its argument")
		}
		if err != nil {
			return
		}
		// What is read strictly is taken in too, with the same blobs.
		sd, err := stream.ParseSD(data)
		if err != nil {
			t.Fatalf("ParseSD refuses it: %v", err)
		}
		for _, c := range d.Blobs {
			if !slices.Contains(sd.Blobs, c.Hash) {
				t.Fatalf("ParseSD misses %s", c.Hash)
			}
		}
		again, err := stream.Read(d.Encode())
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Fatalf("%+v is written and read as %+v, %v", d, again, err)
		}
	})
}

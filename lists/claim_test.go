package lists

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/lists/liststest"
)

// vector is a real transaction and what an output of it holds.
type vector struct {
	Raw  string  `json:"raw_tx"`
	TXID string  `json:"txid"`
	Out  uint32  `json:"nout"`
	SD   *string `json:"sd_hash"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/claims.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 7 {
		t.Fatalf("%d vectors", len(all))
	}
	return all
}

// hashIn is the hash that an output of a transaction names.
func hashIn(t testing.TB, tx liststest.Tx, out int) (blob.Hash, error) {
	t.Helper()
	o, err := parseOutpoint(tx.Outpoint(out))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(tx.Hex)
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := parseTransaction(raw, o.tx)
	if err != nil {
		return blob.Hash{}, err
	}
	value, err := claimValue(scripts[o.out])
	if err != nil {
		return blob.Hash{}, err
	}
	return sdHash(value)
}

func TestRealTransactions(t *testing.T) {
	for _, v := range vectors(t) {
		got, err := hashIn(t, liststest.Tx{ID: v.TXID, Hex: v.Raw}, int(v.Out))
		if v.SD == nil {
			if !errors.Is(err, errNoStream) {
				t.Errorf("%s: %s, %v, want no stream", v.TXID, got, err)
			}
			continue
		}
		if err != nil || got.String() != *v.SD {
			t.Errorf("%s: %s, %v, want %s", v.TXID, got, err, *v.SD)
		}
	}
}

// Each form of a value, in each kind of script and both serializations.
func TestForms(t *testing.T) {
	sd := blob.Sum([]byte("an SD blob"))
	values := map[string][]byte{
		"unsigned": liststest.Unsigned(sd), "signed": liststest.Signed(sd), "JSON": liststest.JSON(sd), "older": liststest.Older(sd),
		"JSON in upper case": bytes.ReplaceAll(liststest.JSON(sd), []byte(sd.String()), bytes.ToUpper([]byte(sd.String()))),
		"long":               append(liststest.Unsigned(sd), field(9, make([]byte, 1<<17))...),
		// Of a field that is there twice the last one counts, and messages merge.
		"twice": append(append(liststest.Unsigned(blob.Sum([]byte("another"))), liststest.Unsigned(sd)[1:]...), field(1, field(1, nil))...),
	}
	for name, value := range values {
		for _, witness := range []bool{false, true} {
			tx := liststest.Transaction(witness, []byte{0x6a}, liststest.ClaimName("a-name", value), liststest.UpdateClaim("a-name", value))
			for out := 1; out <= 2; out++ {
				if got, err := hashIn(t, tx, out); err != nil || got != sd {
					t.Errorf("%s, witness %v, output %d: %s, %v", name, witness, out, got, err)
				}
			}
			if _, err := hashIn(t, tx, 0); !errors.Is(err, errNoClaim) {
				t.Errorf("%s: an output without a claim: %v", name, err)
			}
		}
	}
}

// field is a protobuf field of bytes, with a number below 16.
func field(num byte, value []byte) []byte {
	out := []byte{num<<3 | 2}
	n := len(value)
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(append(out, byte(n)), value...)
}

func TestClaimsWithoutStream(t *testing.T) {
	sd := blob.Sum(nil)
	f := func(name string, value []byte, noStream bool) {
		t.Helper()
		got, err := sdHash(value)
		if err == nil || errors.Is(err, errNoStream) != noStream {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	f("nothing", nil, true)
	f("unsigned nothing", []byte{0}, true)
	f("channel", liststest.Channel(), true)
	f("older channel", []byte{8, 1, 16, 2}, true)
	f("older of no type", []byte{8, 1}, true)
	f("JSON without sources", []byte(`{"title":"a"}`), true)
	f("JSON with null", []byte(`{"sources":null}`), true)
	f("JSON, cut", liststest.JSON(sd)[:50], false)
	f("JSON with another type", []byte(`{"sources":{"lbry_sd_hash":5}}`), false)
	f("JSON with a short hash", []byte(`{"sources":{"lbry_sd_hash":"abc"}}`), false)
	f("signature, cut", liststest.Signed(sd)[:60], false)
	f("signed, cut", liststest.Signed(sd)[:100], false)
	f("a short hash", append([]byte{0}, field(1, field(1, field(6, sd[:40])))...), false)
	f("a varint where a message belongs", []byte{0, 8, 5}, true)
	f("garbage", bytes.Repeat([]byte{0xff}, 100), false)
}

func TestScripts(t *testing.T) {
	f := func(script []byte, want string, ok bool) {
		t.Helper()
		got, err := claimValue(script)
		if (err == nil) != ok || string(got) != want {
			t.Errorf("%x: %q, %v, want %q", script, got, err, want)
		}
	}
	f(nil, "", false)
	f([]byte{0xb5}, "", false)
	f([]byte{0xb5, 1, 'n'}, "", false)
	f([]byte{0xb5, 1, 'n', 0}, "", true)
	f([]byte{0xb5, 1, 'n', 1, 'v'}, "v", true)
	f([]byte{0xb5, 1, 'n', 0x4c, 2, 'v', 'w'}, "vw", true)
	f([]byte{0xb5, 1, 'n', 0x4d, 1, 0, 'v'}, "v", true)
	f([]byte{0xb5, 1, 'n', 0x4e, 1, 0, 0, 0, 'v'}, "v", true)
	f([]byte{0xb5, 1, 'n', 0x4e, 0xff, 0xff, 0xff, 0xff, 'v'}, "", false)
	f([]byte{0xb5, 1, 'n', 0x4c}, "", false)
	f([]byte{0xb5, 1, 'n', 0x4d, 1}, "", false)
	f([]byte{0xb5, 1, 'n', 5, 'v'}, "", false)
	f([]byte{0xb5, 1, 'n', 0x75}, "", false)
	f([]byte{0xb7, 1, 'n', 1, 'i', 1, 'v'}, "v", true)
	f([]byte{0xb7, 1, 'n', 1, 'i'}, "", false)
	f([]byte{0xb6, 1, 'n', 1, 'i', 1, 'v'}, "", false) // supports claim nothing
}

// A transaction is that of its TXID or none, whatever was done to its bytes.
func TestOtherTransactions(t *testing.T) {
	v := vectors(t)[0]
	raw, err := hex.DecodeString(v.Raw)
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseOutpoint(v.TXID + ":0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		if _, err := parseTransaction(raw[:i], o.tx); err == nil {
			t.Errorf("cut after %d bytes it is taken", i)
		}
		other := bytes.Clone(raw)
		other[i] ^= 1
		if _, err := parseTransaction(other, o.tx); err == nil {
			t.Errorf("with byte %d changed it is taken", i)
		}
	}
	if _, err := parseTransaction(append(raw, 0), o.tx); err == nil {
		t.Error("with a byte more it is taken")
	}
	other := vectors(t)[1]
	if raw, err = hex.DecodeString(other.Raw); err != nil {
		t.Fatal(err)
	}
	if _, err := parseTransaction(raw, o.tx); !errors.Is(err, errNotThat) {
		t.Errorf("another transaction: %v", err)
	}
}

// A few bytes that claim millions of inputs or outputs cost nothing.
func TestHugeCounts(t *testing.T) {
	for _, text := range []string{
		"01000000fe00000c00", "0100000000" + "01fe00000c00", // inputs, without and with witness data
		"0100000001" + hex.EncodeToString(make([]byte, 36)) + "00ffffffff" + "fe00003000", // outputs
		"01000000ffffffffffffffffff", "0100000001" + hex.EncodeToString(make([]byte, 36)) + "ffffffffffffffffff",
	} {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = parseTransaction(raw, txid{})
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s is taken", text)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
			t.Errorf("%s: %d bytes for %d", text, n, len(raw))
		}
	}
}

func TestOutpoints(t *testing.T) {
	id := vectors(t)[0].TXID
	f := func(text string, ok bool) {
		t.Helper()
		o, err := parseOutpoint(text)
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
		if ok && o.tx.String() != id {
			t.Errorf("%q: %s", text, o.tx)
		}
	}
	f(id+":0", true)
	f(id+":4294967295", true)
	for _, bad := range []string{"", ":", id, id + ":", id + ":-1", id + ":4294967296", id + ":x", id[1:] + ":0", "g" + id[1:] + ":0", id + ":0:0", id + ": 0"} {
		f(bad, false)
	}
}

func FuzzClaim(f *testing.F) {
	sd := blob.Sum(nil)
	for _, v := range [][]byte{liststest.Unsigned(sd), liststest.Signed(sd), liststest.JSON(sd), liststest.Older(sd), liststest.Channel()} {
		f.Add(liststest.ClaimName("n", v))
		f.Add(liststest.UpdateClaim("n", v))
	}
	f.Fuzz(func(_ *testing.T, script []byte) {
		if value, err := claimValue(script); err == nil {
			_, _ = sdHash(value)
		}
		_, _ = sdHash(script)
	})
}

func FuzzTransaction(f *testing.F) {
	for _, v := range vectors(f) {
		raw, err := hex.DecodeString(v.Raw)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, witness := range []bool{false, true} {
		raw, err := hex.DecodeString(liststest.Transaction(witness, liststest.ClaimName("n", liststest.Channel())).Hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if scripts, err := parseTransaction(raw, txid{}); err == nil {
			t.Errorf("bytes whose hash is zero: %d scripts", len(scripts))
		}
	})
}

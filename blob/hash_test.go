package blob_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
)

// ofABC is the SHA-384 of "abc" in FIPS 180-4.
const ofABC = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed" +
	"8086072ba1e7cc2358baeca134c825a7"

func TestSum(t *testing.T) {
	h := blob.Sum([]byte("abc"))
	if h.String() != ofABC {
		t.Errorf("Sum is %s, want %s", h, ofABC)
	}
	if h.Short() != ofABC[:12] {
		t.Errorf("Short is %s", h.Short())
	}
	if got := string(h.AppendHex([]byte("x-"))); got != "x-"+ofABC {
		t.Errorf("AppendHex gives %s", got)
	}
}

func TestParseHash(t *testing.T) {
	h, err := blob.ParseHash(ofABC)
	if err != nil || h != blob.Sum([]byte("abc")) {
		t.Fatalf("ParseHash gives %s, %v", h, err)
	}
	for _, bad := range []string{
		"", ofABC[1:], ofABC + "0", strings.ToUpper(ofABC), "C" + ofABC[1:], "g" + ofABC[1:], ofABC[:95] + "/",
		ofABC[:95] + "\x00", " " + ofABC[1:], ofABC[:94] + "é", strings.Repeat("../", 32), strings.Repeat("x", 1<<20),
	} {
		h, err := blob.ParseHash(bad)
		if !errors.Is(err, blob.ErrInvalidHash) || h != (blob.Hash{}) {
			t.Errorf("ParseHash(%.100q) gives %s, %v; want ErrInvalidHash", bad, h, err)
		} else if len(bad) > 3 && strings.Contains(err.Error(), bad) {
			t.Errorf("the error repeats what a stranger sent: %v", err)
		}
	}
}

var wireForm = regexp.MustCompile(`\A[0-9a-f]{96}\z`)

func FuzzParseHash(f *testing.F) {
	f.Add(ofABC)
	f.Add(strings.ToUpper(ofABC))
	f.Add(ofABC[1:])
	f.Add(strings.Repeat("\xff", 96))
	f.Fuzz(func(t *testing.T, s string) {
		h, err := blob.ParseHash(s)
		if (err == nil) != wireForm.MatchString(s) {
			t.Fatalf("ParseHash(%q): %v", s, err)
		}
		if err != nil {
			if !errors.Is(err, blob.ErrInvalidHash) || h != (blob.Hash{}) {
				t.Fatalf("ParseHash(%q) gives %s, %v", s, h, err)
			}
			return
		}
		if h.String() != s || string(h.AppendHex(nil)) != s || !strings.HasPrefix(s, h.Short()) {
			t.Fatalf("%q comes back as %s", s, h)
		}
	})
}

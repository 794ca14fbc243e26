package bytesize_test

import (
	"math"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/internal/bytesize"
)

func TestParse(t *testing.T) {
	f := func(in string, want bytesize.Size) {
		t.Helper()
		got, err := bytesize.Parse(in)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %d, %v, want %d", in, got, err, want)
		}
	}
	for _, gb := range []string{"500GB", "500gb", "500G", "500GiB", "500g", "500 GB", " 500GB ", "500Gb"} {
		f(gb, 500*bytesize.GiB)
	}
	f("0", 0)
	f("0GB", 0)
	f("1", 1)
	f("1B", 1)
	f("4096", 4096)
	f("00012", 12)
	f("8KB", 8<<10)
	f("20MiB", 20<<20)
	f("10TB", 10<<40)
	f("3PiB", 3<<50)
	f("7EiB", 7<<60)
	f("9223372036854775807", math.MaxInt64)
}

func TestParseErrors(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got, err := bytesize.Parse(in)
		if err == nil || err.Error() != want || got != 0 {
			t.Errorf("Parse(%q) = %d, %v\nwant %s", in, got, err, want)
		}
	}
	const write = "; write a whole number with a unit, such as 500GB or 20MiB"
	f("", "a size is missing; write a whole number with a unit, such as 500GB")
	f("  ", "a size is missing; write a whole number with a unit, such as 500GB")
	f("1e9", `"1e9" is not a size`+write)
	f("GB", `"GB" is not a size`+write)
	f("+5", `"+5" is not a size`+write)
	f("5bb", `"5bb" is not a size`+write)
	f("5bib", `"5bib" is not a size`+write)
	f("5XB", `"5XB" is not a size`+write)
	f("5GBB", `"5GBB" is not a size`+write)
	f("5G B", `"5G B" is not a size`+write)
	f("٥GB", `"٥GB" is not a size`+write)
	f("-1", `"-1" is negative; a size is 0 or more`)
	f("-5GB", `"-5GB" is negative; a size is 0 or more`)
	f("1.5TB", `"1.5TB" has a fraction; write a whole number of a smaller unit, such as 1536GB for 1.5TB`)
	f("8EiB", `"8EiB" is too large; the largest size is just under 8EiB`)
	f("99999999TB", `"99999999TB" is too large; the largest size is just under 8EiB`)
	f("9223372036854775808", `"9223372036854775808" is too large; the largest size is just under 8EiB`)
	f(strings.Repeat("9", 100), `"`+strings.Repeat("9", 40)+`…" is too large; the largest size is just under 8EiB`)
}

func TestString(t *testing.T) {
	f := func(s bytesize.Size, want string) {
		t.Helper()
		if got := s.String(); got != want {
			t.Errorf("Size(%d) prints %s, want %s", int64(s), got, want)
		}
	}
	f(0, "0B")
	f(1023, "1023B")
	f(1536, "1536B")
	f(500*bytesize.GiB, "500GiB")
	f(10*bytesize.TiB, "10TiB")
	f(1536*bytesize.GiB, "1536GiB")
	f(math.MaxInt64, "9223372036854775807B")
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"500GB", "1e9", "-1", "8EiB", "", "7 eib", "1.5TB", "٣"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := bytesize.Parse(s)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("Parse(%q) = %d, which is negative", s, n)
		}
		if again, err := bytesize.Parse(n.String()); err != nil || again != n {
			t.Fatalf("Parse(%q) = %d, printed as %s, read back as %d, %v", s, n, n, again, err)
		}
	})
}

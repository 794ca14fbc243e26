package httpd

import (
	"math"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
)

func TestParseRange(t *testing.T) {
	for _, c := range []struct {
		header  string
		size    int64
		want    span
		verdict rangeVerdict
	}{
		{"bytes=0-0", 10, span{0, 1}, rangeGood},
		{"bytes=0-", 10, span{0, 10}, rangeGood},
		{"bytes=9-", 10, span{9, 1}, rangeGood},
		{"Bytes=1-3", 10, span{1, 3}, rangeGood},
		{"bytes= 1-3 ", 10, span{1, 3}, rangeGood},
		{"bytes=3-100", 10, span{3, 7}, rangeGood},
		{"bytes=-1", 10, span{9, 1}, rangeGood},
		{"bytes=-10", 10, span{0, 10}, rangeGood},
		{"bytes=-11", 10, span{0, 10}, rangeGood},
		{"bytes=-18446744073709551616", 10, span{0, 10}, rangeGood},
		{"bytes=0-18446744073709551616", 10, span{0, 10}, rangeGood},
		{"bytes=000-001", 10, span{0, 2}, rangeGood},
		{"bytes=-0", 10, span{}, rangeUnsatisfiable},
		{"bytes=10-", 10, span{}, rangeUnsatisfiable},
		{"bytes=10-11", 10, span{}, rangeUnsatisfiable},
		{"bytes=9223372036854775807-", 10, span{}, rangeUnsatisfiable},
		{"bytes=9223372036854775808-", 10, span{}, rangeUnsatisfiable},
		{"bytes=18446744073709551615-18446744073709551616", 10, span{}, rangeUnsatisfiable},
		{"bytes=18446744073709551615-1", 10, span{}, rangeIgnored},
		{"bytes=5-1", 10, span{}, rangeIgnored},
		{"bytes=", 10, span{}, rangeIgnored},
		{"bytes=-", 10, span{}, rangeIgnored},
		{"bytes=--1", 10, span{}, rangeIgnored},
		{"bytes=1", 10, span{}, rangeIgnored},
		{"bytes=+1-2", 10, span{}, rangeIgnored},
		{"bytes=1-2-3", 10, span{}, rangeIgnored},
		{"bytes=1 - 2", 10, span{}, rangeIgnored},
		{"bytes=0-1,3-4", 10, span{}, rangeIgnored},
		{"bytes=0-1,", 10, span{}, rangeIgnored},
		{"bytes=0x1-2", 10, span{}, rangeIgnored},
		{"bytes=１-2", 10, span{}, rangeIgnored},
		{"items=0-1", 10, span{}, rangeIgnored},
		{" bytes=0-1", 10, span{}, rangeIgnored},
		{"", 10, span{}, rangeIgnored},
	} {
		got, verdict := parseRange(c.header, c.size)
		if got != c.want || verdict != c.verdict {
			t.Errorf("%q of %d: got %v, %d, want %v, %d", c.header, c.size, got, verdict, c.want, c.verdict)
		}
	}
}

func TestMatchesTag(t *testing.T) {
	for _, c := range []struct {
		header       string
		weak, strong bool
	}{
		{`"a"`, true, true},
		{`W/"a"`, true, false},
		{` "b" , W/"a"`, true, false},
		{`"b","a"`, true, true},
		{`"b" "a"`, true, true}, // lenient: the separator is missing
		{`,,"a",`, true, true},
		{`*`, true, true},
		{` * `, true, true},
		{`"b", *`, false, false},
		{`a`, false, false},
		{`"a`, false, false},
		{`w/"a"`, false, false},
		{`"b", x, "a"`, false, false},
		{`"b"`, false, false},
		{``, false, false},
	} {
		for weak, want := range map[bool]bool{true: c.weak, false: c.strong} {
			if got := matchesTag([]string{c.header}, `"a"`, weak); got != want {
				t.Errorf("%s, weak %v: got %v", c.header, weak, got)
			}
		}
	}
	if !matchesTag([]string{`"b"`, `"a"`}, `"a"`, false) {
		t.Error("a second header line is not read")
	}
}

// FuzzTarget compares the parser of paths and queries with a slow one made from net/url.
func FuzzTarget(f *testing.F) {
	h := blob.Sum(nil).String()
	for _, seed := range []string{
		"/blob?hash=" + h, "/blob?hash=" + h + "&edge_token=a%20b", "/" + h, "/38/" + h, "/get/" + h + "?trace=1",
		"/has/" + h, "/healthz", "/readyz?x", "/blob?hash=" + h + "&hash=", "/blob?h%61sh=" + h + ";", "/blob?&&=&hash",
		"/" + h + "/" + h, "//" + h, "/blob?edge_token=%", "/blob?%=1&hash=" + h, "http://evil/" + h, "*", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		u, err := url.ParseRequestURI(uri)
		if err != nil {
			return
		}
		got, err := parseTarget(u.Path, u.RawQuery)
		want, ok := slowTarget(u.Path, u.RawQuery)
		if (err == nil) != ok {
			t.Fatalf("%q: %+v, %v, want ok: %v", uri, got, err, ok)
		}
		if err == nil && got != want {
			t.Fatalf("%q: got %+v, want %+v", uri, got, want)
		}
		if err != nil && statusOf(err) != http.StatusBadRequest {
			t.Fatalf("%q: %v is no 400", uri, err)
		}
	})
}

var (
	namePattern   = regexp.MustCompile(`^[0-9a-f]{96}$`)
	objectPattern = regexp.MustCompile(`^/(?:([0-9a-f]{1,96})/)?([0-9a-f]{96})$`)
)

// slowTarget says what parseTarget should, from the rules rather than from its code.
func slowTarget(path, query string) (target, bool) {
	values := map[string][]string{}
	broken := map[string]bool{}
	for _, pair := range strings.Split(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil {
			continue
		}
		plain, err := url.QueryUnescape(value)
		broken[name] = broken[name] || err != nil
		values[name] = append(values[name], plain)
	}
	one := func(name string) string {
		if len(values[name]) > 0 {
			return values[name][0]
		}
		return ""
	}
	traced := slices.Contains([]string{"1", "t", "T", "true", "TRUE", "True"}, one("trace"))
	out := target{via: true, traced: traced}
	switch object := objectPattern.FindStringSubmatch(path); {
	case path == "/healthz":
		return target{route: routeHealth, via: true}, true
	case path == "/readyz":
		return target{route: routeReady, via: true}, true
	case path == "/blob":
		out.route, out.name = routeBlob, one("hash")
	case strings.HasPrefix(path, "/get/"):
		out.route, out.name, out.via = routeGet, path[5:], traced
	case strings.HasPrefix(path, "/has/"):
		out.route, out.name, out.via = routeHas, path[5:], false
	case object != nil && strings.HasPrefix(object[2], object[1]):
		out.route, out.name = routeObject, object[2]
	default:
		return target{}, true
	}
	for _, name := range []string{"hash", "edge_token", "trace"} {
		if broken[name] || len(values[name]) > 1 {
			return target{}, false
		}
	}
	if !namePattern.MatchString(out.name) {
		return target{}, false
	}
	out.token = one("edge_token")
	var err error
	out.hash, err = blob.ParseHash(out.name)
	return out, err == nil
}

// FuzzRange compares with a regular expression and big numbers.
func FuzzRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-0", "bytes=-0", "bytes=5-1", "bytes=9223372036854775807-", "bytes=1-2,3-4",
		"bytes=18446744073709551615-1", "Bytes= 1-", "x=1-2", "bytes=-99999999999999999999999"} {
		f.Add(seed, int64(10))
	}
	pattern := regexp.MustCompile(`^(?i:bytes)=[ \t]*([0-9]*)-([0-9]*)[ \t]*$`)
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 1 || size > blob.MaxSize {
			return
		}
		got, verdict := parseRange(header, size)
		want, wantVerdict := span{}, rangeIgnored
		if m := pattern.FindStringSubmatch(header); m != nil && m[1]+m[2] != "" {
			want, wantVerdict = slowRange(m[1], m[2], size)
		}
		if got != want || verdict != wantVerdict {
			t.Fatalf("%q of %d: got %v, %d, want %v, %d", header, size, got, verdict, want, wantVerdict)
		}
		if verdict == rangeGood && (got.off < 0 || got.n < 1 || got.off+got.n > size) {
			t.Fatalf("%q of %d: %v is no part of it", header, size, got)
		}
	})
}

func slowRange(from, to string, size int64) (span, rangeVerdict) {
	most := big.NewInt(math.MaxInt64)
	number := func(s string) *big.Int {
		n, _ := new(big.Int).SetString(s, 10)
		if n.Cmp(most) > 0 {
			return most
		}
		return n
	}
	all := big.NewInt(size)
	if from == "" {
		n := number(to)
		if n.Sign() == 0 {
			return span{}, rangeUnsatisfiable
		}
		if n.Cmp(all) > 0 {
			n = all
		}
		return span{size - n.Int64(), n.Int64()}, rangeGood
	}
	first := number(from)
	last := new(big.Int).Sub(all, big.NewInt(1))
	if to != "" {
		named := number(to)
		if named.Cmp(first) < 0 {
			return span{}, rangeIgnored
		}
		if named.Cmp(last) < 0 {
			last = named
		}
	}
	if first.Cmp(all) >= 0 {
		return span{}, rangeUnsatisfiable
	}
	return span{first.Int64(), last.Int64() - first.Int64() + 1}, rangeGood
}

// FuzzTags: whatever a client sends as entity tags, the parser ends and a list without the tag does not match.
func FuzzTags(f *testing.F) {
	for _, seed := range []string{`"a"`, `W/"a", "b"`, `*`, `"`, `,,,"a`, `W/W/"a"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		for _, weak := range []bool{true, false} {
			got := matchesTag([]string{header}, `"a"`, weak)
			if got && !strings.Contains(header, `"a"`) && strings.Trim(header, " \t") != "*" {
				t.Fatalf("%q matches", header)
			}
			if got && !weak && !matchesTag([]string{header}, `"a"`, true) {
				t.Fatalf("%q matches strongly but not weakly", header)
			}
		}
	})
}

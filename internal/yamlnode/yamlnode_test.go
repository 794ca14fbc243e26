package yamlnode_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/yamlnode"
)

func env(name string) (string, bool) {
	v, ok := map[string]string{"PORT": "5569", "EMPTY": "", "SECRET": "s3cret", "TRICK": "a: {b: c}", "BIG": "500GB",
		"BYTES": "s3\xffcret"}[name]
	return v, ok
}

// read parses a document and hands its top level to fn.
func read(t *testing.T, doc string, fn func(*yamlnode.Map)) *yamlnode.Report {
	t.Helper()
	r := &yamlnode.Report{}
	if n := yamlnode.Parse("f.yaml", []byte(doc), env, r); n != nil {
		m := n.Map(r)
		fn(m)
		m.Done()
	}
	return r
}

func problems(r *yamlnode.Report) string {
	if err := r.Err(); err != nil {
		return err.Error()
	}
	return ""
}

func warnings(r *yamlnode.Report) string {
	var out []string
	for _, w := range r.Warnings() {
		out = append(out, w.Error())
	}
	return strings.Join(out, "\n")
}

// values are what the document's keys t, b, i, s and d convert to.
type values struct {
	T string
	B bool
	I int
	S int64
	D time.Duration
}

func (v *values) read(m *yamlnode.Map) {
	m.Text("t", &v.T)
	m.Bool("b", &v.B)
	m.Int("i", &v.I, -100, 1_000_000)
	m.Size("s", &v.S, 0)
	m.Duration("d", &v.D, 0)
}

func TestConversions(t *testing.T) {
	f := func(doc string, want values) {
		t.Helper()
		var got values
		if r := read(t, doc, valuesAndX(&got)); problems(r) != "" || got != want {
			t.Errorf("%q reads as %+v, want %+v\n%s", doc, got, want, problems(r))
		}
	}
	f("t: word", values{T: "word"})
	f("T: word", values{T: "word"})
	f("t: 5569", values{T: "5569"})
	f("t: '0123'", values{T: "0123"})
	f("t: 0123", values{T: "83"})
	f("t: 1e3", values{T: "1000"})
	f("t: 1.50", values{T: "1.5"})
	f("t: true", values{T: "1"})
	f("t: yes", values{T: "yes"})
	f("t: 2001-01-01", values{T: "2001-01-01"})
	f("t: ''", values{})
	f("t: ~", values{})
	f("t:", values{})
	f("t: !!str 5", values{T: "5"})
	f("t: ${SECRET}", values{T: "s3cret"})
	f("t: a${PORT}b${EMPTY}c", values{T: "a5569bc"})
	f("t: $${PORT}", values{T: "${PORT}"})
	f("t: 'a$b ${ ${}$'", values{T: "a$b ${ ${}$"})
	f("t: ${TRICK}", values{T: "a: {b: c}"})
	f("b: true", values{B: true})
	f("b: 'true'", values{B: true})
	f("b: \"1\"", values{B: true})
	f("b: 1", values{B: true})
	f("b: 0", values{})
	f("b: F", values{})
	f("b: ''", values{})
	f("i: 5", values{I: 5})
	f("i: '5'", values{I: 5})
	f("i: -7", values{I: -7})
	f("i: 0x10", values{I: 16})
	f("i: '0x10'", values{I: 16})
	f("i: 1_000", values{I: 1000})
	f("i: 5.0", values{I: 5})
	f("i: true", values{I: 1})
	f("i: ${PORT}", values{I: 5569})
	f("s: 500GB", values{S: 500 << 30})
	f("s: 500gb", values{S: 500 << 30})
	f("s: 10TB", values{S: 10 << 40})
	f("s: 1048576", values{S: 1 << 20})
	f("s: '1048576'", values{S: 1 << 20})
	f("s: 0x10", values{S: 16})
	f("s: ${BIG}", values{S: 500 << 30})
	f("d: 30s", values{D: 30 * time.Second})
	f("d: '1h30m'", values{D: 90 * time.Minute})
	f("d: 2000000000", values{D: 2 * time.Second})
	f("d: 0", values{})
	f("\xef\xbb\xbft: x\r\nb: true\r\n", values{T: "x", B: true})
	f("# nothing\n", values{})
	f("", values{})
	f("---\nt: x\n...\n", values{T: "x"})
	f("x: &x {t: a, b: true}\n<<: *x\nt: own", values{T: "own", B: true})
	f("x: [&x {t: a}, &y {t: b, i: 3}]\n<<: [*x, *y]", values{T: "a", I: 3})
	f("x: &n t\n*n : z", values{T: "z"})
}

// valuesAndX knows the key x too, whatever is in it.
func valuesAndX(v *values) func(*yamlnode.Map) {
	return func(m *yamlnode.Map) {
		v.read(m)
		m.Value("x")
	}
}

func TestProblems(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		var v values
		if got := problems(read(t, doc, v.read)); got != want {
			t.Errorf("%.80q:\n got %s\nwant %s", doc, got, want)
		}
	}
	const size = "write a whole number with a unit, such as 500GB"
	f("b: yes", `f.yaml:1:4: b: "yes" is neither true nor false`)
	f("b: 1.5", `f.yaml:1:4: b: "1.5" is neither true nor false`)
	f("i: word", `f.yaml:1:4: i: "word" is not a whole number`)
	f("i: 5.5", `f.yaml:1:4: i: "5.5" is not a whole number`)
	f("i: ''", `f.yaml:1:4: i: "" is not a whole number`)
	f("i: 70000000", `f.yaml:1:4: i: 70000000 is out of range; want -100 to 1000000`)
	f("i: '99999999999999999999'", `f.yaml:1:4: i: "99999999999999999999" is too large`)
	f("i: ${SECRET}", `f.yaml:1:4: i: "${SECRET}" is not a whole number`)
	f("i: {a: 1}", `f.yaml:1:4: i: want one value, not keys of its own`)
	f("i: [1]", `f.yaml:1:4: i: want one value, not a list`)
	f("s: 1e9", `f.yaml:1:4: s: "1e9" is not a size; `+size+" or 20MiB")
	f("s: -1", `f.yaml:1:4: s: "-1" is negative; a size is 0 or more`)
	f("s: '-1'", `f.yaml:1:4: s: "-1" is negative; a size is 0 or more`)
	f("s: ''", `f.yaml:1:4: s: a size is missing; `+size)
	f("s: true", `f.yaml:1:4: s: true is not a size; `+size)
	f("s: ${SECRET}", `f.yaml:1:4: s: the value of "${SECRET}" is not a size; `+size)
	f("s: 99999999TB", `f.yaml:1:4: s: "99999999TB" is too large; the largest size is just under 8EiB`)
	f("d: '30'", `f.yaml:1:4: d: "30" is not a duration; write a number with a unit, such as 30s or 12h`)
	f("d: 1.5", `f.yaml:1:4: d: "1.5" is not a duration; write a number with a unit, such as 30s or 12h`)
	f("d: -5s", `f.yaml:1:4: d: -5s is negative; write a duration such as 30s`)
	f("d: -5", `f.yaml:1:4: d: -5 is negative; write a duration such as 30s`)
	f("t: ${NOPE}", `f.yaml:1:4: t: the environment variable NOPE is not set; set it, or write $${NOPE} for the text itself`)
	f("i: ${NOPE}", `f.yaml:1:4: i: the environment variable NOPE is not set; set it, or write $${NOPE} for the text itself`)
	f("t: a${BYTES}", `f.yaml:1:4: t: the value of the environment variable BYTES is not valid UTF-8; set it to plain text`)
	f("s: ${BYTES}", `f.yaml:1:4: s: the value of the environment variable BYTES is not valid UTF-8; set it to plain text`)
	f("t: !foo x", `f.yaml:1:4: t: the tag "!foo" means nothing here; leave it out`)
	f("i: !!int x", `f.yaml:1:4: i: "x" is not what its tag !!int says`)
	f("t: a\nT: b", `f.yaml:2:1: T: this key is here twice; the other one is in line 1`)
	f("t: a\nt: b", `f.yaml:2:1: t: this key is here twice; the other one is in line 1`)
	f("q: 1", `f.yaml:1:1: q: unknown key; known here: t, b, i, s, d`)
	f("? {a: b}\n: c", `f.yaml:1:3: a key must be a word`)
	f("<<: 5", `f.yaml:1:5: << takes a mapping or a list of them, not the text "5"`)
	f("[a, b]", `f.yaml:1:1: want keys with values under it, not a list`)
	f("just text", `f.yaml:1:1: want keys with values under it, not the text "just text"`)
	f("i: x\nzz: 1\ns: -1\nb: maybe", `f.yaml:1:4: i: "x" is not a whole number`+"\n"+
		`f.yaml:2:1: zz: unknown key; known here: t, b, i, s, d`+"\n"+
		`f.yaml:3:4: s: "-1" is negative; a size is 0 or more`+"\n"+
		`f.yaml:4:4: b: "maybe" is neither true nor false`)
}

func TestUnreadable(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		got := problems(read(t, doc, func(m *yamlnode.Map) { m.Value("a") }))
		if got != want {
			t.Errorf("%.80q:\n got %s\nwant %s", doc, got, want)
		}
	}
	bomb := "a: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := range 30 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i+1, i+1, i, i, i, i, i, i, i, i)
	}
	if got := problems(read(t, bomb, func(*yamlnode.Map) {})); !strings.HasSuffix(got,
		"the document has more than 20000 values once its aliases are resolved") {
		t.Errorf("alias bomb: %s", got)
	}
	f("a: &a [1, *a]\n", "f.yaml:1:4: a[1]: the anchor &a holds itself")
	f("a: &a\n  <<: *a\n", "f.yaml:1:4: a: the anchor &a holds itself")
	f("a: "+strings.Repeat("[", 5000), "f.yaml:1:68: not YAML: exceeded max depth of 64 while increasing flow level")
	f("a: 1\n\tb: 2\n", "f.yaml:2:1: not YAML: a tab indents this line; indent with blanks")
	f("\ta: 1\n", "f.yaml:1:1: not YAML: a tab indents this line; indent with blanks")
	f("a: b: c\n", "f.yaml:1:5: not YAML: mapping values are not allowed in this context")
	f("a: 'x\n", "f.yaml:2:1: not YAML: found unexpected end of stream while scanning a quoted scalar")
	f("a: *nope\n", "f.yaml:1:4: not YAML: unknown anchor 'nope' referenced")
	f("ok: 1\n\x7fELF\x02\x01", "f.yaml: line 2 holds the byte 0x7f, which is no text; is this a YAML file in UTF-8?")
	f("a: \xff\n", "f.yaml: line 1 holds the byte 0xff, which is no text; is this a YAML file in UTF-8?")
	f("a\x00b", "f.yaml: line 1 holds the byte 0x00, which is no text; is this a YAML file in UTF-8?")
	f("\xff\xfea\x00", "f.yaml: the file is UTF-16 text; save it as UTF-8")
	f(strings.Repeat("a: 1 # 10 MB\n", 800_000), "f.yaml: the file is larger than 1024 KiB; that is no configuration")
	many := problems(read(t, strings.Repeat("a: 1\n", 100), func(m *yamlnode.Map) { m.Value("a") }))
	if lines := strings.Split(many, "\n"); len(lines) != 26 || lines[25] != "f.yaml: and 74 more problems" {
		t.Errorf("99 problems are shown as\n%s", many)
	}
}

func TestWarnings(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		var v values
		r := read(t, doc, valuesAndX(&v))
		if got := warnings(r); got != want || !r.OK() {
			t.Errorf("%q:\n got %s\nwant %s\nproblems: %s", doc, got, want, problems(r))
		}
	}
	f("t: 123\ni: 5\nd: 2s\nb: 1", "")
	f("t: 0123", `f.yaml:1:4: t: 0123 without quotes is the text "83"; quote it to keep it as it is`)
	f("t: true", `f.yaml:1:4: t: true without quotes is the text "1"; quote it to keep it as it is`)
	f("d: 30", `f.yaml:1:4: d: 30 is 30ns; a bare number is nanoseconds: write 30s for seconds`)
	f("t: a\n---\nt: b\n", `f.yaml:2:1: a second document starts here (---); only the first one is read`)
}

func TestSuggestions(t *testing.T) {
	keys := []string{"name", "mount_point", "sharding_size", "max_size", "min_free", "sync", "mode", "mem"}
	f := func(word, want string) {
		t.Helper()
		if got, _ := yamlnode.Nearest(word, keys); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
	f("max_sise", "max_size")
	f("maxsize", "max_size")
	f("MAX-SIZE", "max_size")
	f("mountpoint", "mount_point")
	f("moutn_point", "mount_point")
	f("neme", "name")
	f("snyc", "sync")
	f("shard_size", "")
	f("zz", "")
	f("", "")
	f(strings.Repeat("max_size", 1000), "")
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, empty := write("good", "from file\r\n"), write("empty", "\n")
	big := write("big", strings.Repeat("x", 65<<10))
	f := func(doc, want, problem, warning string) {
		t.Helper()
		var got string
		r := read(t, doc, func(m *yamlnode.Map) { m.Secret("token", &got) })
		if got != want || problems(r) != problem || warnings(r) != warning {
			t.Errorf("%q reads as %q, want %q\nproblems %s\n    want %s\nwarnings %s\n    want %s",
				doc, got, want, problems(r), problem, warnings(r), warning)
		}
	}
	f("token: abc", "abc", "", "")
	f("token: 0123", "83", "", "f.yaml:1:8: token: without quotes this is read as a number; quote it to keep it as it is written")
	f("token: ''", "", "", "")
	f("token: ${SECRET}", "s3cret", "", "")
	f("token: ${EMPTY}", "", "", "f.yaml:1:8: token: ${EMPTY} is empty")
	f("token_file: "+good, "from file", "", "")
	f("token_file: "+empty, "", "f.yaml:1:13: token_file: "+empty+" is empty", "")
	f("token_file: "+dir+"/none", "", "f.yaml:1:13: token_file: stat "+dir+"/none: no such file or directory", "")
	f("token_file: "+dir, "", "f.yaml:1:13: token_file: "+dir+" is no file with a secret: it is not a regular file, or larger than 64 KiB", "")
	f("token_file: "+big, "", "f.yaml:1:13: token_file: "+big+" is no file with a secret: it is not a regular file, or larger than 64 KiB", "")
	f("token: a\ntoken_file: "+good, "", "f.yaml:1:8: token: both token and token_file are given; keep one", "")
	f("token: [s3cret]", "", "f.yaml:1:8: token: want one value, not a list", "")
}

func TestTexts(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		got := []string{"default"}
		r := read(t, doc, func(m *yamlnode.Map) { m.Texts("l", &got) })
		if s := strings.Join(got, "|") + problems(r); s != want {
			t.Errorf("%q reads as %s, want %s", doc, s, want)
		}
	}
	f("l: [a, 5, 'b c']", "a|5|b c")
	f("l: a, b,c", "a|b|c")
	f("l:", "default")
	f("l: []", "")
	f("l: [a, [b]]", "defaultf.yaml:1:8: l[1]: want a text, not a list")
	f("l: {a: b}", "defaultf.yaml:1:4: l: want a list, not keys of its own")
}

func TestURL(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		var got string
		r := read(t, doc, func(m *yamlnode.Map) { m.URL("u", &got) })
		if s := got + problems(r); s != want {
			t.Errorf("%q reads as %s, want %s", doc, s, want)
		}
	}
	f("u: https://a.example/b", "https://a.example/b")
	f("u: HTTP://a.example", "HTTP://a.example")
	f("u: http://[::1]:80/x?y=", "http://[::1]:80/x?y=")
	f("u: a.example/b", `f.yaml:1:4: u: this is not an address such as https://example.com/`)
	f("u: ftp://a.example/b", `f.yaml:1:4: u: this is not an address such as https://example.com/`)
	f("u: ''", `f.yaml:1:4: u: this is not an address such as https://example.com/`)
	f("u: 'http://'", `f.yaml:1:4: u: this is not an address such as https://example.com/`)
	f("u: 'http://%zz'", `f.yaml:1:4: u: this is not an address such as https://example.com/`)
}

func TestOneOfRequireNoEffect(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		mode := "none"
		r := read(t, doc, func(m *yamlnode.Map) {
			m.OneOf("mode", &mode, "segments", "sharded")
			m.Require("path", "write path: /dir")
			m.NoEffect("old", "it went away")
		})
		if s := mode + ";" + problems(r) + ";" + warnings(r); s != want {
			t.Errorf("%q reads as\n%s, want\n%s", doc, s, want)
		}
	}
	f("path: x", "none;;")
	f("path: x\nmode: Sharded", "sharded;;")
	f("path: x\nmode: segment", `none;f.yaml:2:7: mode: "segment" is not known; did you mean segments?;`)
	f("path: x\nmode: flat", `none;f.yaml:2:7: mode: "flat" is not known; want segments or sharded;`)
	f("path: x\nold: {a: 1}", "none;;f.yaml:2:1: old: has no effect: it went away")
	f("path: ", "none;f.yaml:1:1: the key path is missing; write path: /dir;")
	f("path: ''", "none;f.yaml:1:7: path: this is empty; write path: /dir;")
	f("path: ${EMPTY}", "none;f.yaml:1:7: path: this is empty; write path: /dir;")
	f("path: ${NOPE}", "none;f.yaml:1:7: path: the environment variable NOPE is not set; set it, or write $${NOPE} for the text itself;")
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a: &a {b: *a}\n", "<<: [{a: 1}]\nt: ${PORT}\n", "t: 1e9\nd: -1\ns: 99999EiB\n", "\tx", "? [a]\n: b\n---\nx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		r := &yamlnode.Report{}
		n := yamlnode.Parse("f.yaml", []byte(doc), env, r)
		if n == nil {
			if r.OK() {
				t.Fatal("nothing was read and nothing is said about it")
			}
			return
		}
		var v values
		m := n.Map(r)
		v.read(m)
		var list []string
		m.Texts("l", &list)
		m.Done()
		if v.D < 0 || v.S < 0 || v.I < -100 || v.I > 1_000_000 {
			t.Fatalf("out of bounds: %+v", v)
		}
		for _, w := range append(r.Warnings(), &yamlnode.Problem{}) {
			_ = w.Error()
		}
		_ = r.Err()
	})
}

package download

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// A name from strangers is a plain name, whatever it was.
func TestLocalName(t *testing.T) {
	f := func(suggested, want string) {
		t.Helper()
		if got := localName(suggested); got != want {
			t.Errorf("%q becomes %q, want %q", suggested, got, want)
		}
	}
	f("a file – ü.mp4", "a file – ü.mp4")
	f("", "lbry_download")
	f("..", "lbry_download")
	f("../../etc/passwd", "etcpasswd")
	f("/etc/passwd", "etcpasswd")
	f(".bash_login", "bash_login")
	f("...a", "a")
	f("a\x00b\x1b[31m\u202egpj.exe", "ab[31mgpj.exe")
	f("a\xff\xfe.txt", "a.txt")
	f("CON.txt", "lbry_download.txt")
	f(". .CON", "lbry_download.CON")
	long := localName(strings.Repeat("ü", 300) + ".mp4")
	if len(long) > 255 || len(long) < 250 || !utf8.ValidString(long) || filepath.Ext(long) != ".mp4" {
		t.Errorf("a long name becomes %q", long)
	}
	f(strings.Repeat("a", 300), strings.Repeat("a", 255))
	f("a."+strings.Repeat("b", 300), ("a." + strings.Repeat("b", 300))[:255])
}

func FuzzLocalName(f *testing.F) {
	for _, s := range []string{"", "../a", ". .CON", "\xff.", "a\u2028.b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := localName(s)
		if name == "" || name[0] == '.' || len(name) > 255 || filepath.Base(name) != name || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\\x00\n") {
			t.Fatalf("%q becomes %q", s, name)
		}
	})
}

package httpd_test

import (
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
)

// A blob that is withheld is missing on every path, token or not, and the store is not asked for it.
func TestWithheld(t *testing.T) {
	bad, good := []byte("bad"), []byte("good")
	store := newShelf(bad, good)
	is := func(h blob.Hash) bool { return h == blob.Sum(bad) }
	s := start(t, httpd.Options{Store: store, Gate: &httpd.TokenGate{Withheld: is, Protected: is, Token: "sesame"}})
	h := blob.Sum(bad).String()
	for _, path := range []string{"/blob?hash=" + h, "/blob?hash=" + h + "&edge_token=sesame", "/" + h, "/" + h[:2] + "/" + h, "/get/" + h, "/has/" + h} {
		for _, method := range []string{"GET", "HEAD"} {
			top := s.talk(method + " " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if status(top) != "404" || strings.Contains(top, "protected") {
				t.Errorf("%s %s:\n%s", method, path, top)
			}
		}
	}
	if n := store.Calls(); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	if top, body := s.get("/blob?hash=" + blob.Sum(good).String()); status(top) != "200" || body != string(good) {
		t.Errorf("another blob: %s", top)
	}
}

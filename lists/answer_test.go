package lists

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
)

func TestReadBlocked(t *testing.T) {
	id := vectors(t)[0].TXID
	f := func(text string, good, bad int) {
		t.Helper()
		all, n, err := readBlocked(strings.NewReader(text))
		if err != nil || n != (answered{good, bad}) || len(all) != good {
			t.Errorf("%s: %d outputs, %+v, %v", text, len(all), n, err)
		}
	}
	f(`{"success":true,"error":null,"data":{"outpoints":["`+id+`:0","`+id+`:7"]}}`, 2, 0)
	f(`{"data":{"more":[{}],"outpoints":["`+id+`:0"],"x":1},"success":true,"trace":{"a":[1]}}`+"\n \n", 1, 0)
	f(`{"success":true,"data":{"outpoints":[]}}`, 0, 0)
	f(`{"success":true,"data":{"outpoints":["`+id+`:0","x",5,null,["a"],{"b":1},"`+id+`"]}}`, 1, 6)
}

func TestReadProtected(t *testing.T) {
	h := blob.Sum(nil)
	f := func(text string, good, bad int) {
		t.Helper()
		all, n, err := readProtected(strings.NewReader(text))
		if err != nil || n != (answered{good, bad}) || len(all) != good || good > 0 && !slices.Contains(all, h) {
			t.Errorf("%s: %d hashes, %+v, %v", text, len(all), n, err)
		}
	}
	f(`{"success":true,"error":null,"data":[{"sd_hash":"`+h.String()+`","claim_id":"abc"}]}`, 1, 0)
	f(`{"data":[{"claim_id":5,"sd_hash":"`+h.String()+`"}],"success":true}`, 1, 0)
	f(`{"success":true,"data":[]}`, 0, 0)
	f(`{"success":true,"data":[{"sd_hash":"`+h.String()+`"},{"sd_hash":""},{"sd_hash":null},{},5,null,{"sd_hash":7},{"sd_hash":"abc"}]}`, 1, 7)
}

// What is no list says so, and what it says is fit for a log.
func TestNoList(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		for kind, read := range map[string]func(io.Reader) error{
			"blocked":   func(r io.Reader) error { _, _, err := readBlocked(r); return err },
			"protected": func(r io.Reader) error { _, _, err := readProtected(r); return err },
		} {
			if err := read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 400 {
				t.Errorf("%s: %.100q: %v, want %s", kind, text, err, want)
			}
		}
	}
	f("", "it is empty")
	f(" \n", "it is empty")
	f("<!DOCTYPE html><html>", "invalid character '<'")
	f("null", "null where a value belongs")
	f("[]", `"[" where { belongs`)
	f("{}", "the server says that it failed")
	f(`{"success":false,"error":"down for maintenance","data":null}`, "down for maintenance")
	f(`{"success":false,"error":"`+strings.Repeat("x", 5000)+`"}`, "the server says that it failed")
	f(`{"success":"yes","data":[]}`, "")
	f(`{"success":true}`, "it has no data")
	f(`{"success":true,"data":null}`, "it has no data")
	f(`{"success":true,"data":5}`, "where")
	f(`{"success":true,"data":"x"}`, "where")
	f(`{"success":true,"data":{"outpoints":["a:0"]},"data":[{"sd_hash":"b"}]}`, "")
	f(`{"success":true,"data":{"outpoints":["x","y"]}}`, "")
	f(`{"success":true,"data":`, "unexpected EOF")
	f(`{"success":true,"dat`, "unexpected EOF")
	f(`{"success":true,"data":[`, "")
	f(`{"success":true,"data":[]} {"success":true}`, "")
	f(strings.Repeat("[", 20000), "")
	f(`{"x":`+strings.Repeat("[", 20000), "")
	f(`{"success":true,"data":{"outpoints":5}}`, "")
}

// A list of whose entries not one can be read is no list: something is wrong with it.
func TestNoEntryCanBeRead(t *testing.T) {
	if _, _, err := readBlocked(strings.NewReader(`{"success":true,"data":{"outpoints":["x","y"]}}`)); err == nil || !strings.Contains(err.Error(), "none of the 2 entries") {
		t.Error(err)
	}
	if _, _, err := readProtected(strings.NewReader(`{"success":true,"data":[{"sd_hash":"x"}]}`)); err == nil || !strings.Contains(err.Error(), "none of the 1 entries") {
		t.Error(err)
	}
	if _, _, err := readBlocked(strings.NewReader(`{"success":true,"data":{"hashes":[]}}`)); err == nil || !strings.Contains(err.Error(), "no list of outpoints") {
		t.Error(err)
	}
}

func TestBounded(t *testing.T) {
	f := func(size, limit int, ok bool) {
		t.Helper()
		data, err := io.ReadAll(&bounded{r: strings.NewReader(strings.Repeat("x", size)), left: int64(limit)})
		if (err == nil) != ok || err != nil && err != errTooLarge || len(data) > limit {
			t.Errorf("%d bytes of at most %d: %d, %v", size, limit, len(data), err)
		}
	}
	f(0, 0, true)
	f(10, 10, true)
	f(11, 10, false)
	f(100_000, 10, false)
	f(0, 10, true)
}

func FuzzAnswer(f *testing.F) {
	id := vectors(f)[0].TXID
	f.Add([]byte(`{"success":true,"data":{"outpoints":["` + id + `:0"]}}`))
	f.Add([]byte(`{"success":true,"data":[{"sd_hash":"` + blob.Sum(nil).String() + `","claim_id":"a"}]}`))
	f.Add([]byte(`{"success":false,"error":"e"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, read := range []func(io.Reader) (int, answered, error){
			func(r io.Reader) (int, answered, error) { all, n, err := readBlocked(r); return len(all), n, err },
			func(r io.Reader) (int, answered, error) { all, n, err := readProtected(r); return len(all), n, err },
		} {
			got, n, err := read(strings.NewReader(string(data)))
			if err == nil && got != n.good {
				t.Errorf("%d entries, %d of them good", got, n.good)
			}
		}
	})
}

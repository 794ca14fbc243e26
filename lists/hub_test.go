package lists

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/lists/liststest"
)

func TestParseReply(t *testing.T) {
	f := func(line string, want reply) {
		t.Helper()
		got, err := parseReply([]byte(line))
		if err != nil || got.id != want.id || got.notice != want.notice || string(got.result) != string(want.result) ||
			fmt.Sprint(got.refused) != fmt.Sprint(want.refused) {
			t.Errorf("%s: %+v, %v", line, got, err)
		}
	}
	f(`{"id":1,"result":"ab"}`, reply{id: 1, result: []byte(`"ab"`)})
	f(`{"jsonrpc":"2.0","id":7,"result":"ab","error":null}`, reply{id: 7, result: []byte(`"ab"`)})
	f(`{"method":"blockchain.headers.subscribe","params":[{}]}`, reply{notice: true})
	f(`{"id":null,"method":"x"}`, reply{notice: true})
	f(`{"id":1,"error":{"code":2,"message":"no such transaction"}}`, reply{id: 1, refused: refusal{`"no such transaction" (code "2")`}})
	f(`{"id":1,"result":null,"error":{"code":1,"message":{"code":-5,"message":"no such transaction"}}}`,
		reply{id: 1, result: []byte("null"), refused: refusal{`"no such transaction" (code "-5")`}})
	f(`{"id":1,"error":"down"}`, reply{id: 1, refused: refusal{`"\"down\""`}})
	f(`{"id":1,"error":{"message":{"message":{"message":{"message":"deep"}}}}}`, reply{id: 1, refused: refusal{`"{\"message\":\"deep\"}"`}})
	for _, bad := range []string{"", "{", "null", "[]", `{"result":"ab"}`, `{"id":"1","result":"ab"}`, `{"id":1}`, `{"id":1.5,"result":1}`, "HTTP/1.1 400 Bad Request\r"} {
		if r, err := parseReply([]byte(bad)); err == nil {
			t.Errorf("%q is taken: %+v", bad, r)
		}
	}
}

func TestReadLine(t *testing.T) {
	f := func(text string, limit int, want string, failed error) {
		t.Helper()
		got, err := readLine(bufio.NewReaderSize(strings.NewReader(text), 16), limit)
		if string(got) != want || (err == nil) != (failed == nil) || failed != nil && failed != io.EOF && err != failed {
			t.Errorf("%.40q: %.40q, %v", text, got, err)
		}
	}
	long := strings.Repeat("x", 100_000)
	f("a\nb\n", 10, "a", nil)
	f("\n", 10, "", nil)
	f(long+"\n", 200_000, long, nil)
	f(long+"\n", 1000, "", io.EOF)
	f("half", 10, "", io.ErrUnexpectedEOF)
	f("", 10, "", io.ErrUnexpectedEOF)
}

func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"id":1,"result":"ab"}` + "\n"))
	f.Add([]byte(`{"id":1,"error":{"code":1,"message":{"code":-5,"message":"no"}}}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		line, err := readLine(bufio.NewReaderSize(bytes.NewReader(data), 16), 1<<10)
		if err != nil {
			return
		}
		if len(line) > 1<<10 {
			t.Errorf("a line of %d bytes", len(line))
		}
		r, err := parseReply(line)
		if err == nil && !r.notice && r.refused == nil && len(r.result) == 0 {
			t.Error("neither result nor error")
		}
	})
}

// asked is what hubs gave for a transaction.
type asked struct {
	scripts [][]byte
	err     error
}

// ask asks hubs for transactions.
func ask(t *testing.T, timeout time.Duration, addrs []string, txs ...liststest.Tx) map[string]asked {
	t.Helper()
	h := &hubs{addrs: addrs, timeout: timeout, pause: time.Millisecond}
	var ids []txid
	for _, tx := range txs {
		o, err := parseOutpoint(tx.Outpoint(0))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, o.tx)
	}
	out := map[string]asked{}
	h.outputs(t.Context(), ids, func(id txid, scripts [][]byte, err error) { out[id.String()] = asked{scripts, err} })
	if len(out) != len(txs) {
		t.Errorf("%d answers for %d questions", len(out), len(txs))
	}
	return out
}

// someTxs are transactions with one claim each.
func someTxs(n int) []liststest.Tx {
	all := make([]liststest.Tx, n)
	for i := range all {
		all[i] = liststest.Transaction(i%2 == 0, liststest.ClaimName(fmt.Sprint("n", i), liststest.Unsigned(blob.Hash{byte(i), byte(i >> 8)})))
	}
	return all
}

func TestHubs(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	one, two := liststest.NewHub(t), liststest.NewHub(t)
	txs := someTxs(50)
	for i, tx := range txs {
		if i != 7 {
			one.Add(tx)
		}
		if i != 7 && i != 9 {
			two.Add(tx)
		}
	}
	// A line longer than any buffer.
	long := liststest.Transaction(false, liststest.ClaimName("n", make([]byte, 1<<20)))
	one.Add(long)
	two.Add(long)
	got := ask(t, 30*time.Second, []string{one.Addr(), two.Addr()}, append(txs, long)...)
	for i, tx := range append(txs, long) {
		a := got[tx.ID]
		if i == 7 {
			if !errors.Is(a.err, errRefused) || !strings.Contains(a.err.Error(), "No such mempool") {
				t.Errorf("a transaction that no hub has: %v", a.err)
			}
			continue
		}
		if a.err != nil || len(a.scripts) != 1 {
			t.Errorf("transaction %d: %d scripts, %v", i, len(a.scripts), a.err)
		}
	}
	if one, two := len(one.Asked()), len(two.Asked()); one == 0 || two == 0 || one+two > len(txs)+4 {
		t.Errorf("the hubs were asked %d and %d times", one, two)
	}
}

// A hub that misbehaves costs time and nothing else: another one has the transactions.
func TestHubFaults(t *testing.T) {
	txs := someTxs(20)
	other := liststest.Transaction(false, liststest.ClaimName("n", liststest.Channel()))
	for name, odd := range map[string]func(c net.Conn, id int, tx string) bool{
		"lies": func(c net.Conn, id int, _ string) bool {
			liststest.Say(c, `{"id":%d,"result":"%s"}`, id, other.Hex)
			return true
		},
		"is another question's": func(c net.Conn, id int, _ string) bool {
			liststest.Say(c, `{"id":%d,"result":"%s"}`, id+1, other.Hex)
			return true
		},
		"no hex": func(c net.Conn, id int, _ string) bool { liststest.Say(c, `{"id":%d,"result":"xyz"}`, id); return true },
		"no text": func(c net.Conn, id int, _ string) bool {
			liststest.Say(c, `{"id":%d,"result":{"hex":"00"}}`, id)
			return true
		},
		"null":        func(c net.Conn, id int, _ string) bool { liststest.Say(c, `{"id":%d,"result":null}`, id); return true },
		"garbage":     func(c net.Conn, _ int, _ string) bool { liststest.Say(c, "\x00\xff{{{{"); return true },
		"half a line": func(c net.Conn, id int, _ string) bool { fmt.Fprintf(c, `{"id":%d,"result":"00`, id); return false },
		"nothing":     func(net.Conn, int, string) bool { return false },
		"hangs":       func(net.Conn, int, string) bool { return true },
		"notices": func(c net.Conn, _ int, _ string) bool {
			liststest.Say(c, strings.Repeat("{\"method\":\"m\"}\n", 200))
			return true
		},
		"error": func(c net.Conn, id int, _ string) bool {
			liststest.Say(c, `{"id":%d,"error":{"code":1,"message":"busy"}}`, id)
			return true
		},
		"error, nested": func(c net.Conn, id int, _ string) bool {
			liststest.Say(c, `{"id":%d,"error":{"code":1,"message":{"code":-1,"message":"busy"}}}`, id)
			return true
		},
		"endless line": func(c net.Conn, _ int, _ string) bool {
			for range maxLine>>16 + 2 {
				if _, err := c.Write(bytes.Repeat([]byte{'x'}, 1<<16)); err != nil {
					return false
				}
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			leaktest.FDs(t)
			bad, good := liststest.NewHub(t), liststest.NewHub(t)
			bad.Misbehave(odd)
			for _, tx := range txs {
				good.Add(tx)
			}
			timeout := 10 * time.Second
			if name == "hangs" {
				timeout = time.Second
			}
			gone := liststest.NewHub(t) // nobody listens there
			gone.Close()
			for id, a := range ask(t, timeout, []string{bad.Addr(), gone.Addr(), good.Addr()}, txs...) {
				if a.err != nil {
					t.Errorf("%s: %v", id, a.err)
				}
			}
			for id, a := range ask(t, timeout, []string{bad.Addr(), gone.Addr()}, txs[0]) {
				want := errNoHub
				if strings.HasPrefix(name, "error") {
					want = errRefused
				}
				if !errors.Is(a.err, want) || !strings.Contains(a.err.Error(), "hub 127.0.0.1:") {
					t.Errorf("%s, with no good hub: %v, want %v", id, a.err, want)
				}
			}
			// One that keeps failing is given up, so that what is left fails at once.
			if n := len(bad.Asked()); n > 2*len(txs) {
				t.Errorf("the bad hub was asked %d times", n)
			}
		})
	}
}

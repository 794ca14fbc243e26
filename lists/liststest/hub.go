package liststest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
)

// Hub gives transactions.
type Hub struct {
	ln      net.Listener
	running sync.WaitGroup

	mu    sync.Mutex
	txs   map[string]string // hex, by TXID
	odd   func(conn net.Conn, id int, tx string) bool
	asked []string
	conns []net.Conn
	over  bool
}

// NewHub starts a hub. It stops with the test.
func NewHub(t testing.TB) *Hub {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &Hub{ln: ln, txs: map[string]string{}}
	h.running.Go(h.accept)
	t.Cleanup(h.Close)
	return h
}

// Addr is HOST:PORT.
func (h *Hub) Addr() string { return h.ln.Addr().String() }

// Add gives the hub a transaction.
func (h *Hub) Add(tx Tx) { h.Have(tx.ID, tx.Hex) }

// Have gives the hub what it answers for a TXID, right or wrong.
func (h *Hub) Have(txid, hex string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.txs[txid] = hex
}

// Transaction is what the hub answers for a TXID, in hex, or empty.
func (h *Hub) Transaction(txid string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.txs[txid]
}

// Misbehave has a function answer questions for transactions. It says whether the connection is good for another one.
// nil ends that.
func (h *Hub) Misbehave(answer func(conn net.Conn, id int, txid string) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.odd = answer
}

// Asked are the transactions that were asked for, in order.
func (h *Hub) Asked() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.asked)
}

// Close stops the hub. It may be called again.
func (h *Hub) Close() {
	_ = h.ln.Close()
	h.mu.Lock()
	h.over = true
	for _, c := range h.conns {
		_ = c.Close()
	}
	h.mu.Unlock()
	h.running.Wait()
}

func (h *Hub) accept() {
	for {
		c, err := h.ln.Accept()
		if err != nil {
			return
		}
		h.mu.Lock()
		h.conns = append(h.conns, c)
		if h.over {
			_ = c.Close()
		}
		h.mu.Unlock()
		h.running.Go(func() {
			defer c.Close()
			h.serve(c)
		})
	}
}

// serve answers the questions of one connection. The first must be server.version.
func (h *Hub) serve(c net.Conn) {
	in := bufio.NewScanner(c)
	greeted := false
	for in.Scan() {
		var q struct {
			ID     int      `json:"id"`
			Method string   `json:"method"`
			Params []string `json:"params"`
		}
		if json.Unmarshal(in.Bytes(), &q) != nil {
			return
		}
		switch {
		case q.Method == "server.version" && len(q.Params) == 2:
			greeted = true
			Say(c, `{"id":%d,"result":["hub 0.1","%s"]}`, q.ID, q.Params[1])
		case !greeted || q.Method != "blockchain.transaction.get" || len(q.Params) != 1:
			Say(c, `{"id":%d,"error":{"code":-32601,"message":"unknown method"}}`, q.ID)
		case !h.give(c, q.ID, q.Params[0]):
			return
		}
	}
}

// give answers a question for a transaction.
func (h *Hub) give(c net.Conn, id int, txid string) bool {
	h.mu.Lock()
	h.asked = append(h.asked, txid)
	tx, ok := h.txs[txid]
	odd := h.odd
	h.mu.Unlock()
	switch {
	case odd != nil:
		return odd(c, id, txid)
	case !ok:
		Say(c, `{"id":%d,"error":{"code":2,"message":"daemon error: DaemonError({'code': -5, 'message': 'No such mempool or blockchain transaction.'})"}}`, id)
	default:
		Say(c, `{"id":%d,"result":"%s"}`, id, tx)
	}
	return true
}

// Say writes a line to a connection.
func Say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...) // a client that left has said so
}

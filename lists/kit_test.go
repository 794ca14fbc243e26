package lists_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/lists"
	"github.com/OdyseeTeam/prism/lists/liststest"
)

// bed is a server of lists, a hub, a folder for states, and a log.
type bed struct {
	t   *testing.T
	api *liststest.Server
	hub *liststest.Hub
	dir string
	log *journal
}

func newBed(t *testing.T) *bed {
	return &bed{t: t, api: liststest.NewServer(t), hub: liststest.NewHub(t), dir: t.TempDir(), log: &journal{}}
}

// options are those of a list that is refreshed all the time.
func (b *bed) options() lists.Options {
	return lists.Options{
		URL: b.api.URL + "/list", Interval: 5 * time.Millisecond, Retry: time.Millisecond, Timeout: 20 * time.Second,
		Dir: b.dir, RootCAs: b.api.Roots(), Logger: slog.New(slog.NewTextHandler(b.log, nil)),
	}
}

func (b *bed) protected(change ...func(*lists.ProtectedOptions)) *lists.Protected {
	b.t.Helper()
	o := lists.ProtectedOptions{Options: b.options()}
	for _, c := range change {
		c(&o)
	}
	p, err := lists.OpenProtected(o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(p.Close)
	return p
}

func (b *bed) blocklist(change ...func(*lists.BlocklistOptions)) *lists.Blocklist {
	b.t.Helper()
	o := lists.BlocklistOptions{Options: b.options(), Hubs: []string{b.hub.Addr()}}
	for _, c := range change {
		c(&o)
	}
	l, err := lists.OpenBlocklist(o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(l.Close)
	return l
}

// claim gives the hub a transaction with a claim, and says where it is.
func (b *bed) claim(value []byte) string {
	tx := liststest.Transaction(false, liststest.ClaimName(fmt.Sprintf("n%d", len(b.hub.Asked())), value))
	b.hub.Add(tx)
	return tx.Outpoint(0)
}

// await waits until a condition holds.
func (b *bed) await(what string, holds func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: not within 30 s\n%s", what, b.log.text())
		}
		time.Sleep(time.Millisecond)
	}
}

// journal is a log.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func (j *journal) has(text string) bool { return strings.Contains(j.text(), text) }

// lister is what both lists are.
type lister interface {
	Contains(blob.Hash) bool
	Stats() lists.Stats
	Close()
}

// more waits until a list has been refreshed n more times, well or not.
func (b *bed) more(l lister, n uint64) lists.Stats {
	b.t.Helper()
	want := l.Stats().Refreshes + n
	b.await("another refresh", func() bool { return l.Stats().Refreshes >= want })
	return l.Stats()
}

func hash(text string) blob.Hash { return blob.Sum([]byte(text)) }

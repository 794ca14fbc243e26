package lists_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/lists"
	"github.com/OdyseeTeam/prism/lists/liststest"
)

// hangs never answers.
func hangs(net.Conn, int, string) bool { return true }

// A list is looked up, what it holds is asked for once, and what leaves the list is not blocked any more.
func TestBlocklist(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	b := newBed(t)
	both := liststest.Transaction(true, liststest.UpdateClaim("a", liststest.Signed(hash("one"))), liststest.ClaimName("b", liststest.JSON(hash("two"))))
	b.hub.Add(both)
	older, channel := b.claim(liststest.Older(hash("three"))), b.claim(liststest.Channel())
	unknown := liststest.Transaction(false, []byte("nobody has it")).Outpoint(0)
	b.api.Block(both.Outpoint(0), both.Outpoint(1), both.Outpoint(2), older, channel, older, unknown, "garbage")
	l := b.blocklist()
	b.await("the list", func() bool { return l.Stats().Known })
	st := l.Stats()
	if st.Entries != 3 || st.Skipped != 3 || st.Unresolved != 1 || st.LastError != "" || st.Failures != 0 {
		t.Errorf("%+v", st)
	}
	for text, want := range map[string]bool{"one": true, "two": true, "three": true, "four": false} {
		if got := l.Contains(hash(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	b.more(l, 3)
	counts := map[string]int{}
	for _, id := range b.hub.Asked() {
		counts[id]++
	}
	if len(counts) != 4 || counts[both.ID] != 1 || counts[older[:64]] != 1 || counts[channel[:64]] != 1 || counts[unknown[:64]] < 2 {
		t.Errorf("the hub was asked %v", counts)
	}
	b.api.Block(older, b.claim(liststest.Unsigned(hash("four"))))
	b.await("another list", func() bool { return l.Contains(hash("four")) })
	if st := b.more(l, 1); l.Contains(hash("one")) || !l.Contains(hash("three")) || st.Entries != 2 || st.Skipped != 0 || st.Unresolved != 0 {
		t.Errorf("%+v", st)
	}
}

// With no hub what is known stays, what leaves the list leaves, and the failure is told.
func TestBlocklistWithoutHub(t *testing.T) {
	leaktest.Check(t)
	b := newBed(t)
	one, two := b.claim(liststest.Unsigned(hash("one"))), b.claim(liststest.Signed(hash("two")))
	b.api.Block(one, two)
	l := b.blocklist()
	b.await("the list", func() bool { return l.Stats().Known })
	b.hub.Misbehave(func(net.Conn, int, string) bool { return false })
	three := liststest.Transaction(false, liststest.ClaimName("c", liststest.Unsigned(hash("three"))))
	b.hub.Add(three)
	b.api.Block(two, three.Outpoint(0))
	b.await("a failure", func() bool { return l.Stats().Failures > 0 })
	if st := l.Stats(); l.Contains(hash("one")) || !l.Contains(hash("two")) || l.Contains(hash("three")) || st.LastError == "" || st.Unresolved != 1 {
		t.Errorf("%+v", st)
	}
	b.hub.Misbehave(nil)
	b.await("the rest", func() bool { return l.Contains(hash("three")) && l.Stats().LastError == "" })
}

// applied remembers what Apply was called with, and fails when it is told to.
type applied struct {
	mu     sync.Mutex
	hashes []blob.Hash
	err    error
}

func (a *applied) apply(_ context.Context, hashes []blob.Hash) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	a.hashes = append(a.hashes, hashes...)
	return nil
}

func (a *applied) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

func (a *applied) count(h blob.Hash) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, x := range a.hashes {
		if x == h {
			n++
		}
	}
	return n
}

// Each hash is applied once in the life of a process, after a restart without a server too. One that fails is tried
// again.
func TestApply(t *testing.T) {
	leaktest.Check(t)
	b, a := newBed(t), &applied{}
	with := func(o *lists.BlocklistOptions) { o.Apply = a.apply }
	b.api.Block(b.claim(liststest.Unsigned(hash("one"))))
	a.fail(errors.New("the catalogue is down"))
	l := b.blocklist(with)
	b.await("a failure", func() bool { return l.Stats().Failures > 1 })
	if !l.Contains(hash("one")) || !b.log.has("the catalogue is down") {
		t.Errorf("%+v\n%s", l.Stats(), b.log.text())
	}
	a.fail(nil)
	b.await("the block", func() bool { return a.count(hash("one")) == 1 })
	b.api.Block(b.claim(liststest.Unsigned(hash("one"))), b.claim(liststest.Unsigned(hash("two"))))
	b.await("the second block", func() bool { return a.count(hash("two")) == 1 })
	b.more(l, 3)
	if one, two := a.count(hash("one")), a.count(hash("two")); one != 1 || two != 1 {
		t.Errorf("applied %d and %d times", one, two)
	}
	l.Close()
	b.api.Answer(500, "")
	l = b.blocklist(with)
	b.await("both blocks after a restart", func() bool { return a.count(hash("one")) == 2 && a.count(hash("two")) == 2 })
	if st := b.more(l, 1); st.LastError == "" {
		t.Errorf("%+v", st)
	}
}

// What was looked up before the process ended is not asked for again.
func TestLookUpsAreKept(t *testing.T) {
	leaktest.Check(t)
	b := newBed(t)
	var outs []string
	for i := range 20 {
		tx := liststest.Transaction(false, liststest.ClaimName("n", liststest.Unsigned(blob.Hash{byte(i)})))
		b.hub.Add(tx)
		outs = append(outs, tx.Outpoint(0))
	}
	b.api.Block(outs...)
	stuck := outs[11][:64]
	answered := func() int { return len(b.hub.Asked()) }
	b.hub.Misbehave(func(c net.Conn, id int, tx string) bool {
		if tx == stuck {
			return true
		}
		liststest.Say(c, `{"id":%d,"error":{"code":1,"message":"later"}}`, id)
		return true
	})
	l := b.blocklist(func(o *lists.BlocklistOptions) { o.HubTimeout = time.Minute })
	b.await("all questions", func() bool { return slices.Contains(b.hub.Asked(), stuck) && answered() == 20 })
	l.Close()
	b.hub.Misbehave(nil)
	l = b.blocklist()
	b.await("the list", func() bool { return l.Stats().Known })
	l.Close()
	n := answered()
	l = b.blocklist()
	b.more(l, 2)
	if l.Stats().Entries != 20 || answered() != n {
		t.Errorf("%+v, and the hub was asked %d times more", l.Stats(), answered()-n)
	}
}

package crashtest_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/engine/enginetest"
)

// What a victim says of itself, one a line, each with a number: of the blob, or of the flush. It says that a call begins
// before it makes it, and that it returned after it did.
const (
	sayOpen    = 'o' // the mount is open
	sayBegin   = 'b' // a put or delete begins
	sayPut     = 'p' // a put returned
	sayDelete  = 'd' // a delete returned
	sayFlush   = 'f' // a flush begins
	sayFlushed = 'F' // it returned
	sayWrong   = 'w' // a blob had wrong bytes
)

// ledger is what an engine in another process promised up to a power cut. An acknowledgement counts that came before.
type ledger struct {
	mu      sync.Mutex
	sync    string
	evict   bool
	over    bool // the power is cut
	ready   chan struct{}
	known   map[int]enginetest.State
	acked   map[int]acknowledged // puts that promise nothing yet
	calls   int
	flushes map[int]int // what calls was when the flush began

	puts, deletes int
}

type acknowledged struct {
	call int // number of the acknowledgement
	at   time.Time
}

func newLedger() *ledger { return &ledger{known: map[int]enginetest.State{}} }

// begin starts the account of a new engine. One that evicts promises nothing about what is there.
func (l *ledger) begin(sync string, evict bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sync, l.evict, l.over = sync, evict, false
	l.ready = make(chan struct{})
	l.acked, l.flushes = map[int]acknowledged{}, map[int]int{}
}

// opened is closed once the mount is open.
func (l *ledger) opened() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready
}

// follow reads what the engine says until it ends.
func (l *ledger) follow(r io.Reader) error {
	var all error
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		all = errors.Join(all, l.note(lines.Text()))
	}
	return errors.Join(all, lines.Err())
}

func (l *ledger) note(line string) error {
	var what rune
	var n int
	if _, err := fmt.Sscanf(line, "%c %d", &what, &n); err != nil {
		return fmt.Errorf("the engine's process says %q: %w", line, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch what {
	case sayWrong:
		return fmt.Errorf("blob %d: %w", n, errWrong)
	case sayBegin:
		l.known[n] = enginetest.Maybe
		delete(l.acked, n)
	}
	if l.over {
		return nil // the rest came too late to count
	}
	l.calls++
	switch what {
	case sayOpen:
		close(l.ready)
	case sayPut:
		l.puts++
		l.acked[n] = acknowledged{l.calls, time.Now()}
		if l.sync == "always" {
			l.durable(n)
		}
	case sayDelete:
		l.deletes++
		l.known[n] = enginetest.Absent
	case sayFlush:
		l.flushes[n] = l.calls
	case sayFlushed:
		for i, a := range l.acked {
			if a.call < l.flushes[n] {
				l.durable(i)
			}
		}
	}
	return nil
}

func (l *ledger) durable(n int) {
	l.known[n] = enginetest.Durable
	delete(l.acked, n)
}

// cut cuts the power, with nothing noted meanwhile.
func (l *ledger) cut(power func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for i, a := range l.acked {
		if l.sync == "interval" && time.Since(a.at) > settled {
			l.durable(i)
		}
	}
	return power()
}

// states is what was promised.
func (l *ledger) states() map[int]enginetest.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.known)
}

// settle notes what turned out to be there, durably now. It counts the blobs of which either was possible.
func (l *ledger) settle(found []int) (kept, dropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.known
	l.known = map[int]enginetest.State{}
	for _, i := range found {
		l.known[i] = enginetest.Durable
		if before[i] == enginetest.Maybe {
			kept++
		}
		delete(before, i)
	}
	for i, s := range before {
		l.known[i] = enginetest.Absent
		if s == enginetest.Maybe {
			dropped++
		}
	}
	return kept, dropped
}

// TestLedger: what an engine says becomes what it promised, and what comes after the cut promises nothing.
func TestLedger(t *testing.T) {
	l := newLedger()
	say := func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			if err := l.note(line); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := func(states ...enginetest.State) {
		t.Helper()
		for i, s := range states {
			if got := l.states()[i]; got != s {
				t.Errorf("blob %d is %v, want %v", i, got, s)
			}
		}
	}
	const absent, maybe, durable = enginetest.Absent, enginetest.Maybe, enginetest.Durable
	l.begin("never", false)
	say("o 0", "b 0", "p 0", "b 1", "f 1", "p 1", "b 2", "p 2", "b 3", "p 3", "b 2", "d 2")
	want(maybe, maybe, absent, maybe)
	say("F 1")
	want(durable, maybe, absent, maybe)
	if err := l.cut(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	say("b 0", "d 0", "p 1", "f 2", "F 2")
	want(maybe, maybe, absent, maybe)
	if kept, dropped := l.settle([]int{0, 3}); kept != 2 || dropped != 1 {
		t.Errorf("%d kept, %d dropped, want 2 and 1", kept, dropped)
	}
	want(durable, absent, absent, durable)
	l.begin("always", false)
	say("b 1", "p 1")
	want(durable, durable, absent, durable)
	if l.note("w 1") == nil {
		t.Error("wrong bytes are no error")
	}
}

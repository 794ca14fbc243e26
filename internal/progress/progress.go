// Package progress tells a person how far a long command is: a bar on a terminal, a line now and then elsewhere.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Options are how a Meter tells.
type Options struct {
	Out      io.Writer
	Terminal bool             // Out is a terminal, so a bar is drawn
	Items    string           // what is counted, such as "blobs"
	Every    time.Duration    // between two lines where there is no bar; default 10 s
	Now      func() time.Time // default time.Now
}

// Meter counts items and bytes. It is safe for concurrent use. The caller closes it.
type Meter struct {
	o     Options
	begun time.Time

	mu     sync.Mutex
	bar    *progressbar.ProgressBar // nil without a terminal, and once closed
	done   int64
	bytes  int64
	total  int64
	whole  bool // no more items will be found
	told   time.Time
	closed bool
}

// Terminal says whether a file is a terminal.
func Terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// New starts to count.
func New(o Options) *Meter {
	if o.Every <= 0 {
		o.Every = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Meter{o: o, begun: o.Now()}
	m.told = m.begun
	if o.Terminal {
		m.bar = progressbar.NewOptions64(1, // until something was found
			progressbar.OptionSetWriter(o.Out),
			progressbar.OptionSetWidth(20),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish())
	}
	return m
}

// OrSilent is m, or a meter that tells nobody where m is nil.
func OrSilent(m *Meter) *Meter {
	if m == nil {
		m = New(Options{Out: io.Discard})
	}
	return m
}

// Find notes that n more items are there to be worked off.
func (m *Meter) Find(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total += n
}

// Found notes that all items were found, so that the time left can be told.
func (m *Meter) Found() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.whole = true
}

// Add notes items that were worked off, and the bytes that moved for them.
func (m *Meter) Add(items, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += items
	m.bytes += bytes
	now := m.o.Now()
	switch {
	case m.bar != nil:
		// One more than what is done until all was found: a full bar ends itself. What it cannot draw is no harm.
		most := max(m.total, m.done)
		if !m.whole {
			most = max(most, m.done+1)
		}
		m.bar.Describe(m.o.Items + ", " + m.moved(now))
		if most != m.bar.GetMax64() {
			m.bar.ChangeMax64(most)
		}
		_ = m.bar.Set64(m.done)
	case !m.closed && now.Sub(m.told) >= m.o.Every:
		m.told = now
		fmt.Fprintln(m.o.Out, m.line(now))
	}
}

// Println prints a line of its own, above the bar where there is one.
func (m *Meter) Println(line string) { fmt.Fprintln(m, line) }

// Write prints lines as Println does, such as those of a log.
func (m *Meter) Write(lines []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bar != nil {
		_ = m.bar.Clear()
	}
	return m.o.Out.Write(lines)
}

// Close takes the bar away. The last word is the caller's.
func (m *Meter) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.bar != nil {
		_ = m.bar.Clear()
		_ = m.bar.Exit()
		m.bar = nil
	}
}

// line is all that can be said now.
func (m *Meter) line(now time.Time) string {
	text := fmt.Sprintf("%d of %d %s", m.done, m.total, m.o.Items)
	if !m.whole {
		text += " found so far"
	}
	text += ", " + m.moved(now)
	if left := m.total - m.done; m.whole && m.done > 0 && left > 0 {
		per := float64(now.Sub(m.begun)) / float64(m.done)
		text += fmt.Sprintf(", %v left", time.Duration(per*float64(left)).Round(time.Second))
	}
	return text
}

// moved is how much moved, and how fast.
func (m *Meter) moved(now time.Time) string {
	text := Bytes(m.bytes)
	if took := now.Sub(m.begun); took > 0 {
		text += ", " + Bytes(int64(float64(m.bytes)/took.Seconds())) + "/s"
	}
	return text
}

// Bytes is a number of bytes for a person, with four digits at most.
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1023.5 && unit < len(units)-1 {
		v /= 1024
		unit++
	}
	if v < 100 {
		return fmt.Sprintf("%.1f %ciB", v, units[unit])
	}
	return fmt.Sprintf("%.0f %ciB", v, units[unit])
}

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
	Name     string           // of the command, before all else; may be empty
	Items    string           // what is counted, such as "blobs"; empty: bytes
	Every    time.Duration    // between two lines where there is no bar; default 10 s
	Now      func() time.Time // default time.Now
}

// Meter counts items, and the bytes that move for them, or bytes alone. It is safe for concurrent use. The caller closes it.
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
			progressbar.OptionShowBytes(o.Items == ""),
			progressbar.OptionUseIECUnits(true),
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
	m.tellLocked()
}

// Set notes how far it is, of how much, for a command that counts by itself.
func (m *Meter) Set(done, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done, m.total, m.whole = done, total, true
	if done < total { // all there is until now may not be the end, and a full bar ends itself
		m.tellLocked()
	}
}

func (m *Meter) tellLocked() {
	now := m.o.Now()
	switch {
	case m.bar != nil:
		// One more than what is done until all was found: a full bar ends itself. What it cannot draw is no harm.
		most := max(m.total, m.done)
		if !m.whole {
			most = max(most, m.done+1)
		}
		m.bar.Describe(m.title(now))
		if most != m.bar.GetMax64() {
			m.bar.ChangeMax64(most)
		}
		_ = m.bar.Set64(m.done)
	case !m.closed && now.Sub(m.told) >= m.o.Every:
		m.told = now
		fmt.Fprintln(m.o.Out, m.line(now))
	}
}

// title is what stands before the bar, which shows the rate of bytes by itself.
func (m *Meter) title(now time.Time) string {
	switch {
	case m.o.Items == "":
		return m.o.Name
	case m.o.Name == "":
		return m.o.Items + ", " + m.rate(now)
	}
	return m.o.Name + ", " + m.o.Items + ", " + m.rate(now)
}

// Println prints a line of its own, above the bar where there is one.
func (m *Meter) Println(line string) { fmt.Fprintln(m, line) }

// PrintTo prints a line of a result to another writer, which may be the same terminal. What it cannot print is lost.
func (m *Meter) PrintTo(w io.Writer, line string) { _, _ = m.writeTo(w, []byte(line+"\n")) }

// Write prints lines as Println does, such as those of a log.
func (m *Meter) Write(lines []byte) (int, error) { return m.writeTo(m.o.Out, lines) }

func (m *Meter) writeTo(w io.Writer, lines []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bar != nil {
		_ = m.bar.Clear()
	}
	return w.Write(lines)
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
	if m.o.Items == "" {
		text = Bytes(m.done) + " of " + Bytes(m.total)
	}
	if m.o.Name != "" {
		text = m.o.Name + ": " + text
	}
	if !m.whole {
		text += " found so far"
	}
	text += ", " + m.rate(now)
	if left := m.total - m.done; m.whole && m.done > 0 && left > 0 {
		per := float64(now.Sub(m.begun)) / float64(m.done)
		text += fmt.Sprintf(", %v left", time.Duration(per*float64(left)).Round(time.Second))
	}
	return text
}

// rate is how fast it goes: in bytes where some moved, with how many these are, and otherwise in items.
func (m *Meter) rate(now time.Time) string {
	took := max(now.Sub(m.begun).Seconds(), 0.001)
	switch {
	case m.o.Items == "":
		return Bytes(int64(float64(m.done)/took)) + "/s"
	case m.bytes > 0:
		return Bytes(m.bytes) + ", " + Bytes(int64(float64(m.bytes)/took)) + "/s"
	}
	return fmt.Sprintf("%.0f/s", float64(m.done)/took)
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

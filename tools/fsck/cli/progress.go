package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/tools/fsck/migrate"
)

// How often progress is told: on a terminal one line is written over; elsewhere each is a line of its own.
const (
	tellTerminal = 500 * time.Millisecond
	tellLog      = 10 * time.Second
)

// progress tells on stderr how far a command is.
type progress struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	drawn bool // the line on the terminal is ours
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// line prints a line of the command's own, and not in the midst of that of the progress.
func (p *progress) line(w io.Writer, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clearLocked()
	fmt.Fprintln(w, text)
}

func (p *progress) clearLocked() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}

func (p *progress) tell(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal {
		fmt.Fprintln(p.out, text)
		return
	}
	fmt.Fprint(p.out, "\r\x1b[K"+text)
	p.drawn = true
}

// watch tells about a migration until stop is called.
func (p *progress) watch(m *migrate.Migration) (stop func()) {
	every := tellLog
	if p.terminal {
		every = tellTerminal
	}
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		var moving time.Time
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			now := m.Progress()
			if now.Phase == "moving" && moving.IsZero() {
				moving = time.Now().Add(-every)
			}
			p.tell(progressText(now, time.Since(moving)))
		}
	})
	return func() {
		close(ended)
		wg.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.clearLocked()
	}
}

// progressText is how far a migration is that has moved blobs for so long.
func progressText(n migrate.Progress, since time.Duration) string {
	if n.Phase != "moving" {
		return fmt.Sprintf("%s: %d blobs, %s so far", n.Phase, n.Found, bytesOf(n.FoundBytes))
	}
	rate := float64(n.DoneBytes) / max(since.Seconds(), 0.001)
	text := fmt.Sprintf("moving: %d of %d blobs, %s of %s, %s/s", n.Done, n.Found, bytesOf(n.DoneBytes), bytesOf(n.FoundBytes), bytesOf(int64(rate)))
	if left := n.FoundBytes - n.DoneBytes; rate > 0 && left > 0 {
		text += fmt.Sprintf(", %v left", time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))
	}
	if n.Bad > 0 {
		text += fmt.Sprintf(", %d bad", n.Bad)
	}
	return text
}

// bytesOf is a number of bytes for a person.
func bytesOf(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1023.5 && unit < len(units)-1 {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.4g %ciB", v, units[unit])
}

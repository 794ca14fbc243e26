package cli

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/time/rate"

	"github.com/OdyseeTeam/prism/internal/bytesize"
)

// linesEvery is how often progress is said where nobody looks at a terminal.
const linesEvery = 10 * time.Second

// Progress shows how far a command is, with its rate and the time that is left: as a bar on a terminal, as a line now and
// then otherwise. Its methods are safe for concurrent use.
type Progress struct {
	mu    sync.Mutex
	out   io.Writer
	what  string
	bytes bool // the counts are bytes
	began time.Time
	said  time.Time
	bar   *progressbar.ProgressBar // nil: lines
	total int64
}

// NewProgress begins to show a run. what is its name, bytes says that it counts bytes.
func NewProgress(s *Streams, what string, bytes bool) *Progress {
	p := &Progress{out: s.Err, what: what, bytes: bytes, began: time.Now(), said: time.Now(), total: -1}
	if terminal(s.Err) {
		p.bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(s.Err), progressbar.OptionSetDescription(what),
			progressbar.OptionShowBytes(bytes), progressbar.OptionUseIECUnits(true), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))
		if !bytes {
			progressbar.OptionShowIts()(p.bar)
		}
	}
	return p
}

// Set says that done of total are done.
func (p *Progress) Set(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		if total != p.total {
			p.total = total
			p.bar.ChangeMax64(total)
		}
		_ = p.bar.Set64(done) // a bar that cannot be drawn is no reason to stop
		return
	}
	if time.Since(p.said) < linesEvery {
		return
	}
	p.said = time.Now()
	fmt.Fprintln(p.out, p.line(done, total, time.Since(p.began)))
}

// line is the progress in words.
func (p *Progress) line(done, total int64, took time.Duration) string {
	perSecond := float64(done) / max(took.Seconds(), 0.001)
	left := "unknown"
	if perSecond > 0 {
		left = time.Duration(float64(total-done) / perSecond * float64(time.Second)).Round(time.Second).String()
	}
	return fmt.Sprintf("%s: %s of %s, %s/s, %s left", p.what, p.count(done), p.count(total), p.count(int64(perSecond)), left)
}

func (p *Progress) count(n int64) string {
	if p.bytes {
		return size(n)
	}
	return fmt.Sprint(n)
}

// End takes the bar away.
func (p *Progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Finish()
		p.bar = nil
	}
}

// Rate is a flag that bounds bytes a second.
type Rate struct {
	MaxRate Size `placeholder:"SIZE" help:"Read and write at most this much a second, such as 50MB."`
}

// Size is a number of bytes on the command line.
type Size int64

// UnmarshalText reads 50MB, 1GiB and the like.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := bytesize.Parse(string(text))
	*s = Size(n)
	return err
}

// largest is the most bytes that are asked for at once: what the limiter must be able to give.
const largest = 8 << 20

// Limiter is something to wait for before n bytes are read.
type Limiter interface {
	WaitN(ctx context.Context, n int) error
}

// limit gives the flag's limiter, or nil where there is no limit.
func (r Rate) limit() Limiter {
	if r.MaxRate <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(r.MaxRate), largest)
}

// size is a number of bytes for a person.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}

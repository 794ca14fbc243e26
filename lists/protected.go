package lists

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// ProtectedOptions say where the protected list is, and what to do without it.
type ProtectedOptions struct {
	Options
	// Closed has every blob count as protected while there is no state younger than MaxAge. Otherwise the last good state
	// decides however old it is, and without any no blob is protected.
	Closed bool
	// MaxAge is how old the state may be when Closed. Default 1 h.
	MaxAge time.Duration
}

// Protected is the list of protected SD blobs. All methods are safe for concurrent use.
type Protected struct {
	loop
	opt    ProtectedOptions
	source *source
	file   stateFile
	hashes atomic.Pointer[set]
	// until is when the state is too old, in nanoseconds after start. Only a closed list asks for it.
	until   atomic.Int64
	started time.Time

	// Of the goroutine that refreshes:
	saved   time.Time // when the file was written last
	saveErr string
}

// saveEvery is how often a state that did not change is written again, so that the file says that it is still good.
const saveEvery = 10 * time.Minute

// OpenProtected reads the last good state and begins to refresh it. An error says which option is wrong.
func OpenProtected(o ProtectedOptions) (*Protected, error) {
	var err error
	if o.Options, err = o.withDefaults(DefaultProtectedURL, DefaultProtectedInterval); err != nil {
		return nil, err
	}
	if o.MaxAge == 0 {
		o.MaxAge = DefaultMaxAge
	}
	if o.MaxAge < o.Interval {
		return nil, fmt.Errorf("lists: max_age is %v, want at least the interval, %v", o.MaxAge, o.Interval)
	}
	p := &Protected{
		opt:     o,
		source:  newSource(o.URL, o.RootCAs, o.Timeout),
		file:    stateFile{fs: o.FS, dir: o.Dir, name: "protected", url: o.URL, record: blob.HashSize},
		started: time.Now(),
	}
	p.loop = loop{
		name: "protected", log: o.Logger, interval: o.Interval, retry: o.Retry, refresh: p.refresh, good: p.started,
	}
	p.hashes.Store(newSet(nil))
	p.load()
	p.start()
	return p, nil
}

// Contains says whether a blob is protected. It does not wait, and allocates nothing.
func (p *Protected) Contains(h blob.Hash) bool {
	return p.hashes.Load().has(h) || p.opt.Closed && int64(time.Since(p.started)) >= p.until.Load()
}

// load reads the state on disk.
func (p *Protected) load() {
	var all []blob.Hash
	good, err := p.file.load(
		func(count int) { all = make([]blob.Hash, 0, count) },
		func(record []byte) { all = append(all, blob.Hash(record)) },
	)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		p.log.Warn("lists: the state of the protected list is not used; it is fetched anew", "error", err)
		return
	}
	p.publish(newSet(all), good)
	p.saved = good
}

// publish makes a state the current one.
func (p *Protected) publish(s *set, good time.Time) {
	p.hashes.Store(s)
	left := p.opt.MaxAge - time.Since(good)
	if left > p.opt.MaxAge+time.Minute { // the clock was set back: nobody knows how old it is
		left = 0
	}
	p.until.Store(int64(time.Since(p.started) + left))
	p.isGood(good)
	p.update(func(st *Stats) { st.Entries = len(s.hashes) })
}

// refresh fetches the list.
func (p *Protected) refresh(ctx context.Context) (soon bool, err error) {
	var all []blob.Hash
	var n answered
	err = p.source.get(ctx, func(r io.Reader) (err error) {
		all, n, err = readProtected(r)
		return err
	})
	if err != nil {
		return false, err
	}
	now := time.Now()
	s := newSet(all)
	before := p.hashes.Load()
	if !slices.Equal(s.hashes, before.hashes) || now.Sub(p.saved) >= saveEvery || p.saved.After(now) {
		p.save(s, now)
	}
	p.update(func(st *Stats) { st.Skipped = n.bad })
	p.publish(s, now)
	return false, nil
}

// save writes the state. A disk that fails is said once, and does not matter until a restart.
func (p *Protected) save(s *set, good time.Time) {
	err := p.file.save(good, len(s.hashes), func(dst []byte, i int) []byte { return append(dst, s.hashes[i][:]...) })
	if err == nil {
		p.saved = good
	}
	p.saveErr = warnUnsaved(p.log, p.name, p.saveErr, err)
}

package lists

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// BlocklistOptions say where the block list is, and what is to be done with what it lists.
type BlocklistOptions struct {
	Options
	// Hubs are asked for transactions, HOST:PORT. Default: DefaultHubs.
	Hubs []string
	// HubTimeout bounds one question to a hub. Default 30 s.
	HubTimeout time.Duration
	// Apply is called with the hashes that are listed, up to 10,000 at a time, each at least once in the life of the process,
	// from one goroutine; the slice is its own until it returns. One that fails ends the refresh, and is called again at the
	// next one, and so are others. nil: nothing is to be done.
	Apply func(context.Context, []blob.Hash) error
}

// Blocklist is the list of blocked SD blobs. All methods are safe for concurrent use.
type Blocklist struct {
	loop
	opt    BlocklistOptions
	source *source
	hubs   *hubs
	file   stateFile
	hashes atomic.Pointer[set]

	// Of the goroutine that refreshes:
	atOnce  int      // outputs
	applied *set     // what Apply took
	unsaved []output // what the file should hold and does not, or nil
	saveErr string
}

// output is what an output of a transaction was found to hold. It never changes.
type output struct {
	at     outpoint
	stream bool      // it holds a claim with a stream
	sd     blob.Hash // of that stream
}

const outputRecord = 32 + 4 + 1 + blob.HashSize

// outputsAtOnce is how many outputs are looked up before what they hold is kept: what a crash costs.
const outputsAtOnce = 10_000

// applyAtOnce is how many hashes Apply is given at most.
const applyAtOnce = 10_000

// OpenBlocklist reads the last good state and begins to refresh it. An error says which option is wrong.
func OpenBlocklist(o BlocklistOptions) (*Blocklist, error) {
	var err error
	if o.Options, err = o.withDefaults(DefaultBlockedURL, DefaultBlockedInterval); err != nil {
		return nil, err
	}
	if len(o.Hubs) == 0 {
		o.Hubs = DefaultHubs()
	}
	for _, addr := range o.Hubs {
		if err := CheckHub(addr); err != nil {
			return nil, fmt.Errorf("lists: %w", err)
		}
	}
	if o.HubTimeout <= 0 {
		o.HubTimeout = 30 * time.Second
	}
	b := &Blocklist{
		opt:     o,
		source:  newSource(o.URL, o.RootCAs, o.Timeout),
		hubs:    &hubs{addrs: o.Hubs, timeout: o.HubTimeout, pause: min(time.Second, o.Retry)},
		file:    stateFile{fs: o.FS, dir: o.Dir, name: "blocked", url: o.URL, record: outputRecord},
		atOnce:  outputsAtOnce,
		applied: newSet(nil),
	}
	b.loop = loop{
		name: "blocked", log: o.Logger, interval: o.Interval, retry: o.Retry, refresh: b.refresh, good: time.Now(),
	}
	b.hashes.Store(newSet(nil))
	known, good, err := b.load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.log.Warn("lists: the state of the block list is not used; it is fetched anew", "error", err)
	}
	if err == nil {
		b.publish(known)
		if !good.IsZero() {
			b.isGood(good)
		}
	}
	b.start()
	return b, nil
}

// Contains says whether a blob is blocked. It does not wait, and allocates nothing.
func (b *Blocklist) Contains(h blob.Hash) bool { return b.hashes.Load().has(h) }

// refresh fetches the list, asks for what is new in it, and applies it. What is known is applied first: the catalogue
// that takes it may have been down before, and the list may be now.
func (b *Blocklist) refresh(ctx context.Context) (soon bool, err error) {
	before := b.apply(ctx)
	var list []outpoint
	var n answered
	err = b.source.get(ctx, func(r io.Reader) (err error) {
		list, n, err = readBlocked(r)
		return err
	})
	if err != nil {
		return false, errors.Join(err, before)
	}
	slices.SortFunc(list, compareOutpoints)
	list = slices.Compact(list)
	known, missing := b.match(list)
	unresolved, err := b.resolve(ctx, known, missing, n.bad)
	if err != nil {
		return false, errors.Join(err, b.apply(ctx))
	}
	return unresolved > 0, b.apply(ctx)
}

// match splits a list into what is known of its outputs and what is not.
func (b *Blocklist) match(list []outpoint) (known []output, missing []outpoint) {
	all := b.unsaved
	if all == nil {
		all, _, _ = b.load() // a state that cannot be read is asked for anew
	}
	b.unsaved = nil // known takes its place
	known = all[:0]
	for _, o := range list {
		for len(all) > 0 && compareOutpoints(all[0].at, o) < 0 {
			all = all[1:]
		}
		if len(all) > 0 && all[0].at == o {
			known = append(known, all[0])
			continue
		}
		missing = append(missing, o)
	}
	return known, missing
}

// resolve asks the hubs for the outputs that are missing, and keeps the state, on its way too. unresolved are those that
// no hub knows.
func (b *Blocklist) resolve(ctx context.Context, known []output, missing []outpoint, bad int) (unresolved int, err error) {
	b.mu.Lock()
	good := b.good
	if !b.stats.Known {
		good = time.Time{}
	}
	b.mu.Unlock()
	total := len(missing)
	for len(missing) > 0 && err == nil {
		some := missing[:wholeTransactions(missing, b.atOnce)]
		missing = missing[len(some):]
		var found []output
		var lost int
		found, lost, err = b.ask(ctx, some)
		unresolved += lost
		known = append(known, found...)
		sortOutputs(known)
		if len(missing) > 0 || err != nil {
			b.keep(known, good)
		}
	}
	b.update(func(st *Stats) { st.Skipped, st.Unresolved = bad+without(known), unresolved+len(missing) })
	if err != nil {
		return unresolved, fmt.Errorf("look up %d new outputs: %w", total, err)
	}
	now := time.Now()
	b.keep(known, now)
	b.isGood(now)
	return unresolved, nil
}

func sortOutputs(all []output) {
	slices.SortFunc(all, func(x, y output) int { return compareOutpoints(x.at, y.at) })
}

// without is the number of outputs that hold no stream.
func without(all []output) int {
	n := 0
	for i := range all {
		if !all[i].stream {
			n++
		}
	}
	return n
}

// wholeTransactions is the length of a beginning of a sorted list that splits no transaction: at least most, if there are
// so many.
func wholeTransactions(list []outpoint, most int) int {
	n := min(most, len(list))
	for n < len(list) && list[n].tx == list[n-1].tx {
		n++
	}
	return n
}

// ask asks the hubs for outputs. lost is the number of those that no hub has; an error says that hubs failed, so that some
// may be had later.
func (b *Blocklist) ask(ctx context.Context, wanted []outpoint) (found []output, lost int, err error) {
	var ids []txid
	for i, o := range wanted {
		if i == 0 || o.tx != wanted[i-1].tx {
			ids = append(ids, o.tx)
		}
	}
	b.hubs.outputs(ctx, ids, func(id txid, scripts [][]byte, failed error) {
		at, _ := slices.BinarySearchFunc(wanted, outpoint{tx: id}, compareOutpoints)
		for ; at < len(wanted) && wanted[at].tx == id; at++ {
			switch {
			case failed == nil:
				found = append(found, b.read(wanted[at], scripts))
			case errors.Is(failed, errRefused):
				lost++
				b.log.Debug("lists: no hub has a blocked transaction", "txid", id, "error", failed)
			default:
				lost++
				err = failed // the last one says as much as the others
			}
		}
	})
	return found, lost, err
}

// read is what an output of a transaction holds.
func (b *Blocklist) read(at outpoint, scripts [][]byte) output {
	if uint64(at.out) >= uint64(len(scripts)) {
		b.log.Debug("lists: a blocked output is not in its transaction", "txid", at.tx, "output", at.out)
		return output{at: at}
	}
	value, err := claimValue(scripts[at.out])
	var sd blob.Hash
	if err == nil {
		sd, err = sdHash(value)
	}
	if err != nil {
		b.log.Debug("lists: a blocked output is skipped", "txid", at.tx, "output", at.out, "error", err)
		return output{at: at}
	}
	return output{at: at, stream: true, sd: sd}
}

// keep saves what is known and makes it the current state.
func (b *Blocklist) keep(known []output, good time.Time) {
	err := b.file.save(good, len(known), func(dst []byte, i int) []byte { return known[i].append(dst) })
	b.unsaved = nil
	if err != nil {
		b.unsaved = known
	}
	b.saveErr = warnUnsaved(b.log, b.name, b.saveErr, err)
	b.publish(known)
}

func (b *Blocklist) publish(known []output) {
	hashes := make([]blob.Hash, 0, len(known)-without(known))
	for i := range known {
		if known[i].stream {
			hashes = append(hashes, known[i].sd)
		}
	}
	s := newSet(hashes)
	if before := b.hashes.Load(); !slices.Equal(before.hashes, s.hashes) {
		b.hashes.Store(s)
	}
	b.update(func(st *Stats) { st.Entries = len(s.hashes) })
}

// apply gives the hashes to Apply that it did not take yet.
func (b *Blocklist) apply(ctx context.Context) error {
	now := b.hashes.Load()
	if b.opt.Apply == nil || now == b.applied {
		return nil
	}
	err := now.beyond(b.applied, applyAtOnce, func(hashes []blob.Hash) error {
		if err := b.opt.Apply(ctx, hashes); err != nil {
			return fmt.Errorf("apply the block list: %w", err)
		}
		return ctx.Err()
	})
	if err == nil {
		b.applied = now
	}
	return err
}

// load reads the state on disk.
func (b *Blocklist) load() ([]output, time.Time, error) {
	var all []output
	good, err := b.file.load(
		func(count int) { all = make([]output, 0, count) },
		func(record []byte) { all = append(all, parseOutput(record)) },
	)
	if err != nil {
		return nil, time.Time{}, err
	}
	return all, good, nil
}

// append appends the record of an output: TXID, number, 1 for a stream, its hash.
func (o *output) append(dst []byte) []byte {
	dst = append(dst, o.at.tx[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, o.at.out)
	if o.stream {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	return append(dst, o.sd[:]...)
}

func parseOutput(record []byte) output {
	return output{
		at:     outpoint{tx: txid(record), out: binary.LittleEndian.Uint32(record[32:])},
		stream: record[36] != 0,
		sd:     blob.Hash(record[37:]),
	}
}

// warnUnsaved says once that a state cannot be written, and what to do. It gives what to remember of it.
func warnUnsaved(log *slog.Logger, name, before string, err error) string {
	if err == nil {
		return ""
	}
	if before != err.Error() {
		log.Warn("lists: the state of the "+name+" list cannot be written, and will be fetched anew after a restart; "+
			"make its folder writable, or set lists.state_dir", "error", err)
	}
	return err.Error()
}

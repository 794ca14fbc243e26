// Package compare walks a store and its catalogue side by side. A running store finds out by it what the catalogue was not
// told, and fsck what differs while nothing runs: both mean the same by a difference, since they have it from here.
//
// Memory is that of a page of each side, however much the two hold. It decides nothing and writes nothing, but for Note,
// which is how a blob that was found is noted.
package compare

import (
	"bytes"
	"context"
	"errors"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// List calls fn for each blob of a store in the order of the hashes, as stores.Lister has it.
type List func(ctx context.Context, from blob.Hash, fn func(h blob.Hash, size int64, kind blob.Kind) error) error

// Pair is one blob that at least one of the two knows.
type Pair struct {
	Hash blob.Hash

	InStore bool
	Size    int64 // bytes, of a blob in the store
	Kind    blob.Kind

	Known bool         // the catalogue has a row
	Row   metadata.Row // that row
}

// Stored says whether the catalogue has the blob as stored.
func (p Pair) Stored() bool { return p.Known && p.Row.Stored }

// Walk calls fn for each blob, in the order of the hashes. An error of fn ends it, and is returned as it is.
func Walk(ctx context.Context, list List, cat metadata.Catalogue, fn func(Pair) error) error {
	have := &pages[Pair]{hash: func(p *Pair) blob.Hash { return p.Hash }, fetch: func(from blob.Hash, add func(Pair) error) error {
		return list(ctx, from, func(h blob.Hash, size int64, kind blob.Kind) error {
			return add(Pair{Hash: h, InStore: true, Size: size, Kind: kind})
		})
	}}
	says := &pages[metadata.Row]{hash: func(r *metadata.Row) blob.Hash { return r.Hash }, fetch: func(from blob.Hash, add func(metadata.Row) error) error {
		return cat.Walk(ctx, from, add)
	}}
	for {
		a, err := have.peek()
		if err != nil {
			return err
		}
		b, err := says.peek()
		if err != nil {
			return err
		}
		var p Pair
		switch {
		case a == nil && b == nil:
			return nil
		case b == nil, a != nil && bytes.Compare(a.Hash[:], b.Hash[:]) < 0:
			p = *a
			have.at++
		case a == nil, bytes.Compare(a.Hash[:], b.Hash[:]) > 0:
			p = Pair{Hash: b.Hash, Known: true, Row: *b}
			says.at++
		default:
			p = *a
			p.Known, p.Row = true, *b
			have.at++
			says.at++
		}
		if err := fn(p); err != nil {
			return err
		}
	}
}

// pageSize is what a catalogue reads at a time anyway.
const pageSize = metadata.BatchSize

// pages reads one side in the order of hashes, a page at a time, so that neither is kept open while the other is asked.
type pages[T any] struct {
	fetch func(from blob.Hash, add func(T) error) error
	hash  func(*T) blob.Hash
	page  []T
	at    int
	from  blob.Hash
	ended bool
}

// errPage ends a fetch whose page is full.
var errPage = errors.New("the page is full")

// peek is what comes next; nil at the end.
func (p *pages[T]) peek() (*T, error) {
	if p.at == len(p.page) && !p.ended {
		p.page, p.at = p.page[:0], 0
		err := p.fetch(p.from, func(t T) error {
			p.page = append(p.page, t)
			if len(p.page) == pageSize {
				return errPage
			}
			return nil
		})
		if err != nil && !errors.Is(err, errPage) {
			return nil, err
		}
		p.ended = err == nil
		if n := len(p.page); n > 0 {
			var last bool
			p.from, last = after(p.hash(&p.page[n-1]))
			p.ended = p.ended || last
		}
	}
	if p.at == len(p.page) {
		return nil, nil
	}
	return &p.page[p.at], nil
}

// after is the hash that follows; last says that there is none.
func after(h blob.Hash) (next blob.Hash, last bool) {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i]++; h[i] != 0 {
			return h, false
		}
	}
	return h, true
}

// Note notes a blob as stored: an SD blob, whose bytes are data, with its stream, all others as they are. What claims to be
// an SD blob and is none is noted as what it is: bytes; bad then says why it is none.
func Note(ctx context.Context, cat metadata.Catalogue, b metadata.Blob, kind blob.Kind, data []byte) (bad, err error) {
	if kind == blob.KindSD {
		desc, err := stream.ParseSD(data)
		if err == nil {
			return nil, cat.PutStream(ctx, b, desc)
		}
		bad = err
	}
	return bad, cat.PutBlobs(ctx, []metadata.Blob{b})
}

// strangers is how many blobs the catalogue may have at least that the store lacks.
const strangers = 1000

// Strangers says that the two have so little in common that the one or the other is the wrong one: alone are the blobs
// that only the catalogue has as stored, both those that the store has too.
func Strangers(alone, both int64) bool { return alone > strangers && alone > both }

// Marks tells of hashes, asked in their order, whether the catalogue has them as blocked.
type Marks struct{ p pages[blob.Hash] }

// Blocked begins to read what is blocked.
func Blocked(ctx context.Context, cat metadata.Catalogue) *Marks {
	return &Marks{pages[blob.Hash]{
		hash:  func(h *blob.Hash) blob.Hash { return *h },
		fetch: func(from blob.Hash, add func(blob.Hash) error) error { return cat.Blocked(ctx, from, add) },
	}}
}

// Has says whether a hash is blocked. No later call may ask for one below it.
func (m *Marks) Has(h blob.Hash) (bool, error) {
	for {
		next, err := m.p.peek()
		if next == nil || err != nil {
			return false, err
		}
		switch order := bytes.Compare(next[:], h[:]); {
		case order == 0:
			return true, nil
		case order > 0:
			return false, nil
		}
		m.p.at++
	}
}

package dbbacked

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/journal"
	"github.com/OdyseeTeam/prism/stores"
)

// Sync says what a Put waits for.
type Sync string

// The modes.
const (
	WriteThrough Sync = "write_through"
	WriteBehind  Sync = "write_behind"
)

// ErrOptions: settings that cannot be.
var ErrOptions = errors.New("db_backed: bad settings")

// Options are the settings of a Store.
type Options struct {
	Name      string             // follows "db_backed-" in Name; empty: the kind alone
	Store     stores.Store       // closed with the Store that Open returns
	Catalogue metadata.Catalogue // the same
	Sync      Sync               // default: WriteThrough
	Tracking  metadata.Tracking  // the catalogue's: at TrackNone accesses are not even gathered

	DeleteOnMiss bool // a Get that misses what the catalogue has as stored lets it be noted as not stored

	Journal      string        // folder of the journal; default: beside the blobs of the disk below
	FS           diskfs.FS     // of the journal; default: the operating system's
	AskTimeout   time.Duration // how long an answer may wait for the catalogue's part in it; default 3 s
	CompareEvery time.Duration // between comparisons of the two that nothing calls for; default a day

	Logger *slog.Logger // default: slog.Default()
}

func (o Options) withDefaults() (Options, error) {
	switch o.Sync {
	case "":
		o.Sync = WriteThrough
	case WriteThrough, WriteBehind:
	default:
		return o, fmt.Errorf("%w: there is no sync %q: use %s or %s", ErrOptions, o.Sync, WriteThrough, WriteBehind)
	}
	if o.AskTimeout <= 0 {
		o.AskTimeout = 3 * time.Second
	}
	if o.CompareEvery <= 0 {
		o.CompareEvery = 24 * time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

// JournalFolder is the name of the journal's folder beside the blobs of a disk.
const JournalFolder = "journal"

// openJournal opens the journal where one is needed: in write_behind, and over a store that loses blobs by itself.
func (s *Store) openJournal() error {
	watched, isWatched := stores.As[stores.Watched](s.child)
	s.lister, _ = stores.As[stores.Lister](s.child)
	if !isWatched || s.lister == nil { // the one is of no use without the other
		watched, s.lister = nil, nil
	}
	if s.o.Sync != WriteBehind && watched == nil {
		return nil
	}
	host, hosted := stores.As[stores.Host](s.child)
	dir := s.o.Journal
	switch {
	case dir != "":
		if abs, err := filepath.Abs(dir); err == nil {
			dir = abs
		}
	case hosted:
		dir = host.Folder(JournalFolder)
	default:
		return fmt.Errorf("%w: sync: %s needs a folder for its journal, and %s is not on a disk of this machine; name one with "+
			"the key journal, or use sync: %s", ErrOptions, WriteBehind, s.child.Name(), WriteThrough)
	}
	j, err := journal.Open(journal.Options{FS: s.o.FS, Dir: dir, Logger: s.log})
	if err != nil {
		return err
	}
	s.journal = j
	if s.o.Journal == "" {
		host.ChargeBeside(j.DiskBytes)
	}
	if watched == nil {
		s.log.Warn("the store under write_behind cannot list its blobs: if its journal is ever lost, nothing finds what the " +
			"catalogue was not told")
		j.SetWhole(j.Losses()) // every note is on disk before it counts, and there is nothing to compare with
		return nil
	}
	if watched.OnChange(func(h blob.Hash) { j.Note(h, journal.Changed) }) {
		j.Doubt()
	}
	return nil
}

package mysql

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// insert is a row of blob_ that is to be there.
type insert struct {
	hash   blob.Hash
	stored bool
	length int // 0: none
	at     time.Time
}

// rowBytes is the most that an insert takes in a statement.
const rowBytes = hashBytes + 50

// PutBlobs is described at metadata.Catalogue.
func (c *Catalogue) PutBlobs(ctx context.Context, blobs []metadata.Blob) error {
	if err := c.calls.Begin(ctx); err != nil {
		return err
	}
	if err := metadata.CheckAll(blobs); err != nil {
		return err
	}
	for batch := range slices.Chunk(blobs, metadata.BatchSize) {
		rows := make([]insert, len(batch))
		accesses := make([]metadata.Access, len(batch))
		for i, b := range batch {
			rows[i] = insert{b.Hash, true, b.Length, metadata.Noted(b.At)}
			accesses[i] = metadata.Access{Hash: b.Hash, At: b.At}
		}
		err := c.run(ctx, "note blobs", func(ctx context.Context, s *session) error {
			if c.opts.Tracking != metadata.TrackStreams {
				return s.one(ctx, len(rows) <= s.rowsFit(), func() error { return s.insertBlobs(ctx, rows) })
			}
			return s.transact(ctx, func() error {
				if err := s.insertBlobs(ctx, rows); err != nil {
					return err
				}
				return s.touch(ctx, accesses)
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rowsFit is how many inserts go into one statement.
func (s *session) rowsFit() int { return s.t.fit(rowBytes, metadata.BatchSize) }

// insertBlobs inserts rows, or raises those that are there. It sorts them.
func (s *session) insertBlobs(ctx context.Context, rows []insert) error {
	slices.SortStableFunc(rows, func(a, b insert) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	head, mark := "INSERT INTO blob_ (hash, is_stored, length) VALUES ", "(?,?,?),"
	tail := " ON DUPLICATE KEY UPDATE is_stored = (is_stored OR VALUES(is_stored))"
	timed := s.opts.Tracking == metadata.TrackBlobs
	if timed {
		head, mark = "INSERT INTO blob_ (hash, is_stored, length, last_accessed_at) VALUES ", "(?,?,?,?),"
		// The interval is metadata.TouchInterval.
		tail += ", last_accessed_at = IF(last_accessed_at IS NULL OR last_accessed_at < VALUES(last_accessed_at) - INTERVAL 6 HOUR, " +
			"VALUES(last_accessed_at), last_accessed_at)"
	}
	for list := range slices.Chunk(rows, s.rowsFit()) {
		args := make([]any, 0, 4*len(list))
		for _, r := range list {
			args = append(args, r.hash.String(), r.stored, sql.NullInt64{Int64: int64(r.length), Valid: r.length > 0})
			if timed {
				args = append(args, s.noted(r.at))
			}
		}
		values := strings.TrimSuffix(strings.Repeat(mark, len(list)), ",")
		if _, err := s.exec(ctx, head+values+tail, args...); err != nil {
			return err
		}
	}
	return nil
}

// SetLengths is described at metadata.Catalogue.
func (c *Catalogue) SetLengths(ctx context.Context, blobs []metadata.Blob) error {
	if err := c.calls.Begin(ctx); err != nil {
		return err
	}
	if err := metadata.CheckAll(blobs); err != nil {
		return err
	}
	for batch := range slices.Chunk(blobs, metadata.BatchSize) {
		batch = slices.Clone(batch)
		slices.SortStableFunc(batch, func(a, b metadata.Blob) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
		err := c.run(ctx, "correct lengths", func(ctx context.Context, s *session) error {
			return s.one(ctx, len(batch) <= s.lengthsFit(), func() error { return s.setLengths(ctx, batch) })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lengthsFit is how many lengths go into one statement.
func (s *session) lengthsFit() int { return s.t.fit(2*hashBytes+40, listSize) }

func (s *session) setLengths(ctx context.Context, blobs []metadata.Blob) error {
	for list := range slices.Chunk(blobs, s.lengthsFit()) {
		var hashes, cases []any
		for _, b := range slices.Backward(list) { // of a hash that is there twice the last length counts
			hashes = append(hashes, b.Hash.String())
			cases = append(cases, b.Hash.String(), b.Length)
		}
		query := "UPDATE blob_ SET length = CASE hash " + strings.Repeat("WHEN ? THEN ? ", len(list)) + "END WHERE hash IN (" +
			marks(len(list)) + ")"
		if _, err := s.exec(ctx, query, append(cases, hashes...)...); err != nil {
			return err
		}
	}
	return nil
}

// PutStream is described at metadata.Catalogue.
func (c *Catalogue) PutStream(ctx context.Context, sd metadata.Blob, desc stream.SD) error {
	return c.putStream(ctx, sd, desc, false)
}

// SetStream is described at metadata.Catalogue.
func (c *Catalogue) SetStream(ctx context.Context, sd metadata.Blob, desc stream.SD) error {
	return c.putStream(ctx, sd, desc, true)
}

// putStream notes an SD blob, its stream and what that names. alone says that it names nothing else.
func (c *Catalogue) putStream(ctx context.Context, sd metadata.Blob, desc stream.SD, alone bool) error {
	if err := sd.Check(); err != nil {
		return err
	}
	at := metadata.Noted(sd.At)
	rows := make([]insert, 1, 1+len(desc.Blobs))
	rows[0] = insert{sd.Hash, true, sd.Length, at}
	for i, h := range desc.Blobs {
		rows = append(rows, insert{h, false, metadata.LengthOf(desc, i), at})
	}
	return c.transact(ctx, "note a stream", func(ctx context.Context, s *session) error {
		if err := s.insertBlobs(ctx, rows); err != nil {
			return err
		}
		ids, err := s.ids(ctx, append([]blob.Hash{sd.Hash}, desc.Blobs...), "")
		if err != nil {
			return err
		}
		streamID, err := s.insertStream(ctx, ids[sd.Hash], desc.StreamHash, at)
		if err != nil {
			return err
		}
		if alone { // the row of the SD blob is locked: none of its streams gets links meanwhile
			if _, err := s.exec(ctx, "DELETE sb FROM stream_blob sb JOIN stream s ON s.id = sb.stream_id WHERE s.sd_blob_id = ?",
				ids[sd.Hash]); err != nil {
				return err
			}
		}
		if streamID != 0 {
			if err := s.insertLinks(ctx, streamID, desc.Blobs, ids); err != nil {
				return err
			}
		}
		if c.opts.Tracking == metadata.TrackStreams {
			return s.touch(ctx, []metadata.Access{{Hash: sd.Hash, At: at}})
		}
		return nil
	})
}

// ids are those of rows of blob_. lock is empty or FOR UPDATE.
func (s *session) ids(ctx context.Context, hashes []blob.Hash, lock string) (map[blob.Hash]uint64, error) {
	ids := make(map[blob.Hash]uint64, len(hashes))
	err := s.eachList(hashes, func(marks string, args []any) error {
		return s.query(ctx, "SELECT id, hash FROM blob_ WHERE hash IN ("+marks+") "+lock, args, func(rows *sql.Rows) error {
			var id uint64
			var text string
			if err := rows.Scan(&id, &text); err != nil {
				return err
			}
			if h, ok := s.t.read(text); ok {
				ids[h] = id
			}
			return nil
		})
	})
	return ids, err
}

// insertStream gives the id of the stream of an SD blob, after inserting it where it is missing; or 0 where the
// stream_hash is another's, or cannot be noted. The row of the SD blob is locked, so this is not done twice at once.
func (s *session) insertStream(ctx context.Context, sdID uint64, streamHash string, at time.Time) (uint64, error) {
	id, err := s.streamOf(ctx, sdID)
	if id != 0 || err != nil || !metadata.Notable(streamHash) {
		return id, err
	}
	query, args := "INSERT INTO stream (hash, sd_blob_id) VALUES (?, ?)", []any{streamHash, sdID}
	if s.opts.Tracking == metadata.TrackStreams {
		query, args = "INSERT INTO stream (hash, sd_blob_id, last_accessed_at) VALUES (?, ?, ?)", append(args, s.noted(at))
	}
	res, err := s.exec(ctx, query, args...)
	const duplicate = 1062
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == duplicate {
		return s.streamOf(ctx, sdID) // of another SD blob, or written by another program meanwhile
	}
	if err != nil {
		return 0, err
	}
	last, err := res.LastInsertId()
	return uint64(last), err
}

// streamOf is the id of the stream of an SD blob, or 0.
func (s *session) streamOf(ctx context.Context, sdID uint64) (id uint64, err error) {
	err = s.query(ctx, "SELECT id FROM stream WHERE sd_blob_id = ? ORDER BY id LIMIT 1", []any{sdID},
		func(rows *sql.Rows) error { return rows.Scan(&id) })
	return id, err
}

// insertLinks inserts the links of a stream that are missing.
func (s *session) insertLinks(ctx context.Context, streamID uint64, content []blob.Hash, ids map[blob.Hash]uint64) error {
	const linkBytes = 50
	num := 0
	for list := range slices.Chunk(content, s.t.fit(linkBytes, metadata.BatchSize)) {
		args := make([]any, 0, 3*len(list))
		for _, h := range list {
			args = append(args, streamID, ids[h], num)
			num++
		}
		values := strings.TrimSuffix(strings.Repeat("(?,?,?),", len(list)), ",")
		if _, err := s.exec(ctx, "INSERT INTO stream_blob (stream_id, blob_id, num) VALUES "+values+
			" ON DUPLICATE KEY UPDATE num = num", args...); err != nil {
			return err
		}
	}
	return nil
}

// Block is described at metadata.Catalogue.
func (c *Catalogue) Block(ctx context.Context, hashes []blob.Hash) error {
	if err := c.calls.Begin(ctx); err != nil {
		return err
	}
	for batch := range slices.Chunk(hashes, metadata.BatchSize) {
		batch = sorted(batch)
		err := c.run(ctx, "note blocked blobs", func(ctx context.Context, s *session) error {
			fresh, err := s.unblocked(ctx, batch)
			if err != nil || len(fresh) == 0 {
				return err
			}
			return s.one(ctx, len(fresh) <= s.listFit(), func() error {
				return s.eachList(fresh, func(marks string, args []any) error {
					values := strings.ReplaceAll(marks, "?", "(?)")
					_, err := s.exec(ctx, "INSERT INTO blocked (hash) VALUES "+values+" ON DUPLICATE KEY UPDATE hash = blocked.hash", args...)
					return err
				})
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unblocked are the hashes that are not blocked yet, in their order.
func (s *session) unblocked(ctx context.Context, hashes []blob.Hash) ([]blob.Hash, error) {
	there := make(map[blob.Hash]struct{})
	err := s.eachList(hashes, func(marks string, args []any) error {
		return s.query(ctx, "SELECT hash FROM blocked WHERE hash IN ("+marks+")", args, func(rows *sql.Rows) error {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			if h, ok := s.t.read(text); ok {
				there[h] = struct{}{}
			}
			return nil
		})
	})
	fresh := make([]blob.Hash, 0, len(hashes)-min(len(hashes), len(there)))
	for _, h := range hashes {
		if _, is := there[h]; !is {
			fresh = append(fresh, h)
		}
	}
	return fresh, err
}

func sorted(hashes []blob.Hash) []blob.Hash {
	out := slices.Clone(hashes)
	slices.SortFunc(out, func(a, b blob.Hash) int { return bytes.Compare(a[:], b[:]) })
	return out
}

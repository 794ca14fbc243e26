package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
)

// Touch is described at metadata.Catalogue.
func (c *Catalogue) Touch(ctx context.Context, accesses []metadata.Access) error {
	if err := c.calls.Begin(ctx); err != nil || c.opts.Tracking == metadata.TrackNone {
		return err
	}
	for batch := range slices.Chunk(accesses, metadata.BatchSize) {
		err := c.run(ctx, "note accesses", func(ctx context.Context, s *session) error { return s.touch(ctx, batch) })
		if err != nil {
			return err
		}
	}
	return nil
}

// target is a row that an access is noted on.
type target struct {
	id    uint64
	at    time.Time // that is noted, or to be noted
	stale bool      // whether it is to be noted
}

// touch notes a batch of accesses. Most change nothing, and then nothing is written.
func (s *session) touch(ctx context.Context, accesses []metadata.Access) error {
	hashes := make([]blob.Hash, len(accesses))
	for i, a := range accesses {
		hashes[i] = a.Hash
	}
	table, find := "blob_", s.blobTargets
	if s.opts.Tracking == metadata.TrackStreams {
		table, find = "stream", s.streamTargets
	}
	targets, err := find(ctx, hashes)
	if err != nil {
		return err
	}
	var stale []*target
	for _, a := range accesses {
		at := metadata.Noted(a.At)
		for _, t := range targets[a.Hash] {
			if !metadata.Replaces(at, t.at) {
				continue
			}
			if !t.stale {
				stale = append(stale, t)
			}
			t.at, t.stale = at, true
		}
	}
	if len(stale) == 0 {
		return nil
	}
	slices.SortFunc(stale, func(a, b *target) int { return cmp.Compare(a.id, b.id) })
	return s.one(ctx, s.inTx || len(stale) <= s.timesFit(), func() error { return s.setTimes(ctx, table, stale) })
}

// timesFit is how many times go into one statement.
func (s *session) timesFit() int {
	const timeBytes = 60
	return s.t.fit(timeBytes, listSize)
}

// setTimes writes times. Those of one statement are mostly the same.
func (s *session) setTimes(ctx context.Context, table string, stale []*target) error {
	for list := range slices.Chunk(stale, s.timesFit()) {
		var ids, cases []any
		same := true
		for _, t := range list {
			ids = append(ids, t.id)
			cases = append(cases, t.id, s.noted(t.at))
			same = same && t.at.Equal(list[0].at)
		}
		value, args := "?", []any{s.noted(list[0].at)}
		if !same {
			value, args = "CASE id "+strings.Repeat("WHEN ? THEN ? ", len(list))+"END", cases
		}
		query := "UPDATE " + table + " SET last_accessed_at = " + value + " WHERE id IN (" + marks(len(list)) + ")"
		if _, err := s.exec(ctx, query, append(args, ids...)...); err != nil {
			return err
		}
	}
	return nil
}

// blobTargets are the rows of blobs.
func (s *session) blobTargets(ctx context.Context, hashes []blob.Hash) (map[blob.Hash][]*target, error) {
	return s.targets(ctx, hashes, "SELECT id, hash, last_accessed_at FROM blob_ WHERE hash IN (LIST)")
}

// streamTargets are the rows of the streams of SD blobs, and of those that name content blobs.
func (s *session) streamTargets(ctx context.Context, hashes []blob.Hash) (map[blob.Hash][]*target, error) {
	return s.targets(ctx, hashes,
		"SELECT s.id, b.hash, s.last_accessed_at FROM blob_ b JOIN stream s ON s.sd_blob_id = b.id WHERE b.hash IN (LIST)",
		"SELECT s.id, b.hash, s.last_accessed_at FROM blob_ b JOIN stream_blob sb ON sb.blob_id = b.id "+
			"JOIN stream s ON s.id = sb.stream_id WHERE b.hash IN (LIST)")
}

// targets asks for rows by hash. A row that several hashes lead to is one target.
func (s *session) targets(ctx context.Context, hashes []blob.Hash, queries ...string) (map[blob.Hash][]*target, error) {
	found := map[blob.Hash][]*target{}
	byID := map[uint64]*target{}
	seen := map[blob.Hash]struct{}{}
	var once []blob.Hash // a hash in two statements would have its rows twice
	for _, h := range hashes {
		if _, ok := seen[h]; !ok {
			seen[h] = struct{}{}
			once = append(once, h)
		}
	}
	err := s.eachList(once, func(marks string, args []any) error {
		for _, query := range queries {
			err := s.query(ctx, strings.Replace(query, "LIST", marks, 1), args, func(rows *sql.Rows) error {
				var id uint64
				var text string
				var at sql.RawBytes
				if err := rows.Scan(&id, &text, &at); err != nil {
					return err
				}
				h, ok := s.t.read(text)
				if !ok {
					return nil
				}
				if byID[id] == nil {
					byID[id] = &target{id: id, at: readTime(at)}
				}
				found[h] = append(found[h], byID[id])
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

// Delete is described at metadata.Catalogue.
func (c *Catalogue) Delete(ctx context.Context, hashes []blob.Hash) error {
	if err := c.calls.Begin(ctx); err != nil {
		return err
	}
	for batch := range slices.Chunk(hashes, metadata.BatchSize) {
		batch = sorted(batch)
		err := c.run(ctx, "note deleted blobs", func(ctx context.Context, s *session) error {
			if !c.opts.SoftDeletes {
				return s.transact(ctx, func() error { return s.delete(ctx, batch) })
			}
			return s.one(ctx, len(batch) <= s.listFit(), func() error {
				return s.eachList(batch, func(marks string, args []any) error {
					_, err := s.exec(ctx, "UPDATE blob_ SET is_stored = 0 WHERE hash IN ("+marks+")", args...)
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

// delete removes streams, whose links go with them, and then the blobs that no stream names. The rows are locked first:
// whoever links one of them meanwhile waits, and finds it gone or not stored.
func (s *session) delete(ctx context.Context, hashes []blob.Hash) error {
	found, err := s.ids(ctx, hashes, "FOR UPDATE")
	if err != nil {
		return err
	}
	ids := make([]uint64, 0, len(found))
	for _, id := range found {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if err := s.eachID(ctx, "DELETE FROM stream WHERE sd_blob_id IN (LIST)", ids); err != nil {
		return err
	}
	named, err := s.named(ctx, ids)
	if err != nil {
		return err
	}
	var keep, drop []uint64
	for _, id := range ids {
		if named[id] {
			keep = append(keep, id)
		} else {
			drop = append(drop, id)
		}
	}
	if err := s.eachID(ctx, "UPDATE blob_ SET is_stored = 0 WHERE id IN (LIST)", keep); err != nil {
		return err
	}
	return s.eachID(ctx, "DELETE FROM blob_ WHERE id IN (LIST)", drop)
}

// idBytes is the most that a number takes in a statement.
const idBytes = 22

// eachID runs a statement for lists of ids.
func (s *session) eachID(ctx context.Context, query string, ids []uint64) error {
	for list := range slices.Chunk(ids, s.t.fit(idBytes, listSize)) {
		if _, err := s.exec(ctx, strings.Replace(query, "LIST", marks(len(list)), 1), anys(list)...); err != nil {
			return err
		}
	}
	return nil
}

// named are the blobs that streams name.
func (s *session) named(ctx context.Context, ids []uint64) (map[uint64]bool, error) {
	named := map[uint64]bool{}
	for list := range slices.Chunk(ids, s.t.fit(idBytes, listSize)) {
		err := s.query(ctx, "SELECT DISTINCT blob_id FROM stream_blob WHERE blob_id IN ("+marks(len(list))+")", anys(list),
			func(rows *sql.Rows) error {
				var id uint64
				err := rows.Scan(&id)
				named[id] = true
				return err
			})
		if err != nil {
			return nil, err
		}
	}
	return named, nil
}

func anys(ids []uint64) []any {
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}

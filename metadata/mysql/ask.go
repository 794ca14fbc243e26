package mysql

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
)

const (
	// listSize is the number of values in a list of one statement. A batch takes several: from 1,000 on MariaDB makes
	// a table of each list, and longer ones take more time a value on both servers.
	listSize = 900

	hashBytes = blob.HexSize + 4 // of a hash in a statement
)

// marks are placeholders for a list.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

// listFit is how many hashes go into one statement.
func (s *session) listFit() int { return s.t.fit(hashBytes, listSize) }

// eachList calls do with the placeholders and the values of one statement after the other.
func (s *session) eachList(hashes []blob.Hash, do func(marks string, args []any) error) error {
	for list := range slices.Chunk(hashes, s.listFit()) {
		args := make([]any, len(list))
		for i, h := range list {
			args[i] = h.String()
		}
		if err := do(marks(len(list)), args); err != nil {
			return err
		}
	}
	return nil
}

// Stored is described at metadata.Catalogue.
func (c *Catalogue) Stored(ctx context.Context, hashes []blob.Hash) ([]bool, error) {
	return c.among(ctx, "look blobs up", "SELECT hash FROM blob_ WHERE is_stored = 1 AND hash IN (LIST)", hashes)
}

// HaveStreams is described at metadata.Catalogue.
func (c *Catalogue) HaveStreams(ctx context.Context, sds []blob.Hash) ([]bool, error) {
	return c.among(ctx, "look streams up",
		"SELECT b.hash FROM blob_ b WHERE b.hash IN (LIST) AND EXISTS (SELECT 1 FROM stream s WHERE s.sd_blob_id = b.id)", sds)
}

// among says of each hash whether a query gives it.
func (c *Catalogue) among(ctx context.Context, what, query string, hashes []blob.Hash) ([]bool, error) {
	if err := c.calls.Begin(ctx); err != nil {
		return nil, err
	}
	answers := make([]bool, 0, len(hashes))
	for batch := range slices.Chunk(hashes, metadata.BatchSize) {
		there := make(map[blob.Hash]struct{}, len(batch))
		err := c.run(ctx, what, func(ctx context.Context, s *session) error {
			return s.eachList(batch, func(marks string, args []any) error {
				return s.query(ctx, strings.Replace(query, "LIST", marks, 1), args,
					func(rows *sql.Rows) error {
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
		})
		if err != nil {
			return nil, err
		}
		for _, h := range batch {
			_, is := there[h]
			answers = append(answers, is)
		}
	}
	return answers, nil
}

// Status is described at metadata.Catalogue.
func (c *Catalogue) Status(ctx context.Context, h blob.Hash) (st metadata.Status, err error) {
	err = c.run(ctx, "look a blob up", func(ctx context.Context, s *session) error {
		return s.query(ctx, "SELECT EXISTS (SELECT 1 FROM blob_ WHERE hash = ? AND is_stored = 1), "+
			"EXISTS (SELECT 1 FROM blocked WHERE hash = ?)", []any{h.String(), h.String()},
			func(rows *sql.Rows) error { return rows.Scan(&st.Stored, &st.Blocked) })
	})
	return st, err
}

// Missing is described at metadata.Catalogue.
func (c *Catalogue) Missing(ctx context.Context, sd blob.Hash) (missing []blob.Hash, known bool, err error) {
	err = c.run(ctx, "look a stream up", func(ctx context.Context, s *session) error {
		missing = nil
		known, err = s.eachContent(ctx, sd, func(h blob.Hash, stored bool) {
			if !stored {
				missing = append(missing, h)
			}
		})
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return missing, known, nil
}

// eachContent calls fn for what the stream of an SD blob names, in its order. known is false where there is no stream.
func (s *session) eachContent(ctx context.Context, sd blob.Hash, fn func(h blob.Hash, stored bool)) (known bool, err error) {
	seen := map[blob.Hash]struct{}{} // nothing forbids two streams of one SD blob
	err = s.query(ctx, "SELECT b.hash, b.is_stored FROM blob_ sd JOIN stream s ON s.sd_blob_id = sd.id "+
		"LEFT JOIN stream_blob sb ON sb.stream_id = s.id LEFT JOIN blob_ b ON b.id = sb.blob_id "+
		"WHERE sd.hash = ? ORDER BY sb.num, sb.blob_id", []any{sd.String()},
		func(rows *sql.Rows) error {
			var text sql.NullString
			var stored sql.NullInt64
			if err := rows.Scan(&text, &stored); err != nil {
				return err
			}
			known = true
			h, ok := s.t.read(text.String)
			if _, again := seen[h]; ok && !again {
				seen[h] = struct{}{}
				fn(h, stored.Int64 == 1)
			}
			return nil
		})
	return known, err
}

// Links is described at metadata.Catalogue.
func (c *Catalogue) Links(ctx context.Context, sd blob.Hash, streamHash string) (l metadata.Links, err error) {
	err = c.run(ctx, "look a stream up", func(ctx context.Context, s *session) (err error) {
		l = metadata.Links{}
		l.Known, err = s.eachContent(ctx, sd, func(h blob.Hash, _ bool) { l.Blobs = append(l.Blobs, h) })
		switch {
		case err != nil, l.Known:
			return err
		case !metadata.Notable(streamHash):
			l.Taken = true
			return nil
		}
		return s.query(ctx, "SELECT EXISTS (SELECT 1 FROM stream WHERE hash = ?)", []any{streamHash},
			func(rows *sql.Rows) error { return rows.Scan(&l.Taken) })
	})
	if err != nil {
		return metadata.Links{}, err
	}
	return l, nil
}

// Count is described at metadata.Catalogue.
func (c *Catalogue) Count(ctx context.Context) (n int64, err error) {
	query := "SELECT COUNT(*) FROM blob_"
	if c.opts.SoftDeletes {
		query += " WHERE is_stored = 1"
	}
	err = c.run(ctx, "count blobs", func(ctx context.Context, s *session) error {
		return s.query(ctx, query, nil, func(rows *sql.Rows) error { return rows.Scan(&n) })
	})
	return n, err
}

// Walk is described at metadata.Catalogue. Rows are read a batch at a time, so that fn holds up nobody.
func (c *Catalogue) Walk(ctx context.Context, from blob.Hash, fn func(metadata.Row) error) error {
	first, compare := from.String(), ">="
	for {
		p, err := c.page(ctx, first, compare)
		if err != nil {
			return err
		}
		for _, r := range p.rows {
			if err := metadata.ContextError(ctx); err != nil {
				return err
			}
			if err := fn(r); err != nil {
				return err
			}
		}
		if p.read < metadata.BatchSize {
			return nil
		}
		first, compare = p.last, ">"
	}
}

// Blocked is described at metadata.Catalogue.
func (c *Catalogue) Blocked(ctx context.Context, from blob.Hash, fn func(blob.Hash) error) error {
	first, compare := from.String(), ">="
	for {
		var hashes []blob.Hash
		var read int
		var last string
		err := c.run(ctx, "walk over blocked blobs", func(ctx context.Context, s *session) error {
			hashes, read = nil, 0
			return s.query(ctx, "SELECT hash FROM blocked WHERE hash "+compare+" ? ORDER BY hash LIMIT ?",
				[]any{first, metadata.BatchSize}, func(rows *sql.Rows) error {
					if err := rows.Scan(&last); err != nil {
						return err
					}
					read++
					if h, ok := s.t.read(last); ok {
						hashes = append(hashes, h)
					}
					return nil
				})
		})
		if err != nil {
			return err
		}
		for _, h := range hashes {
			if err := metadata.ContextError(ctx); err != nil {
				return err
			}
			if err := fn(h); err != nil {
				return err
			}
		}
		if read < metadata.BatchSize {
			return nil
		}
		first, compare = last, ">"
	}
}

// page is some rows of a walk.
type page struct {
	rows []metadata.Row
	read int    // with those whose hash is none
	last string // hash, as it stands there
}

func (c *Catalogue) page(ctx context.Context, first, compare string) (p page, err error) {
	columns := "hash, is_stored, length, NULL"
	if c.opts.Tracking == metadata.TrackBlobs {
		columns = "hash, is_stored, length, last_accessed_at"
	}
	err = c.run(ctx, "walk over blobs", func(ctx context.Context, s *session) error {
		p = page{}
		return s.query(ctx, "SELECT "+columns+" FROM blob_ WHERE hash "+compare+" ? ORDER BY hash LIMIT ?",
			[]any{first, metadata.BatchSize}, func(rows *sql.Rows) error {
				var hash string
				var stored sql.NullInt64
				var length, at sql.RawBytes
				if err := rows.Scan(&hash, &stored, &length, &at); err != nil {
					return err
				}
				p.read, p.last = p.read+1, hash
				if h, ok := s.t.read(hash); ok {
					p.rows = append(p.rows, metadata.Row{
						Hash: h, Stored: stored.Int64 == 1, Length: readLength(length), Accessed: readTime(at),
					})
				}
				return nil
			})
	})
	return p, err
}

// readLength reads a length; what no blob has is 0.
func readLength(text sql.RawBytes) int {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || n > blob.MaxSize {
		return 0
	}
	return n
}

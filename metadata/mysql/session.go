package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/metadata"
)

// session is one connection during one attempt of a batch.
type session struct {
	*Catalogue
	conn  *sql.Conn
	t     *tables
	ahead time.Duration // by which noted times are put forward
	inTx  bool
}

// run does a batch: on a connection of its own, and again when what went wrong may pass. It gives up when an attempt has
// taken all of the time that there is, or after a number of attempts. What do writes must be idempotent.
func (c *Catalogue) run(ctx context.Context, what string, do func(context.Context, *session) error) error {
	if err := c.calls.Enter(); err != nil {
		return err
	}
	defer c.calls.Leave()
	start := time.Now()
	ahead := time.Duration(0)
	for attempt := 1; ; attempt++ {
		if err := metadata.ContextError(ctx); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		err := c.attempt(ctx, ahead, do)
		if err == nil {
			return nil
		}
		if ended := metadata.ContextError(ctx); ended != nil {
			return fmt.Errorf("%s: %w", what, ended)
		}
		v := c.judge(err)
		if v.forget {
			c.tables.Store(nil)
		}
		switch {
		case v.hour && ahead == 0:
			ahead = time.Hour
		case attempt >= v.attempts || time.Since(start) > c.opts.Timeout:
			c.opts.Logger.Debug("mysql: a call failed", "call", what, "attempts", attempt, "err", v.err)
			return fmt.Errorf("%s: %w", what, v.err)
		}
		pause(ctx, attempt)
	}
}

// pause waits before an attempt, longer each time, and not as long as others that met the same.
func pause(ctx context.Context, attempt int) {
	const first, most = 4 * time.Millisecond, 250 * time.Millisecond
	t := time.NewTimer(time.Duration(rand.Int64N(int64(min(first<<min(attempt, 10), most)))))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// attempt does a batch once. A connection with an open transaction never goes back to the others.
func (c *Catalogue) attempt(ctx context.Context, ahead time.Duration, do func(context.Context, *session) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	s := &session{Catalogue: c, conn: conn, ahead: ahead}
	if s.t, err = c.look(ctx, s); err == nil {
		err = do(ctx, s)
	}
	if err != nil && (!answered(err) || s.inTx && s.rollback(ctx) != nil) {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // which closes it
	}
	return err
}

// transact does a batch in a transaction.
func (c *Catalogue) transact(ctx context.Context, what string, do func(context.Context, *session) error) error {
	return c.run(ctx, what, func(ctx context.Context, s *session) error {
		return s.transact(ctx, func() error { return do(ctx, s) })
	})
}

// transact runs statements in a transaction. It is begun and ended by statements, because database/sql does not give the
// context to a commit, which a server that stands still then holds up.
func (s *session) transact(ctx context.Context, do func() error) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return s.commit(ctx)
}

// one runs what is one statement as it is, since that is a transaction, and all else in one.
func (s *session) one(ctx context.Context, is bool, do func() error) error {
	if is {
		return do()
	}
	return s.transact(ctx, do)
}

func (s *session) begin(ctx context.Context) error {
	_, err := s.exec(ctx, "START TRANSACTION")
	s.inTx = err == nil
	return err
}

func (s *session) commit(ctx context.Context) error {
	_, err := s.exec(ctx, "COMMIT")
	s.inTx = err != nil
	return err
}

func (s *session) rollback(ctx context.Context) error {
	_, err := s.exec(ctx, "ROLLBACK")
	return err
}

// exec runs a statement that gives no rows.
func (s *session) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	start := time.Now()
	res, err := s.conn.ExecContext(ctx, query, args...)
	s.logQuery(query, len(args), start, err)
	return res, err
}

// query runs a statement and calls scan for each row.
func (s *session) query(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error {
	start := time.Now()
	rows, err := s.conn.QueryContext(ctx, query, args...)
	if err == nil {
		for err == nil && rows.Next() {
			err = scan(rows)
		}
		err = errors.Join(err, rows.Err(), rows.Close())
	}
	s.logQuery(query, len(args), start, err)
	return err
}

// logQuery logs a statement, without the lists of placeholders, which say nothing.
func (s *session) logQuery(query string, args int, start time.Time, err error) {
	if !s.opts.LogQueries {
		return
	}
	const longest = 300
	if len(query) > longest {
		query = query[:longest] + "…"
	}
	s.opts.Logger.Info("mysql: statement", "query", strings.Join(strings.Fields(query), " "), "args", args,
		"took", time.Since(start).Round(time.Microsecond), "err", err)
}

const timeLayout = "2006-01-02 15:04:05"

// noted is the text of a time.
func (s *session) noted(t time.Time) string { return t.Add(s.ahead).UTC().Format(timeLayout) }

// readTime reads what a database gives for a time; what is none is zero.
func readTime(text sql.RawBytes) time.Time {
	if len(text) < len(timeLayout) {
		return time.Time{}
	}
	t, err := time.Parse(timeLayout, string(text[:len(timeLayout)]))
	if err != nil { // 0000-00-00, and days that no month has
		return time.Time{}
	}
	return t
}

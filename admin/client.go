package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// ErrNobody: no program answers on the socket.
var ErrNobody = errors.New("no prism answers there")

// Client asks the program behind a socket. It is safe for concurrent use.
type Client struct {
	path string
	http *http.Client
}

// answerPatience is how long an answer may take to begin, and each part of it to come.
const answerPatience = time.Minute

// NewClient makes a client; nothing is asked yet.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			return nil, err
		}
		return patient{conn}, nil
	}
	return &Client{path: path, http: &http.Client{
		// A check asks now and then, for hours: a connection that is kept would be cut in between, and it costs nothing.
		Transport: &http.Transport{DialContext: dial, DisableCompression: true, DisableKeepAlives: true},
	}}
}

// patient is a connection whose other end must go on.
type patient struct{ net.Conn }

// Read reads what comes within answerPatience.
func (p patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(answerPatience)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// Info asks who answers.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var info Info
	return info, c.call(ctx, http.MethodGet, "/mounts", nil, nil, &info)
}

// Served is a mount of the program behind a socket. It is a check.Owner.
type Served struct {
	Mount
	PID int
	c   *Client
	run string
}

// Find finds a mount by its folder, or the only one where dir is empty.
func (c *Client) Find(ctx context.Context, dir string) (*Served, error) {
	info, err := c.Info(ctx)
	if err != nil {
		return nil, err
	}
	s := &Served{c: c, PID: info.PID, run: info.Run}
	switch {
	case dir != "":
		if dir, err = filepath.Abs(dir); err != nil {
			return nil, err
		}
		s.Dir = dir // the server knows by which other names a folder goes
	case len(info.Mounts) == 1:
		s.Mount = info.Mounts[0]
	default:
		var dirs []string
		for _, m := range info.Mounts {
			dirs = append(dirs, m.Dir)
		}
		return nil, fmt.Errorf("admin: %s: process %d serves %d mounts: name one of them: %s", c.path, info.PID, len(dirs), strings.Join(dirs, ", "))
	}
	return s, nil
}

func (s *Served) query() url.Values { return url.Values{"mount": {s.Dir}} }

// Stat asks for the figures of the mount.
func (s *Served) Stat(ctx context.Context) (engine.Stats, error) {
	var st engine.Stats
	return st, s.c.call(ctx, http.MethodGet, "/stat", s.query(), nil, &st)
}

// View begins to read the rows of the mount.
func (s *Served) View(ctx context.Context) (check.View, error) {
	resp, err := s.c.do(ctx, http.MethodGet, "/view", s.query(), nil)
	if err != nil {
		return check.View{}, err
	}
	if run := resp.Header.Get(runHeader); run != s.run {
		return check.View{}, errors.Join(fmt.Errorf("admin: %s: prism was started again since; begin anew", s.c.path), resp.Body.Close())
	}
	return check.View{
		Rows: index.NewDump(resp.Body), Whole: resp.Header.Get(wholeHeader) == "true", Close: resp.Body.Close,
	}, nil
}

// Hold implements check.Owner.
func (s *Served) Hold(ctx context.Context, places []check.Place) ([]bool, error) {
	q := Asked{}
	for _, p := range places {
		q.Places = append(q.Places, Place{Hash: p.Hash.String(), Segment: p.Segment, Slot: p.Slot})
	}
	held, err := s.hold(ctx, q)
	return held.Places, err
}

// HoldSegment implements check.Owner.
func (s *Served) HoldSegment(ctx context.Context, id segments.ID) (bool, error) {
	held, err := s.hold(ctx, Asked{Segments: []segments.ID{id}})
	return err == nil && held.Segments[0], err
}

func (s *Served) hold(ctx context.Context, q Asked) (Held, error) {
	q.Run = s.run
	body, err := json.Marshal(q)
	if err != nil {
		return Held{}, err
	}
	var held Held
	err = s.c.call(ctx, http.MethodPost, "/hold", s.query(), body, &held)
	if err == nil && (len(held.Places) != len(q.Places) || len(held.Segments) != len(q.Segments)) {
		err = fmt.Errorf("admin: %s: what answers there is no prism of this version", s.c.path)
	}
	return held, err
}

// call asks, and decodes the answer.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body []byte, to any) error {
	resp, err := c.do(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(to); err != nil {
		return fmt.Errorf("admin: %s: what answers there is no prism of this version: %w", c.path, err)
	}
	return nil
}

// maxComplaint bounds the text of an error that is shown, in bytes.
const maxComplaint = 4096

// do asks, and gives an answer that is no error. The caller closes its body.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "prism", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	if resp.StatusCode > 299 {
		text, err := io.ReadAll(io.LimitReader(resp.Body, maxComplaint))
		err = errors.Join(err, resp.Body.Close())
		if err != nil {
			return nil, c.explain(ctx, err)
		}
		return nil, fmt.Errorf("admin: %s: %s", c.path, strings.TrimSpace(string(text)))
	}
	return resp, nil
}

// explain says what to do about a socket that does not answer.
func (c *Client) explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	hint := "does the program still run?"
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = "ask as root, or as the user that runs prism"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		hint = "is the program started, with this path as its admin_socket?"
	}
	return fmt.Errorf("admin: %s: %w: %w (%s)", c.path, ErrNobody, err, hint)
}

var _ check.Owner = (*Served)(nil)

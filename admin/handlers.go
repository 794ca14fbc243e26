package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// refusal is an error with its HTTP status.
type refusal struct {
	status int
	error
}

func refuse(status int, format string, args ...any) error {
	return refusal{status, fmt.Errorf(format, args...)}
}

// routes is what is answered until ctx ends.
func (s *Server) routes(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	answer := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			asked, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(ctx, cancel)()
			p := &paced{ResponseWriter: w, ctx: asked, control: http.NewResponseController(w), patience: s.o.Patience}
			if r.ContentLength != 0 {
				_ = p.control.SetReadDeadline(time.Now().Add(s.o.Patience))
			}
			if err := f(p, r.WithContext(asked)); err != nil {
				p.fail(err)
			}
		})
	}
	answer("GET /mounts", s.mounts)
	answer("GET /stat", s.stat)
	answer("POST /flush", s.flush)
	answer("GET /view", s.view)
	answer("POST /hold", s.hold)
	return mux
}

// paced is an answer of which each part is to be taken in time.
type paced struct {
	http.ResponseWriter
	ctx      context.Context
	control  *http.ResponseController
	patience time.Duration
	begun    bool
}

// Write sends a part of the answer.
func (p *paced) Write(b []byte) (int, error) {
	if err := context.Cause(p.ctx); err != nil {
		return 0, err
	}
	if err := p.control.SetWriteDeadline(time.Now().Add(p.patience)); err != nil {
		return 0, err
	}
	p.begun = true
	return p.ResponseWriter.Write(b)
}

// fail answers with an error, or cuts an answer that has begun.
func (p *paced) fail(err error) {
	if p.begun {
		panic(http.ErrAbortHandler)
	}
	status := http.StatusInternalServerError
	if r, ok := errors.AsType[refusal](err); ok {
		status = r.status
	} else if errors.Is(err, blob.ErrUnavailable) || p.ctx.Err() != nil {
		status = http.StatusServiceUnavailable
	}
	_ = p.control.SetWriteDeadline(time.Now().Add(p.patience)) // without it there is no patience at all
	http.Error(p.ResponseWriter, err.Error(), status)
}

func writeJSON(w http.ResponseWriter, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(b.Bytes())
	return err
}

// store finds the mount that a request is about.
func (s *Server) store(r *http.Request) (*disk.Store, error) {
	dirs := slices.Sorted(maps.Keys(s.stores))
	served := "none"
	if len(dirs) > 0 {
		served = strings.Join(dirs, ", ")
	}
	name := r.URL.Query().Get("mount")
	if name == "" {
		if len(dirs) == 1 {
			return s.stores[dirs[0]], nil
		}
		return nil, refuse(http.StatusBadRequest, "say which mount, with ?mount=PATH; there are: %s", served)
	}
	if st, ok := s.stores[name]; ok {
		return st, nil
	}
	if asked, err := os.Stat(name); err == nil {
		for _, dir := range dirs {
			if own, err := os.Stat(dir); err == nil && os.SameFile(asked, own) {
				return s.stores[dir], nil
			}
		}
	}
	return nil, refuse(http.StatusNotFound, "%s is no mount of this program; there are: %s", name, served)
}

// segmentStore is store for what only segments have.
func (s *Server) segmentStore(r *http.Request) (*engine.Engine, error) {
	st, err := s.store(r)
	if err != nil {
		return nil, err
	}
	e := st.Segments()
	if e == nil {
		return nil, refuse(http.StatusConflict, "%s holds one file a blob, each of which is proven by its name; only segments are checked", st.Dir())
	}
	return e, nil
}

func (s *Server) mounts(w http.ResponseWriter, _ *http.Request) error { return writeJSON(w, s.info) }

func (s *Server) stat(w http.ResponseWriter, r *http.Request) error {
	st, err := s.store(r)
	if err != nil {
		return err
	}
	return writeJSON(w, st.Stats())
}

func (s *Server) flush(w http.ResponseWriter, r *http.Request) error {
	st, err := s.store(r)
	if err != nil {
		return err
	}
	if err := st.Flush(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) view(w http.ResponseWriter, r *http.Request) error {
	e, err := s.segmentStore(r)
	if err != nil {
		return err
	}
	select {
	case s.views <- struct{}{}:
		defer func() { <-s.views }()
	default:
		return refuse(http.StatusServiceUnavailable, "%d checks read the index already; try again when one of them has", maxViews)
	}
	v, whole, err := e.View(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set(runHeader, s.info.Run)
	w.Header().Set(wholeHeader, strconv.FormatBool(whole))
	if _, err := v.WriteTo(w); err != nil { // who asked sees that these are not all rows
		s.log.Warn("the rows of an index were not sent to their end", "mount", r.URL.Query().Get("mount"), "err", err)
	}
	return v.Close()
}

// maxAsked bounds the body of /hold, in bytes.
const maxAsked = 1 << 20

func (s *Server) hold(w http.ResponseWriter, r *http.Request) error {
	e, err := s.segmentStore(r)
	if err != nil {
		return err
	}
	var asked Asked
	body := http.MaxBytesReader(nil, r.Body, maxAsked)
	if err := json.NewDecoder(body).Decode(&asked); err != nil {
		return refuse(http.StatusBadRequest, "the question is not as it should be: %w", err)
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return refuse(http.StatusBadRequest, "the question does not end: %w", err)
	}
	if n := max(len(asked.Places), len(asked.Segments)); n > check.MaxPlaces {
		return refuse(http.StatusBadRequest, "%d questions at once; %d are the most", n, check.MaxPlaces)
	}
	if asked.Run != s.info.Run {
		return refuse(http.StatusConflict, "prism was started again since; begin anew")
	}
	held := Held{Places: make([]bool, len(asked.Places)), Segments: make([]bool, len(asked.Segments))}
	for i, p := range asked.Places {
		h, err := blob.ParseHash(p.Hash)
		if err != nil {
			return refuse(http.StatusBadRequest, "question %d: %w", i, err)
		}
		if held.Places[i], err = e.Holds(h, p.Segment, p.Slot); err != nil {
			return err
		}
	}
	for i, id := range asked.Segments {
		held.Segments[i] = e.HoldsSegment(id)
	}
	return writeJSON(w, held)
}

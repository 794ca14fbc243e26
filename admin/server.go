package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// Options are the settings of a Server. Only Stores is required.
type Options struct {
	Stores []*disk.Store // open until Serve has returned
	Logger *slog.Logger  // default: slog.Default()

	MaxConnections int           // open at once; default 32
	Patience       time.Duration // with each step of a client: a request, a read of a part of the answer; default 30 s
}

// maxViews is how many rows of indexes are sent at once.
const maxViews = 4

// Server answers on a socket.
type Server struct {
	o      Options
	log    *slog.Logger
	info   Info
	stores map[string]*disk.Store // by Mount.Dir
	views  chan struct{}
}

// New makes a server.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = 32
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	s := &Server{
		o: o, log: o.Logger, info: Info{PID: os.Getpid(), Run: rand.Text(), Mounts: []Mount{}},
		stores: map[string]*disk.Store{}, views: make(chan struct{}, maxViews),
	}
	for _, st := range o.Stores {
		dir, err := filepath.Abs(st.Dir())
		if err != nil {
			dir = st.Dir() // there is no working directory; the path is right all the same
		}
		s.info.Mounts = append(s.info.Mounts, Mount{Store: st.Name(), Dir: dir, Mode: string(st.Mode())})
		s.stores[dir] = st
	}
	return s
}

// closePatience is how long requests may take that are under way when the server is told to stop.
const closePatience = time.Second

// Serve answers until ctx ends, and closes the listener. While it does, each mount has a note of where the socket is.
func (s *Server) Serve(ctx context.Context, ln *Listener) error {
	s.leaveNotes(ln.path)
	defer s.removeNotes()
	server := &http.Server{ // bodies and answers have their limits in routes
		Handler:           s.routes(ctx),
		ReadHeaderTimeout: s.o.Patience,
		IdleTimeout:       s.o.Patience,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
		defer cancel()
		if err := server.Shutdown(patience); err != nil {
			_ = server.Close() // cuts what is left
		}
	})
	err := server.Serve(&door{Listener: ln, most: s.o.MaxConnections, log: s.log})
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return errors.Join(err, server.Close())
}

// leaveNotes tells whoever finds a mount locked where to ask.
func (s *Server) leaveNotes(path string) {
	s.eachSegments(func(dir string) {
		if err := mount.WriteAdmin(diskfs.OS(), dir, path); err != nil {
			s.log.Warn("fsck --online must be told where the admin socket is (--socket)", "dir", dir, "err", err)
		}
	})
}

func (s *Server) removeNotes() {
	s.eachSegments(func(dir string) {
		if err := mount.RemoveAdmin(diskfs.OS(), dir); err != nil {
			s.log.Warn("the note of the admin socket stays", "dir", dir, "err", err)
		}
	})
}

// eachSegments calls fn for the mounts in mode segments: others hold blobs of others at their top.
func (s *Server) eachSegments(fn func(dir string)) {
	for dir, st := range s.stores {
		if st.Segments() != nil {
			fn(dir)
		}
	}
}

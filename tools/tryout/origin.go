package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// originCommand is the first argument that makes this program the origin.
const originCommand = "origin"

// countPath answers with the number of blobs that were asked for.
const countPath = "/requests"

// origin serves files by the hash that ends the path, as a bucket would, and counts how often it was asked.
type origin struct {
	at    map[blob.Hash]string
	asked atomic.Int64
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == countPath {
		_, _ = io.WriteString(w, strconv.FormatInt(o.asked.Load(), 10))
		return
	}
	h, err := blob.ParseHash(path.Base(r.URL.Path))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	o.asked.Add(1)
	f, err := os.Open(o.at[h])
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, f)
}

// serveOrigin is the second process: it serves the blobs of a list on a free port of this machine, says on out which,
// and ends on a signal.
func serveOrigin(args []string, out io.Writer) error {
	f := flag.NewFlagSet("tryout "+originCommand, flag.ContinueOnError)
	list := f.String("list", "", "file with a hash and a path a line")
	if err := f.Parse(args); err != nil {
		return err
	}
	at, err := readList(*list)
	if err != nil {
		return fmt.Errorf("origin: read the list of blobs: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := &http.Server{Handler: &origin{at: at}, ReadHeaderTimeout: 10 * time.Second}
	closed := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer closed()
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

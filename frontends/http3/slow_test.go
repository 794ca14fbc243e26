package http3d_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/frontendtest"
)

// BAD-INPUTS 26: a hundred streams whose window of flow control stays shut are cut, each after its time; the connection
// that holds them can go on.
func TestZeroWindows(t *testing.T) {
	here := content(1, blob.MaxSize)
	o := options(newShelf(here))
	o.RateWindow, o.MinRate = 500*time.Millisecond, 100<<10
	s := start(t, o)
	conn := s.dial(&quic.Config{InitialStreamReceiveWindow: 1, MaxStreamReceiveWindow: 1, KeepAlivePeriod: time.Second})
	control(t, conn)
	for range 100 {
		str, err := conn.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := str.Write(request("/get/" + blob.Sum(here).String())); err != nil {
			t.Fatal(err)
		}
		_ = str.Close()
	}
	until(t, "all streams to be cut", func() bool { return s.Stats().SlowReaders == 100 })
	if st := s.Stats(); st.Sending != 0 || st.InFlight != 0 || st.Connections != 1 {
		t.Errorf("%d sending, %d in flight, %d connections", st.Sending, st.InFlight, st.Connections)
	}
	s.alive()
}

// A reader that takes the least rate is served to the end, however many windows that lasts; one that takes less is not.
func TestPace(t *testing.T) {
	here := content(1, 400_000)
	o := options(newShelf(here))
	o.RateWindow, o.MinRate = 400*time.Millisecond, 20_000 // two reads a window
	s := start(t, o)
	read := func(pause time.Duration) (int, error) {
		c := s.client(&quic.Config{InitialStreamReceiveWindow: 4000, MaxStreamReceiveWindow: 4000})
		req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+s.addr+"/get/"+blob.Sum(here).String(), nil)
		if err != nil {
			return 0, err
		}
		res, err := c.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		buf, done := make([]byte, 4000), 0
		for {
			n, err := io.ReadFull(res.Body, buf)
			done += n
			if err != nil {
				return done, err
			}
			time.Sleep(pause)
		}
	}
	if n, err := read(20 * time.Millisecond); n != len(here) || err != io.EOF {
		t.Errorf("a slow reader got %d of %d bytes: %v", n, len(here), err)
	}
	if n, err := read(time.Second); n == len(here) {
		t.Errorf("a reader that is too slow got everything: %v", err)
	}
	until(t, "the slow reader to be counted", func() bool { return s.Stats().SlowReaders == 1 })
}

// lender is a store whose handles ask whether the reader is prompt. took gets how much they were told that it took.
type lender struct {
	*frontendtest.Shelf
	took chan int
}

func (l lender) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	got, err := l.Shelf.Get(ctx, h)
	if err != nil {
		return nil, err
	}
	return lent{got, l.took}, nil
}

type lent struct {
	blob.Handle
	took chan int
}

func (h lent) WriteTo(w io.Writer) (int64, error) {
	data := make([]byte, h.Size())
	if _, err := h.ReadAt(data, 0); err != nil {
		return 0, err
	}
	n, err := w.(blob.PromptWriter).WritePrompt(data)
	h.took <- n
	if err != nil || n == len(data) {
		return int64(n), err
	}
	rest, err := w.Write(data[n:])
	return int64(n + rest), err
}

// BAD-INPUTS 26: long before a slow reader is cut, a store may take the memory back that it reads from; a reader that
// comes back gets the rest.
func TestSlowReaderIsToldApart(t *testing.T) {
	here := content(1, 300_000)
	l := lender{newShelf(here), make(chan int, 1)}
	s := start(t, options(l)) // a slow reader may take a minute
	path := "/get/" + blob.Sum(here).String()
	if a := s.must(s.client(nil), "GET", path); !bytes.Equal(a.body, here) {
		t.Errorf("%d bytes of %d, or others", len(a.body), len(here))
	}
	<-l.took // all, unless the machine was very slow

	const window = 4000
	c := s.client(&quic.Config{InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window})
	req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+s.addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	select {
	case n := <-l.took:
		if n > window {
			t.Errorf("a reader that reads nothing took %d bytes promptly", n)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("a reader that reads nothing is not told apart")
	}
	if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, here) {
		t.Errorf("then it reads %d bytes of %d, or others: %v", len(got), len(here), err)
	}
}

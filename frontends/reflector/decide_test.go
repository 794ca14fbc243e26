package reflector_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/reflector"
	"github.com/OdyseeTeam/prism/stores"
)

// BAD-INPUTS 59: what is blocked is not wanted, and nothing else is said of it.
func TestBlocked(t *testing.T) {
	a := content(1, 10)
	sd := descriptor(a)
	blocked := map[blob.Hash]bool{blob.Sum(a): true, blob.Sum(sd): true}
	for by, options := range map[string]func(*testing.T) reflector.Options{
		"store": func(t *testing.T) reflector.Options {
			return reflector.Options{Store: &catalogue{shelf: newShelf(t), blocked: blocked}}
		},
		"option": func(t *testing.T) reflector.Options {
			return reflector.Options{Store: newShelf(t), Blocked: func(h blob.Hash) bool { return blocked[h] }}
		},
	} {
		t.Run(by, func(t *testing.T) {
			o := options(t)
			s := start(t, o)
			c := s.greet()
			for range 2 { // not held, then held
				c.say(offer(a))
				c.hear(`{"send_blob":false}`)
				c.say(offerSD(sd))
				c.hear(`{"send_sd_blob":false}`)
				if err := o.Store.Put(t.Context(), verified(t, sd), blob.KindSD); err != nil {
					t.Fatal(err)
				}
			}
			// The server hangs up or goes on; it must not have taken anything else for an answer.
			c.say(offer([]byte("x")))
			c.hear(`{"send_blob":true}`)
		})
	}
}

// The catalogue's word counts where it has one; otherwise the SD blob says what is missing.
func TestNeeded(t *testing.T) {
	a, b, far := content(1, 10), content(2, 10), content(3, 10)
	sd, known, complete := descriptor(a, b, a), descriptor(a), descriptor(b)
	store := &catalogue{shelf: newShelf(t), missing: map[blob.Hash][]blob.Hash{
		blob.Sum(known):    {blob.Sum(far), blob.Sum(a)},
		blob.Sum(complete): nil,
	}}
	s := start(t, reflector.Options{Store: store})
	c := s.greet()
	put := func(data []byte, kind blob.Kind) {
		t.Helper()
		if err := store.Put(t.Context(), verified(t, data), kind); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(sd []byte, answer string) {
		t.Helper()
		c.say(offerSD(sd))
		c.hear(answer)
	}
	for _, data := range [][]byte{sd, known, complete} {
		put(data, blob.KindSD)
	}
	ask(known, `{"send_sd_blob":false,"needed_blobs":`+hashes(far, a)+`}`)
	ask(complete, `{"send_sd_blob":false}`)
	ask(sd, `{"send_sd_blob":false,"needed_blobs":`+hashes(a, b)+`}`)
	put(a, blob.KindContent)
	ask(sd, `{"send_sd_blob":false,"needed_blobs":`+hashes(b)+`}`)
	put(b, blob.KindContent)
	ask(sd, `{"send_sd_blob":false}`)

	noSD := content(4, 1000)
	put(noSD, blob.KindContent) // held, but no SD blob: sending it again does no good, and only that is promised
	ask(noSD, `{"send_sd_blob":true}`)
	c.say(string(noSD))
	c.gone()
}

// A store that cannot tell leads to a close, never to a wrong answer.
func TestStoreCannotTell(t *testing.T) {
	store := newShelf(t)
	var log bytes.Buffer
	s := start(t, reflector.Options{Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	a := content(1, 10)
	sd := descriptor(a)
	if err := store.Put(t.Context(), verified(t, sd), blob.KindSD); err != nil {
		t.Fatal(err)
	}
	broken := fmt.Errorf("the disk is on fire: %w", blob.ErrUnavailable)
	store.onHas(func(_ context.Context, h blob.Hash) error {
		if h == blob.Sum(a) {
			return broken
		}
		return nil
	})
	for _, text := range []string{offer(a), offerSD(sd)} {
		c := s.greet()
		c.say(text)
		c.gone()
	}
	if err := s.Drain(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "on fire") {
		t.Errorf("the log says %q", log.String())
	}
}

// A panic of a store ends one connection.
func TestPanic(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store})
	a := content(1, 10)
	sd := descriptor(a, content(2, 10), content(3, 10))
	if err := store.Put(t.Context(), verified(t, sd), blob.KindSD); err != nil {
		t.Fatal(err)
	}
	store.onHas(func(_ context.Context, h blob.Hash) error {
		if h == blob.Sum(a) {
			panic("no")
		}
		return nil
	})
	store.onPut(func(context.Context, blob.Hash) error { panic("no") })
	b := content(4, 100)
	for i, text := range []string{offer(a), offerSD(sd), offer(b) + string(b)} {
		c := s.greet()
		c.say(text)
		if i == 2 {
			c.hear(`{"send_blob":true}`)
		}
		c.gone()
	}
	until(t, "three panics", func() bool { return s.Stats().Panics == 3 })
	store.onPut(nil)
	if r, err := s.client().Upload(t.Context(), verified(t, b), blob.KindContent); err != nil || !r.Sent {
		t.Errorf("afterwards: %+v, %v", r, err)
	}
}

// wrapped hides a store behind one that changes nothing.
type wrapped struct{ stores.Store }

func (w wrapped) Unwrap() stores.Store { return w.Store }

func TestWrappedStore(t *testing.T) {
	a := content(1, 10)
	store := &catalogue{shelf: newShelf(t), blocked: map[blob.Hash]bool{blob.Sum(a): true}}
	s := start(t, reflector.Options{Store: wrapped{store}})
	c := s.greet()
	c.say(offer(a))
	c.hear(`{"send_blob":false}`)
}

func TestOptions(t *testing.T) {
	for _, o := range []reflector.Options{
		{}, {Store: wrapped{}, MaxUploads: -1}, {Store: wrapped{}, MaxConnections: -1}, {Store: wrapped{}, MaxPerAddress: -1},
		{Store: wrapped{}, BodyRate: -1}, {Store: wrapped{}, PutTimeout: -1}, {Store: wrapped{}, MessageTimeout: -1},
	} {
		if _, err := reflector.New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// A read of a held SD blob that fails is no reason to ask for it again.
func TestUnreadableSD(t *testing.T) {
	sd := descriptor()
	shelf := newShelf(t)
	if err := shelf.Put(t.Context(), verified(t, sd), blob.KindSD); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err    error
		answer string
	}{
		{blob.ErrUnavailable, ""},
		{io.ErrUnexpectedEOF, ""},
		{errors.New("no"), ""},
		{fmt.Errorf("read: %w", blob.ErrNotFound), `{"send_sd_blob":true}`},
		{blob.ErrCorrupt, `{"send_sd_blob":true}`},
	} {
		s := start(t, reflector.Options{Store: &failingGet{shelf, c.err}})
		talk := s.greet()
		talk.say(offerSD(sd))
		talk.hear(c.answer)
		if c.answer == "" {
			talk.gone()
		}
		talk.Close()
	}
}

type failingGet struct {
	*shelf
	err error
}

func (f *failingGet) Get(context.Context, blob.Hash) (blob.Handle, error) { return nil, f.err }

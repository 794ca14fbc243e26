package proxieds3_test

import (
	"context"
	"errors"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/http"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/proxieds3"
	"github.com/OdyseeTeam/prism/stores/s3"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// bucket is a writer over a new bucket of a real server.
func bucket(t *testing.T, server *testbed.S3Server) *s3.Store {
	t.Helper()
	s, err := s3.New(s3.Options{
		AccessKey: server.AccessKey, SecretKey: server.SecretKey, Bucket: server.Bucket(), Endpoint: server.Endpoint,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	server := testbed.S3(t)
	t.Run("the writer reads", func(t *testing.T) {
		storetest.Run(t, storetest.Config{Open: func(t *testing.T) stores.Store {
			return proxieds3.New(proxieds3.Options{Name: "p", Writer: bucket(t, server)})
		}})
	})
	t.Run("a reader", func(t *testing.T) {
		storetest.Run(t, storetest.Config{Open: func(t *testing.T) stores.Store {
			o := s3.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey, Bucket: server.Bucket(), Endpoint: server.Endpoint}
			var both [2]*s3.Store
			for i := range both {
				var err error
				if both[i], err = s3.New(o); err != nil {
					t.Fatal(err)
				}
			}
			return proxieds3.New(proxieds3.Options{Writer: both[0], Reader: both[1]})
		}})
	})
}

// Each call goes to the one it is for.
func TestWhoIsAsked(t *testing.T) {
	writer, reader := storetest.Bend(mem.New(mem.Options{Name: "w"})), storetest.Bend(mem.New(mem.Options{Name: "r"}))
	s := proxieds3.New(proxieds3.Options{Writer: writer, Reader: reader})
	defer s.Close()
	v := storetest.Blob(t, 1, 1000)
	for call, do := range map[string]func() error{
		"Put":    func() error { return s.Put(t.Context(), v, blob.KindContent) },
		"Has":    func() error { _, err := s.Has(t.Context(), v.Hash()); return err },
		"Delete": func() error { return s.Delete(t.Context(), v.Hash()) },
		"Get":    func() error { _, err := s.Get(t.Context(), v.Hash()); return err },
		"Open":   func() error { _, err := s.Open(t.Context(), v.Hash()); return err },
	} {
		w, r := writer.Calls.Load(), reader.Calls.Load()
		err := do()
		w, r = writer.Calls.Load()-w, reader.Calls.Load()-r
		if reads := call == "Get" || call == "Open"; reads {
			if w != 0 || r != 1 || !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("%s asked the writer %d times and the reader %d times: %v", call, w, r, err)
			}
		} else if w != 1 || r != 0 || err != nil {
			t.Errorf("%s asked the writer %d times and the reader %d times: %v", call, w, r, err)
		}
	}
}

// catalogue is a writer with something to say about uploads.
type catalogue struct{ stores.Store }

func (catalogue) Wants(context.Context, blob.Hash) (wanted, blocked bool, err error) {
	return true, false, nil
}

// The writer's answers are to be had, and nothing is claimed that it does not have. The reader's are not asked for.
func TestOptionalInterfaces(t *testing.T) {
	one := proxieds3.New(proxieds3.Options{Writer: catalogue{mem.New(mem.Options{})}, Reader: mem.New(mem.Options{})})
	defer one.Close()
	if w, ok := stores.As[stores.Wanter](stores.Store(one)); !ok {
		t.Error("the writer's Wants is not found")
	} else if wanted, _, err := w.Wants(t.Context(), blob.Hash{1}); !wanted || err != nil {
		t.Errorf("Wants = %v, %v", wanted, err)
	}
	other := proxieds3.New(proxieds3.Options{Writer: mem.New(mem.Options{}), Reader: catalogue{mem.New(mem.Options{})}})
	defer other.Close()
	if _, ok := stores.As[stores.Wanter](stores.Store(other)); ok {
		t.Error("it is a Wanter over a writer that is none")
	}
	if _, ok := stores.As[stores.Blocker](stores.Store(one)); ok {
		t.Error("it is a Blocker over a writer that is none")
	}
	if stores.VolatileOf(one) != "" || stores.VolatileOf(other) == "" {
		t.Error("what a power cut may take is not what the writer says")
	}
}

// What goes into the bucket comes out of an address for readers.
func TestReaderOverHTTP(t *testing.T) {
	origin := storetest.NewOrigin(t)
	reader, err := http.New(http.Options{Endpoint: origin.URL})
	if err != nil {
		t.Fatal(err)
	}
	s := proxieds3.New(proxieds3.Options{Writer: mem.New(mem.Options{}), Reader: reader})
	defer s.Close()
	v := storetest.Blob(t, 1, 1000)
	if err := s.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), v.Hash()); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("before the reader has it: %v", err)
	}
	origin.Put(v)
	st, err := s.Open(t.Context(), v.Hash())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Collect(make([]byte, st.Size()), nil); err != nil {
		t.Error(err)
	}
}

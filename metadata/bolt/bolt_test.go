package bolt_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/metadata/metadatatest"
)

func TestConformance(t *testing.T) {
	metadatatest.Run(t, metadatatest.Config{New: func(t *testing.T) metadatatest.Place {
		path := filepath.Join(t.TempDir(), "catalogue")
		t.Cleanup(func() { wantWhole(t, path) })
		return metadatatest.Place{
			Open: func(t *testing.T, s metadatatest.Settings) metadata.Catalogue {
				return open(t, bolt.Options{Path: path, Tracking: s.Tracking, SoftDeletes: s.SoftDeletes})
			},
			StreamAccessed: func(t *testing.T, c metadata.Catalogue, sd blob.Hash) time.Time {
				at, err := c.(*bolt.Catalogue).StreamAccessed(t.Context(), sd)
				if err != nil {
					t.Fatal(err)
				}
				return at
			},
		}
	}})
}

func open(t testing.TB, o bolt.Options) *bolt.Catalogue {
	t.Helper()
	c, err := bolt.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantWhole demands that every page of a closed file is in order, and that the numbers that are kept are those of the
// rows.
func wantWhole(t testing.TB, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		rows, stored := uint64(0), uint64(0)
		err := tx.Bucket([]byte("blobs")).ForEach(func(_, value []byte) error {
			rows, stored = rows+1, stored+uint64(value[0])
			return nil
		})
		for key, want := range map[string]uint64{"rows": rows, "stored": stored} {
			got := uint64(0)
			if b := tx.Bucket([]byte("meta")).Get([]byte(key)); b != nil {
				got = binary.BigEndian.Uint64(b)
			}
			if got != want {
				t.Errorf("%s is %d, and there are %d", key, got, want)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestBlockedAgain demands that what is blocked already costs no commit.
func TestBlockedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue")
	c := open(t, bolt.Options{Path: path})
	defer c.Close()
	hashes := metadatatest.Hashes("again", 100)
	read := func() []byte {
		t.Helper()
		if err := c.Block(t.Context(), hashes); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	first := read()
	if !bytes.Equal(read(), first) {
		t.Error("the file was written again")
	}
	hashes = append(hashes, metadatatest.Hash("new"))
	if bytes.Equal(read(), first) {
		t.Error("the file was not written for a new hash")
	}
}

package bolt_test

import (
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
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

package bolt_test

import (
	"path/filepath"
	"testing"

	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/metadata/metadatatest"
)

func BenchmarkStored(b *testing.B)    { bench(b, metadatatest.BenchmarkStored) }
func BenchmarkPutStream(b *testing.B) { bench(b, metadatatest.BenchmarkPutStream) }
func BenchmarkBlock(b *testing.B)     { bench(b, metadatatest.BenchmarkBlock) }

// bench runs a benchmark over a new catalogue.
func bench(b *testing.B, run func(*testing.B, metadata.Catalogue)) {
	b.Helper()
	c := open(b, bolt.Options{Path: filepath.Join(b.TempDir(), "catalogue")})
	defer c.Close()
	run(b, c)
}

package mysql_test

import (
	"testing"

	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/metadatatest"
)

func BenchmarkStored(b *testing.B)    { bench(b, metadatatest.BenchmarkStored) }
func BenchmarkPutStream(b *testing.B) { bench(b, metadatatest.BenchmarkPutStream) }
func BenchmarkBlock(b *testing.B)     { bench(b, metadatatest.BenchmarkBlock) }

// bench runs a benchmark over a new catalogue. Its server syncs its log with each commit, as one does when nobody changes
// it.
func bench(b *testing.B, run func(*testing.B, metadata.Catalogue)) {
	b.Helper()
	s := testbed.MariaDB(b, testbed.MariaDBOptions{Args: []string{
		"--innodb-flush-log-at-trx-commit=1", "--innodb-flush-method=O_DIRECT", "--innodb-buffer-pool-size=256M",
	}})
	o := options(s, s.Database(b))
	o.CreateSchema = true
	c := open(b, o)
	defer c.Close()
	run(b, c)
}

package benchmarks

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/mysql"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
)

// BenchmarkHitDBBacked compares hits under a db_backed, on a MariaDB that answers, with the same without one: processor
// time of the server, over HTTP from the page cache. Bar: 1.03 ×, for full blobs; a hit of 4 KiB is nothing but overhead.
func BenchmarkHitDBBacked(b *testing.B) {
	for _, c := range []struct {
		name                  string
		blobs, size, requests int
		most                  bar
	}{
		{"2MiB", 64, blob.MaxSize, 1000, atMost(1.03)},
		{"4KiB", 4096, 4096, 50_000, atMost(1.03)},
	} {
		b.Run(c.name, func(b *testing.B) {
			database := testbed.MariaDB(b, testbed.MariaDBOptions{})
			d := makeData(b, c.blobs, c.size)
			origin := startOrigin(b, d.dir)
			t := turns{b: b, data: d, requests: c.requests, conns: 8}
			modes := []string{string(dbbacked.WriteThrough), string(dbbacked.WriteBehind)}
			t.add("plain", startPrism(b, "segments", origin))
			for _, sync := range modes {
				t.add(sync, startCache(b, sync, origin, func(dir string) string {
					return fmt.Sprintf("db_backed: {host: 127.0.0.1, port: %d, user: %s, password: %q, database: %s, create_schema: true, "+
						"access_tracking: 2, has_cap: true, max_size: 4GB, sync: %s, store: {disk: {mode: segments, mount_point: %q}}}",
						database.Port, database.User, database.Password, database.Database(b), sync, filepath.Join(dir, "mount"))
				}))
			}
			t.run()
			for _, sync := range modes {
				report(b, sync+"/plain", median(each(t.perRequest(sync), t.perRequest("plain"), func(x, y float64) float64 { return x / y })), c.most)
			}
			report(b, "plain-cpu-µs/req", median(t.perRequest("plain")), bar{})
		})
	}
}

// catalogued puts a store under a catalogue of a MariaDB, write_through. args are its port, user, password and database.
func catalogued(store stores.Store, number int, args []string) (stores.Store, error) {
	cat, err := mysql.New(mysql.Options{
		Port: number, User: args[0], Password: args[1], Database: args[2], CreateSchema: true, Tracking: metadata.TrackBlobs,
	})
	if err != nil {
		return nil, err
	}
	return dbbacked.Open(dbbacked.Options{Store: store, Catalogue: cat, Tracking: metadata.TrackBlobs})
}

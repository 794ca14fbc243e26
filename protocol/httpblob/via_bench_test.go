package httpblob

import (
	"testing"

	"github.com/OdyseeTeam/prism/blob"
)

// BenchmarkEncodeVia is what each answer pays for the stores it went through.
func BenchmarkEncodeVia(b *testing.B) {
	hops := []blob.Hop{{Origin: "disk-blobs", Elapsed: 4711}, {Origin: "sf_db_backed-edge", Elapsed: 9001}}
	for _, c := range []struct {
		name string
		hops []blob.Hop
	}{{"one store", hops[:1]}, {"two stores", hops}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				EncodeVia(c.hops, "edge-7.example.com")
			}
		})
	}
}

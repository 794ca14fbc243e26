package index_test

import (
	"testing"

	"github.com/OdyseeTeam/prism/index"
)

func BenchmarkGet(b *testing.B) {
	const n = 100_000
	x := openMem(b, index.Options{})
	fill(b, x, 0, n)
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := x.Get(hashOf(i % n)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := x.Get(hashOf(n + i)); err == nil {
				b.Fatal("found what is not there")
			}
		}
	})
}

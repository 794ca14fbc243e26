package segments_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/segments"
)

// benchSizes are payloads that leave from a small buffer, and from the mapping.
func benchSizes() []int { return []int{4 << 10, blob.MaxSize} }

// BenchmarkWrite reserves, writes and completes records, and makes a new segment when one is full.
func BenchmarkWrite(b *testing.B) {
	for _, n := range benchSizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			bed := osBed(b)
			payload := content(1, n)
			rec := segments.Record{Hash: blob.Sum(payload)}
			sum := segments.Checksum(payload)
			id := segments.ID(1)
			s := bed.create(b, id, 64<<20/segments.BlockSize)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				loc, ok := s.Reserve(uint32(n))
				if !ok {
					b.StopTimer()
					if err := s.Unlink(); err != nil {
						b.Fatal(err)
					}
					_ = s.Close()
					id++
					s = bed.create(b, id, 64<<20/segments.BlockSize)
					loc, _ = s.Reserve(uint32(n))
					b.StartTimer()
				}
				loc.CRC = sum
				rec.Location = loc
				if err := s.Write(rec, payload); err != nil {
					b.Fatal(err)
				}
				s.Complete(loc.Slot)
			}
		})
	}
}

// BenchmarkHit pins a record that is in the page cache, sends it over TCP, and lets it go.
func BenchmarkHit(b *testing.B) {
	for _, n := range benchSizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := osBed(b).create(b, 1, 1024)
			rec := put(b, s, content(1, n))
			bufs := segments.NewBuffers(1)
			server, client := tcp(b)
			drained := make(chan struct{})
			go func() {
				defer close(drained)
				_, _ = io.Copy(io.Discard, struct{ io.Reader }{client})
			}()
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if !s.Pin(rec.Slot) {
					b.Fatal("cannot pin")
				}
				h, err := s.OpenHandle(rec.Location, bufs, false)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := h.SendTo(server, 0, h.Size()); err != nil {
					b.Fatal(err)
				}
				h.Release()
			}
			b.StopTimer()
			_ = server.Close()
			<-drained
		})
	}
}

// BenchmarkScan reads a table of 16,384 records.
func BenchmarkScan(b *testing.B) {
	bed := osBed(b)
	h := header(1, 1<<14)
	slots := map[uint32][]byte{}
	for n := range h.Slots() {
		slots[n] = slotFields{blocks: uint32(h.PayloadAt()>>12) + n, meta: meta(4096, 0, 0)}.encode(h, n)
	}
	s := bed.table(b, h, slots)
	b.ReportAllocs()
	for b.Loop() {
		found := 0
		if _, err := s.Scan(0, func(segments.Record) error { found++; return nil }); err != nil || found != 1<<14 {
			b.Fatal(found, err)
		}
	}
}

package benchmarks

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/sha384"
)

// lanesOf is the processor time of SHA-384 over blobs in memory, of eight at a time on lanes that are always full: the
// least that they cost a server. Bars subtract what crypto/sha512 takes, and not this.
func lanesOf(blobs [][]byte) time.Duration {
	const piece = 128 << 10 // as servers hash
	lanes := sha384.NewLanes()
	before := ownCPU()
	parallel(8, len(blobs), func(i int) {
		d := sha384.New(lanes)
		whole := blobs[i][:len(blobs[i])&^(sha384.BlockSize-1)]
		for p := range slices.Chunk(whole, piece) {
			d.Blocks(p)
		}
		d.Sum(blobs[i][len(whole):])
	})
	return ownCPU() - before
}

// lanesOfVerified is lanesOf blobs that were proven before.
func lanesOfVerified(blobs []blob.Verified) time.Duration {
	all := make([][]byte, len(blobs))
	for i, v := range blobs {
		all[i] = v.Bytes()
	}
	return lanesOf(all)
}

// lanesOfFiles is lanesOf the files of a folder.
func lanesOfFiles(b *testing.B, d *data) time.Duration {
	b.Helper()
	var used time.Duration
	for some := range slices.Chunk(d.hashes, 64) {
		var blobs [][]byte
		for _, h := range some {
			data, err := os.ReadFile(filepath.Join(d.dir, h))
			if err != nil {
				b.Fatal(err)
			}
			blobs = append(blobs, data)
		}
		used += lanesOf(blobs)
	}
	return used
}

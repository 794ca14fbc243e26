package storetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
)

// Blob makes a content blob of size bytes that look random and depend on seed and size alone.
func Blob(t testing.TB, seed uint64, size int) blob.Verified {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24), 1})
	data := make([]byte, size)
	if _, err := rng.Read(data); err != nil {
		t.Fatal(err)
	}
	if data[0] == '{' {
		data[0] = 0 // content, at any seed
	}
	return Verified(t, data)
}

// SDBlob makes a blob that describes a stream, as far as a store looks at it.
func SDBlob(t testing.TB, seed uint64) blob.Verified {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"stream_type": "lbryfile",
		"stream_hash": blob.Sum(fmt.Append(nil, seed)).String(),
		"blobs":       []any{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return Verified(t, data)
}

// Verified is the blob of some bytes.
func Verified(t testing.TB, data []byte) blob.Verified {
	t.Helper()
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

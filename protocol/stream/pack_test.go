package stream_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// vector is what the LBRY SDK made of a file.
type vector struct {
	FileName          string `json:"file_name"`
	SHA256            string `json:"sha256"`
	Size              int    `json:"size"`
	Key               string `json:"key"`
	SDHash            string `json:"sd_hash"`
	StreamHash        string `json:"stream_hash"`
	SDBlob            string `json:"sd_blob"`
	SuggestedFileName string `json:"suggested_file_name"`
}

func readVector(t testing.TB) (v vector, file []byte) {
	t.Helper()
	raw, err := os.ReadFile("testdata/stream.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	for i := uint64(0); len(file) < v.Size; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, i))
		file = append(file, sum[:]...)
	}
	file = file[:v.Size]
	if sum := sha256.Sum256(file); hex.EncodeToString(sum[:]) != v.SHA256 {
		t.Fatal("the file is not made by the rule of the vector")
	}
	return v, file
}

// packed collects what Pack gives.
type packed struct {
	hashes []blob.Hash
	kinds  []blob.Kind
	data   [][]byte
}

func (p *packed) keep(b stream.Packed) error {
	p.hashes = append(p.hashes, b.Hash)
	p.kinds = append(p.kinds, b.Kind)
	p.data = append(p.data, bytes.Clone(b.Data))
	return nil
}

func sameIV(num int) (iv stream.IV) {
	for i := range iv {
		iv[i] = byte(num)
	}
	return iv
}

// The LBRY SDK and this package make the same stream of the same file, to the byte.
func TestVector(t *testing.T) {
	v, file := readVector(t)
	var key stream.Key
	if _, err := hex.Decode(key[:], []byte(v.Key)); err != nil {
		t.Fatal(err)
	}
	var p packed
	h, d, err := stream.Pack(bytes.NewReader(file), stream.PackOptions{Name: v.FileName, Key: &key, IV: sameIV, Keep: p.keep})
	if err != nil {
		t.Fatal(err)
	}
	last := len(p.data) - 1
	if got := string(p.data[last]); got != v.SDBlob {
		t.Errorf("SD blob\n%s, want\n%s", got, v.SDBlob)
	}
	if h.String() != v.SDHash || p.hashes[last] != h || p.kinds[last] != blob.KindSD || stream.Sniff(p.data[last]) != blob.KindSD {
		t.Errorf("SD hash %s, kept as %s and %s, want %s", h, p.hashes[last], p.kinds[last], v.SDHash)
	}
	for i, c := range d.Blobs {
		if blob.Sum(p.data[i]) != c.Hash || p.hashes[i] != c.Hash || p.kinds[i] != blob.KindContent || len(p.data[i]) != c.Length {
			t.Errorf("blob %d is not what the descriptor says", i)
		}
	}
	read, err := stream.Read([]byte(v.SDBlob))
	if err != nil {
		t.Fatal(err)
	}
	if read.Name != v.FileName || read.SuggestedName != stream.SafeName(v.FileName) || len(read.Blobs) != last {
		t.Errorf("read %q, %q, %d blobs", read.Name, read.SuggestedName, len(read.Blobs))
	}
	if got := unpack(t, p.data[last], p.data[:last]); !bytes.Equal(got, file) {
		t.Error("the file came back changed")
	}
}

// unpack reads an SD blob and decrypts the content blobs.
func unpack(t testing.TB, sd []byte, content [][]byte) []byte {
	t.Helper()
	d, err := stream.Read(sd)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Blobs) != len(content) {
		t.Fatalf("%d blobs, want %d", len(d.Blobs), len(content))
	}
	var file []byte
	for i, data := range content {
		piece, err := d.Decrypt(i, bytes.Clone(data))
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, piece...)
	}
	return file
}

// Whatever is packed with random key and IVs comes back, and no two packings are the same.
func TestRoundTrip(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	seen := map[blob.Hash]bool{}
	for _, c := range []struct{ size, blobs, last int }{
		{1, 1, 16}, {15, 1, 16}, {16, 1, 32}, {17, 1, 32},
		{stream.PieceSize - 15, 1, blob.MaxSize}, {stream.PieceSize - 16, 1, blob.MaxSize - 16},
		{stream.PieceSize - 1, 1, blob.MaxSize}, {stream.PieceSize, 1, blob.MaxSize},
		{stream.PieceSize + 1, 2, 16}, {2 * stream.PieceSize, 2, blob.MaxSize}, {2*stream.PieceSize + 1, 3, 16},
		{2*stream.PieceSize - 1, 2, blob.MaxSize},
	} {
		file := make([]byte, c.size)
		_, _ = random.Read(file)
		for range 2 {
			var p packed
			// Readers that give a byte less than asked for, or an error with the last bytes, change nothing.
			h, d, err := stream.Pack(io.MultiReader(bytes.NewReader(file[:c.size/3]), bytes.NewReader(file[c.size/3:])),
				stream.PackOptions{Name: "a.bin", Keep: p.keep})
			if err != nil {
				t.Fatal(err)
			}
			n := len(d.Blobs)
			if n != c.blobs || len(p.data) != n+1 || d.Blobs[n-1].Length != c.last {
				t.Errorf("%d bytes: %d blobs, the last of %d bytes; want %d, %d", c.size, n, d.Blobs[n-1].Length, c.blobs, c.last)
			}
			if got := unpack(t, p.data[n], p.data[:n]); !bytes.Equal(got, file) {
				t.Errorf("%d bytes came back changed", c.size)
			}
			if seen[h] || seen[p.hashes[0]] {
				t.Errorf("%d bytes: the stream was made before", c.size)
			}
			seen[h], seen[p.hashes[0]] = true, true
		}
	}
}

func TestPackRefuses(t *testing.T) {
	errRead, errKeep := errors.New("read"), errors.New("keep")
	f := func(r io.Reader, name string, want error) {
		t.Helper()
		_, _, err := stream.Pack(r, stream.PackOptions{Name: name, Keep: func(p stream.Packed) error {
			if p.Hash == (blob.Hash{}) || want != errKeep {
				return nil
			}
			return errKeep
		}})
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", name, err, want)
		}
	}
	f(strings.NewReader(""), "a", stream.ErrEmptyFile)
	f(strings.NewReader("x"), "a\xff", stream.ErrName)
	f(strings.NewReader("x"), strings.Repeat("a", blob.MaxSize), stream.ErrTooLong)
	f(io.MultiReader(strings.NewReader("x"), failing{errRead}), "a", errRead)
	f(strings.NewReader("x"), "a", errKeep)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A long file is packed in the memory of a few blobs, and one that no SD blob can list is refused.
func TestPackIsBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, d, err := stream.Pack(io.LimitReader(zeros{}, 100*stream.PieceSize), stream.PackOptions{Keep: func(stream.Packed) error { return nil }})
	runtime.ReadMemStats(&after)
	if err != nil || len(d.Blobs) != 100 {
		t.Fatalf("%v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 4*blob.MaxSize {
		t.Errorf("100 blobs took %d bytes of memory", took)
	}
	// A name that leaves room for a few entries stands for a file of 20 GB.
	kept := 0
	_, _, err = stream.Pack(zeros{}, stream.PackOptions{Name: strings.Repeat("n", blob.MaxSize/4-500), Keep: func(p stream.Packed) error {
		kept++
		return nil
	}})
	if !errors.Is(err, stream.ErrTooLong) || kept == 0 || kept > 12 {
		t.Errorf("%v after %d blobs", err, kept)
	}
}

// What fits by the count of Pack is never more than a blob.
func TestTheLongestStreamFits(t *testing.T) {
	d := stream.Descriptor{Name: "n", SuggestedName: "n", Type: "lbryfile", Blobs: make([]stream.Content, stream.MaxFile/stream.PieceSize)}
	for i := range d.Blobs {
		d.Blobs[i].Length = blob.MaxSize
	}
	if n := len(d.Encode()); n < blob.MaxSize-20_000 || n > blob.MaxSize+1000 {
		t.Errorf("MaxFile stands for an SD blob of %d bytes", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestDecryptRefuses(t *testing.T) {
	var p packed
	_, d, err := stream.Pack(strings.NewReader("text"), stream.PackOptions{Name: "a", Keep: p.keep})
	if err != nil {
		t.Fatal(err)
	}
	f := func(d stream.Descriptor, data []byte, want string) {
		t.Helper()
		if _, err := d.Decrypt(0, bytes.Clone(data)); !errors.Is(err, stream.ErrContent) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(*d, p.data[0][:15], "15 bytes")
	f(*d, nil, "0 bytes")
	wrong := *d
	wrong.Blobs = []stream.Content{{Length: 15}}
	f(wrong, make([]byte, 15), "no multiple")
	wrong.Blobs = []stream.Content{{Length: 0}}
	f(wrong, nil, "no multiple")
	wrong = *d
	wrong.Blobs = []stream.Content{d.Blobs[0]}
	wrong.Blobs[0].IV[15] ^= 0x80 // the last byte of the padding becomes more than a block
	f(wrong, p.data[0], "padding")
	wrong.Blobs[0].IV[15] ^= 0x81 // and one that the bytes before it do not repeat
	f(wrong, p.data[0], "padding")
}

// JSON texts are those of Python's json.dumps.
func TestEncodeASCII(t *testing.T) {
	d := stream.Descriptor{Type: "a\"\\\n\r\t\f\b\x00\x1f/\x7fé€\U0001f600"}
	const want = `"stream_type": "a\"\\\n\r\t\f\b\u0000\u001f/\u007f\u00e9\u20ac\ud83d\ude00", "suggested_file_name"`
	if got := string(d.Encode()); !strings.Contains(got, want) {
		t.Errorf("%s lacks %s", got, want)
	}
}

// The names, with what Python made of them by the expression of the LBRY SDK.
func TestSafeName(t *testing.T) {
	raw, err := os.ReadFile("testdata/names.json")
	if err != nil {
		t.Fatal(err)
	}
	var names [][2]string
	if err := json.Unmarshal(raw, &names); err != nil {
		t.Fatal(err)
	}
	names = append(names, [][2]string{{"foo .txt", "foo.txt"}, {"CON.txt", "lbry_download.txt"}, {"???.mp4", "lbry_download.mp4"}, {"a..txt", "a.txt"}}...)
	for _, n := range names {
		if got := stream.SafeName(n[0]); got != n[1] {
			t.Errorf("SafeName(%q) = %q, want %q", n[0], got, n[1])
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"", "a..txt", "../../etc/passwd", "CON.CON", ".a", "a\n", " . ", "\xff.\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := stream.SafeName(name)
		if got == "" || strings.ContainsAny(got, "<>:\"/\\|?*\x00\x1f\n\t") {
			t.Fatalf("SafeName(%q) = %q", name, got)
		}
	})
}

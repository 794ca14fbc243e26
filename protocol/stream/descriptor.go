package stream

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"unicode/utf16"

	"github.com/OdyseeTeam/prism/blob"
)

// PieceSize is how many bytes of a file each content blob holds, but for the last: with at least one byte of padding they
// become a blob of blob.MaxSize.
const PieceSize = blob.MaxSize - 1

// fileType is the stream_type of files, the only one there is.
const fileType = "lbryfile"

// Key is what a stream is encrypted with, by AES-128-CBC.
type Key [aes.BlockSize]byte

// IV is the initialization vector of one blob.
type IV [aes.BlockSize]byte

// Content is one content blob of a stream.
type Content struct {
	Hash   blob.Hash
	IV     IV
	Length int // bytes of the blob, padding included
}

// Descriptor is all that an SD blob says of a file.
type Descriptor struct {
	// Name is that of the file when it was packed. Like SuggestedName it comes from strangers: SafeName makes it fit for
	// a file.
	Name          string
	SuggestedName string
	Type          string
	Key           Key
	Blobs         []Content // in the order of the file
	End           IV        // of the entry that ends the list
}

// ErrContent: a content blob cannot be decrypted to what the SD blob promises.
var ErrContent = errors.New("bad content of a stream")

// Decrypt decrypts content blob i of the stream in place, and returns the part of data that is the file's. data is the
// whole blob. Errors: ErrContent.
func (d *Descriptor) Decrypt(i int, data []byte) ([]byte, error) {
	b := d.Blobs[i]
	if len(data) != b.Length {
		return nil, fmt.Errorf("%w: blob %d (%s) has %d bytes, and the SD blob says %d", ErrContent, i, b.Hash.Short(), len(data), b.Length)
	}
	if len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%w: blob %d (%s) has %d bytes, which is no multiple of %d", ErrContent, i, b.Hash.Short(), len(data), aes.BlockSize)
	}
	cipher.NewCBCDecrypter(d.Key.block(), b.IV[:]).CryptBlocks(data, data)
	pad := int(data[len(data)-1])
	if pad < 1 || pad > aes.BlockSize || slices.ContainsFunc(data[len(data)-pad:], func(c byte) bool { return int(c) != pad }) {
		return nil, fmt.Errorf("%w: blob %d (%s) does not end with padding once it is decrypted: the key or the IV is not its own", ErrContent, i, b.Hash.Short())
	}
	return data[:len(data)-pad], nil
}

// Holds says whether content blob i is what the first n bytes of buf encrypt to. They are encrypted in place; buf has room
// for up to 16 bytes of padding after them.
func (d *Descriptor) Holds(i int, buf []byte, n int) bool {
	b := d.Blobs[i]
	return n > 0 && blob.Sum(encrypt(d.Key.block(), b.IV, buf, n)) == b.Hash
}

// encrypt makes a blob of the first n bytes of buf, which has room for the padding.
func encrypt(key cipher.Block, iv IV, buf []byte, n int) []byte {
	data := pad(buf, n)
	cipher.NewCBCEncrypter(key, iv[:]).CryptBlocks(data, data)
	return data
}

// pad appends PKCS#7 padding to the first n bytes of buf, which has room for it.
func pad(buf []byte, n int) []byte {
	p := aes.BlockSize - n%aes.BlockSize
	for i := range p {
		buf[n+i] = byte(p)
	}
	return buf[:n+p]
}

// block is the cipher of the key.
func (k Key) block() cipher.Block {
	c, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // only for other lengths
	}
	return c
}

// Encode is the SD blob, as the LBRY SDK writes it: keys sorted, a blank after each comma and colon, ASCII only.
func (d *Descriptor) Encode() []byte {
	sum := newSummer()
	out := []byte(`{"blobs": [`)
	for i, b := range d.Blobs {
		iv := hex.EncodeToString(b.IV[:])
		sum.entry(b.Hash.String(), i, iv, b.Length)
		out = fmt.Appendf(out, `{"blob_hash": "%s", "blob_num": %d, "iv": "%s", "length": %d}, `, b.Hash, i, iv, b.Length)
	}
	end := hex.EncodeToString(d.End[:])
	sum.entry("", len(d.Blobs), end, 0)
	name, suggested, key := hexText(d.Name), hexText(d.SuggestedName), hex.EncodeToString(d.Key[:])
	out = fmt.Appendf(out, `{"blob_num": %d, "iv": "%s", "length": 0}], "key": "%s", "stream_hash": "%s", "stream_name": "%s", "stream_type": `,
		len(d.Blobs), end, key, sum.stream(name, key, suggested), name)
	out = appendASCII(out, d.Type)
	return fmt.Appendf(out, `, "suggested_file_name": "%s"}`, suggested)
}

func hexText(s string) string { return hex.EncodeToString([]byte(s)) }

// appendASCII appends a JSON text as Python's json.dumps writes it.
func appendASCII(out []byte, s string) []byte {
	out = append(out, '"')
	for _, r := range s {
		short, ok := shortEscapes[r]
		switch {
		case ok:
			out = append(out, short...)
		case r >= ' ' && r <= '~':
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return append(out, '"')
}

var shortEscapes = map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\f': `\f`, '\b': `\b`}

// summer makes a stream_hash of the texts as they stand in the SD blob. The sum of one entry is
//
//	SHA-384(blob_hash ‖ blob_num in decimal ‖ iv ‖ length in decimal)
//
// with no blob_hash in the last one, and stream_hash is
//
//	SHA-384(stream_name ‖ key ‖ suggested_file_name ‖ SHA-384(all sums, as bytes))
type summer struct {
	entries hash.Hash
	buf     []byte
}

func newSummer() *summer { return &summer{entries: sha512.New384()} }

func (s *summer) entry(hash string, num int, iv string, length int) {
	s.buf = append(s.buf[:0], hash...)
	s.buf = strconv.AppendInt(s.buf, int64(num), 10)
	s.buf = append(s.buf, iv...)
	s.buf = strconv.AppendInt(s.buf, int64(length), 10)
	sum := sha512.Sum384(s.buf)
	s.entries.Write(sum[:])
}

func (s *summer) stream(name, key, suggested string) string {
	data := s.entries.Sum([]byte(name + key + suggested))
	sum := sha512.Sum384(data)
	return hex.EncodeToString(sum[:])
}

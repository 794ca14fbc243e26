package stream

import (
	"crypto/aes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/OdyseeTeam/prism/blob"
)

// Errors of packing.
var (
	// ErrEmptyFile: a stream has at least one byte.
	ErrEmptyFile = errors.New("an empty file cannot be a stream")
	// ErrTooLong: the SD blob, which lists all blobs, would not fit into a blob.
	ErrTooLong = errors.New("the file is too large for a stream")
	// ErrName: the file's name is not UTF-8.
	ErrName = errors.New("the file's name is not UTF-8")
)

// PackOptions are what a stream is made with beside the file's bytes.
type PackOptions struct {
	Name string             // of the file, without folders, in UTF-8
	Key  *Key               // nil: a random one
	IV   func(num int) IV   // of each blob, and of the end of the list; nil: random ones
	Keep func(Packed) error // takes each blob, in the order of the file, the SD blob last; an error ends Pack
}

// Packed is one blob that Pack made.
type Packed struct {
	Hash blob.Hash
	Kind blob.Kind
	Data []byte // Pack's own, until Keep returns
}

// Pack makes a stream of what r gives, in memory of one blob and the SD blob. It returns the SD blob's hash, which names
// the stream. The same file packed again is another stream, unless key and IVs are given. Errors: ErrEmptyFile,
// ErrTooLong, ErrName, before or after some blobs were given to Keep; what r and Keep return, as it is.
func Pack(r io.Reader, o PackOptions) (blob.Hash, *Descriptor, error) {
	if !utf8.ValidString(o.Name) {
		return blob.Hash{}, nil, fmt.Errorf("%w: %q", ErrName, o.Name)
	}
	d := &Descriptor{Name: o.Name, SuggestedName: SafeName(o.Name), Type: fileType}
	if o.Key != nil {
		d.Key = *o.Key
	} else {
		_, _ = rand.Read(d.Key[:]) // never fails
	}
	if o.IV == nil {
		o.IV = func(int) (iv IV) {
			_, _ = rand.Read(iv[:])
			return iv
		}
	}
	room := blob.MaxSize - len(d.Encode()) - 4 // for four more digits in the number of the last entry
	if room < 0 {
		return blob.Hash{}, nil, fmt.Errorf("%w: its name alone fills the SD blob", ErrTooLong)
	}
	block := d.Key.block()
	buf := make([]byte, blob.MaxSize)
	for {
		n, err := io.ReadFull(r, buf[:PieceSize])
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return blob.Hash{}, nil, err
		}
		last := err != nil
		if n > 0 {
			if room -= maxEntry; room < 0 {
				return blob.Hash{}, nil, fmt.Errorf("%w: its SD blob has room for %d blobs of 2 MiB; cut the file", ErrTooLong, len(d.Blobs))
			}
			iv := o.IV(len(d.Blobs))
			data := encrypt(block, iv, buf, n)
			c := Content{Hash: blob.Sum(data), IV: iv, Length: len(data)}
			if err := o.Keep(Packed{c.Hash, blob.KindContent, data}); err != nil {
				return blob.Hash{}, nil, err
			}
			d.Blobs = append(d.Blobs, c)
		}
		if last {
			break
		}
	}
	if len(d.Blobs) == 0 {
		return blob.Hash{}, nil, ErrEmptyFile
	}
	d.End = o.IV(len(d.Blobs))
	sd := d.Encode()
	h := blob.Sum(sd)
	if err := o.Keep(Packed{h, blob.KindSD, sd}); err != nil {
		return blob.Hash{}, nil, err
	}
	return h, d, nil
}

// maxEntry is the most bytes that one entry takes in an SD blob: with five digits of blob_num and seven of length.
const maxEntry = len(`{"blob_hash": "", "blob_num": , "iv": "", "length": }, `) + blob.HexSize + 5 + 2*aes.BlockSize + 7

// MaxFile is a size in bytes that no longer file fits into a stream.
const MaxFile = int64(blob.MaxSize/maxEntry) * PieceSize

package upload

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/stream"
	"github.com/OdyseeTeam/prism/stores"
)

// work puts content blobs. SD blobs among them wait.
func (u *uploader) work(files <-chan file) {
	buf := make([]byte, blob.MaxSize)
	for f := range files {
		v, err := readBlob(f, buf)
		switch {
		case err != nil:
			u.fail(f.path(), err)
		case stream.Sniff(v.Bytes()) == blob.KindSD && u.wait(f):
		default:
			u.put(f, v)
		}
	}
}

// wait keeps an SD blob for the last round, if there is room.
func (u *uploader) wait(f file) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.waiting) >= maxWaiting {
		return false
	}
	u.waiting = append(u.waiting, f)
	return true
}

// workSD puts blobs of which most are SD blobs.
func (u *uploader) workSD(files <-chan file) {
	buf := make([]byte, blob.MaxSize)
	for f := range files {
		v, err := readBlob(f, buf)
		if err != nil {
			u.fail(f.path(), err)
			continue
		}
		u.put(f, v)
	}
}

// readChunk is how much is read between two steps of the hash, which finds it in the processor's cache.
const readChunk = 256 << 10

// readBlob reads a file into buf and compares it with its name.
func readBlob(f file, buf []byte) (blob.Verified, error) {
	in, err := openFile(f.path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if info, e := os.Lstat(f.path()); e == nil && info.Mode()&fs.ModeSymlink != 0 {
			return blob.Verified{}, errors.New("it is a link to nothing")
		}
		return blob.Verified{}, errVanished
	case err != nil:
		if info, e := os.Stat(f.path()); e == nil && info.IsDir() {
			return blob.Verified{}, errFolderLink
		}
		return blob.Verified{}, plain(err)
	}
	defer in.Close()
	h := blob.NewHasher(buf[:0:blob.MaxSize])
	for h.Len() < blob.MaxSize {
		if _, err := h.ReadOnce(in, readChunk); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return blob.Verified{}, plain(err)
		}
	}
	if n, _ := in.Read(make([]byte, 1)); n > 0 {
		return blob.Verified{}, blob.ErrTooBig
	}
	v, err := h.Verified(f.hash)
	if errors.Is(err, blob.ErrCorrupt) {
		return v, fmt.Errorf("its bytes are not what its name says: they hash to %s; get the file again, and see that nothing writes to it", h.Sum())
	}
	return v, err
}

// put puts a blob into the store.
func (u *uploader) put(f file, v blob.Verified) {
	kind := stream.Sniff(v.Bytes())
	if w, ok := stores.As[stores.Wanter](u.Store); ok && kind == blob.KindSD {
		_, blocked, err := w.Wants(u.puts, f.hash)
		if err != nil {
			u.storeFailed(f.path(), fmt.Errorf("ask whether it is blocked: %w", err))
			return
		}
		if blocked {
			u.count(func(s *Summary) { s.Blocked++ })
			u.Meter.Println("blocked: " + f.path() + ": the store takes it no more")
			u.Meter.Add(1, 0)
			return
		}
	}
	if err := u.Store.Put(u.puts, v, kind); err != nil {
		u.storeFailed(f.path(), err)
		return
	}
	u.inRow.Store(0)
	u.count(func(s *Summary) {
		s.Uploaded++
		s.Bytes += v.Size()
		if kind == blob.KindSD {
			s.SD++
		}
	})
	u.remove(f)
	u.Meter.Add(1, v.Size())
}

// remove deletes the file of a blob that is stored, when that was asked for.
func (u *uploader) remove(f file) {
	if !u.Delete {
		return
	}
	if err := os.Remove(f.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		u.undeleted(f, plain(err))
		return
	}
	u.count(func(s *Summary) { s.Deleted++ })
}

// undeleted names a file that should have gone.
func (u *uploader) undeleted(f file, err error) {
	u.count(func(s *Summary) { s.Undeleted++ })
	u.Meter.Println(fmt.Sprintf("not deleted: %s: %v", f.path(), err))
}

package blob

import "io"

// Sink is a destination whose Write hands its argument to write(2) on a plain TCP socket and does nothing else with
// it: no user-space copy, no hashing, no inspection. Mapped memory may be given to a Sink and to no other writer: a
// page that cannot be read is then an error (EFAULT) of the system call, where a touch by Go code would end the
// process. A Sink sets its own deadlines and may split p, never into pieces of 4,096 bytes or less when p is larger.
type Sink interface {
	io.Writer
	// KernelSink marks the promise above.
	KernelSink()
}

// Flusher is what a writer has that may keep small writes back to join them with later ones. A handle whose bytes are
// still on their way calls Flush before it waits for more. Errors show in the next Write.
type Flusher interface{ Flush() }

// PromptWriter is a writer that can tell a slow reader while it writes. A handle that lends it much memory wants that
// back when the reader is slow: abandoned readers are many, and found out late.
type PromptWriter interface {
	// WritePrompt writes p as Write does, but only as long as the reader takes it promptly. It returns how much was
	// taken: less than len(p), without an error, of a slow reader, for whom Write goes on with the rest.
	WritePrompt(p []byte) (int, error)
}

// MinSinkWrite is the smallest write of mapped memory: buffered writers up the way copy what is not larger than 4,096
// bytes in Go code. Handles send whatever is smaller from ordinary memory.
const MinSinkWrite = 64 << 10

// Handle is one blob, pinned: what it reads cannot change, be reclaimed or be closed before Release. A handle may be given
// out while the blob still arrives from an origin. Its calls then wait for the bytes, and fail as a read does when the
// transfer fails or the bytes turn out not to match the name; of whatever a call was asked for, the end is given only
// after the match. It is safe for concurrent reads. Whoever got it calls Release once, when no other call on it is running; a second Release is a bug
// and panics.
type Handle interface {
	// Size is the blob's length in bytes.
	Size() int64

	// SendTo writes the n bytes from off to a kernel sink and returns how many it wrote. An error of the sink comes
	// back as it is. A failed read is ErrCorrupt or ErrUnavailable, wrapped; the caller must then cut the connection
	// if it has promised more bytes than were written.
	SendTo(s Sink, off, n int64) (int64, error)

	// WriteTo writes the whole blob to any writer, through a pooled buffer.
	io.WriterTo

	// ReadAt copies into the caller's buffer, as io.ReaderAt does.
	io.ReaderAt

	// Release gives the pin back. The handle must not be used after it.
	Release()
}

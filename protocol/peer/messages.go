package peer

import (
	"errors"

	"github.com/OdyseeTeam/prism/internal/jsonscan"
)

// The bounds of a message, in both directions.
const (
	MaxMessage = 64 << 10          // bytes of one JSON object
	MaxDepth   = jsonscan.MaxDepth // braces and brackets that are open at once; messages of the protocol have two
)

// What makes a message unfit. After each of them the connection is of no use: where the next message begins is unknown.
var (
	// ErrNotObject: a message starts with something else than {.
	ErrNotObject = errors.New("peer: the message does not start with {")
	// ErrTooLarge: no end within MaxMessage bytes.
	ErrTooLarge = errors.New("peer: the message is larger than 64 KiB")
	// ErrTooDeep: more than MaxDepth braces and brackets are open.
	ErrTooDeep = errors.New("peer: the message is nested too deep")
	// ErrSyntax: the message is not JSON.
	ErrSyntax = errors.New("peer: the message is not JSON")
	// ErrMalformed: a key has a value of a kind that it cannot have.
	ErrMalformed = errors.New("peer: malformed message")
)

// The sizes of the buffer: at first, and the most that is kept while nothing is in it.
const (
	leastBuffer = 512
	keptBuffer  = 4 << 10
)

// Messages cuts what comes over a connection into JSON objects. Its user reads into Room, says how much came with Add,
// and takes messages with Next until there are none, before it reads on. Bytes after a message are kept for the next one,
// or for Take.
//
// The first byte of a connection must be {. Between messages blanks and line ends are skipped, which some encoders leave
// there. At most MaxMessage bytes are held, and while nothing is, little.
//
// The zero value is ready. It is not safe for concurrent use.
type Messages struct {
	buf        []byte
	start, end int              // what is held: buf[start:end]
	scan       jsonscan.Scanner // of the message at start
	seen       int              // bytes of it that scan looked at
	later      bool             // there was a message
	err        error            // for good
}

// Room is where the next bytes go: at least one, unless a message that fills the buffer waits to be taken. It is good
// until the next call, and ends what Next gave.
func (m *Messages) Room() []byte {
	if m.start == m.end {
		m.start, m.end = 0, 0
		if len(m.buf) > keptBuffer {
			m.buf = nil
		}
	}
	if m.end == len(m.buf) && m.start > 0 {
		m.end = copy(m.buf, m.buf[m.start:m.end])
		m.start = 0
	}
	if m.end == len(m.buf) && len(m.buf) < MaxMessage {
		grown := make([]byte, min(max(2*len(m.buf), leastBuffer), MaxMessage))
		copy(grown, m.buf)
		m.buf = grown
	}
	return m.buf[m.end:]
}

// Add says that n bytes were put into Room.
func (m *Messages) Add(n int) { m.end += n }

// Held is the number of bytes that are held and belong to no message that was taken.
func (m *Messages) Held() int { return m.end - m.start }

// Next gives the next message, or nil when the rest of it has not come. The message is good until the next call of
// Room. It is an object as far as its braces go; the parsers judge the rest. Errors are ErrNotObject, ErrTooLarge,
// ErrTooDeep, or ErrSyntax where braces and brackets do not match, and stay.
func (m *Messages) Next() ([]byte, error) {
	if m.err != nil {
		return nil, m.err
	}
	if m.seen == 0 && m.later {
		for m.start < m.end && isBlank(m.buf[m.start]) {
			m.start++
		}
	}
	held := m.buf[m.start:m.end]
	if len(held) == 0 {
		return nil, nil
	}
	if m.seen == 0 {
		m.scan = jsonscan.New(MaxMessage)
	}
	n, done, err := m.scan.Scan(held[m.seen:])
	m.seen += n
	switch {
	case err != nil:
		m.err = ours(err)
	case done:
		message := held[:m.seen]
		m.start += m.seen
		m.seen, m.later = 0, true
		return message, nil
	case m.seen == MaxMessage:
		m.err = ErrTooLarge
	}
	return nil, m.err
}

// Take moves held bytes into p, and says how many: the first of a blob, which follow a message.
func (m *Messages) Take(p []byte) int {
	n := copy(p, m.buf[m.start:m.end])
	m.start += n
	return n
}

// ours is what the errors of a scanner are here.
func ours(err error) error {
	switch {
	case errors.Is(err, jsonscan.ErrNotObject):
		return ErrNotObject
	case errors.Is(err, jsonscan.ErrTooDeep):
		return ErrTooDeep
	case errors.Is(err, jsonscan.ErrTooLong):
		return ErrTooLarge
	default:
		return ErrSyntax
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

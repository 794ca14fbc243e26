package lists

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// hub is a connection to a hub: JSON objects over TCP, one a line, one question at a time.
type hub struct {
	addr    string
	conn    net.Conn
	in      *bufio.Reader
	id      int
	timeout time.Duration // of one question
}

const (
	// maxLine bounds a line of an answer: a transaction fits a block of LBRY, which is 2 MB, and is sent as hex.
	maxLine = 4<<20 + 64<<10
	// hubProtocol is the version that we speak, in the numbers of LBRY's hubs.
	hubProtocol = "0.113.0"
	// maxNotices bounds the lines before an answer that nobody asked for.
	maxNotices = 100
)

// refusal is an error that a hub answers: it works, and does not give what was asked for.
type refusal struct{ text string }

func (r refusal) Error() string { return "the hub answers " + r.text }

// dialHub connects and says hello.
func dialHub(ctx context.Context, addr string, timeout time.Duration) (*hub, error) {
	dialer := net.Dialer{Timeout: min(timeout, 10*time.Second)}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	h := &hub{addr: addr, conn: conn, in: bufio.NewReaderSize(conn, 64<<10), timeout: timeout}
	_, err = h.ask(ctx, "server.version", "prism", hubProtocol)
	if _, refused := errors.AsType[refusal](err); err != nil && !refused { // who refuses the hello may answer all the same
		h.close()
		return nil, fmt.Errorf("server.version: %w", err)
	}
	return h, nil
}

func (h *hub) close() { _ = h.conn.Close() }

// outputs asks for a transaction, checks that it is that one, and gives the scripts of its outputs.
func (h *hub) outputs(ctx context.Context, id txid) ([][]byte, error) {
	result, err := h.ask(ctx, "blockchain.transaction.get", id.String())
	if err != nil {
		return nil, err
	}
	var text string
	if err := json.Unmarshal(result, &text); err != nil {
		return nil, fmt.Errorf("not a transaction: %w", err)
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("not a transaction: %w", err)
	}
	return parseTransaction(raw, id)
}

// ask sends a question and waits for its answer. After any error but a refusal the connection is of no use.
func (h *hub) ask(ctx context.Context, method string, params ...string) (json.RawMessage, error) {
	if err := h.conn.SetDeadline(time.Now().Add(h.timeout)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = h.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h.id++
	line, err := json.Marshal(map[string]any{"id": h.id, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	if _, err := h.conn.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("ask: %w", err)
	}
	for range maxNotices {
		line, err := readLine(h.in, maxLine)
		if err != nil {
			return nil, fmt.Errorf("read an answer: %w", err)
		}
		r, err := parseReply(line)
		if err != nil {
			return nil, err
		}
		if r.notice {
			continue
		}
		if r.id != h.id {
			return nil, fmt.Errorf("an answer to question %d, which was not asked now", r.id)
		}
		return r.result, r.refused
	}
	return nil, errors.New("notices instead of an answer")
}

// readLine reads a line of at most limit bytes, without its end. A line that is cut is io.ErrUnexpectedEOF.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		if len(line)+len(piece) > limit {
			return nil, fmt.Errorf("a line of more than %d bytes", limit)
		}
		line = append(line, piece...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// reply is one line of a hub.
type reply struct {
	id      int
	notice  bool // nobody asked for it
	result  json.RawMessage
	refused error
}

// parseReply reads a line. An error means that it is no line of the protocol.
func parseReply(line []byte) (reply, error) {
	var wire struct {
		ID     *int            `json:"id"`
		Method string          `json:"method"`
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(line, &wire); err != nil {
		return reply{}, fmt.Errorf("not an answer of a hub: %w", err)
	}
	switch {
	case wire.ID == nil && wire.Method != "":
		return reply{notice: true}, nil
	case wire.ID == nil:
		return reply{}, errors.New("not an answer of a hub: it has no id")
	}
	r := reply{id: *wire.ID, result: wire.Result}
	switch {
	case len(wire.Error) > 0 && string(wire.Error) != "null":
		r.refused = refusal{errorText(wire.Error, 3)}
	case len(wire.Result) == 0:
		return reply{}, errors.New("not an answer of a hub: neither result nor error")
	}
	return r, nil
}

// errorText is what an error says: {"code":…,"message":…}, where the message may be such an object again, or the text of
// one.
func errorText(raw json.RawMessage, depth int) string {
	var e struct {
		Code    json.RawMessage `json:"code"`
		Message json.RawMessage `json:"message"`
	}
	if depth > 0 && json.Unmarshal(raw, &e) == nil && len(e.Message) > 0 {
		var text string
		if json.Unmarshal(e.Message, &text) != nil {
			return errorText(e.Message, depth-1)
		}
		return fmt.Sprintf("%s (code %s)", shown(text), shown(string(e.Code)))
	}
	return shown(string(raw))
}

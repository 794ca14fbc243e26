package httpd

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/httpblob"
)

// exchange is one request and its answer. It belongs to the goroutine that serves the connection.
type exchange struct {
	s    *Handler
	w    http.ResponseWriter
	r    *http.Request
	conn *conn // nil when the request came over something else
	t    target

	trace   *blob.Trace // nil when the answer carries none
	slot    bool        // this exchange has a slot
	private bool        // the blob is protected, and a token opened it
	started bool        // the answer's header is committed
	status  int         // what the statistics will say
	out     sink
}

// finish ends an exchange, however serve ended: failed is what it panicked with, or nil. A panic that is no abort is
// reported and ends this connection only; its stack and value carry no request.
func (q *exchange) finish(failed any) {
	q.releaseSlot()
	if failed != nil && !isAbort(failed) {
		q.s.count.panics.Add(1)
		q.s.opt.Logger.Error("http: panic while answering", "panic", fmt.Sprint(failed), "stack", string(debug.Stack()))
		if !q.started {
			q.dropHeaders(q.w.Header())
			q.lastOnConnection()
			q.answerText(http.StatusInternalServerError, q.refusal(http.StatusInternalServerError))
			failed = nil
		}
	}
	if failed != nil {
		q.s.count.request(q.t.route, StatusClientGone)
		panic(http.ErrAbortHandler)
	}
	q.s.count.request(q.t.route, q.status)
}

// isAbort tells the panic that cuts an answer from those that are bugs.
func isAbort(failed any) bool {
	err, ok := failed.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// serve answers. The order matters: nothing reaches a gate or a store before the target is understood.
func (q *exchange) serve() {
	if q.r.ContentLength != 0 {
		// A body is not read, so where the next request begins is not known.
		q.lastOnConnection()
	}
	if q.r.ProtoMajor != int(q.s.over) {
		q.answerText(http.StatusHTTPVersionNotSupported, q.refusal(http.StatusHTTPVersionNotSupported))
		return
	}
	head := q.r.Method == http.MethodHead
	if !head && q.r.Method != http.MethodGet {
		q.w.Header()[keyAllow] = q.s.fixed.allow
		q.answerText(http.StatusMethodNotAllowed, q.refusal(http.StatusMethodNotAllowed))
		return
	}
	var err error
	q.t, err = parseTarget(q.r.URL.Path, q.r.URL.RawQuery)
	if q.s.over == HTTP3 {
		q.t.token, q.t.via = "", q.t.traced
	}
	switch {
	case err != nil:
		q.fail(err)
	case q.t.route == routeNone:
		q.answerText(http.StatusNotFound, q.refusal(http.StatusNotFound))
	case q.t.route == routeHealth:
		q.answerText(http.StatusOK, "ok\n")
	case q.t.route == routeReady:
		q.ready()
	case q.t.route == routeHas:
		q.has()
	case head:
		q.head()
	default:
		q.get()
	}
}

// lastOnConnection ends the connection with this answer. In HTTP/3 an answer ends its stream, and the header that says
// so in HTTP/1.1 would make it malformed.
func (q *exchange) lastOnConnection() {
	if q.s.over == HTTP1 {
		q.w.Header()[keyConnection] = q.s.fixed.close
	}
}

// ready tells a load balancer whether to send traffic here.
func (q *exchange) ready() {
	var err error
	switch {
	case q.s.draining.Load():
		err = errors.New("draining")
	case q.s.opt.Ready != nil:
		err = q.s.opt.Ready()
	}
	if err != nil {
		q.w.Header()[keyRetry] = q.s.fixed.retry
		q.answerText(http.StatusServiceUnavailable, err.Error()+"\n")
		return
	}
	q.answerText(http.StatusOK, "ok\n")
}

// has answers /has/H, by existence, protected or not.
func (q *exchange) has() {
	ok, err := q.exists()
	if err != nil {
		q.fail(err)
		return
	}
	status, text := http.StatusOK, hasYes
	if !ok {
		status, text = http.StatusNotFound, hasNo
	}
	q.answerBytes(status, q.s.fixed.json, text)
}

// The answers of /has/H.
const (
	hasYes = `{"lbrycrd_address":"` + paymentAddress + `","is_available":true}`
	hasNo  = `{"lbrycrd_address":"` + paymentAddress + `","is_available":false}`

	paymentAddress = "bJxKvpD96kaJLriqVajZ7SaQTsWWyrGQct"
)

// head answers HEAD: 204 on /blob, by existence; 200 where an object store would say so, and only to whom GET would
// give the bytes. The size is not told: it would take a fill to know it.
func (q *exchange) head() {
	if q.t.route != routeBlob && !q.open() {
		return
	}
	ok, err := q.exists()
	switch {
	case err != nil:
		q.fail(err)
	case !ok:
		q.fail(blob.ErrNotFound)
	case q.t.route == routeBlob:
		q.w.Header()[keyCache] = q.s.fixed.never
		q.start(http.StatusNoContent)
	case q.precondition() != 0:
		q.answerPrecondition(q.precondition())
	default:
		h := q.w.Header()
		h[keyType], h[keyRanges] = q.s.fixed.octets, q.s.fixed.bytes
		q.tagHeaders(h, []string{httpblob.ETag(q.t.hash)})
		q.start(http.StatusOK)
	}
}

// open asks the gate, and answers when it says no.
func (q *exchange) open() bool {
	if q.s.opt.Gate == nil {
		return true
	}
	if err := q.s.opt.Gate.Check(q.t.hash, q.t.token); err != nil {
		q.fail(err)
		return false
	}
	// Whoever shows a token may have opened what others must not find in a shared cache.
	q.private = q.t.token != "" && q.s.opt.Gate.Check(q.t.hash, "") != nil
	return true
}

// precondition is the status that If-Match and If-None-Match make of a good answer: 412, 304, or 0 for none. The
// entity tag is the hash, so it is known without the blob.
func (q *exchange) precondition() int {
	match, none := q.r.Header["If-Match"], q.r.Header["If-None-Match"]
	if match == nil && none == nil {
		return 0
	}
	etag := httpblob.ETag(q.t.hash)
	switch {
	case match != nil && !matchesTag(match, etag, false):
		return http.StatusPreconditionFailed
	case none != nil && matchesTag(none, etag, true):
		return http.StatusNotModified
	}
	return 0
}

// answerPrecondition answers about a blob that is there.
func (q *exchange) answerPrecondition(status int) {
	if status == http.StatusPreconditionFailed {
		q.answerText(status, q.refusal(status))
		return
	}
	q.tagHeaders(q.w.Header(), []string{httpblob.ETag(q.t.hash)})
	q.start(status)
}

// exists asks the store, in a slot. What the gate has answered as missing does not exist; what it protects does.
func (q *exchange) exists() (bool, error) {
	if g := q.s.opt.Gate; g != nil && errors.Is(g.Check(q.t.hash, q.t.token), blob.ErrNotFound) {
		return false, nil
	}
	if err := q.takeSlot(); err != nil {
		return false, err
	}
	defer q.releaseSlot()
	look := newLookup(q.r.Context(), q.s.opt.LookupTimeout)
	defer look.end()
	return q.s.opt.Store.Has(look, q.t.hash)
}

func (q *exchange) takeSlot() error {
	if q.slot {
		return nil
	}
	if err := q.s.slots.Acquire(q.r.Context()); err != nil {
		return err
	}
	q.slot = true
	return nil
}

// releaseSlot gives the slot back, if there is one.
func (q *exchange) releaseSlot() {
	if q.slot {
		q.slot = false
		q.s.slots.Release()
	}
}

// clientGone says whether nobody is left to answer: the connection broke, or the drain is over.
func (q *exchange) clientGone() bool { return q.r.Context().Err() != nil }

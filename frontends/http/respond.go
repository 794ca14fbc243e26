package httpd

import (
	"net/http"
	"strconv"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/httpblob"
)

// fixedHeaders are values that never change, made once: net/http copies a header map before it alters it, so all
// answers may share them. Nobody writes to them.
type fixedHeaders struct {
	octets, text, json     []string
	public, private, never []string
	bytes, close, allow    []string
	retry                  []string
}

func newFixedHeaders() fixedHeaders {
	return fixedHeaders{
		octets:  []string{httpblob.ContentType},
		text:    []string{"text/plain; charset=utf-8"},
		json:    []string{"application/json"},
		public:  []string{"public, max-age=31536000, immutable"},
		private: []string{"private, no-store"},
		never:   []string{"no-store"},
		bytes:   []string{"bytes"},
		close:   []string{"close"},
		allow:   []string{"GET, HEAD"},
		retry:   []string{retryAfter},
	}
}

// Header names in net/http's canonical form, so that a map assignment does for Set.
const (
	keyAllow        = "Allow"
	keyRanges       = "Accept-Ranges"
	keyCache        = "Cache-Control"
	keyConnection   = "Connection"
	keyDisposition  = "Content-Disposition"
	keyLength       = "Content-Length"
	keyContentRange = "Content-Range"
	keyType         = "Content-Type"
	keyETag         = "Etag"
	keyRetry        = "Retry-After"
)

// answerText ends an exchange with a short text.
func (q *exchange) answerText(status int, text string) {
	q.answerBytes(status, q.s.fixed.text, text)
}

// answerBytes ends an exchange with a short body that nobody may cache.
func (q *exchange) answerBytes(status int, contentType []string, body string) {
	h := q.w.Header()
	h[keyType] = contentType
	h[keyCache] = q.s.fixed.never
	h[keyLength] = []string{strconv.Itoa(len(body))}
	q.start(status)
	if q.r.Method != http.MethodHead {
		_, _ = q.w.Write([]byte(body)) // the connection is gone, or net/http's buffer has it
	}
}

// start commits the answer: its header is about to leave. What waits for a slot may go on.
func (q *exchange) start(status int) {
	q.started, q.status = true, status
	q.releaseSlot()
	q.w.WriteHeader(status)
}

// refusal is the body of an answer that says no.
func (q *exchange) refusal(status int) string {
	if status == http.StatusForbidden {
		return httpblob.ProtectedBody
	}
	return http.StatusText(status) + "\n"
}

// fail answers an error. Once an answer has started there is only one honest end: to cut it.
func (q *exchange) fail(err error) {
	q.s.count.failure(err)
	status := statusOf(err)
	if status >= http.StatusInternalServerError && status != http.StatusGatewayTimeout {
		q.s.faults.Report(q.t.hash, err)
	}
	if q.started || q.clientGone() {
		panic(http.ErrAbortHandler)
	}
	h := q.w.Header()
	q.dropHeaders(h)
	switch status {
	case http.StatusServiceUnavailable:
		h[keyRetry] = q.s.fixed.retry
	case http.StatusNotFound:
		if via := q.via(); via != "" {
			h[httpblob.ViaHeader] = []string{via}
		}
	}
	q.answerText(status, q.refusal(status))
}

// dropHeaders takes back what an attempt to send a blob had set.
func (q *exchange) dropHeaders(h http.Header) {
	for _, key := range []string{keyRanges, keyDisposition, keyContentRange, keyETag, httpblob.ViaHeader} {
		delete(h, key)
	}
}

// via says which stores the request went through; it is empty where the answer carries that not.
func (q *exchange) via() string { return httpblob.EncodeVia(q.trace.Hops(), q.s.opt.HostName) }

// tagHeaders sets what every good answer about a blob has: its entity tag and who may keep it.
func (q *exchange) tagHeaders(h http.Header, etag []string) {
	h[keyETag] = etag
	h[keyCache] = q.s.fixed.public
	if q.private {
		h[keyCache] = q.s.fixed.private
	}
}

// blobHeaders sets the header of a blob's bytes, of which part leaves with the given status. It makes one string of all
// that depends on the blob, and cuts it.
func (q *exchange) blobHeaders(status int, part span, size int64) {
	h, name := q.w.Header(), q.t.name
	const lead = "filename="
	const atTag, atLength = len(lead) + blob.HexSize, len(lead) + 2*blob.HexSize + 2
	buf := make([]byte, 0, atLength+20)
	buf = append(buf, lead...)
	buf = append(buf, name...)
	buf = append(buf, '"')
	buf = append(buf, name...)
	buf = append(buf, '"')
	buf = strconv.AppendInt(buf, part.n, 10)
	all := string(buf)
	values := []string{all[:atTag], all[atTag:atLength], all[atLength:], ""}
	h[keyDisposition] = values[0:1:1]
	q.tagHeaders(h, values[1:2:2])
	h[keyLength] = values[2:3:3]
	if values[3] = q.via(); values[3] != "" {
		h[httpblob.ViaHeader] = values[3:4:4]
	}
	h[keyType] = q.s.fixed.octets
	h[keyRanges] = q.s.fixed.bytes
	if status == http.StatusPartialContent {
		h[keyContentRange] = []string{"bytes " + strconv.FormatInt(part.off, 10) + "-" +
			strconv.FormatInt(part.off+part.n-1, 10) + "/" + strconv.FormatInt(size, 10)}
	}
}

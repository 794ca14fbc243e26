package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/OdyseeTeam/prism/blob"
)

// answer is a refusal of the server. Its text is ours: what servers write may hold what was sent to them.
type answer struct {
	status int
	code   string
	bucket string
}

// Error implements error.
func (a *answer) Error() string {
	code := a.code
	if code == "" || len(code) > maxCode {
		code = http.StatusText(a.status)
	}
	text := fmt.Sprintf("the server answers %d %s", a.status, code)
	if hint := hintOf[a.code]; hint != "" {
		return fmt.Sprintf("%s for the bucket %s: %s", text, a.bucket, hint)
	}
	if 300 <= a.status && a.status < 400 {
		return text + ": redirects are not followed; point endpoint at the place itself"
	}
	return text
}

// maxCode is longer than any code of S3.
const maxCode = 64

// accessHint is for a key that lacks a right.
const accessHint = "aws_id may not do this; allow it s3:GetObject, s3:PutObject, s3:PutObjectAcl (or set acl: none), " +
	"s3:DeleteObject, and s3:ListBucket, without which a missing blob looks like a forbidden one"

// hintOf is what a person can do about an answer, by its code.
var hintOf = map[string]string{
	"NoSuchBucket":                  "it is not there; check bucket, region and endpoint, or make it",
	"AccessDenied":                  accessHint,
	"Forbidden":                     accessHint,
	"AllAccessDisabled":             "the account is locked; ask whoever runs the server",
	"InvalidAccessKeyId":            "aws_id is not known there; check aws_id and endpoint",
	"SignatureDoesNotMatch":         "aws_secret does not belong to aws_id; check both",
	"ExpiredToken":                  "the keys have expired; set new ones",
	"InvalidToken":                  "the keys are not good there; set new ones",
	"AccessControlListNotSupported": "it refuses access lists; set acl: none",
	"PermanentRedirect":             "it is in another region; check region and endpoint",
	"AuthorizationHeaderMalformed":  "region is not the one of the server; check region and endpoint",
	"RequestTimeTooSkewed":          "the clocks of this machine and of the server are apart; set them",
}

// isFull are the codes of a server without room.
var isFull = map[string]bool{
	"QuotaExceeded": true, "XMinioStorageFull": true,
}

// answerOf reads the refusal out of an error of the SDK.
func answerOf(err error) (answer, bool) {
	var a answer
	if ours, ok := errors.AsType[*answer](err); ok {
		return *ours, true
	}
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || response.HTTPStatusCode() == 0 {
		return a, false
	}
	a.status = response.HTTPStatusCode()
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		a.code = api.ErrorCode()
	}
	return a, true
}

// isForbidden says whether the server refused access for want of a right, and not because of wrong keys.
func isForbidden(err error) bool {
	a, ok := answerOf(err)
	return ok && a.status == http.StatusForbidden && (a.code == "AccessDenied" || a.code == "Forbidden")
}

// isAnswer says whether an error of the SDK shows a server in good health.
func isAnswer(err error) bool {
	a, ok := answerOf(err)
	return ok && a.status < http.StatusInternalServerError && a.status != http.StatusTooManyRequests
}

// fault is what an error of the SDK, or of a body, means: the caller's context comes first, then what ended the call,
// then what the server answered, then the network.
func (c *call) fault(err error) error {
	if ended := c.parent.Err(); ended != nil {
		return c.errorf("%w", ended)
	}
	if cause := context.Cause(c.ctx); cause != nil {
		c.store.counts.errors.Add(1)
		return c.errorf("%w: %w", blob.ErrUnavailable, cause)
	}
	a, refused := answerOf(err)
	if refused && a.status == http.StatusNotFound && (a.code == "NoSuchKey" || a.code == "NotFound") {
		return c.errorf("%w", blob.ErrNotFound)
	}
	c.store.counts.errors.Add(1)
	sentinel := blob.ErrUnavailable
	switch {
	case refused:
		a.bucket = c.store.bucket
		if isFull[a.code] || a.status == http.StatusInsufficientStorage {
			sentinel = blob.ErrFull
		}
		err = &a
	default:
		if send, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
			err = send.Err // what the SDK writes around it is of no use to a person
		}
	}
	return c.errorf("%w: %w", sentinel, err)
}

// errorf names the store and the blob before what it is given.
func (c *call) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s %s: %w", c.store.name, c.verb, c.hash.Short(), fmt.Errorf(format, args...))
}

package s3

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/fetch"
)

// The bounds of retries. Between two attempts lies a random wait, longer after each.
const (
	maxAttempts = 3
	maxBackoff  = 2 * time.Second
)

// newClient is the SDK's client, set for S3 as others speak it too.
func newClient(o Options, endpoint string, w *wire) *s3.Client {
	options := s3.Options{
		Region:     o.Region,
		HTTPClient: w,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: o.AccessKey, SecretAccessKey: o.SecretKey}, nil
		}),
		Retryer: retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts, r.MaxBackoff = maxAttempts, maxBackoff
		}),
		// We send a checksum that is known already and verify what comes by its name. The checksums that the SDK would
		// add cost time, and come in a framing that not every server knows.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		// A refusal before the bytes are sent would save little, and a wait for it costs a round trip each time.
		ContinueHeaderThresholdBytes: -1,
		APIOptions:                   []func(*middleware.Stack) error{leavePayloadUnsigned},
	}
	if endpoint != "" {
		options.BaseEndpoint, options.UsePathStyle = &endpoint, true
	}
	return s3.New(options)
}

// leavePayloadUnsigned signs a request without hashing its body once more: see docs/design/0013-s3-puts.md.
func leavePayloadUnsigned(stack *middleware.Stack) error {
	if _, ok := stack.Finalize.Get((&v4.UnsignedPayload{}).ID()); !ok {
		return nil
	}
	return v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware(stack)
}

// wire sends requests: HTTP/1.1 without redirects, and with bounds for everything that a server may answer.
type wire struct {
	transport *http.Transport
	requests  atomic.Int64
}

// maxTextBytes bounds an answer that is not the body of an object.
const maxTextBytes = 64 << 10

func newWire(o Options) *wire {
	conns := stores.OrDefault(o.MaxIdleConns, DefaultMaxIdleConns)
	return &wire{transport: fetch.NewTransport(o.DialTimeout, o.HeaderTimeout, conns)}
}

// Do implements the SDK's HTTPClient. RoundTrip follows no redirect.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	w.requests.Add(1)
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if req.Method != http.MethodGet || resp.StatusCode >= http.StatusMultipleChoices {
		resp.Body = &shortBody{Reader: io.LimitReader(resp.Body, maxTextBytes), Closer: resp.Body}
	}
	return resp, nil
}

// shortBody is the beginning of a body.
type shortBody struct {
	io.Reader
	io.Closer
}

package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/breaker"
	"github.com/OdyseeTeam/prism/internal/bufpool"
	"github.com/OdyseeTeam/prism/protocol/httpblob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/fetch"
	"github.com/OdyseeTeam/prism/stores/refcount"
)

// Options are the settings of a Store. Zero means the default, where there is one.
type Options struct {
	Name         string // follows "s3-" in Name; empty: the kind alone
	AccessKey    string
	SecretKey    string
	Region       string // default us-east-1 beside an Endpoint, otherwise required
	Bucket       string
	Endpoint     string // of a server that is not AWS: a URL, or a host that is spoken to over TLS
	ShardingSize int    // characters of the prefix folder; 0: none
	ACL          string // of new objects: a canned ACL, or ACLNone; default public-read

	DialTimeout   time.Duration // TCP, and TLS on top again; default 5 s
	HeaderTimeout time.Duration // from the end of a request to the last header of the answer; default 15 s
	IdleTimeout   time.Duration // between two reads of a body that bring something; default 15 s

	// MaxIdleConns is how many connections are kept for reuse; default 64.
	MaxIdleConns int
	// MaxBuffers bounds the buffers of 2 MiB that hold blobs got by Get; default 64.
	MaxBuffers int
}

// The defaults of Options.
const (
	DefaultRegion        = "us-east-1"
	DefaultACL           = string(types.ObjectCannedACLPublicRead)
	DefaultDialTimeout   = fetch.DefaultDialTimeout
	DefaultHeaderTimeout = fetch.DefaultHeaderTimeout
	DefaultIdleTimeout   = fetch.DefaultIdleTimeout
	DefaultMaxIdleConns  = 64
	DefaultMaxBuffers    = fetch.DefaultMaxBuffers
)

// ACLNone is the ACL of a bucket that refuses access lists: none is sent.
const ACLNone = "none"

// ACLs are what an ACL may be.
func ACLs() []string {
	names := []string{ACLNone}
	for _, acl := range types.ObjectCannedACL("").Values() {
		names = append(names, string(acl))
	}
	return names
}

// contentType is what older servers gave to objects.
const contentType = "application/octet-stream"

// Store is a bucket.
type Store struct {
	name    string
	bucket  string
	shard   int
	acl     types.ObjectCannedACL
	limit   time.Duration // from a call to its answer, retries included
	idle    time.Duration
	client  *s3.Client
	wire    *wire
	breaker *breaker.Breaker
	bufs    *bufpool.Budget
	lanes   *blob.Lanes // that Gets are hashed on
	pinned  atomic.Int64
	counts  counts

	closed atomic.Bool
	root   context.Context // ends with Close, and every call with it
	stop   context.CancelFunc
}

// New makes a store. It does not speak to the server. Errors: settings that cannot be; they hold no secrets.
func New(o Options) (*Store, error) {
	endpoint, err := o.check()
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	if o.Region == "" {
		o.Region = DefaultRegion
	}
	if o.ACL == "" {
		o.ACL = DefaultACL
	}
	if o.ACL == ACLNone {
		o.ACL = ""
	}
	s := &Store{
		name:   stores.KindName("s3", o.Name),
		bucket: o.Bucket,
		shard:  o.ShardingSize,
		acl:    types.ObjectCannedACL(o.ACL),
		limit:  stores.OrDefault(o.DialTimeout, DefaultDialTimeout) + 2*stores.OrDefault(o.HeaderTimeout, DefaultHeaderTimeout),
		idle:   stores.OrDefault(o.IdleTimeout, DefaultIdleTimeout),
		wire:   newWire(o),
		bufs:   bufpool.NewBudget(blob.MaxSize, stores.OrDefault(o.MaxBuffers, DefaultMaxBuffers)),
		lanes:  blob.NewLanes(),
	}
	s.breaker = breaker.New(breaker.Options{Name: s.name})
	s.client = newClient(o, endpoint, s.wire)
	s.root, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// check refuses settings that cannot be, and gives the endpoint as a URL.
func (o *Options) check() (endpoint string, err error) {
	switch {
	case o.Bucket == "":
		return "", errors.New("no bucket")
	case o.AccessKey == "" || o.SecretKey == "":
		return "", errors.New("aws_id and aws_secret are both needed")
	case o.Region == "" && o.Endpoint == "":
		return "", errors.New("region is missing; it is the one that the bucket is in, such as us-east-1")
	case o.ShardingSize < 0 || o.ShardingSize >= blob.HexSize:
		return "", fmt.Errorf("sharding_size is %d, want 0 to %d", o.ShardingSize, blob.HexSize-1)
	case o.ACL != "" && !slices.Contains(ACLs(), o.ACL):
		return "", fmt.Errorf("acl is none of %s", strings.Join(ACLs(), ", "))
	case o.Endpoint == "":
		return "", nil
	}
	endpoint = o.Endpoint
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return "", errors.New("endpoint is no address such as https://s3.example.com")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return "", errors.New("endpoint is more than an address such as https://s3.example.com; keys go into aws_id and aws_secret")
	}
	return endpoint, nil
}

// Name implements stores.Store.
func (s *Store) Name() string { return s.name }

// key is the object of a blob.
func (s *Store) key(h blob.Hash) *string { return aws.String(httpblob.ObjectPath(h, s.shard)) }

// Has implements stores.Store: HEAD, where an empty object is none. A missing bucket has no blobs: the answer to HEAD
// tells no more than that.
func (s *Store) Has(ctx context.Context, h blob.Hash) (bool, error) {
	c, err := s.begin(ctx, "ask for", h)
	if err != nil {
		return false, err
	}
	defer c.end()
	out, err := s.client.HeadObject(c.ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.key(h)})
	if a, ok := answerOf(err); ok && 400 <= a.status && a.status < 500 && a.status != http.StatusNotFound {
		err = s.askAgain(c)
	}
	err = c.answered(err)
	switch {
	case errors.Is(err, blob.ErrNotFound), isForbidden(err):
		return false, nil
	case err != nil:
		return false, err
	}
	return out == nil || out.ContentLength == nil || *out.ContentLength > 0, nil
}

// askAgain asks for a byte of an object after HEAD was refused: the answer to HEAD has no room for the reason.
func (s *Store) askAgain(c *call) error {
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: s.key(c.hash), Range: aws.String("bytes=0-0")}
	out, err := s.client.GetObject(c.ctx, in)
	if err == nil {
		err = out.Body.Close()
	}
	return err
}

// Open implements stores.Opener. Our hop lasts until the server answered.
func (s *Store) Open(ctx context.Context, h blob.Hash) (*blob.Stream, error) {
	start := time.Now()
	b, err := s.fetch(ctx, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
	if err != nil {
		return nil, err
	}
	return blob.NewStream(h, b.size, b)
}

// Get implements stores.Store: the whole blob, verified, in a pooled buffer.
func (s *Store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	start := time.Now()
	handle, err := s.get(ctx, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
	return handle, err
}

func (s *Store) get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	b, err := s.fetch(ctx, h)
	if err != nil {
		return nil, err
	}
	defer b.end()
	buf, err := s.bufs.Get(b.ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", b.fault(err), blob.ErrBusy)
	}
	v, err := b.collect(buf)
	if err != nil {
		s.bufs.Put(buf)
		return nil, err
	}
	held := refcount.NewBody(v.Bytes(), &s.pinned, func() { s.bufs.Put(buf) })
	defer held.Release()
	return held.Handle(), nil
}

// Put implements stores.Store. It returns once the server has said that it has the blob.
func (s *Store) Put(ctx context.Context, v blob.Verified, _ blob.Kind) error {
	if v.Size() == 0 {
		return fmt.Errorf("%s: put: %w", s.name, blob.ErrEmpty)
	}
	c, err := s.begin(ctx, "put", v.Hash())
	if err != nil {
		return err
	}
	defer c.end()
	_, err = s.client.PutObject(c.ctx, &s3.PutObjectInput{
		Bucket:         &s.bucket,
		Key:            s.key(v.Hash()),
		Body:           bytes.NewReader(v.Bytes()),
		ContentLength:  aws.Int64(v.Size()),
		ContentType:    aws.String(contentType),
		ACL:            s.acl,
		ChecksumCRC32C: aws.String(wireCRC(v.CRC32C())),
	})
	if err := c.answered(err); err != nil {
		if errors.Is(err, blob.ErrNotFound) { // of something that is being written
			err = fmt.Errorf("%s: put %s: %w: the server answers that there is no such object", s.name, c.hash.Short(), blob.ErrUnavailable)
		}
		return err
	}
	s.counts.bytesOut.Add(v.Size())
	return nil
}

// wireCRC is a checksum as S3 writes it.
func wireCRC(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

// Delete implements stores.Store.
func (s *Store) Delete(ctx context.Context, h blob.Hash) error {
	c, err := s.begin(ctx, "delete", h)
	if err != nil {
		return err
	}
	defer c.end()
	_, err = s.client.DeleteObject(c.ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(h)})
	if err := c.answered(err); err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	return nil
}

// Close implements stores.Store: it cuts all calls and drops all connections.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.stop()
	s.wire.transport.CloseIdleConnections()
	return nil
}

func (s *Store) errClosed() error { return fmt.Errorf("%s: closed: %w", s.name, blob.ErrUnavailable) }

// Pinned implements stores.Pinner.
func (s *Store) Pinned() int { return int(s.pinned.Load()) }

var (
	_ stores.Store  = (*Store)(nil)
	_ stores.Opener = (*Store)(nil)
	_ stores.Pinner = (*Store)(nil)
)

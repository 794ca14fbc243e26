package testbed_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
)

// An object survives an outage of the server, and nobody but the holder of the keys gets at it.
func TestS3(t *testing.T) {
	leaktest.Check(t)
	server := testbed.S3(t)
	bucket, key, data := server.Bucket(), "a key", []byte("some bytes")
	ctx := t.Context()
	put := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(data)}
	if _, err := server.Client.PutObject(ctx, put); err != nil {
		t.Fatal(err)
	}
	once := func(o *s3.Options) { o.RetryMaxAttempts = 1 }
	server.Stop()
	server.Stop()
	if _, err := server.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key}, once); err == nil {
		t.Error("a stopped server answers")
	}
	server.Start()
	got, err := server.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if back, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(back, data) {
		t.Errorf("%q came back, %v", back, err)
	}

	other := testbed.S3(t)
	server.AccessKey = other.AccessKey
	if _, err := server.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key}); err == nil {
		t.Error("the keys of another server are taken")
	}
}

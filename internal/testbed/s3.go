package testbed

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/OdyseeTeam/prism/internal/process"
)

// S3Server is the Versity S3 gateway over a temporary folder. Its methods are for the goroutine of the test.
type S3Server struct {
	Endpoint  string // http://127.0.0.1:port
	Region    string
	AccessKey string
	SecretKey string
	Client    *s3.Client // with these keys, for what a test does beside the code that it tests

	t       testing.TB
	program string
	addr    string
	log     string
	data    string // the objects
	iam     string // of the accounts, of which there are none: with it the server knows unknown keys as AWS does
	meta    string // what the server knows about them, where the file system has no extended attributes
	child   *process.Child
	buckets int
}

// S3 starts a server without buckets. It ends with the test.
func S3(t testing.TB) *S3Server {
	t.Helper()
	program, err := tool{"versitygw", "github.com/versity/versitygw/cmd/versitygw"}.build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := &S3Server{
		Region:    "us-east-1",
		AccessKey: rand.Text(),
		SecretKey: rand.Text(),
		t:         t,
		program:   program,
		log:       filepath.Join(t.TempDir(), "log"),
		data:      t.TempDir(),
		iam:       t.TempDir(),
		meta:      t.TempDir(),
	}
	t.Cleanup(s.Stop)
	for attempt := 1; ; attempt++ {
		s.addr = fmt.Sprintf("127.0.0.1:%d", Ports(t, 1)[0])
		if err = s.start(); err == nil {
			break
		}
		if attempt == 3 { // another process took the port each time, or it is something else
			t.Fatal(err)
		}
	}
	s.Endpoint = "http://" + s.addr
	s.Client = s3.New(s3.Options{
		BaseEndpoint: &s.Endpoint,
		Region:       s.Region,
		UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey}, nil
		}),
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
	return s
}

// Bucket makes a new bucket and gives its name.
func (s *S3Server) Bucket() string {
	s.t.Helper()
	s.buckets++
	name := fmt.Sprintf("bucket-%d", s.buckets)
	if _, err := s.Client.CreateBucket(s.t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		s.t.Fatalf("testbed: make a bucket: %v", err)
	}
	return name
}

// Stop kills the server, as an outage does: its port refuses connections, and what it was sending is cut. Stopping
// twice is stopping once.
func (s *S3Server) Stop() {
	if s.child != nil {
		s.child.Kill()
		s.child = nil
	}
}

// Start brings a stopped server back, with what it held.
func (s *S3Server) Start() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *S3Server) start() error {
	args := []string{"--port", s.addr, "--region", s.Region, "--iam-dir", s.iam,
		"--health", "/healthz", "--keep-alive", "--quiet", "posix"}
	if syscall.Setxattr(s.meta, "user.prism", []byte("1"), 0) != nil {
		// Files of its own hold what usually is in extended attributes. Then it answers 500 to some of the calls that change one
		// object at the same time.
		args = append(args, "--sidecar", s.meta)
	}
	cmd := exec.Command(s.program, append(args, s.data)...)
	cmd.Env = []string{ // and nothing from outside that would configure it
		"ROOT_ACCESS_KEY_ID=" + s.AccessKey, "ROOT_SECRET_ACCESS_KEY=" + s.SecretKey,
	}
	child, err := process.Start("versitygw", s.log, cmd)
	if err != nil {
		return err
	}
	if err := child.WaitReady(s.t.Context(), "http://"+s.addr+"/healthz"); err != nil {
		child.Kill()
		return err
	}
	s.child = child
	return nil
}

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/internal/process"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/metadata/mysql"
)

// uploadConf writes an upload.yaml and gives its folder.
func uploadConf(t *testing.T, doc string) string {
	t.Helper()
	checktest.AfterConfigured(t, doc)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "upload.yaml"), []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// bucketOf is a store in a new bucket, as configuration.
func bucketOf(s *testbed.S3Server) string {
	return fmt.Sprintf("{s3: {name: b, aws_id: %s, aws_secret: %s, region: %s, bucket: %s, endpoint: '%s', acl: none}}",
		s.AccessKey, s.SecretKey, s.Region, s.Bucket(), s.Endpoint)
}

// wantRun runs the program and wants a status and words on standard error.
func wantRun(t *testing.T, status int, words string, args ...string) result {
	t.Helper()
	got := prism(t, args...)
	if got.status != status || !strings.Contains(got.stderr, words) {
		t.Fatalf("prism %s: %+v, want status %d and %q", strings.Join(args, " "), got, status, words)
	}
	return got
}

// TestFileThroughEverything packs a file, uploads it into a bucket, serves it by a reflector, and gets it back over each
// protocol through a blobcache.
func TestFileThroughEverything(t *testing.T) {
	s3 := testbed.S3(t)
	bucket := bucketOf(s3)
	dir := t.TempDir()
	file := filepath.Join(dir, "a film: 1.mp4")
	data := make([]byte, 9<<20+3)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(data)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	blobs := filepath.Join(dir, "blobs")
	sd := strings.TrimSpace(wantRun(t, 0, "into 5 content blobs and an SD blob", "stream", "pack", file, blobs).stdout)
	conf := uploadConf(t, "store: "+bucket+"\n")
	wantRun(t, 0, "uploaded 6 blobs (1 of them SD blobs)", "upload", blobs, "--conf-dir", conf, "--workers", "4")
	wantRun(t, 0, "uploaded 0 blobs (0 of them SD blobs), 0 B in", "upload", blobs, "--conf-dir", conf)
	wantRun(t, 0, "; 6 were stored already; 6 files were deleted", "upload", blobs, "--conf-dir", conf, "--deleteBlobsAfterUpload")
	if left, err := os.ReadDir(blobs); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}

	far := startNode(t, "reflector", "  proxied-s3: {name: p, writer: "+bucket+"}\n")
	near := startNode(t, "blobcache", fmt.Sprintf(`
  caching:
    cache: {disk: {mount_point: %s, max_size: 256MB, segment_size: 16MB}}
    origin: {http: {endpoint: 'http://127.0.0.1:%d/'}}
`, t.TempDir(), far.http))
	for i, from := range []string{
		fmt.Sprintf("http://127.0.0.1:%d", near.http), fmt.Sprintf("http3://127.0.0.1:%d", near.http3), fmt.Sprintf("peer://127.0.0.1:%d", near.peer),
	} {
		out := filepath.Join(dir, fmt.Sprint("out", i))
		if err := os.Mkdir(out, 0o755); err != nil {
			t.Fatal(err)
		}
		got := wantRun(t, 0, "fetched 9.0 MiB in 5 blobs", "stream", "fetch", sd, "--from", from, "-o", out)
		if want := filepath.Join(out, "a film 1.mp4"); got.stdout != want+"\n" {
			t.Errorf("%s: wrote %s, want %s", from, got.stdout, want)
		}
		if back, err := os.ReadFile(strings.TrimSpace(got.stdout)); err != nil || !bytes.Equal(back, data) {
			t.Errorf("%s: the file came back changed: %v", from, err)
		}
		wantRun(t, 1, "--force", "stream", "fetch", sd, "--from", from, "-o", out)
		wantRun(t, 1, "does not have the stream", "stream", "fetch", strings.Repeat("0", 96), "--from", from, "-o", out)
	}
}

// blobFiles writes blobs of some sizes into a new folder.
func blobFiles(t *testing.T, sizes ...int) (string, []blob.Verified) {
	t.Helper()
	dir := t.TempDir()
	var all []blob.Verified
	random := rand.NewChaCha8([32]byte{4})
	for _, size := range sizes {
		data := make([]byte, size)
		_, _ = random.Read(data)
		v, err := blob.Verify(blob.Sum(data), data)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, v.Hash().String()), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return dir, all
}

// TestUploadAsksTheCatalogue: what a catalogue of either kind calls stored is not uploaded, unless told.
func TestUploadAsksTheCatalogue(t *testing.T) {
	blobs, all := blobFiles(t, 1, 1000, blob.MaxSize)
	s3 := testbed.S3(t)
	path := filepath.Join(t.TempDir(), "catalogue")
	embedded, err := bolt.Open(bolt.Options{Path: path, SoftDeletes: true})
	if err != nil {
		t.Fatal(err)
	}
	maria := testbed.MariaDB(t, testbed.MariaDBOptions{})
	name := maria.Database(t)
	server, err := mysql.New(mysql.Options{User: maria.User, Password: maria.Password, Host: maria.Host, Port: maria.Port,
		Database: name, SoftDeletes: true, CreateSchema: true})
	if err != nil {
		t.Fatal(err)
	}
	database := fmt.Sprintf("{user: %s, password: '%s', host: %s, port: %d, database: %s}", maria.User, maria.Password, maria.Host, maria.Port, name)
	for conf, c := range map[string]metadata.Catalogue{"{path: '" + path + "'}": embedded, database: server} {
		if err := c.PutBlobs(t.Context(), []metadata.Blob{{Hash: all[1].Hash(), Length: 1000}}); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		dir := uploadConf(t, "store: "+bucketOf(s3)+"\ndatabase: "+conf+"\n")
		wantRun(t, 0, "", "check-config", "upload", "--conf-dir", dir)
		wantRun(t, 0, "; 1 were stored already", "upload", blobs, "--conf-dir", dir)
		wantRun(t, 0, "; 3 were stored already", "upload", blobs, "--conf-dir", dir)
		wantRun(t, 0, "uploaded 3 blobs", "upload", blobs, "--conf-dir", dir, "--skipExistsCheck")
	}
	both := uploadConf(t, fmt.Sprintf("store: {db_backed: {path: %s, store: %s}}\ndatabase: {path: %s}\n", path, bucketOf(s3), path))
	wantRun(t, 1, "leave database out", "upload", blobs, "--conf-dir", both)
	none := uploadConf(t, "store: "+bucketOf(s3)+"\ndatabase: {path: "+path+"-none}\n")
	wantRun(t, 1, "upload.yaml:2:1: database: there is no catalogue to ask", "upload", blobs, "--conf-dir", none)
	wrong := uploadConf(t, "store: "+bucketOf(s3)+"\ndatabase: "+strings.Replace(database, maria.Password, "wrong", 1)+"\n")
	wantRun(t, 1, "upload.yaml:2:1: database: ", "upload", blobs, "--conf-dir", wrong)
	wantRun(t, 0, "uploaded 3 blobs", "upload", blobs, "--conf-dir", wrong, "--skipExistsCheck")
}

// TestRowsAreNoBytes: a file is not deleted for a row of a catalogue whose bytes are gone, and is uploaded when told.
func TestRowsAreNoBytes(t *testing.T) {
	blobs, all := blobFiles(t, 1, 1000)
	s3 := testbed.S3(t)
	bucket := s3.Bucket()
	store := fmt.Sprintf("{s3: {name: b, aws_id: %s, aws_secret: %s, region: %s, bucket: %s, endpoint: '%s', acl: none}}",
		s3.AccessKey, s3.SecretKey, s3.Region, bucket, s3.Endpoint)
	path := filepath.Join(t.TempDir(), "catalogue")
	dir := uploadConf(t, "store: {db_backed: {path: '"+path+"', store: "+store+"}}\n")
	wantRun(t, 0, "uploaded 2 blobs", "upload", blobs, "--conf-dir", dir)
	key := all[1].Hash().String()
	if _, err := s3.Client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(blobs, key)
	wantRun(t, 1, "not deleted: "+gone+": the catalogue says that it is stored, and s3-b does not have it", "upload", blobs, "--conf-dir", dir, "--deleteBlobsAfterUpload")
	left, err := os.ReadDir(blobs)
	if err != nil || len(left) != 1 || left[0].Name() != key {
		t.Fatalf("left: %v, %v", left, err)
	}
	wantRun(t, 0, "uploaded 1 blobs (0 of them SD blobs), 1000 B", "upload", blobs, "--conf-dir", dir, "--deleteBlobsAfterUpload", "--skipExistsCheck")
	if left, err = os.ReadDir(blobs); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestUploadFails: the status is 1, each file is named, and everything else is uploaded.
func TestUploadFails(t *testing.T) {
	blobs, _ := blobFiles(t, 1, 2, 3)
	if err := os.WriteFile(filepath.Join(blobs, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	store := "store: {disk: {mount_point: " + t.TempDir() + ", max_size: 256MB, segment_size: 16MB, sync: always}}\n"
	dir := uploadConf(t, store)
	got := wantRun(t, 1, "failed: "+filepath.Join(blobs, "notes")+": ", "upload", blobs, "--conf-dir", dir)
	if !strings.Contains(got.stderr, "uploaded 3 blobs") || !strings.Contains(got.stderr, "; 1 failed\n") || got.stdout != "" {
		t.Errorf("%+v", got)
	}
	wantRun(t, 1, "nothing to upload", "upload", filepath.Join(blobs, "none"), "--conf-dir", dir)
	wantRun(t, 2, "takes no uploads", "upload", blobs, "--conf-dir", uploadConf(t, "store: {http: {endpoint: 'http://localhost:1/'}}\n"))
	wantRun(t, 2, "--deleteBlobsAfterUpload: files cannot be deleted", "upload", blobs, "--deleteBlobsAfterUpload",
		"--conf-dir", uploadConf(t, "store: {mem: }\n"))
	wantRun(t, 2, "the key user is missing", "upload", blobs, "--conf-dir", uploadConf(t, store+"database: {host: h}\n"))
}

// TestUploadIsInterrupted: the first signal ends an upload with what is under way stored, and the next one does the rest.
func TestUploadIsInterrupted(t *testing.T) {
	s3 := testbed.S3(t)
	for n := 200; ; n *= 2 {
		blobs, _ := blobFiles(t, slices.Repeat([]int{blob.MaxSize / 4}, n)...)
		dir := uploadConf(t, "store: "+bucketOf(s3)+"\n")
		said, left := interruptUpload(t, blobs, dir, n)
		if left == 0 && n < 1600 {
			continue // it was done before the signal came
		}
		if left == 0 || left == n {
			t.Fatalf("%d of %d files are left: it was not stopped amidst the upload", left, n)
		}
		if !strings.Contains(said, fmt.Sprintf("uploaded %d blobs", n-left)) || !strings.Contains(said, "goes on from there") {
			t.Errorf("%d left: %s", left, said)
		}
		wantRun(t, 0, fmt.Sprintf("uploaded %d blobs", left), "upload", blobs, "--conf-dir", dir, "--deleteBlobsAfterUpload")
		if left := filesIn(t, blobs); left != 0 {
			t.Errorf("%d files are left", left)
		}
		return
	}
}

// interruptUpload uploads a folder of n files and sends a signal once the first of them is gone: what was said, and how
// many files are left.
func interruptUpload(t *testing.T, blobs, conf string, n int) (said string, left int) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	c, err := process.Start("upload", log, exec.Command(binary(t), "upload", blobs, "--conf-dir", conf, "--deleteBlobsAfterUpload"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Kill()
	for end := time.Now().Add(time.Minute); filesIn(t, blobs) == n && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	select {
	case <-c.Done():
	default:
		if err := syscall.Kill(c.PID(), syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
	<-c.Done()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), filesIn(t, blobs)
}

func filesIn(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

package progress_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/progress"
)

// clock is a time that tests move.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func TestLines(t *testing.T) {
	var out bytes.Buffer
	c := &clock{time.Unix(1000, 0)}
	m := progress.New(progress.Options{Out: &out, Items: "blobs", Every: 10 * time.Second, Now: c.Now})
	m.Find(4)
	m.Add(1, 1<<20)
	c.now = c.now.Add(10 * time.Second)
	m.Add(1, 1<<20)
	m.Add(1, 0) // too soon for another line
	m.Find(2)
	m.Found()
	m.Println("a word")
	c.now = c.now.Add(10 * time.Second)
	m.Add(1, 2<<20)
	m.Close()
	c.now = c.now.Add(time.Hour)
	m.Add(1, 0) // a late one says nothing
	const want = "2 of 4 blobs found so far, 2.0 MiB, 205 KiB/s\na word\n4 of 6 blobs, 4.0 MiB, 205 KiB/s, 10s left\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// A command that counts by itself says items or bytes, under its name.
func TestSet(t *testing.T) {
	for items, want := range map[string]string{
		"":      "check: 3.0 MiB of 4.0 MiB, 307 KiB/s, 3s left\n",
		"blobs": "check: 3145728 of 4194304 blobs, 314573/s, 3s left\n",
	} {
		var out bytes.Buffer
		c := &clock{time.Unix(1000, 0)}
		m := progress.New(progress.Options{Out: &out, Name: "check", Items: items, Every: 10 * time.Second, Now: c.Now})
		m.Set(1<<20, 2<<20)
		c.now = c.now.Add(10 * time.Second)
		m.Set(3<<20, 4<<20)
		c.now = c.now.Add(10 * time.Second)
		m.Set(4<<20, 4<<20) // the end is the caller's to tell
		m.Close()
		if out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}

// The bar of a command that counts by itself outlives that all of what was found is done.
func TestBarOfBytes(t *testing.T) {
	var out bytes.Buffer
	m := progress.New(progress.Options{Out: &out, Name: "check", Terminal: true})
	m.Set(1<<20, 2<<20)
	m.Set(2<<20, 2<<20)
	m.Set(3<<20, 4<<20)
	m.Close()
	got := out.String()
	if !strings.Contains(got, "check") || !strings.Contains(got, " B)") {
		t.Errorf("%q", got)
	}
	if rest := got[strings.LastIndexByte(got, '\r')+1:]; strings.TrimSpace(rest) != "" {
		t.Errorf("the bar stays: %q", rest)
	}
}

// The bar says how many of how many, how fast, and goes when it is closed.
func TestBar(t *testing.T) {
	var out bytes.Buffer
	m := progress.New(progress.Options{Out: &out, Items: "blobs", Terminal: true})
	for range 3 {
		m.Find(1)
		m.Add(1, 1<<20) // all that was found so far is done, and the bar goes on
	}
	m.Find(1)
	m.Found()
	m.Println("a word")
	m.Add(1, 1<<20)
	m.Close()
	got := out.String()
	if !strings.Contains(got, "blobs, ") || !strings.Contains(got, "/s") || !strings.Contains(got, "a word\n") {
		t.Errorf("%q", got)
	}
	if rest := got[strings.LastIndexByte(got, '\r')+1:]; strings.TrimSpace(rest) != "" {
		t.Errorf("the bar stays: %q", rest)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 2 << 20: "2.0 MiB", 343_000_000: "327 MiB", 1<<30 - 1: "1.0 GiB", math.MaxInt64: "8.0 EiB",
	} {
		if got := progress.Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

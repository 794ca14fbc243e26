package reflector

import (
	"errors"
	"log/slog"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/serving"
	"github.com/OdyseeTeam/prism/stores"
)

// Options says where blobs go and what a server allows. Zero values mean the defaults; negative ones are errors.
type Options struct {
	// Store takes the blobs. Required. The server does not close it.
	Store stores.Store
	// Blocked says of a blob that it is not wanted, whatever the store says; nil leaves that to the store. It must not block.
	Blocked func(blob.Hash) bool
	// Logger takes faults. Default: slog.Default.
	Logger *slog.Logger

	// MaxConnections bounds open connections, MaxPerAddress those from one address. Default 4,000 and 500.
	MaxConnections int
	MaxPerAddress  int
	// MaxUploads bounds the bodies on their way, and with them the memory: 2 MiB each. Default 128.
	MaxUploads int

	// MessageTimeout bounds the wait for a message and its arrival. Deployed clients may pause for 180 s. Default 200 s.
	MessageTimeout time.Duration
	// AnswerTimeout bounds what lies between a request and its answer: the store's word, another sender of the same blob,
	// a place for the body. Deployed clients wait for 180 s. Default 150 s.
	AnswerTimeout time.Duration
	// TurnTimeout is how long an uploader waits for another one that sends the same blob. Default 60 s.
	TurnTimeout time.Duration
	// BodyRate is how many bytes a second of a body must come, on average over each BodyWindow. Default 1 KiB/s, 30 s.
	BodyRate   int64
	BodyWindow time.Duration
	// PutTimeout bounds one Put. Deployed clients wait for a receipt for 30 s. Default 25 s.
	PutTimeout time.Duration
	// WriteTimeout bounds the writing of each 64 KiB of an answer. Default 30 s.
	WriteTimeout time.Duration
	// DrainTimeout bounds how long uploads in flight may take once Serve's context has ended. Default 20 s.
	DrainTimeout time.Duration
}

// withDefaults checks o and fills in what it leaves open.
func (o Options) withDefaults() (Options, error) {
	if o.Store == nil {
		return o, errors.New("reflector: a server needs a store")
	}
	err := serving.FillIn("reflector",
		serving.Set("max_connections", &o.MaxConnections, 4000),
		serving.Set("max_per_address", &o.MaxPerAddress, 500),
		serving.Set("max_uploads", &o.MaxUploads, 128),
	)
	if err != nil {
		return o, err
	}
	if err := serving.FillIn("reflector", serving.Set("body_rate", &o.BodyRate, 1<<10)); err != nil {
		return o, err
	}
	err = serving.FillIn("reflector",
		serving.Set("message_timeout", &o.MessageTimeout, 200*time.Second),
		serving.Set("answer_timeout", &o.AnswerTimeout, 150*time.Second),
		serving.Set("turn_timeout", &o.TurnTimeout, 60*time.Second),
		serving.Set("body_window", &o.BodyWindow, 30*time.Second),
		serving.Set("put_timeout", &o.PutTimeout, 25*time.Second),
		serving.Set("write_timeout", &o.WriteTimeout, 30*time.Second),
		serving.Set("drain_timeout", &o.DrainTimeout, 20*time.Second),
	)
	if err != nil {
		return o, err
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

// minBytes is what must come of a body in one window.
func (o *Options) minBytes() int {
	return max(int(float64(o.BodyRate)*o.BodyWindow.Seconds()), 1)
}

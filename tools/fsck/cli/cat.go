package cli

import (
	"errors"
	"fmt"

	"github.com/OdyseeTeam/prism/blob"
	checker "github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// cat is the cat command. It has no --json: its result is the blob.
type cat struct {
	Path string `arg:"" help:"The mount: the folder that has the superblock."`
	Hash string `arg:"" help:"The name of the blob: 96 hex digits."`
}

// Run prints the blob, all of it or nothing.
func (c cat) Run(s *Streams) error {
	ctx, stop := Until()
	defer stop()
	h, err := blob.ParseHash(c.Hash)
	if err != nil {
		return fmt.Errorf("%w: a blob is named by 96 hex digits in lower case", err)
	}
	data, err := checker.ReadBlob(ctx, diskfs.OS(), c.Path, h)
	if errors.Is(err, blob.ErrCorrupt) {
		return fmt.Errorf("%w; nothing was printed: `prism fsck repair` keeps a copy of what is there in quarantine", err)
	}
	if err != nil {
		return err
	}
	_, err = s.Out.Write(data)
	return err
}

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/OdyseeTeam/prism/admin"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// Online is the flags of commands that can read a mount while a program serves it.
type Online struct {
	Path   string `arg:"" optional:"" help:"The mount: the folder that has the superblock. With --socket of a program that serves one mount, it can be left out."`
	Online bool   `help:"Read the mount while a program serves it, with the help of that program."`
	Socket string `placeholder:"PATH" help:"The admin_socket of that program; --online is implied. Left out, the mount says where it is."`
}

// Validate is called by kong.
func (o Online) Validate() error {
	if o.Path == "" && o.Socket == "" {
		return errors.New("which mount? Give its folder, or the --socket of the program that serves it")
	}
	return nil
}

func (o Online) wanted() bool { return o.Online || o.Socket != "" }

// served finds the mount at the program that serves it.
func (o Online) served(ctx context.Context) (*admin.Served, error) {
	socket := o.Socket
	if socket == "" {
		noted, known := mount.ReadAdmin(diskfs.OS(), o.Path)
		if !known {
			return nil, fmt.Errorf("no program says that it can be asked about %s: "+
				"either none serves it, and --online is not needed, or it has no admin_socket, or it is elsewhere: name it with --socket", o.Path)
		}
		socket = noted
	}
	return admin.NewClient(socket).Find(ctx, o.Path)
}

// refused adds to the refusal of a locked mount what can be done about it.
func (o Online) refused(err error, command string) error {
	locked, ok := errors.AsType[*diskfs.LockedError](err)
	if !ok {
		return err
	}
	socket, known := mount.ReadAdmin(diskfs.OS(), o.Path)
	if !known {
		return fmt.Errorf("%w (with an admin_socket in its configuration, fsck %s --online could read it as it is)", err, command)
	}
	return fmt.Errorf("%s is running under %s: use fsck %s --online --socket %s %s, or stop it",
		o.Path, locked.Owner, command, socket, o.Path)
}

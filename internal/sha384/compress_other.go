//go:build !amd64

package sha384

// There are no lanes here: NewLanes is nil, and nothing calls what follows.

func supported() bool { return false }

func compress8(*[8][8]uint64, *[8]*byte, int) { panic("sha384: no lanes") }

func compress4(*[8][4]uint64, *[4]*byte, int) { panic("sha384: no lanes") }

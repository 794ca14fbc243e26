//go:build !amd64

package sha384

// There are no lanes here: NewLanes is nil, and nothing calls what follows.

func supported() bool { return false }

func compress8(*[64]uint64, *[8]*byte, int) { panic("sha384: no lanes") }

func compress4(*[64]uint64, *[8]*byte, int) { panic("sha384: no lanes") }

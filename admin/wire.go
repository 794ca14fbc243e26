package admin

import "github.com/OdyseeTeam/prism/segments"

// Info is who answers.
type Info struct {
	PID    int
	Run    string // another one after each start
	Mounts []Mount
}

// Mount is one that is served.
type Mount struct {
	Store string // its name, as in logs and metrics
	Dir   string // absolute
	Mode  string // segments or sharded
}

// Asked is what is asked of /hold.
type Asked struct {
	Run      string // who is asked: what one run of a program says fits no view of another
	Places   []Place
	Segments []segments.ID
}

// Place is where a blob is said to be.
type Place struct {
	Hash    string
	Segment segments.ID
	Slot    uint32
}

// Held answers Asked, one for one.
type Held struct {
	Places   []bool
	Segments []bool
}

// The headers of /view.
const (
	runHeader   = "Prism-Run"
	wholeHeader = "Prism-Whole" // true or false
)

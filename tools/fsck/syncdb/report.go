package syncdb

import (
	"fmt"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// Kind says on what disk and catalogue differ.
type Kind string

// The kinds of findings.
const (
	RowWithoutBlob Kind = "row-without-blob" // stored, says the catalogue, and the disk does not have it
	BlobWithoutRow Kind = "blob-without-row" // on the disk, and unknown to the catalogue
	BlobNotStored  Kind = "blob-not-stored"  // on the disk, and not stored, says the catalogue
	WrongLength    Kind = "wrong-length"     // the catalogue has another length than the disk
	Blocked        Kind = "blocked"          // on the disk, and blocked, where blocked blobs are to be deleted

	SDWithoutStream Kind = "sd-without-stream" // an SD blob, on the disk and stored, of which the catalogue has no stream
	StreamDiffers   Kind = "stream-differs"    // the stream of one names other blobs than the SD blob does
	StreamWithoutSD Kind = "stream-without-sd" // a stream whose SD blob is neither on the disk nor stored, without soft deletes
	DamagedSD       Kind = "damaged-sd"        // what an SD blob names is not known, since its bytes are not its own
)

// kinds is all of them, in the order of the report.
func kinds() []Kind {
	return []Kind{RowWithoutBlob, BlobWithoutRow, BlobNotStored, WrongLength, Blocked, SDWithoutStream, StreamDiffers, StreamWithoutSD,
		DamagedSD}
}

// repair says what a repair does about a kind.
func (k Kind) repair() string {
	switch k {
	case RowWithoutBlob:
		return "repair notes it as not stored"
	case BlobWithoutRow:
		return "repair notes it as stored, an SD blob with its stream"
	case BlobNotStored:
		return "repair notes it as stored"
	case WrongLength:
		return "repair notes the length that it has"
	case Blocked:
		return "repair deletes it from the disk, and notes it as not stored"
	case SDWithoutStream:
		return "repair notes its stream"
	case StreamDiffers:
		return "repair has its stream name what it names"
	case StreamWithoutSD:
		return "repair removes the stream; to have it again, upload it with its SD blob"
	case DamagedSD:
		return lookFirst
	}
	return ""
}

// lookFirst is what to do about what no repair here can settle.
const lookFirst = "look at the disk first: prism fsck check --hash"

// Finding is one blob, or its stream, on which the two differ.
type Finding struct {
	Kind   Kind
	Hash   blob.Hash
	Detail string
	Repair string // what a repair does about it
}

// String is the finding on one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s %s: %s (%s)", f.Kind, f.Hash, f.Detail, f.Repair)
}

// keptFindings bounds the lists of a Report.
const keptFindings = 1000

// Report is what was found and done. Sizes are in bytes.
type Report struct {
	Dir       string
	Layout    string
	Catalogue string // which one, and where it is configured
	Journal   string // what was wrong with the journal, if anything was

	Blobs    int64 // on the disk
	Bytes    int64
	Rows     int64
	Stored   int64 // rows of blobs that are stored
	Both     int64 // blobs on the disk that are stored, says the catalogue
	InFlight int64 // differ, and are young or yet to be told: no findings
	Kept     int64 // blocked, on the disk, and to be kept, says the configuration: no findings

	Unnoted int64 // SD blobs of which the catalogue can note no stream: no findings
	SDsGone int64 // streams that soft deletes keep of SD blobs that are not on the disk: no findings

	OlderThan time.Duration

	Findings []Finding      // the first 1,000
	Found    map[Kind]int64 // all of them

	Repair   bool
	Repaired map[Kind]int64
	Left     []Finding // the first 1,000 that a repair could not settle, with the reason
	LeftOver int64     // all of those
}

// Clean says that nothing differs any more.
func (r Report) Clean() bool {
	if r.Repair {
		return r.LeftOver == 0
	}
	return len(r.Found) == 0
}

func (r *Report) add(k Kind, h blob.Hash, detail string) {
	r.Found[k]++
	if len(r.Findings) < keptFindings {
		r.Findings = append(r.Findings, Finding{k, h, detail, k.repair()})
	}
}

func (r *Report) leave(k Kind, h blob.Hash, why string) {
	r.LeftOver++
	if len(r.Left) < keptFindings {
		r.Left = append(r.Left, Finding{k, h, why, lookFirst})
	}
}

// String is the report for people.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n%s\n", r.Dir, r.Layout, r.Catalogue)
	if r.Journal != "" {
		fmt.Fprintf(&b, "the journal says nothing: %s\n", r.Journal)
	}
	fmt.Fprintf(&b, "%d blobs of %d bytes on the disk; %d rows, %d of them stored; %d are in both\n", r.Blobs, r.Bytes, r.Rows, r.Stored, r.Both)
	if r.InFlight > 0 {
		fmt.Fprintf(&b, "%d in flight: younger than %v, or yet to be told by the store itself\n", r.InFlight, r.OlderThan)
	}
	if r.Kept > 0 {
		fmt.Fprintf(&b, "%d blocked, and kept: lists.blocklist.delete is not set\n", r.Kept)
	}
	if r.Unnoted > 0 {
		fmt.Fprintf(&b, "%d SD blobs without a stream, and none can be noted: they cannot be read, or their stream_hash is another's\n", r.Unnoted)
	}
	if r.SDsGone > 0 {
		fmt.Fprintf(&b, "%d streams without their SD blobs, kept by soft_deletes: each is whole again when it is uploaded or filled again\n", r.SDsGone)
	}
	for _, k := range kinds() {
		if n := r.Found[k]; n > 0 {
			fmt.Fprintf(&b, "FOUND %d × %s\n", n, k)
		}
	}
	list(&b, r.Findings, total(r.Found))
	for _, k := range kinds() {
		if n := r.Repaired[k]; n > 0 {
			fmt.Fprintf(&b, "REPAIRED %d × %s\n", n, k)
		}
	}
	if r.LeftOver > 0 {
		fmt.Fprintf(&b, "LEFT %d, which could not be settled\n", r.LeftOver)
		list(&b, r.Left, r.LeftOver)
	}
	if r.Clean() {
		b.WriteString("clean\n")
	}
	return b.String()
}

func list(b *strings.Builder, findings []Finding, all int64) {
	for _, f := range findings {
		fmt.Fprintf(b, "  %s\n", f)
	}
	if more := all - int64(len(findings)); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}

func total(found map[Kind]int64) (n int64) {
	for _, k := range found {
		n += k
	}
	return n
}

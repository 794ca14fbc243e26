package lists

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/lists/liststest"
)

// A long list is looked up in parts that split no transaction, and each is kept before the next one is asked for.
func TestResolveInParts(t *testing.T) {
	hub := liststest.NewHub(t)
	var missing []outpoint
	var want []blob.Hash
	for i := range 20 {
		sds := []blob.Hash{{byte(i), 0}, {byte(i), 1}, {byte(i), 2}}
		tx := liststest.Transaction(false, liststest.ClaimName("a", liststest.Unsigned(sds[0])),
			liststest.ClaimName("b", liststest.Signed(sds[1])), liststest.ClaimName("c", liststest.Older(sds[2])))
		hub.Add(tx)
		for out, sd := range sds {
			o, err := parseOutpoint(tx.Outpoint(out))
			if err != nil {
				t.Fatal(err)
			}
			missing, want = append(missing, o), append(want, sd)
		}
	}
	slices.SortFunc(missing, compareOutpoints)
	b := &Blocklist{
		hubs:   &hubs{addrs: []string{hub.Addr()}, timeout: 30 * time.Second, pause: time.Millisecond},
		file:   stateFile{fs: crashfs.New(), dir: "/state", name: "blocked", record: outputRecord},
		atOnce: 7, loop: loop{name: "blocked", log: slog.New(slog.DiscardHandler)},
	}
	b.hashes.Store(newSet(nil))
	kept := func() int {
		t.Helper()
		all, _, err := b.load()
		if err != nil || !slices.IsSortedFunc(all, func(x, y output) int { return compareOutpoints(x.at, y.at) }) {
			t.Errorf("the state: %v, or it is not sorted", err)
		}
		return len(all)
	}

	broken := missing[30].tx.String() // in the fourth part: three have nine outputs each
	hub.Misbehave(func(c net.Conn, id int, tx string) bool {
		if tx == broken {
			return false
		}
		liststest.Say(c, `{"id":%d,"result":"%s"}`, id, hub.Transaction(tx))
		return true
	})
	unresolved, err := b.resolve(t.Context(), nil, missing, 0)
	if !errors.Is(err, errNoHub) || unresolved != 3 {
		t.Errorf("with a hub that breaks off: %d unresolved, %v", unresolved, err)
	}
	if n, st := kept(), b.Stats(); n != 33 || st.Entries != 33 || st.Unresolved != 27 || st.Known {
		t.Errorf("with a hub that breaks off %d outputs are kept: %+v", n, st)
	}

	hub.Misbehave(nil)
	known, rest := b.match(missing)
	if len(known) != 33 || len(rest) != 27 {
		t.Fatalf("%d are known and %d are not", len(known), len(rest))
	}
	if unresolved, err := b.resolve(t.Context(), known, rest, 2); err != nil || unresolved != 0 {
		t.Errorf("%d unresolved, %v", unresolved, err)
	}
	if n, st := kept(), b.Stats(); n != 60 || st.Entries != 60 || st.Unresolved != 0 || st.Skipped != 2 || !st.Known {
		t.Errorf("in the end %d outputs are kept: %+v", n, st)
	}
	for _, sd := range want {
		if !b.Contains(sd) {
			t.Errorf("%s is not blocked", sd.Short())
		}
	}
}

func TestWholeTransactions(t *testing.T) {
	var list []outpoint
	for tx, outs := range []int{1, 3, 2} {
		for out := range outs {
			list = append(list, outpoint{tx: txid{byte(tx)}, out: uint32(out)})
		}
	}
	for most, want := range map[int]int{1: 1, 2: 4, 3: 4, 4: 4, 5: 6, 6: 6, 100: 6} {
		if got := wholeTransactions(list, most); got != want {
			t.Errorf("at least %d: %d, want %d", most, got, want)
		}
	}
}

package index_test

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/OdyseeTeam/prism/index"
)

// TestStatesHaveNamesInJSON, as keys too.
func TestStatesHaveNamesInJSON(t *testing.T) {
	want := map[index.State]int{index.StateActive: 1, index.StateSealed: 2, index.StateDoomed: 3, index.StateFailed: 4}
	text, err := json.Marshal(want)
	if err != nil || string(text) != `{"active":1,"doomed":3,"failed":4,"sealed":2}` {
		t.Errorf("%s, %v", text, err)
	}
	var got map[index.State]int
	if err := json.Unmarshal(text, &got); err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if err := json.Unmarshal([]byte(`{"1":1}`), &got); err == nil {
		t.Error("a number is taken for a state")
	}
}

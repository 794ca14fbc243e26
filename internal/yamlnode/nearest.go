package yamlnode

import "strings"

// Nearest is the candidate that a misspelled word most likely stands for, if one is near enough.
func Nearest(word string, candidates []string) (string, bool) {
	word = normal(word)
	best, distance := "", 3
	for _, c := range candidates {
		if max(len(c), len(word)) > 2*min(len(c), len(word))+2 {
			continue
		}
		// A short word is near everything: at most every third letter may be wrong.
		if d := edits(word, normal(c)); d < distance && 3*d <= max(len(c), len(word)) {
			best, distance = c, d
		}
	}
	return best, best != ""
}

// normal is a word without what people mix up: case, dashes, underscores and dots.
func normal(word string) string {
	if len(word) > 64 {
		word = word[:64]
	}
	return strings.NewReplacer("-", "", "_", "", ".", "", " ", "").Replace(strings.ToLower(word))
}

// edits is the number of letters to change, add, drop or swap with their neighbour to make a out of b.
func edits(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			swap := 1
			if a[i-1] == b[j-1] {
				swap = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+swap)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// Package bytesize reads and prints numbers of bytes as people write them in configuration files: 500GB, 500gb, 500G
// and 500GiB are all 500 × 2^30 bytes, and a bare number is bytes. There are no decimal units and no fractions.
package bytesize

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, never negative when it comes from Parse.
type Size int64

// The units, each 1,024 of the one before.
const (
	KiB Size = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
	PiB
	EiB
)

// units are in ascending order; the position is the power of 1,024.
const units = "bkmgtpe"

// Parse reads a size: a whole number, then perhaps blanks and a unit (B, K, KB, KiB, M, … EiB, in any case). The error
// says what is wrong with s and what to write instead.
func Parse(s string) (Size, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(text)
	}
	digits, unit := text[:end], strings.TrimSpace(text[end:])
	switch {
	case text == "":
		return 0, fmt.Errorf("a size is missing; write a whole number with a unit, such as 500GB")
	case strings.HasPrefix(text, "-"):
		return 0, fmt.Errorf("%s is negative; a size is 0 or more", quote(s))
	case digits != "" && strings.HasPrefix(unit, "."):
		return 0, fmt.Errorf("%s has a fraction; write a whole number of a smaller unit, such as 1536GB for 1.5TB", quote(s))
	}
	power, ok := powerOf(unit)
	if digits == "" || !ok {
		return 0, fmt.Errorf("%s is not a size; write a whole number with a unit, such as 500GB or 20MiB", quote(s))
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	shift := 10 * power
	if err != nil || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%s is too large; the largest size is just under 8EiB", quote(s))
	}
	return Size(n << shift), nil
}

// powerOf is the power of 1,024 that a lower-case unit stands for.
func powerOf(unit string) (int, bool) {
	if unit == "" {
		return 0, true
	}
	power := strings.IndexByte(units, unit[0])
	if power < 0 {
		return 0, false
	}
	switch rest := unit[1:]; {
	case rest == "", power > 0 && (rest == "b" || rest == "ib"):
		return power, true
	}
	return 0, false
}

// String is the exact size in the largest unit that divides it, in a form that Parse reads back.
func (s Size) String() string {
	n, power := int64(s), 0
	for n != 0 && n%1024 == 0 && power < len(units)-1 {
		n /= 1024
		power++
	}
	if power == 0 {
		return strconv.FormatInt(n, 10) + "B"
	}
	return strconv.FormatInt(n, 10) + strings.ToUpper(units[power:power+1]) + "iB"
}

// quote shows what somebody wrote, cut when it is long.
func quote(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return strconv.Quote(s)
}

package yamlnode

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/internal/bytesize"
)

// asText is the text that a scalar stands for: what is written when that is quoted or no number, otherwise the number
// in decimals, or 1 and 0 for true and false.
func (n *Node) asText() string {
	switch v := n.value.(type) {
	case bool:
		if v {
			return "1"
		}
		return "0"
	case float64:
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	case nil:
	default:
		return fmt.Sprint(v)
	}
	return n.text
}

// asBool takes true and false, 1 and 0, quoted or not, and no text as false.
func (n *Node) asBool() (bool, error) {
	switch v := n.value.(type) {
	case bool:
		return v, nil
	case int:
		return v != 0, nil
	}
	if n.text == "" {
		return false, nil
	}
	v, err := strconv.ParseBool(n.text)
	if err != nil || n.value != nil {
		return false, fmt.Errorf("%s is neither true nor false", quote(n.written))
	}
	return v, nil
}

// asInt takes a whole number, quoted or not, in the notations of Go's literals; true is 1 and false is 0.
func (n *Node) asInt() (int64, error) {
	switch v := n.value.(type) {
	case int:
		return int64(v), nil
	case int64:
		return v, nil
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
	case nil:
		v64, err := strconv.ParseInt(strings.TrimSpace(n.text), 0, 64)
		if err == nil {
			return v64, nil
		}
		if errors.Is(err, strconv.ErrRange) {
			return 0, fmt.Errorf("%s is too large", quote(n.written))
		}
	}
	return 0, fmt.Errorf("%s is not a whole number", quote(n.written))
}

// asSize takes what bytesize.Parse takes. A number in another of YAML's notations (0x10, 1_000) counts as it does in
// YAML, but not one with an exponent: who writes one may expect a unit behind it.
func (n *Node) asSize() (bytesize.Size, error) {
	switch v := n.value.(type) {
	case int:
		if v >= 0 {
			return bytesize.Size(v), nil
		}
	case bool:
		return 0, fmt.Errorf("%s is not a size; write a whole number with a unit, such as 500GB", n.written)
	}
	size, err := bytesize.Parse(n.text)
	if err != nil && n.text != n.written {
		return 0, fmt.Errorf("the value of %s is not a size; write a whole number with a unit, such as 500GB", quote(n.written))
	}
	return size, err
}

// asDuration takes 90s, 1h30m, …; an unquoted whole number is nanoseconds.
func (n *Node) asDuration() (time.Duration, error) {
	const hint = "write a number with a unit, such as 30s or 12h"
	switch v := n.value.(type) {
	case nil:
		d, err := time.ParseDuration(strings.TrimSpace(n.text))
		if err != nil {
			return 0, fmt.Errorf("%s is not a duration; %s", quote(n.written), hint)
		}
		return d, nil
	case int:
		return time.Duration(v), nil
	}
	return 0, fmt.Errorf("%s is not a duration; %s", quote(n.written), hint)
}

package yamlnode

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// variable is ${NAME}, and $${NAME}, which stands for the text ${NAME}. Any other dollar sign means itself.
var variable = regexp.MustCompile(`\$?\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// expand fills in environment variables. It happens after the document was parsed, so that no value can add keys.
func expand(text string, lookup func(string) (string, bool)) (out string, err error) {
	if !strings.Contains(text, "${") {
		return text, nil
	}
	out = variable.ReplaceAllStringFunc(text, func(m string) string {
		if strings.HasPrefix(m, "$$") {
			return m[1:]
		}
		name := m[2 : len(m)-1]
		value, ok := lookup(name)
		switch {
		case err != nil:
		case !ok:
			err = fmt.Errorf("the environment variable %s is not set; set it, or write $%s for the text itself", name, m)
		case !utf8.ValidString(value): // not shown: it may be a secret
			err = fmt.Errorf("the value of the environment variable %s is not valid UTF-8; set it to plain text", name)
		}
		return value
	})
	return out, err
}

package yamlnode

import (
	"fmt"
	"regexp"
	"strings"
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
		if !ok && err == nil {
			err = fmt.Errorf("the environment variable %s is not set; set it, or write $%s for the text itself", name, m)
		}
		return value
	})
	return out, err
}

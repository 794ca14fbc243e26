package stream

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// defaultName stands for a name of which nothing is left.
const defaultName = "lbry_download"

// unsafeParts is what the LBRY SDK removes from names. Python's $ matches before a newline at the end too.
var unsafeParts = regexp.MustCompile(`[<>:"/\\|?*]+|[\x00-\x1f]+|[ \t]*\.+[ \t]*\n?$|^[ \t]+|[ \t]+\n?$|` +
	`^(?:CON|PRN|AUX|NUL|COM[1-9]|LPT[1-9])\n?$`)

// SafeName makes a name safe as the suggested file name of a stream, exactly as the LBRY SDK does, since it is part of
// what stream_hash is made of: what file systems refuse is removed from stem and extension, in one pass. The result is
// not empty and has no separator of folders.
func SafeName(name string) string {
	stem, ext := splitExt(name)
	stem = unsafeParts.ReplaceAllLiteralString(stem, "")
	ext = unsafeParts.ReplaceAllLiteralString(ext, "")
	if stem == "" {
		stem = defaultName
	}
	if utf8.RuneCountInString(ext) <= 1 {
		ext = ""
	}
	return stem + ext
}

// splitExt cuts a name before the dot of its extension, as Python's os.path.splitext does: dots that a file's name
// begins with belong to the stem.
func splitExt(name string) (stem, ext string) {
	file := name[strings.LastIndexByte(name, '/')+1:]
	dot := strings.LastIndexByte(file, '.')
	if dot < 0 || strings.Trim(file[:dot], ".") == "" {
		return name, ""
	}
	dot += len(name) - len(file)
	return name[:dot], name[dot:]
}

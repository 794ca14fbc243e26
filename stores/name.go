package stores

// KindName is the Name of a store: "<kind>-<name>", or the kind alone when it was given no name.
func KindName(kind, name string) string {
	if name == "" {
		return kind
	}
	return kind + "-" + name
}

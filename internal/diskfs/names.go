package diskfs

// nameLister is what a file system has that can list a folder without holding all its names at once.
type nameLister interface {
	EachName(dir string, fn func(name string) error) error
}

// EachName calls fn with the name of each entry of a folder, in no order, until fn returns an error, which it returns.
// On the machine's file system memory stays bounded however large the folder is; elsewhere it is one List. Entries that
// are made or removed meanwhile may be seen or not.
func EachName(fsys FS, dir string, fn func(name string) error) error {
	if l, ok := fsys.(nameLister); ok {
		return l.EachName(dir, fn)
	}
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := fn(name); err != nil {
			return err
		}
	}
	return nil
}

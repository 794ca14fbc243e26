package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/OdyseeTeam/prism/internal/yamlnode"
)

// extensions are tried in this order behind the name of a command.
var extensions = [...]string{".yaml", ".yml", ""}

// Load reads dir/command.yaml (or .yml, or no extension) with the environment of the process, and reports what is
// wrong. See Parse for the Config.
func Load(dir, command string, r *yamlnode.Report) *Config {
	file, data := find(dir, command, r)
	if file == "" {
		return nil
	}
	if command == "upload" {
		return ParseUpload(file, data, os.LookupEnv, r)
	}
	return Parse(file, data, os.LookupEnv, r)
}

// LoadFile reads the named file, of a server or, where its name is upload, of an upload. See Parse for the Config.
func LoadFile(name string, r *yamlnode.Report) *Config {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	var data []byte
	if err == nil {
		data, err = read(name)
	}
	if err != nil {
		r.Errorf(yamlnode.At(name), "%s", err)
		return nil
	}
	base := filepath.Base(name)
	if strings.TrimSuffix(base, filepath.Ext(base)) == "upload" {
		return ParseUpload(name, data, os.LookupEnv, r)
	}
	return Parse(name, data, os.LookupEnv, r)
}

// find reads the file of a command, no more of it than Parse would take; file is empty when that failed and was
// reported.
func find(dir, command string, r *yamlnode.Report) (file string, data []byte) {
	for _, ext := range extensions {
		name := filepath.Join(dir, command+ext)
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() && ext == "" {
			continue
		}
		if err == nil && !info.Mode().IsRegular() {
			err = &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
		}
		if err == nil {
			data, err = read(name)
		}
		if err != nil {
			r.Errorf(yamlnode.At(name), "%s", err)
			return "", nil
		}
		return name, data
	}
	r.Errorf(yamlnode.At(filepath.Join(dir, command+extensions[0])),
		"there is no such file, nor %s.yml, nor %s; write one, or name its folder with --conf-dir", command, command)
	return "", nil
}

func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, yamlnode.MaxSize+1))
	return data, errors.Join(err, f.Close())
}

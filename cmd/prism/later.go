package main

import "fmt"

// upload is a command that this version does not have.
type upload struct {
	Path                   string `arg:"" optional:""`
	Workers                int    `default:"1" hidden:""`
	SkipExistsCheck        bool   `name:"skipExistsCheck" hidden:""`
	DeleteBlobsAfterUpload bool   `name:"deleteBlobsAfterUpload" hidden:""`
}

// Run says so.
func (upload) Run() error { return notYet("upload") }

func notYet(command string) error {
	return configError{fmt.Errorf("the command %s is not in this version yet; it has blobcache, reflector, check-config and version", command)}
}

package main

import "fmt"

// reflector is a command that this version does not have; its flags are known, so that the message is about that.
type reflector struct {
	ReceiverPort     int  `default:"5566" hidden:""`
	MetricsPort      int  `default:"2112" hidden:""`
	DisableBlocklist bool `hidden:""`
}

// Run says so.
func (reflector) Run() error { return notYet("reflector") }

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
	return configError{fmt.Errorf("the command %s is not in this version yet; it has blobcache, check-config and version", command)}
}

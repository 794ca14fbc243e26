package all

import (
	"context"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/s3"
)

type s3Spec struct{ s3.Options }

func readS3(n *compose.Node) compose.Spec {
	s := &s3Spec{}
	n.Text("name", &s.Name)
	n.Require("aws_id", "it is the id of the key that may use the bucket")
	n.Text("aws_id", &s.AccessKey)
	secret := n.Secret("aws_secret", &s.SecretKey)
	if _, file := n.Value("aws_secret_file"); !secret && !file {
		n.Require("aws_secret", "it, or aws_secret_file, is the secret of the key aws_id")
	}
	n.Text("region", &s.Region)
	n.Require("bucket", "it is the name of the bucket to keep blobs in")
	n.Text("bucket", &s.Bucket)
	n.Text("endpoint", &s.Endpoint)
	s.ShardingSize, _ = readShardingSize(n)
	n.OneOf("acl", &s.ACL, s3.ACLs()...)
	n.Duration("dial_timeout", &s.DialTimeout, leastTimeout)
	n.Duration("header_timeout", &s.HeaderTimeout, leastTimeout)
	n.Duration("idle_timeout", &s.IdleTimeout, leastTimeout)
	if s.AccessKey == "" || s.Bucket == "" || !secret {
		return s
	}
	// The kind knows best what it can work with, and making it opens nothing.
	trial, err := s3.New(s.Options)
	if err == nil {
		err = trial.Close()
	}
	if err != nil {
		n.Report().Errorf(n.Map.Node(), "%s", err)
	}
	return s
}

// Open makes the store.
func (s *s3Spec) Open(context.Context, compose.Env) (stores.Store, error) {
	store, err := s3.New(s.Options)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// Describe implements compose.Describer.
func (s *s3Spec) Describe() string {
	where := "bucket " + s.Bucket
	if s.Endpoint != "" {
		where += " at " + s.Endpoint
	} else {
		where += " in " + s.Region
	}
	if s.ACL != "" {
		where += ", acl " + s.ACL
	}
	return named(s.Name, where)
}

package reflectclient_test

import (
	"context"
	"fmt"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/upload/reflectclient"
)

// One blob is offered, and sent if it is wanted.
func Example() {
	data := []byte("any bytes are a content blob")
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	c, err := reflectclient.Dial(ctx, "reflector.example.com:5566", reflectclient.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	result, err := c.Upload(ctx, v, blob.KindContent)
	if err != nil {
		fmt.Println("not safe there, keep it:", err)
		return
	}
	fmt.Println("sent:", result.Sent)
}

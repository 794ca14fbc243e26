package reflectclient_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/reflector"
	"github.com/OdyseeTeam/prism/frontends/upload/reflectclient"
	"github.com/OdyseeTeam/prism/stores/mem"
)

// A reflector over memory takes a blob, and does not want it twice.
func Example() {
	server, err := reflector.New(reflector.Options{Store: mem.New(mem.Options{}), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, ln) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			fmt.Println(err)
		}
	}()

	data := []byte("any bytes are a content blob")
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := reflectclient.Dial(ctx, ln.Addr().String(), reflectclient.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	for range 2 {
		result, err := c.Upload(ctx, v, blob.KindContent)
		fmt.Println(result.Sent, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

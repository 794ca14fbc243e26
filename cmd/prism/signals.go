package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// untilSignal gives a context that ends with the first SIGTERM or SIGINT; a second one ends the process at once. stop
// ends both.
func untilSignal(log *slog.Logger) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	var watching sync.WaitGroup
	done := make(chan struct{})
	watching.Go(func() {
		for n := 0; ; n++ {
			select {
			case s := <-signals:
				if n > 0 {
					log.Warn("a second signal: ending at once", "signal", s.String())
					os.Exit(exitFailed)
				}
				log.Info("stopping; a second signal ends at once", "signal", s.String())
				cancel()
			case <-done:
				return
			}
		}
	})
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		watching.Wait()
		cancel()
	}
}

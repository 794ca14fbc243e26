package httpd

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// The context of a look-up is what context.WithTimeout would give, however it is looked at.
func TestLookup(t *testing.T) {
	type key struct{}
	for name, wait := range map[string]bool{"waited for": true, "polled": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				request, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, 7))
				defer cancel()
				open := func() *lookup {
					l := newLookup(request, time.Minute)
					if wait {
						select {
						case <-l.Done():
							t.Error("done at once")
						default:
						}
					}
					if l.Err() != nil || l.Value(key{}) != 7 {
						t.Errorf("at first: %v, %v", l.Err(), l.Value(key{}))
					}
					return l
				}
				l := open()
				ctx, trace := blob.WithTrace(l)
				child, stop := context.WithCancel(ctx)
				defer stop()
				if blob.TraceOf(child) != trace {
					t.Error("the trace is lost")
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if l.Err() != context.DeadlineExceeded || child.Err() == nil {
					t.Errorf("after the deadline: %v, child: %v", l.Err(), child.Err())
				}
				<-l.Done()
				l.end()

				canceled := func(what string, l *lookup) {
					if l.Err() != context.Canceled {
						t.Errorf("after %s: %v", what, l.Err())
					}
					select {
					case <-l.Done():
					default:
						t.Errorf("not done after %s", what)
					}
				}
				l = open()
				l.end()
				canceled("its end", l)
				l = open()
				cancel()
				canceled("the request's end", l)
				l.end()
			})
		})
	}
}

// dump prints what Prometheus's own storage library reads from blocks: a line for each series with its
// labels, the number of its samples, and a checksum over them. Blocks that hold the same samples print the
// same, however these are spread over blocks and chunks; native histograms are compared bucket by bucket,
// which promtool leaves out.
//
// Usage: dump BLOCK...
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"log"
	"log/slog"
	"math"
	"os"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: dump BLOCK...")
	}
	var blocks []storage.Querier
	for _, dir := range os.Args[1:] {
		block, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, nil, nil)
		check(err, dir)
		querier, err := tsdb.NewBlockQuerier(block, math.MinInt64, math.MaxInt64)
		check(err, dir)
		blocks = append(blocks, querier)
	}
	all := labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".*")
	merged := storage.NewMergeQuerier(blocks, nil, storage.ChainedSeriesMerge)
	out := bufio.NewWriter(os.Stdout)
	set := merged.Select(context.Background(), true, nil, all)
	var iterator chunkenc.Iterator
	for set.Next() {
		series := set.At()
		iterator = series.Iterator(iterator)
		sum := sha256.New()
		samples := 0
		for kind := iterator.Next(); kind != chunkenc.ValNone; kind = iterator.Next() {
			add(sum, kind, iterator)
			samples++
		}
		check(iterator.Err(), series.Labels().String())
		fmt.Fprintf(out, "%s %d %x\n", series.Labels(), samples, sum.Sum(nil)[:8])
	}
	check(set.Err(), "blocks")
	check(out.Flush(), "standard output")
}

func add(sum hash.Hash, kind chunkenc.ValueType, iterator chunkenc.Iterator) {
	switch kind {
	case chunkenc.ValFloat:
		t, v := iterator.At()
		fmt.Fprintf(sum, "%d f %x\n", t, math.Float64bits(v))
	case chunkenc.ValHistogram:
		t, h := iterator.AtHistogram(nil)
		// Whether the counter was reset is told by the samples; the hint depends on where chunks begin.
		h.CounterResetHint = histogram.UnknownCounterReset
		fmt.Fprintf(sum, "%d h %x %+v\n", t, math.Float64bits(h.Sum), *h)
	case chunkenc.ValFloatHistogram:
		t, h := iterator.AtFloatHistogram(nil)
		h.CounterResetHint = histogram.UnknownCounterReset
		fmt.Fprintf(sum, "%d F %x %+v\n", t, math.Float64bits(h.Sum), *h)
	default:
		log.Fatalf("a sample of unknown kind %v", kind)
	}
}

func check(err error, what string) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

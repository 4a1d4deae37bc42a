// genhistograms prints what Prometheus's own code makes of random native and classic histograms: a line for
// each operation with its arguments and results, separated by tabs.
//
// Put it in a checkout of Prometheus and run it there; the recorded answers are those of 3.14.
package main

import (
	"bufio"
	"fmt"
	"math"
	"math/rand"
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/kahansum"
)

var (
	random = rand.New(rand.NewSource(14))
	out    = bufio.NewWriter(os.Stdout)
)

func pick[T any](values ...T) T { return values[random.Intn(len(values))] }

func float(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func floats(values []float64) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = float(v)
	}
	return strings.Join(texts, ",")
}

func spans(spans []histogram.Span) string {
	texts := make([]string, len(spans))
	for i, s := range spans {
		texts[i] = fmt.Sprintf("%d:%d", s.Offset, s.Length)
	}
	return strings.Join(texts, ",")
}

func text(h *histogram.FloatHistogram) string {
	return fmt.Sprintf("%d;%d;%s;%s;%s;%s;%s;%s;%s;%s;%s", h.CounterResetHint, h.Schema,
		float(h.ZeroThreshold), float(h.ZeroCount), float(h.Count), float(h.Sum),
		spans(h.PositiveSpans), floats(h.PositiveBuckets),
		spans(h.NegativeSpans), floats(h.NegativeBuckets), floats(h.CustomValues))
}

func line(parts ...any) {
	for i, p := range parts {
		if i > 0 {
			fmt.Fprint(out, "\t")
		}
		switch v := p.(type) {
		case float64:
			fmt.Fprint(out, float(v))
		case *histogram.FloatHistogram:
			fmt.Fprint(out, text(v))
		default:
			fmt.Fprint(out, v)
		}
	}
	fmt.Fprintln(out)
}

func count() float64 {
	switch random.Intn(10) {
	case 0, 1:
		return 0
	case 2:
		return random.Float64() * 10
	case 3:
		return math.Ldexp(random.Float64(), random.Intn(120)-40)
	default:
		return float64(random.Intn(20))
	}
}

func side(first, limit int) (spans []histogram.Span, buckets []float64) {
	if random.Intn(4) == 0 {
		return nil, nil
	}
	at := 0
	for n := 1 + random.Intn(3); n > 0; n-- {
		s := histogram.Span{Offset: int32(random.Intn(4)), Length: uint32(1 + random.Intn(3))}
		if len(spans) > 0 && random.Intn(40) == 0 {
			s.Length = 0
		}
		if len(spans) == 0 {
			s.Offset += int32(first)
		}
		if limit > 0 && at+int(s.Offset)+int(s.Length) > limit {
			break
		}
		at += int(s.Offset) + int(s.Length)
		spans = append(spans, s)
		for range s.Length {
			buckets = append(buckets, count())
		}
	}
	return spans, buckets
}

func total(h *histogram.FloatHistogram) float64 {
	sum := h.ZeroCount
	for _, b := range append(append([]float64{}, h.PositiveBuckets...), h.NegativeBuckets...) {
		sum += b
	}
	return sum
}

func exponential() *histogram.FloatHistogram {
	h := &histogram.FloatHistogram{
		Schema:        pick[int32](-4, -1, 0, 0, 1, 1, 2, 2, 3, 5, 8),
		ZeroThreshold: pick(0, 2.938735877055719e-39, 0.001, 0.5, 1, 2, 1.5, 3),
		ZeroCount:     count(),
		Sum:           pick(1, -2.5, 1e9, 0.1, random.NormFloat64()*100),
	}
	first := pick(-4, -2, 0, 1, 3)
	if h.Schema > 3 {
		first *= 20
	}
	h.PositiveSpans, h.PositiveBuckets = side(first, 0)
	h.NegativeSpans, h.NegativeBuckets = side(first, 0)
	h.Count = total(h)
	return h
}

func custom() *histogram.FloatHistogram {
	h := &histogram.FloatHistogram{Schema: histogram.CustomBucketsSchema, Sum: random.NormFloat64() * 10}
	for _, bound := range []float64{-10, -1, 0, 0.5, 1, 2.5, 5, 10, 100} {
		if random.Intn(3) > 0 {
			h.CustomValues = append(h.CustomValues, bound)
		}
	}
	h.PositiveSpans, h.PositiveBuckets = side(0, len(h.CustomValues)+1)
	h.Count = total(h)
	return h
}

func any1() *histogram.FloatHistogram {
	var h *histogram.FloatHistogram
	if random.Intn(3) == 0 {
		h = custom()
	} else {
		h = exponential()
	}
	h.CounterResetHint = pick(histogram.UnknownCounterReset, histogram.UnknownCounterReset,
		histogram.CounterReset, histogram.NotCounterReset, histogram.GaugeType)
	switch random.Intn(12) {
	case 0:
		h.Sum = math.NaN()
	case 1:
		h.Sum = math.NaN()
		h.Count += 3
	}
	return h
}

// other is comparable to h most of the time, and sometimes shares its layout.
func other(h *histogram.FloatHistogram) *histogram.FloatHistogram {
	if random.Intn(4) == 0 {
		o := h.Copy()
		for i := range o.PositiveBuckets {
			if random.Intn(3) == 0 {
				o.PositiveBuckets[i] += count()
			}
		}
		o.Count = total(o)
		return o
	}
	for {
		if o := any1(); o.UsesCustomBuckets() == h.UsesCustomBuckets() || random.Intn(20) == 0 {
			return o
		}
	}
}

func sums() {
	for range 140 {
		a := any1()
		b := other(a)
		type operation = func(a, b *histogram.FloatHistogram) (*histogram.FloatHistogram, bool, bool, error)
		for i, f := range []operation{(*histogram.FloatHistogram).Add, (*histogram.FloatHistogram).Sub} {
			name := []string{"add", "sub"}[i]
			res, collision, bounds, err := f(a.Copy(), b)
			if err != nil {
				line(name, a, b, "error")
				continue
			}
			line(name, a, b, res, collision, bounds)
		}
	}
	for range 90 {
		list := []*histogram.FloatHistogram{any1()}
		for range 1 + random.Intn(5) {
			for {
				if o := other(list[0]); o.UsesCustomBuckets() == list[0].UsesCustomBuckets() {
					list = append(list, o)
					break
				}
			}
		}
		sum := list[0].Copy()
		var c *histogram.FloatHistogram
		texts := []string{text(sum)}
		factor := pick(1.0, 1.0, 0.75)
		for _, o := range list[1:] {
			texts = append(texts, text(o))
			if factor != 1 {
				sum.Mul(factor)
				if c != nil {
					c.Mul(factor)
				}
			}
			var err error
			if c, _, _, err = sum.KahanAdd(o, c); err != nil {
				panic(err)
			}
		}
		raw := text(sum)
		if _, _, _, err := sum.Add(c); err != nil {
			panic(err)
		}
		line("kahan", factor, strings.Join(texts, "|"), raw, sum)
	}
}

func single() {
	for range 70 {
		h := any1()
		line("string", h, h.String())
		line("test", h, h.TestExpression())
		var all, reverse []string
		for it := h.AllBucketIterator(); it.Next(); {
			b := it.At()
			all = append(all, fmt.Sprintf("%s@%d", b.String(), b.Index))
		}
		for it := h.AllReverseBucketIterator(); it.Next(); {
			b := it.At()
			reverse = append(reverse, b.String())
		}
		line("buckets", h, strings.Join(all, " "), strings.Join(reverse, " "))
		n := pick(0, 0, 1, 2, 3)
		line("compact", h, n, h.Copy().Compact(n))
		if !h.UsesCustomBuckets() {
			target := h.Schema - int32(random.Intn(4))
			if target >= -4 {
				line("schema", h, target, h.CopyToSchema(target))
			}
		}
		line("variance", h, variance(h))
	}
	for range 140 {
		h := any1()
		v := pick(math.Inf(-1), math.Inf(1), 0, -0.3, 0.7, 1, 1.2, 2, -1, -4, 5, 50, random.NormFloat64()*3)
		upper := random.Intn(2) == 0
		line("trim", h, v, upper, h.Copy().TrimBuckets(v, upper))
	}
	for range 140 {
		h := any1()
		q := pick(0, 1, 0.5, 0.99, 0.1, -1, 2, math.NaN(), random.Float64(), random.Float64(), random.Float64())
		v, notes := promql.HistogramQuantile(q, h, "", posrange.PositionRange{})
		line("quantile", h, q, v, note(notes))
		l := pick(math.Inf(-1), 0, -1, 1, random.NormFloat64()*3)
		u := pick(math.Inf(1), 0, 1, 2, l+random.Float64()*4)
		v, notes = promql.HistogramFraction(l, u, h, "", posrange.PositionRange{})
		line("fraction", h, l, u, v, note(notes))
	}
}

func note[T ~map[string]error](notes T) string {
	for text := range notes {
		return text
	}
	return "-"
}

// variance is what histogram_stdvar computes; the function itself needs an engine around it.
func variance(h *histogram.FloatHistogram) float64 {
	middle := func(b histogram.Bucket[float64]) float64 {
		if h.UsesCustomBuckets() {
			return (b.Upper + b.Lower) / 2
		}
		if b.Lower <= 0 && b.Upper >= 0 {
			return 0
		}
		return math.Copysign(math.Sqrt(b.Upper*b.Lower), b.Upper)
	}
	var sum, lost float64
	for it := h.AllBucketIterator(); it.Next(); {
		if b := it.At(); b.Count != 0 {
			d := middle(b) - h.Sum/h.Count
			sum, lost = kahansum.Inc(b.Count*d*d, sum, lost)
		}
	}
	return (sum + lost) / h.Count
}

func pairs() {
	for range 150 {
		a := any1()
		b := other(a)
		if random.Intn(2) == 0 {
			// A histogram that grew out of a.
			b = a.Copy()
			b.CounterResetHint = pick(histogram.UnknownCounterReset, histogram.GaugeType)
			for i := range b.PositiveBuckets {
				b.PositiveBuckets[i] += float64(random.Intn(2))
			}
			if !b.UsesCustomBuckets() && random.Intn(2) == 0 {
				if _, _, _, err := b.Add(exponential()); err != nil {
					panic(err)
				}
			}
			b.Count += 5
		}
		line("reset", b, a, b.DetectReset(a))
		line("equals", b, a, b.Equals(a))
		if random.Intn(3) == 0 {
			c := a.Copy().Compact(pick(0, 1))
			line("equals", a, c, a.Equals(c))
		}
	}
}

func classic() {
	for range 140 {
		var buckets promql.Buckets
		sum := 0.0
		for _, bound := range []float64{-5, -1, 0, 0.1, 1, 2, 2, 5, 10} {
			if random.Intn(3) == 0 {
				continue
			}
			sum += count()
			c := sum
			switch random.Intn(8) {
			case 0:
				c *= 0.9
			case 1:
				c *= 1 + 1e-13
			}
			buckets = append(buckets, promql.Bucket{UpperBound: bound, Count: c})
		}
		if random.Intn(20) > 0 {
			buckets = append(buckets, promql.Bucket{UpperBound: math.Inf(1), Count: sum + count()})
		}
		if len(buckets) == 0 {
			continue
		}
		random.Shuffle(len(buckets), func(i, j int) { buckets[i], buckets[j] = buckets[j], buckets[i] })
		var texts []string
		for _, b := range buckets {
			texts = append(texts, float(b.UpperBound)+":"+float(b.Count))
		}
		input := strings.Join(texts, ",")
		q := pick(0, 1, 0.5, 0.99, -1, 2, math.NaN(), random.Float64(), random.Float64(), random.Float64())
		v, forced, fixed, low, high, diff := promql.BucketQuantile(q, append(promql.Buckets{}, buckets...))
		line("classic-quantile", input, q, v, forced, fixed, low, high, diff)
		l := pick(math.Inf(-1), 0, -1, 1, random.NormFloat64()*3)
		u := pick(math.Inf(1), 0, 1, 2, l+random.Float64()*4)
		line("classic-fraction", input, l, u, promql.BucketFraction(l, u, append(promql.Buckets{}, buckets...)))
	}
}

func numbers() {
	for range 120 {
		x := math.Ldexp(random.Float64(), random.Intn(2100)-1080)
		line("log2", x, math.Log2(x))
		y := (random.Float64() - 0.5) * pick(2.0, 20, 2200)
		line("exp2", y, math.Exp2(y))
		z := pick(random.NormFloat64(), x, math.Round(y))
		fmt.Fprintf(out, "text\t%016x\t%g\n", math.Float64bits(z), z)
		schema := int32(random.Intn(13) - 4)
		index := int32(random.Intn(2000)-1000) << max(0, schema-2)
		h := histogram.FloatHistogram{Schema: schema, PositiveSpans: []histogram.Span{{Offset: index, Length: 1}}, PositiveBuckets: []float64{1}}
		it := h.PositiveBucketIterator()
		it.Next()
		line("bound", schema, index, it.At().Upper)
	}
}

func main() {
	sums()
	single()
	pairs()
	classic()
	numbers()
	out.Flush()
}

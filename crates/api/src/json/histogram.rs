//! Native histograms.

use rutile_model::FloatHistogram;

use super::push_float;

/// Appends `{"count":"3","sum":"4.5","buckets":[[0,"1","2","3"]]}`: each bucket with how its bounds count (0: the upper
/// one is part of it, 1: the lower one, 2: none, 3: both). Empty buckets are left out, and `buckets` if there is none.
pub fn push_histogram(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    out.extend_from_slice(b"{\"count\":");
    push_float(out, histogram.count);
    out.extend_from_slice(b",\"sum\":");
    push_float(out, histogram.sum);
    let mut is_first = true;
    // NaN counts too.
    for bucket in histogram.buckets().filter(|bucket| bucket.count != 0.0) {
        out.extend_from_slice(if is_first {
            &b",\"buckets\":[["[..]
        } else {
            b",["
        });
        is_first = false;
        out.push(match (bucket.lower_inclusive, bucket.upper_inclusive) {
            (false, true) => b'0',
            (true, false) => b'1',
            (false, false) => b'2',
            (true, true) => b'3',
        });
        for value in [bucket.lower, bucket.upper, bucket.count] {
            out.push(b',');
            push_float(out, value);
        }
        out.push(b']');
    }
    out.extend_from_slice(if is_first { &b"}"[..] } else { b"]}" });
}

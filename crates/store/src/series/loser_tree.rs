//! A tournament of many sorted streams: who has the smallest head?

/// A tree of losers over `streams` sorted streams (Knuth, TAOCP 5.4.1). The caller keeps the
/// streams and says by `before` which of two has the smaller head; an exhausted stream is before
/// none. Taking the next head costs one comparison for each level.
#[derive(Debug)]
pub(crate) struct LoserTree {
    /// `losers[0]` is the winner, `losers[1..]` who lost at that inner node.
    losers: Vec<u32>,
}

impl LoserTree {
    /// Plays all matches.
    pub(crate) fn new(streams: usize, mut before: impl FnMut(usize, usize) -> bool) -> Self {
        let mut tree = Self {
            losers: vec![0; streams.max(1)],
        };
        if streams > 1 {
            let winner = tree.play(1, streams, &mut before);
            tree.losers[0] = winner;
        }
        tree
    }

    fn play(
        &mut self,
        node: usize,
        streams: usize,
        before: &mut impl FnMut(usize, usize) -> bool,
    ) -> u32 {
        if node >= streams {
            return (node - streams) as u32;
        }
        let left = self.play(2 * node, streams, before);
        let right = self.play(2 * node + 1, streams, before);
        let (winner, loser) = if before(right as usize, left as usize) {
            (right, left)
        } else {
            (left, right)
        };
        self.losers[node] = loser;
        winner
    }

    /// The stream with the smallest head.
    pub(crate) fn winner(&self) -> usize {
        self.losers[0] as usize
    }

    /// To be called when the head of the winner changed.
    pub(crate) fn replay(&mut self, mut before: impl FnMut(usize, usize) -> bool) {
        let streams = self.losers.len();
        let mut winner = self.losers[0];
        let mut node = (winner as usize + streams) / 2;
        while node > 0 {
            let other = self.losers[node];
            if before(other as usize, winner as usize) {
                self.losers[node] = winner;
                winner = other;
            }
            node /= 2;
        }
        self.losers[0] = winner;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn streams_come_out_sorted(mut streams in prop::collection::vec(
            prop::collection::vec(0u32..50, 0..10), 1..20)
        ) {
            let mut expected: Vec<u32> = streams.concat();
            expected.sort_unstable();
            for stream in &mut streams {
                stream.sort_unstable();
                stream.reverse(); // the head is the last
            }
            fn before(streams: &[Vec<u32>], a: usize, b: usize) -> bool {
                match (streams[a].last(), streams[b].last()) {
                    (Some(x), Some(y)) => (x, a) < (y, b),
                    (head, _) => head.is_some(),
                }
            }
            let mut tree = LoserTree::new(streams.len(), |a, b| before(&streams, a, b));
            let mut got = Vec::new();
            while let Some(head) = streams[tree.winner()].pop() {
                got.push(head);
                tree.replay(|a, b| before(&streams, a, b));
            }
            prop_assert_eq!(got, expected);
        }
    }
}

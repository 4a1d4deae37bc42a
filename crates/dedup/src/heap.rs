//! Go's `container/heap`: which of several equal entries comes first is an accident of its steps, and
//! the reference's results depend on it.

/// Sources by the key at which each stands, the least first.
#[derive(Debug, Clone)]
pub struct Heap<K>(Vec<(K, usize)>);

impl<K> Default for Heap<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + Ord> Heap<K> {
    /// The least key.
    #[must_use]
    pub fn first(&self) -> Option<K> {
        self.0.first().map(|(key, _)| *key)
    }

    /// Puts a source in.
    pub fn push(&mut self, key: K, source: usize) {
        self.0.push((key, source));
        let mut child = self.0.len() - 1;
        while child > 0 {
            let parent = (child - 1) / 2;
            if self.0[child].0 >= self.0[parent].0 {
                break;
            }
            self.0.swap(child, parent);
            child = parent;
        }
    }

    /// Takes the source with the least key out.
    pub fn pop(&mut self) -> Option<(K, usize)> {
        let len = self.0.len().checked_sub(1)?;
        self.0.swap(0, len);
        let mut parent = 0;
        loop {
            let (left, right) = (2 * parent + 1, 2 * parent + 2);
            if left >= len {
                break;
            }
            let right_is_less = right < len && self.0[right].0 < self.0[left].0;
            let child = if right_is_less { right } else { left };
            if self.0[child].0 >= self.0[parent].0 {
                break;
            }
            self.0.swap(child, parent);
            parent = child;
        }
        self.0.pop()
    }
}

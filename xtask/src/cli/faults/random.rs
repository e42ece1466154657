//! Numbers that follow from a seed: the same seed provokes the same faults at the same places.

/// splitmix64 (Steele, Lea, Flood 2014): small, and good enough to choose places with.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The numbers of one round: rounds do not depend on what earlier ones drew.
    pub(super) fn of_round(seed: u64, round: usize) -> Self {
        let mut random = Self(seed);
        let mixed = random.next() ^ (round as u64).wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when there is none.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }

    /// A number between 0 and 1.
    pub(super) fn fraction(&mut self) -> f64 {
        self.below(1_000_000) as f64 / 1_000_000.0
    }

    /// One of these; `None` when there are none.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = self.below(from.len());
        from.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_round_draw_the_same_numbers_and_others_do_not() {
        let draw = |seed, round| {
            let mut random = Random::of_round(seed, round);
            [(); 5].map(|()| random.below(1000))
        };
        assert_eq!(draw(1, 7), draw(1, 7));
        assert_ne!(draw(1, 7), draw(1, 8));
        assert_ne!(draw(1, 7), draw(2, 7));
        assert!(Random::of_round(1, 1).pick::<u8>(&[]).is_none());
    }
}

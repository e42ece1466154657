//! The outside world.

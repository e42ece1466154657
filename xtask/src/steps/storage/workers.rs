//! A few at a time.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Trouble;
use crate::steps::Failure;

/// Runs one piece of work for each item, `workers` at the same time. After the first failure no further one begins; those
/// that have begun are waited for. The answers come in the items' order.
pub(super) fn each<T: Sync, R: Send>(
    items: &[T],
    workers: usize,
    work: impl Fn(&T) -> Result<R, Trouble> + Sync,
) -> Result<Vec<R>, Trouble> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let run = || {
        loop {
            let index = next.fetch_add(1, Ordering::SeqCst);
            let Some(item) = items.get(index) else { return };
            match work(item) {
                Ok(result) => lock(&results)[index] = Some(result),
                Err(error) => {
                    next.store(items.len(), Ordering::SeqCst);
                    lock(&failure).get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, items.len().max(1)) {
            scope.spawn(run);
        }
    });
    if let Some(error) = lock(&failure).take() {
        return Err(error);
    }
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let all: Option<Vec<R>> = results.into_iter().collect();
    all.ok_or_else(|| Failure::new("a worker ended unexpectedly").into())
}

fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order_and_nothing_is_left_out() {
        let items: Vec<u32> = (0..100).collect();
        let doubled = each(&items, 7, |item| Ok(item * 2)).unwrap();
        assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert!(each(&[] as &[u32], 7, |_| Ok(())).unwrap().is_empty());
    }

    #[test]
    fn the_first_failure_is_told_and_nothing_begins_after_it() {
        let items: Vec<u32> = (0..100).collect();
        let begun = AtomicUsize::new(0);
        let error = each(&items, 1, |item| {
            begun.fetch_add(1, Ordering::SeqCst);
            if *item == 3 {
                return Err(Failure::new("three").into());
            }
            Ok(())
        });
        assert!(matches!(error, Err(Trouble::Failed(failure)) if failure.message == "three"));
        assert_eq!(begun.load(Ordering::SeqCst), 4);
    }
}

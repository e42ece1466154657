//! The shortest edit script between two lists of lines, after Myers (1986), with a bound on the work.

/// A stretch of lines: equal on both sides, or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Equal,
    Remove,
    Add,
}

/// Beyond this many differences the rest is shown as replaced: the search costs the square of it.
const MOST: usize = 1_000;

pub(crate) fn compare<T: PartialEq>(old: &[T], new: &[T]) -> Vec<Step> {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let end = old_rest
        .iter()
        .rev()
        .zip(new_rest.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (old_middle, new_middle) = (
        &old_rest[..old_rest.len() - end],
        &new_rest[..new_rest.len() - end],
    );
    let mut steps = vec![Step::Equal; start];
    match search(old_middle, new_middle) {
        Some(middle) => steps.extend(middle),
        None => {
            steps.extend(std::iter::repeat_n(Step::Remove, old_middle.len()));
            steps.extend(std::iter::repeat_n(Step::Add, new_middle.len()));
        }
    }
    steps.extend(std::iter::repeat_n(Step::Equal, end));
    steps
}

/// The furthest `x` on every diagonal, one list for each number of differences; diagonal `k` is at `k + d`.
fn search<T: PartialEq>(old: &[T], new: &[T]) -> Option<Vec<Step>> {
    let mut trace: Vec<Vec<usize>> = Vec::new();
    let at = |list: &[usize], d: usize, k: isize| list.get(usize::try_from(k + d as isize).ok()?).copied();
    for d in 0..=MOST.min(old.len() + new.len()) {
        let mut furthest = vec![0; 2 * d + 1];
        for k in (-(d as isize)..=d as isize).step_by(2) {
            let mut x = match trace.last() {
                None => 0,
                Some(last) => {
                    let (left, right) = (at(last, d - 1, k - 1), at(last, d - 1, k + 1));
                    if goes_down(k, d, left, right) {
                        right.unwrap_or(0)
                    } else {
                        left.map_or(0, |x| x + 1)
                    }
                }
            };
            let Some(mut y) = x.checked_add_signed(-k) else {
                continue;
            };
            while x < old.len() && y < new.len() && old[x] == new[y] {
                x += 1;
                y += 1;
            }
            furthest[usize::try_from(k + d as isize).ok()?] = x;
            if x >= old.len() && y >= new.len() {
                return Some(walk_back(&trace, d, old.len(), new.len(), at));
            }
        }
        trace.push(furthest);
    }
    None
}

fn goes_down(k: isize, d: usize, left: Option<usize>, right: Option<usize>) -> bool {
    k == -(d as isize) || (k != d as isize && left.unwrap_or(0) < right.unwrap_or(0))
}

fn walk_back(
    trace: &[Vec<usize>],
    differences: usize,
    old: usize,
    new: usize,
    at: impl Fn(&[usize], usize, isize) -> Option<usize>,
) -> Vec<Step> {
    let (mut x, mut y) = (old, new);
    let mut steps = Vec::new();
    for d in (1..=differences).rev() {
        let k = x as isize - y as isize;
        let last = &trace[d - 1];
        let (left, right) = (at(last, d - 1, k - 1), at(last, d - 1, k + 1));
        let down = goes_down(k, d, left, right);
        let from_x = if down {
            right.unwrap_or(0)
        } else {
            left.unwrap_or(0)
        };
        let from_k = if down { k + 1 } else { k - 1 };
        let from_y = from_x.checked_add_signed(-from_k).unwrap_or(0);
        let (step_x, step_y) = if down {
            (from_x, from_y + 1)
        } else {
            (from_x + 1, from_y)
        };
        steps.extend(std::iter::repeat_n(Step::Equal, (x - step_x).min(y - step_y)));
        steps.push(if down { Step::Add } else { Step::Remove });
        (x, y) = (from_x, from_y);
    }
    steps.extend(std::iter::repeat_n(Step::Equal, x.min(y)));
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use super::{Step, compare};

    fn check(old: &str, new: &str, wanted: &str) {
        let old: Vec<char> = old.chars().collect();
        let new: Vec<char> = new.chars().collect();
        let sign = |step: &Step| match step {
            Step::Equal => '=',
            Step::Remove => '-',
            Step::Add => '+',
        };
        let steps: String = compare(&old, &new).iter().map(sign).collect();
        assert_eq!(steps, wanted);
    }

    #[test]
    fn finds_the_shortest_script() {
        check("", "", "");
        check("abc", "abc", "===");
        check("abc", "axc", "=-+=");
        check("", "ab", "++");
        check("ab", "", "--");
        check("abcd", "bcde", "-===+");
        check("abcabba", "cbabac", "--=+==-=+");
    }

    #[test]
    fn gives_up_on_two_files_that_share_nothing() {
        let old: Vec<u32> = (0..5_000).collect();
        let new: Vec<u32> = (10_000..15_000).collect();
        let steps = compare(&old, &new);
        assert_eq!(steps.len(), 10_000);
        assert!(steps.iter().all(|step| *step != Step::Equal));
    }
}

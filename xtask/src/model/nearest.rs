//! The name that was probably meant.

/// The known name that needs the fewest changed letters, when it is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let best = known.map(|other| (distance(name, other), other)).min()?;
    (best.0 <= name.chars().count().max(best.1.chars().count()) / 2).then(|| best.1.to_owned())
}

/// Letters to change, add or remove.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_none() {
        assert_eq!(
            nearest("jnit", ["text", "json", "junit"].into_iter()).as_deref(),
            Some("junit")
        );
        assert_eq!(nearest("zzzzzzzzz", ["text"].into_iter()), None);
    }
}

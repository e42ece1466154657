//! What it costs to edit a large file.
fn main() {}

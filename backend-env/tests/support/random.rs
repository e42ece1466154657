//! Reproducible random texts made of what readers stumble over.

/// xorshift64*: the same numbers on every machine for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    pub(crate) fn text(&mut self, pieces: &[&str], most: usize) -> String {
        (0..self.below(most + 1)).map(|_| self.pick(pieces)).collect()
    }
}

/// Pieces of hostile values.
pub(crate) const VALUE: &[&str] = &[
    "a",
    "b",
    "Z",
    "0",
    "9",
    "x y",
    " ",
    "  ",
    "\t",
    "\n",
    "\n\n",
    "'",
    "\"",
    "`",
    "''",
    "\"\"",
    "\\",
    "\\\\",
    "\\n",
    "\\t",
    "\\'",
    "\\\"",
    "\\$",
    "$",
    "$$",
    "$1",
    "$A",
    "${",
    "${A}",
    "${A:-b}",
    "${A-b}",
    "${A:?}",
    "}",
    "{",
    "$(",
    "$(a)",
    "(",
    ")",
    "#",
    " #",
    " # c",
    "=",
    "==",
    ":",
    ";",
    "&",
    "|",
    "<",
    ">",
    "!",
    "%",
    "^",
    "*",
    "?",
    "~",
    "~/",
    "[",
    "]",
    ",",
    ".",
    "/",
    "@",
    "+",
    "-",
    "_",
    "\u{e9}",
    "\u{1f600}",
    "\u{a0}",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{3000}",
    "\u{1}",
    "\u{b}",
    "\u{c}",
    "\u{1c}",
    "\u{1f}",
    "\u{7f}",
    "\n#",
    "\nA=1",
    "\nexport ",
    "export ",
    "postgres://u:p@h:5432/d?a=1&b=2",
    "-----BEGIN KEY-----\nab+/=\n-----END KEY-----\n",
    "{\"a\": [1]}",
    "true",
];

/// Pieces of whole files.
#[allow(dead_code, reason = "not every test makes whole files")]
pub(crate) const FILE: &[&str] = &[
    "A",
    "B",
    "x",
    "y",
    "A=",
    "B=",
    "A=x",
    "B=y",
    "\nA=",
    "\nB=",
    "\n",
    "\n",
    "\n",
    " ",
    " ",
    "\t",
    "'",
    "'",
    "\"",
    "\"",
    "\\",
    "\\\\",
    "\\n",
    "\\'",
    "\\\"",
    "\\$",
    "$",
    "$$",
    "$A",
    "${A}",
    "${B:-x}",
    "${A-y}",
    "${B+x}",
    "${",
    "}",
    "{",
    "#",
    " #",
    " # ",
    "=",
    ":",
    "export ",
    "\nexport A=",
    "\nexport B",
    "~",
    ",",
    "\r",
    "\r\n",
    "\u{e9}",
    "\u{a0}",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{c}",
    "\u{1c}",
    ".",
    "-",
    "[0]",
    "A: ",
    "+=",
    "!",
    "%",
    "*",
    "?",
    "`",
    "1",
];

//! Just enough JSON for the vectors. A library would refuse the lone surrogates by which they carry bytes that are
//! not UTF-8 (Python's `surrogateescape`: 0xDC80 + byte - 0x80).

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Text(Vec<u8>),
    Object(BTreeMap<Vec<u8>, Json>),
}

impl Json {
    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(map) => map.get(key.as_bytes()),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        match self {
            Json::Text(text) => text,
            other => panic!("not a text: {other:?}"),
        }
    }

    pub(crate) fn object(&self) -> &BTreeMap<Vec<u8>, Json> {
        match self {
            Json::Object(map) => map,
            other => panic!("not an object: {other:?}"),
        }
    }
}

pub(crate) fn parse(text: &str) -> Json {
    let mut parser = Parser {
        text: text.as_bytes(),
        at: 0,
    };
    parser.value()
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> u8 {
        while self.text[self.at].is_ascii_whitespace() {
            self.at += 1;
        }
        self.text[self.at]
    }

    fn word(&mut self, word: &str, value: Json) -> Json {
        assert!(
            self.text[self.at..].starts_with(word.as_bytes()),
            "not JSON at {}",
            self.at
        );
        self.at += word.len();
        value
    }

    fn value(&mut self) -> Json {
        match self.peek() {
            b'{' => self.map(),
            b'"' => Json::Text(self.string()),
            b'n' => self.word("null", Json::Null),
            b't' => self.word("true", Json::Bool(true)),
            _ => self.word("false", Json::Bool(false)),
        }
    }

    fn map(&mut self) -> Json {
        let mut map = BTreeMap::new();
        self.at += 1;
        while self.peek() != b'}' {
            if self.peek() == b',' {
                self.at += 1;
                self.peek();
            }
            let key = self.string();
            assert_eq!(self.peek(), b':');
            self.at += 1;
            map.insert(key, self.value());
        }
        self.at += 1;
        Json::Object(map)
    }

    fn string(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.at += 1;
        loop {
            let byte = self.text[self.at];
            self.at += 1;
            match byte {
                b'"' => return out,
                b'\\' => self.escape(&mut out),
                _ => out.push(byte),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) {
        let byte = self.text[self.at];
        self.at += 1;
        match byte {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'f' => out.push(12),
            b'b' => out.push(8),
            b'u' => {
                let digits = std::str::from_utf8(&self.text[self.at..self.at + 4]).unwrap();
                let code = u32::from_str_radix(digits, 16).unwrap();
                self.at += 4;
                match code {
                    0xdc80..=0xdcff => out.push((code - 0xdc00) as u8),
                    _ => out.extend(char::from_u32(code).unwrap().to_string().bytes()),
                }
            }
            other => out.push(other),
        }
    }
}

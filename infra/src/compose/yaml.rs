//! YAML as a tree in which every key and value knows its line.

use std::collections::BTreeMap;
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

/// A value with the line it starts on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The line.
    pub line: usize,
    /// The value.
    pub kind: Kind,
    /// Whether it takes the place of what a file before it says, instead of adding to it: `!override`, or `!reset`, which
    /// leaves nothing.
    pub replaces: bool,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Null,
    /// A text, a number, a boolean: as it is written.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the file, merge keys resolved.
    Map(Vec<(Key, Node)>),
}

/// A key with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The text.
    pub text: String,
    /// The line, from 1.
    pub line: usize,
}

/// A text that is not YAML, or more than a Compose file may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for YamlError {}

/// More nodes than any Compose file has: aliases of aliases grow without bound.
const MOST_NODES: usize = 200_000;

impl Node {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|(k, _)| k.text == key)
            .map(|(_, value)| value)
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads the first document of a text.
///
/// # Errors
/// The first place that is not YAML.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| YamlError {
            line: error.marker().line(),
            why: error.info().to_owned(),
        })?;
        if builder.take(event, span)? {
            break;
        }
    }
    Ok(builder.root.unwrap_or(Node {
        line: 1,
        kind: Kind::Null,
        replaces: false,
    }))
}

/// Compose's own tags.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    None,
    Override,
    Reset,
}

impl Mark {
    fn of(tag: Option<&Tag>) -> Self {
        match tag.map(|tag| (tag.handle.as_str(), tag.suffix.as_str())) {
            Some(("!", "override")) => Self::Override,
            Some(("!", "reset")) => Self::Reset,
            _ => Self::None,
        }
    }

    fn node(self, line: usize, kind: Kind) -> Node {
        Node {
            line,
            kind: if self == Self::Reset { Kind::Null } else { kind },
            replaces: self != Self::None,
        }
    }
}

/// A collection that is being read.
struct Open {
    line: usize,
    anchor: usize,
    map: bool,
    mark: Mark,
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    root: Option<Node>,
    count: usize,
}

impl Builder {
    /// Takes an event; true at the end of the first document.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<bool, YamlError> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let empty = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null");
                let kind = if empty {
                    Kind::Null
                } else {
                    Kind::Scalar(text.into_owned())
                };
                self.add(Mark::of(tag.as_deref()).node(line, kind), anchor)?;
            }
            Event::Alias(anchor) => {
                let Some(known) = self.anchors.get(&anchor) else {
                    return Err(YamlError {
                        line,
                        why: "an alias refers to itself".to_owned(),
                    });
                };
                let node = Node {
                    line,
                    ..known.clone()
                };
                self.count += size(&node);
                self.add(node, 0)?;
            }
            Event::SequenceStart(anchor, tag) => self.begin(line, anchor, false, Mark::of(tag.as_deref())),
            Event::MappingStart(anchor, tag) => self.begin(line, anchor, true, Mark::of(tag.as_deref())),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let anchor = open.anchor;
                    let node = close(open)?;
                    self.add(node, anchor)?;
                }
            }
            Event::DocumentEnd => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    fn begin(&mut self, line: usize, anchor: usize, map: bool, mark: Mark) {
        self.open.push(Open {
            line,
            anchor,
            map,
            mark,
            nodes: Vec::new(),
        });
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        self.count += 1;
        if self.count > MOST_NODES {
            return Err(YamlError {
                line: node.line,
                why: format!("the file expands to more than {MOST_NODES} values"),
            });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.nodes.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    let inner = match &node.kind {
        Kind::List(items) => items.iter().map(size).sum(),
        Kind::Map(entries) => entries.iter().map(|(_, value)| 1 + size(value)).sum(),
        _ => 0,
    };
    1 + inner
}

fn close(open: Open) -> Result<Node, YamlError> {
    let line = open.line;
    if !open.map {
        return Ok(open.mark.node(line, Kind::List(open.nodes)));
    }
    let mut entries: Vec<(Key, Node)> = Vec::new();
    let mut merged: Vec<Node> = Vec::new();
    let mut nodes = open.nodes.into_iter();
    while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
        let Kind::Scalar(text) = key.kind else {
            return Err(YamlError {
                line: key.line,
                why: "a key is not a text".to_owned(),
            });
        };
        if text == "<<" {
            match value.kind {
                Kind::List(items) => merged.extend(items),
                _ => merged.push(value),
            }
            continue;
        }
        if entries.iter().any(|(known, _)| known.text == text) {
            return Err(YamlError {
                line: key.line,
                why: format!("key {text} is there twice"),
            });
        }
        entries.push((Key { text, line: key.line }, value));
    }
    // What is written here wins over what is merged in, and an earlier merge over a later one.
    for node in merged {
        for (key, value) in node.entries() {
            if !entries.iter().any(|(known, _)| known.text == key.text) {
                entries.push((key.clone(), value.clone()));
            }
        }
    }
    Ok(open.mark.node(line, Kind::Map(entries)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_know_their_lines_and_merge_keys_are_resolved() {
        let text = "x-base: &base\r\n  image: a\r\n  restart: always\r\nservices:\r\n  one:\r\n    <<: *base\r\n    image: b\r\n";
        let root = parse(text).unwrap();
        let one = root.get("services").unwrap().get("one").unwrap();
        assert_eq!(one.get("image").unwrap().text(), Some("b"));
        assert_eq!(one.get("image").unwrap().line, 7);
        assert_eq!(one.get("restart").unwrap().text(), Some("always"));
    }

    #[test]
    fn what_is_not_yaml_is_an_error_with_its_line() {
        let error = parse("a: 1\nb: [1, 2\nc: }\n").unwrap_err();
        assert!(error.line >= 2, "{error}");
        assert!(parse("a: 1\na: 2\n").unwrap_err().why.contains("twice"));
    }

    #[test]
    fn aliases_of_aliases_do_not_fill_the_memory() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let below = level - 1;
            let items = vec![format!("*a{below}"); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(parse(&text).unwrap_err().why.contains("expands"));
    }
}

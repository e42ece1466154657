//! Reads back the XML that this program writes: elements, attributes, the five entities and character references.

pub(super) struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, value)| value)
    }

    pub(super) fn all(&self, name: &str) -> Vec<&Element> {
        let below = self.children.iter().flat_map(|child| child.all(name));
        (self.name == name)
            .then_some(self)
            .into_iter()
            .chain(below)
            .collect()
    }
}

/// Panics where the text is not well-formed.
pub(super) fn parse(text: &str) -> Element {
    let mut open: Vec<Element> = vec![element("document")];
    let mut rest = text
        .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>")
        .expect("an XML declaration");
    while let Some(at) = rest.find('<') {
        unescape(&rest[..at]);
        let end = at + rest[at..].find('>').expect("a closed tag");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let done = open.pop().unwrap();
            assert_eq!(done.name, name);
            open.last_mut().unwrap().children.push(done);
            continue;
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut new = element(name);
        while let Some((name, after)) = attributes.trim_start().split_once("=\"") {
            let (value, after) = after.split_once('"').expect("a closed value");
            assert!(!value.contains('<'));
            new.attributes.push((name.to_owned(), unescape(value)));
            attributes = after;
        }
        if empty {
            open.last_mut().unwrap().children.push(new);
        } else {
            open.push(new);
        }
    }
    assert_eq!(open.len(), 1, "an element is not closed");
    open.remove(0)
}

fn element(name: &str) -> Element {
    Element {
        name: name.to_owned(),
        attributes: Vec::new(),
        children: Vec::new(),
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let end = at + rest[at..].find(';').expect("a closed entity");
        match &rest[at + 1..end] {
            "amp" => out.push('&'),
            "lt" => out.push('<'),
            "gt" => out.push('>'),
            "quot" => out.push('"'),
            number => out.push(char::from_u32(number.strip_prefix('#').unwrap().parse().unwrap()).unwrap()),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

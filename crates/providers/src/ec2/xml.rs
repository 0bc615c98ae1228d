//! Answers of the Query API: XML, read whole into a small tree. No attributes, no entities but XML's own.

use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// Answers are about ten deep.
const DEPTH_MAX: usize = 32;
/// A thousand machines have about a hundred elements each.
const ELEMENTS_MAX: usize = 1_000_000;

/// An element: its name without prefix, the text in it, and the elements in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// Reads an answer.
    ///
    /// # Errors
    /// In words, for anything but one whole element within the bounds of this room.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let (mut open, mut elements) = (vec![Self::default()], 0);
        loop {
            let event = reader.read_event().map_err(|e| e.to_string())?;
            let inner = open.last_mut().ok_or("it ends more than it begins")?;
            match event {
                Event::Start(start) => {
                    elements += 1;
                    if open.len() > DEPTH_MAX || elements > ELEMENTS_MAX {
                        return Err("it is deeper or has more elements than any answer".to_owned());
                    }
                    let name = start.local_name().as_ref().to_owned();
                    open.push(Self { name, ..Self::default() });
                }
                Event::Text(part) => inner.text.push_str(part.xml10_content().as_ref()),
                Event::CData(part) => inner.text.push_str(part.xml10_content().as_ref()),
                Event::GeneralRef(entity) => inner.text.push(sign(&entity)?),
                Event::End(_) => close(&mut open)?,
                Event::Eof => break,
                _ => {}
            }
        }
        match open.as_mut_slice() {
            [root] if root.children.len() == 1 => Ok(root.children.remove(0)),
            _ => Err("it is not one whole element".to_owned()),
        }
    }

    /// The first element of this name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first element of this name, if there is any.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim()).filter(|text| !text.is_empty())
    }

    /// The text of what must be there.
    ///
    /// # Errors
    /// Names what is missing.
    pub fn need(&self, name: &str) -> Result<&str, String> {
        self.text(name).ok_or_else(|| format!("{} has no {name}", self.name))
    }

    /// The members of a list of this name.
    pub fn items(&self, list: &str) -> impl Iterator<Item = &Self> {
        self.child(list).map(|list| list.children.as_slice()).unwrap_or_default().iter()
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        let mut tags = self.items("tagSet");
        tags.find(|tag| tag.text("key") == Some(key)).and_then(|tag| tag.text("value"))
    }
}

/// Ends the innermost element.
fn close(open: &mut Vec<Element>) -> Result<(), String> {
    let ended = open.pop().ok_or("it ends more than it begins")?;
    let outer = open.last_mut().ok_or("it ends more than it begins")?;
    outer.children.push(ended);
    Ok(())
}

fn sign(entity: &quick_xml::events::BytesRef<'_>) -> Result<char, String> {
    if let Some(sign) = entity.resolve_char_ref().map_err(|e| e.to_string())? {
        return Ok(sign);
    }
    let name = entity.xml10_content();
    match name.as_ref() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        other => Err(format!("nothing is known of &{other};")),
    }
}

#[cfg(test)]
mod tests {
    use super::Element;

    #[test]
    fn answers_are_trees() {
        let answer = r#"<?xml version="1.0" encoding="UTF-8"?>
            <a:DescribeVpcsResponse xmlns:a="http://ec2.amazonaws.com/doc/2016-11-15/">
              <vpcSet><item><vpcId> vpc-1 </vpcId><empty/>
                <tagSet><item><key>Name</key><value>a &amp; b &#xe9;<![CDATA[<c>]]></value></item></tagSet>
              </item></vpcSet>
            </a:DescribeVpcsResponse>"#;
        let answer = Element::parse(answer.as_bytes()).expect("read");
        assert_eq!(answer.name, "DescribeVpcsResponse");
        let vpc = answer.items("vpcSet").next().expect("one");
        assert_eq!((vpc.need("vpcId"), vpc.text("empty")), (Ok("vpc-1"), None));
        assert_eq!(vpc.tag("Name"), Some("a & b é<c>"));
        assert_eq!(vpc.need("state"), Err("item has no state".to_owned()));
        assert_eq!(answer.items("noSet").count(), 0);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(40), "</a>".repeat(40));
        for bad in
            ["", "<a>", "</a>", "<a></b>", "<a/><b/>", "text", "<a>&bomb;</a>", "<a>&#xD800;</a>", &deep]
        {
            assert!(Element::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Element::parse(b"<a>\xff</a>").is_err());
        let html = b"<!doctype html><html lang=en><title>500</title><h1>Internal Server Error</h1>";
        assert!(Element::parse(html).is_err());
    }
}

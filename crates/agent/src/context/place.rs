//! A node in a template: `{{first}}` is its stable name, as in `lace exec`; `{{first.address}}` and so on its parts.

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use std::fmt;
use std::sync::Arc;

/// One node.
#[derive(Clone, Debug)]
pub struct Place {
    pub index: u32,
    pub name: String,
    pub address: String,
    pub state: &'static str,
    /// The BEAM node's name.
    pub node: Option<String>,
}

impl Object for Place {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "index" => Some(self.index.into()),
            "name" | "fqdn" => Some(self.name.clone().into()),
            "address" => Some(self.address.clone().into()),
            "state" => Some(self.state.into()),
            "node" => self.node.clone().map(Value::from),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["index", "name", "fqdn", "address", "state", "node"])
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Several nodes: a list; as text their names with commas between.
#[derive(Debug)]
pub struct Places(pub Vec<Place>);

impl Object for Places {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_usize()?).cloned().map(Value::from_object)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|place| place.name.as_str()).collect();
        f.write_str(&names.join(","))
    }
}

//! Names, and the paths that are made of them (`shop/web/backend/2`).

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Longest name, in characters: with an index it still fits a DNS label (RFC 1035 allows 63).
pub const NAME_CHARS_MAX: usize = 39;

/// The zone that every node's name ends in.
pub const ZONE: &str = "lace.internal";

/// Why a text is not a name or a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not `[a-z][a-z0-9-]{0,38}`.
    #[error("{0:?} is not a name: a name starts with a small letter and has at most 39 of a-z, 0-9 and -")]
    Name(String),
    /// Not APP, APP/SERVICE or APP/SERVICE/FAMILY.
    #[error("{0:?} is not a target: write APP, APP/SERVICE or APP/SERVICE/FAMILY")]
    Target(String),
    /// Not TARGET/N.
    #[error("{0:?} is not a node: write APP/SERVICE/N or APP/SERVICE/FAMILY/N, N from 1")]
    Node(String),
}

/// A name as people give it: `[a-z][a-z0-9-]{0,38}`, not ending in a dash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Parses a name.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let mut chars = text.chars();
        let good = text.len() <= NAME_CHARS_MAX
            && chars.next().is_some_and(|c| c.is_ascii_lowercase())
            && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !text.ends_with('-');
        if good { Ok(Self(text)) } else { Err(NameError::Name(text)) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

/// The name of an application.
pub type AppName = Name;
/// The name of a service inside an application.
pub type ServiceName = Name;
/// The name of a family inside a service.
pub type FamilyName = Name;

/// `APP/SERVICE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServicePath {
    /// The application.
    pub app: AppName,
    /// The service.
    pub service: ServiceName,
}

/// `APP/SERVICE/FAMILY`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FamilyPath {
    /// The application.
    pub app: AppName,
    /// The service.
    pub service: ServiceName,
    /// The family.
    pub family: FamilyName,
}

impl FamilyPath {
    /// Puts a path together.
    pub fn new(app: AppName, service: ServiceName, family: FamilyName) -> Self {
        Self { app, service, family }
    }

    /// The service that the family belongs to.
    pub fn service_path(&self) -> ServicePath {
        ServicePath { app: self.app.clone(), service: self.service.clone() }
    }

    /// The node of this family with that index.
    pub fn node(&self, index: u32) -> NodePath {
        NodePath { family: self.clone(), index }
    }

    /// The DNS name of the address set: `game.game.shop.lace.internal`.
    pub fn fqdn(&self) -> String {
        format!("{}.{}.{}.{ZONE}", self.family, self.service, self.app)
    }
}

/// `APP/SERVICE/FAMILY/N`: the place of a node, which stays while nodes come and go. N counts from 1; 0 is a job, which
/// has an address in the family's network and no name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodePath {
    /// The family.
    pub family: FamilyPath,
    /// The index, from 1.
    pub index: u32,
}

impl NodePath {
    /// The host name: `backend-2`.
    pub fn hostname(&self) -> String {
        format!("{}-{}", self.family.family, self.index)
    }

    /// The stable DNS name: `backend-2.web.shop.lace.internal`.
    pub fn fqdn(&self) -> String {
        format!("{}.{}.{}.{ZONE}", self.hostname(), self.family.service, self.family.app)
    }

    /// The short form: the family is left out where it has the service's name (`shop/game/2`).
    pub fn short(&self) -> String {
        let f = &self.family;
        if f.family == f.service {
            format!("{}/{}/{}", f.app, f.service, self.index)
        } else {
            self.to_string()
        }
    }
}

/// What a person points at: an application, a service, a family, or one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetPath {
    /// The application.
    pub app: AppName,
    /// The service, if named.
    pub service: Option<ServiceName>,
    /// The family, if named.
    pub family: Option<FamilyName>,
    /// The node's index, if named.
    pub index: Option<u32>,
}

impl TargetPath {
    /// Does the family lie under this target (its index aside)?
    pub fn covers(&self, family: &FamilyPath) -> bool {
        self.app == family.app
            && self.service.as_ref().is_none_or(|s| *s == family.service)
            && self.family.as_ref().is_none_or(|f| *f == family.family)
    }

    /// Does the node lie under this target?
    pub fn covers_node(&self, node: &NodePath) -> bool {
        self.covers(&node.family) && self.index.is_none_or(|n| n == node.index)
    }

    /// The service path, where a service is named.
    pub fn service_path(&self) -> Option<ServicePath> {
        Some(ServicePath { app: self.app.clone(), service: self.service.clone()? })
    }
}

fn split(text: &str) -> Result<Vec<Name>, NameError> {
    text.split('/').map(Name::new).collect()
}

impl FromStr for ServicePath {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match <[Name; 2]>::try_from(split(text)?) {
            Ok([app, service]) => Ok(Self { app, service }),
            Err(_) => Err(NameError::Target(text.into())),
        }
    }
}

impl FromStr for FamilyPath {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match <[Name; 3]>::try_from(split(text)?) {
            Ok([app, service, family]) => Ok(Self { app, service, family }),
            Err(_) => Err(NameError::Target(text.into())),
        }
    }
}

impl FromStr for NodePath {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let bad = || NameError::Node(text.into());
        let (head, index) = text.rsplit_once('/').ok_or_else(bad)?;
        let index = index.parse().map_err(|_| bad())?;
        let mut names = split(head)?.into_iter();
        match (names.next(), names.next(), names.next(), names.next()) {
            (Some(app), Some(service), family, None) => {
                let family = family.unwrap_or_else(|| service.clone());
                Ok(FamilyPath::new(app, service, family).node(index))
            }
            _ => Err(bad()),
        }
    }
}

impl FromStr for TargetPath {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (names, index) = match text.rsplit_once('/') {
            Some((head, last)) if last.starts_with(|c: char| c.is_ascii_digit()) => {
                let index: u32 = last.parse().map_err(|_| NameError::Node(text.into()))?;
                if index == 0 {
                    return Err(NameError::Node(text.into()));
                }
                (split(head)?, Some(index))
            }
            _ => (split(text)?, None),
        };
        let mut names = names.into_iter();
        let (app, service, family) = (names.next(), names.next(), names.next());
        match (app, names.next()) {
            (Some(app), None) if index.is_none() || service.is_some() => {
                Ok(Self { app, service, family, index })
            }
            _ => Err(NameError::Target(text.into())),
        }
    }
}

impl fmt::Display for ServicePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.service)
    }
}

impl fmt::Display for FamilyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.app, self.service, self.family)
    }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.family, self.index)
    }
}

impl fmt::Display for TargetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.app)?;
        for part in [&self.service, &self.family].into_iter().flatten() {
            write!(f, "/{part}")?;
        }
        self.index.map_or(Ok(()), |n| write!(f, "/{n}"))
    }
}

/// For serde's `try_from` and `into`: kinds that are written as text, each with its error.
macro_rules! text_form {
    ($($kind:ty: $error:ty),*) => {$(
        impl TryFrom<String> for $kind {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }
        impl From<$kind> for String {
            fn from(value: $kind) -> String {
                value.to_string()
            }
        }
    )*};
}
pub(crate) use text_form;
text_form!(ServicePath: NameError, FamilyPath: NameError, NodePath: NameError, TargetPath: NameError);

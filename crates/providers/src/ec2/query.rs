//! A question of the Query API: an action and its parameters, as form text.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write;

/// What stands as it is in form text.
const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What is said of a thing that was just made, where that has not come about.
const FRESH: [&str; 6] = [
    "InvalidVpcID.NotFound",
    "InvalidSubnetID.NotFound",
    "InvalidInternetGatewayID.NotFound",
    "InvalidRouteTableID.NotFound",
    "InvalidGroup.NotFound",
    "InvalidInstanceID.NotFound",
];

/// Which service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Ec2,
    Sts,
}

impl Service {
    /// As signatures name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Sts => "sts",
        }
    }

    /// The version of the API that we speak.
    fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::Sts => "2011-06-15",
        }
    }
}

/// What may be done when it is not known whether the question was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Ask again: twice does what once does.
    Always,
    /// Look first: each time makes another one.
    Never,
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub service: Service,
    pub action: &'static str,
    pub repeat: Repeat,
    /// Codes of error that mean "not yet".
    pub not_yet: &'static [&'static str],
    pairs: Vec<(String, String)>,
}

impl Query {
    /// One that may be asked again.
    pub fn new(action: &'static str) -> Self {
        Self { service: Service::Ec2, action, repeat: Repeat::Always, not_yet: &[], pairs: Vec::new() }
    }

    /// One that makes something each time that it is asked.
    pub fn once(action: &'static str) -> Self {
        Self { repeat: Repeat::Never, ..Self::new(action) }
    }

    /// It names what was just made: not all of EC2 may know of that already.
    pub fn fresh(self) -> Self {
        self.not_yet(&FRESH)
    }

    /// With these codes of error, it is worth to ask again.
    pub fn not_yet(mut self, codes: &'static [&'static str]) -> Self {
        self.not_yet = codes;
        self
    }

    pub fn of(mut self, service: Service) -> Self {
        self.service = service;
        self
    }

    pub fn set(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.pairs.push((name.into(), value.to_string()));
        self
    }

    pub fn some(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// `name.1`, `name.2`, …
    pub fn list<T: ToString>(mut self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        for (at, value) in values.into_iter().enumerate() {
            self = self.set(format!("{name}.{}", at + 1), value);
        }
        self
    }

    /// Only what has one of these values there. `at` counts filters from 1.
    pub fn filter(self, at: usize, name: &str, values: &[&str]) -> Self {
        self.set(format!("Filter.{at}.Name"), name).list(&format!("Filter.{at}.Value"), values)
    }

    /// Tags for what is made; `at` counts kinds of things from 1.
    pub fn tags(mut self, at: usize, kind: &str, tags: &[(String, String)]) -> Self {
        let of = format!("TagSpecification.{at}");
        self = self.set(format!("{of}.ResourceType"), kind);
        for (n, (key, value)) in tags.iter().enumerate() {
            self = self.set(format!("{of}.Tag.{}.Key", n + 1), key);
            self = self.set(format!("{of}.Tag.{}.Value", n + 1), value);
        }
        self
    }

    /// The form text.
    pub fn body(&self) -> String {
        let mut body = format!("Action={}&Version={}", self.action, self.service.version());
        for (name, value) in &self.pairs {
            let (name, value) = (utf8_percent_encode(name, &KEPT), utf8_percent_encode(value, &KEPT));
            let Ok(()) = write!(body, "&{name}={value}") else { unreachable!("writing to memory") };
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn questions_are_form_text() {
        let query = Query::new("DescribeVpcs")
            .filter(1, "tag:lace-key", &["a b", "c&d"])
            .tags(1, "vpc", &[("Name".into(), "né=~".into())])
            .some("DryRun", None::<bool>)
            .some("MaxResults", Some(5));
        assert_eq!(
            query.body(),
            "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=tag%3Alace-key&Filter.1.Value.1=a%20b\
             &Filter.1.Value.2=c%26d&TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=Name\
             &TagSpecification.1.Tag.1.Value=n%C3%A9%3D~&MaxResults=5"
        );
    }
}

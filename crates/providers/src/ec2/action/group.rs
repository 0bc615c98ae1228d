//! Security groups, and keys to log in with.

use super::{Answer, Tag, Which};
use crate::ec2::client::Client;
use crate::ec2::query::Query;
use crate::ec2::xml::Element;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Who may come in where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// From a range, over a protocol, to ports.
    Range {
        /// `tcp` or `udp`.
        protocol: String,
        /// First port.
        from: u16,
        /// Last port.
        to: u16,
        /// Such as `0.0.0.0/0`.
        range: String,
    },
    /// Everything from a group's machines.
    Group(String),
    /// Something that is not ours.
    Other,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Such as `sg-1`.
    pub id: String,
    /// Of which VPC.
    pub vpc: String,
    /// Who may come in.
    pub rules: Vec<Rule>,
}

/// A key to log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub name: String,
}

impl Client {
    /// `DescribeSecurityGroups`.
    pub async fn groups(&self, which: Which<'_>) -> Answer<Vec<Group>> {
        let query = Query::new("DescribeSecurityGroups");
        self.found(query, which, "GroupId", "securityGroupInfo", 1_000, |item| {
            Ok(Group {
                id: item.need("groupId")?.to_owned(),
                vpc: item.text("vpcId").unwrap_or_default().to_owned(),
                rules: item.items("ipPermissions").flat_map(rules).collect(),
            })
        })
        .await
    }

    /// `CreateSecurityGroup`: refused where the VPC has one of that name.
    pub async fn create_group(&self, vpc: &str, name: &str, about: &str, tags: &[Tag]) -> Answer<String> {
        let query = Query::once("CreateSecurityGroup").fresh().set("VpcId", vpc).set("GroupName", name);
        let query = query.set("GroupDescription", about).tags(1, "security-group", tags);
        self.made(&query, "", "groupId").await
    }

    /// `AuthorizeSecurityGroupIngress`: one of them that is there already refuses all.
    pub async fn let_in(&self, group: &str, rules: &[Rule]) -> Answer<()> {
        let query = Query::new("AuthorizeSecurityGroupIngress").fresh().set("GroupId", group);
        self.done(&permissions(query, rules)).await
    }

    /// `RevokeSecurityGroupIngress`.
    pub async fn keep_out(&self, group: &str, rules: &[Rule]) -> Answer<()> {
        let query = Query::new("RevokeSecurityGroupIngress").set("GroupId", group);
        self.done(&permissions(query, rules)).await
    }

    /// `DeleteSecurityGroup`.
    pub async fn delete_group(&self, id: &str) -> Answer<()> {
        self.done(&Query::new("DeleteSecurityGroup").set("GroupId", id)).await
    }

    /// `DescribeKeyPairs`.
    pub async fn logins(&self, which: Which<'_>) -> Answer<Vec<Login>> {
        let query = which.put(Query::new("DescribeKeyPairs"), "KeyName");
        let answer = self.call(&query).await?;
        let names = answer.items("keySet").filter_map(|item| item.text("keyName"));
        Ok(names.map(|name| Login { name: name.to_owned() }).collect())
    }

    /// `ImportKeyPair`: refused where there is one of that name.
    pub async fn import_login(&self, name: &str, public: &str, tags: &[Tag]) -> Answer<()> {
        let query = Query::once("ImportKeyPair").set("KeyName", name);
        let query = query.set("PublicKeyMaterial", STANDARD.encode(public)).tags(1, "key-pair", tags);
        self.done(&query).await
    }

    /// `DeleteKeyPair`: also of one that is not there.
    pub async fn delete_login(&self, name: &str) -> Answer<()> {
        self.done(&Query::new("DeleteKeyPair").set("KeyName", name)).await
    }
}

/// The rules of one permission: a protocol, ports, and any number of sources.
fn rules(item: &Element) -> Vec<Rule> {
    let protocol = item.text("ipProtocol").unwrap_or_default();
    let port = |name: &str| item.text(name).and_then(|text| text.parse::<u16>().ok());
    let ranges =
        item.items("ipRanges").map(|range| match (port("fromPort"), port("toPort"), range.text("cidrIp")) {
            (Some(from), Some(to), Some(range)) => {
                Rule::Range { protocol: protocol.to_owned(), from, to, range: range.to_owned() }
            }
            _ => Rule::Other,
        });
    let groups = item.items("groups").map(|group| match (protocol, group.text("groupId")) {
        ("-1", Some(id)) => Rule::Group(id.to_owned()),
        _ => Rule::Other,
    });
    let others = item.items("ipv6Ranges").chain(item.items("prefixListIds")).map(|_| Rule::Other);
    ranges.chain(groups).chain(others).collect()
}

fn permissions(mut query: Query, rules: &[Rule]) -> Query {
    for (at, rule) in rules.iter().filter(|rule| **rule != Rule::Other).enumerate() {
        let of = format!("IpPermissions.{}", at + 1);
        query = match rule {
            Rule::Range { protocol, from, to, range } => query
                .set(format!("{of}.IpProtocol"), protocol)
                .set(format!("{of}.FromPort"), from)
                .set(format!("{of}.ToPort"), to)
                .set(format!("{of}.IpRanges.1.CidrIp"), range),
            Rule::Group(id) => {
                query.set(format!("{of}.IpProtocol"), "-1").set(format!("{of}.Groups.1.GroupId"), id)
            }
            Rule::Other => query,
        };
    }
    query
}

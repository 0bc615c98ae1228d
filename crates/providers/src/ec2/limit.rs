//! How much an account may have, as AWS gives it to everybody at first, and how each is raised.
//! Source: <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html> and the pages of EC2's and EBS's quotas.

use crate::provider::Error;

/// A limit of EC2.
pub(super) struct Known {
    /// A word that settings may raise.
    pub name: &'static str,
    /// Of what, for people.
    pub which: &'static str,
    /// How many everybody may have at first.
    pub usual: u64,
    /// The code of error of who asks for more.
    code: &'static str,
    /// How it is raised.
    pub raise: &'static str,
}

const VPC: &str = "raise it in the AWS console: Service Quotas, Amazon VPC; or delete what is not needed";
const EC2: &str = "raise it in the AWS console: Service Quotas, Amazon EC2; or delete what is not needed";
const EBS: &str =
    "raise it in the AWS console: Service Quotas, Amazon EBS; or delete volumes that are not needed";

const fn known(
    name: &'static str,
    which: &'static str,
    usual: u64,
    code: &'static str,
    raise: &'static str,
) -> Known {
    Known { name, which, usual, code, raise }
}

/// All that are known. The first three are counted before anything is made.
pub(super) static ALL: [Known; 16] = [
    known("vpcs", "VPCs per region", 5, "VpcLimitExceeded", VPC),
    known("gateways", "internet gateways per region", 5, "InternetGatewayLimitExceeded", VPC),
    known("addresses", "elastic addresses per region", 5, "AddressLimitExceeded", EC2),
    known("subnets", "subnets per VPC", 200, "SubnetLimitExceeded", VPC),
    known("route-tables", "route tables per VPC", 200, "RouteTableLimitExceeded", VPC),
    known("routes", "routes per route table", 500, "RouteLimitExceeded", VPC),
    known("groups", "security groups per VPC", 2_500, "SecurityGroupLimitExceeded", VPC),
    known("rules", "rules per security group", 60, "RulesPerSecurityGroupLimitExceeded", VPC),
    known("interfaces", "network interfaces per region", 5_000, "NetworkInterfaceLimitExceeded", VPC),
    known("hosts", "machines of this kind per region", 20, "InstanceLimitExceeded", EC2),
    known("cpus", "virtual processors of this family of machines per region", 5, "VcpuLimitExceeded", EC2),
    known("spot", "spot machines per region", 20, "MaxSpotInstanceCountExceeded", EC2),
    known("logins", "key pairs per region", 5_000, "KeyPairLimitExceeded", EC2),
    known("tags", "tags per thing", 50, "TagLimitExceeded", "there can be no more: take some away"),
    known("volumes", "volumes of this kind per region", 5_000, "VolumeLimitExceeded", EBS),
    known("iops", "operations a second of all volumes", 300_000, "MaxIOPSLimitExceeded", EBS),
];

/// The limit that this code of error tells of.
pub(super) fn reached(code: &str) -> Option<Error> {
    let limit = |which: &str, raise: &str| {
        Some(Error::LimitReached {
            which: which.to_owned(),
            allowed: None,
            used: None,
            raise: raise.to_owned(),
        })
    };
    if let Some(known) = ALL.iter().find(|known| known.code == code) {
        return limit(known.which, known.raise);
    }
    match code.strip_suffix("LimitExceeded") {
        Some(what) => limit(what, EC2),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, reached};

    #[test]
    fn each_limit_says_which_and_how_to_raise_it() {
        for known in &ALL {
            let error = reached(known.code).expect(known.code);
            assert_eq!(error.to_string(), format!("the limit of {} is reached", known.which));
            assert_eq!(error.hint(), Some(known.raise));
        }
        assert!(reached("SnapshotLimitExceeded").is_some_and(|e| e.to_string().contains("Snapshot")));
        assert_eq!(reached("DependencyViolation"), None);
    }
}

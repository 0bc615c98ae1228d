//! VPCs, subnets, internet gateways, route tables.

use super::{Answer, Tag, Which};
use crate::ec2::client::{Client, garbled};
use crate::ec2::query::Query;
use crate::ec2::xml::Element;

/// Everywhere.
const WORLD: &str = "0.0.0.0/0";

/// A VPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vpc {
    /// Such as `vpc-1`.
    pub id: String,
    /// Its range.
    pub range: String,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetFound {
    /// Such as `subnet-1`.
    pub id: String,
    /// Of which VPC.
    pub vpc: String,
    /// Its zone.
    pub zone: String,
    /// Its range.
    pub range: String,
    /// Do machines in it get public addresses?
    pub public: bool,
}

/// An internet gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Such as `igw-1`.
    pub id: String,
    /// The VPCs that it is attached to.
    pub vpcs: Vec<String>,
}

/// A route table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTable {
    /// Such as `rtb-1`.
    pub id: String,
    /// Of which VPC.
    pub vpc: String,
    /// The gateway that the way to everywhere leads through.
    pub world: Option<String>,
    /// Subnets that go by it: the subnet's id, and that of the association.
    pub subnets: Vec<(String, String)>,
}

/// VPCs and subnets.
impl Client {
    /// `DescribeVpcs`.
    pub async fn vpcs(&self, which: Which<'_>) -> Answer<Vec<Vpc>> {
        self.found(Query::new("DescribeVpcs"), which, "VpcId", "vpcSet", 1_000, |item| {
            Ok(Vpc { id: item.need("vpcId")?.to_owned(), range: item.need("cidrBlock")?.to_owned() })
        })
        .await
    }

    /// `CreateVpc`: another one each time.
    pub async fn create_vpc(&self, range: &str, tags: &[Tag]) -> Answer<Vpc> {
        let query = Query::once("CreateVpc").set("CidrBlock", range).tags(1, "vpc", tags);
        let id = self.made(&query, "vpc", "vpcId").await?;
        Ok(Vpc { id, range: range.to_owned() })
    }

    /// `ModifyVpcAttribute`: machines have names by DNS.
    pub async fn name_machines(&self, vpc: &str) -> Answer<()> {
        let query =
            Query::new("ModifyVpcAttribute").fresh().set("VpcId", vpc).set("EnableDnsHostnames.Value", true);
        self.done(&query).await
    }

    /// `DeleteVpc`.
    pub async fn delete_vpc(&self, id: &str) -> Answer<()> {
        self.done(&Query::new("DeleteVpc").set("VpcId", id)).await
    }

    /// `DescribeSubnets`.
    pub async fn subnets(&self, which: Which<'_>) -> Answer<Vec<SubnetFound>> {
        self.found(Query::new("DescribeSubnets"), which, "SubnetId", "subnetSet", 1_000, |item| {
            Ok(SubnetFound {
                id: item.need("subnetId")?.to_owned(),
                vpc: item.need("vpcId")?.to_owned(),
                zone: item.need("availabilityZone")?.to_owned(),
                range: item.need("cidrBlock")?.to_owned(),
                public: item.text("mapPublicIpOnLaunch") == Some("true"),
            })
        })
        .await
    }

    /// `CreateSubnet`: refused where the range is taken.
    pub async fn create_subnet(&self, vpc: &str, zone: &str, range: &str, tags: &[Tag]) -> Answer<String> {
        let query = Query::once("CreateSubnet").fresh().set("VpcId", vpc).set("CidrBlock", range);
        let query = query.set("AvailabilityZone", zone).tags(1, "subnet", tags);
        self.made(&query, "subnet", "subnetId").await
    }

    /// `ModifySubnetAttribute`: machines in it get public addresses.
    pub async fn open_subnet(&self, id: &str) -> Answer<()> {
        let query = Query::new("ModifySubnetAttribute").fresh().set("SubnetId", id);
        self.done(&query.set("MapPublicIpOnLaunch.Value", true)).await
    }

    /// `DeleteSubnet`.
    pub async fn delete_subnet(&self, id: &str) -> Answer<()> {
        self.done(&Query::new("DeleteSubnet").set("SubnetId", id)).await
    }
}

/// Internet gateways and route tables.
impl Client {
    /// `DescribeInternetGateways`.
    pub async fn gateways(&self, which: Which<'_>) -> Answer<Vec<Gateway>> {
        let query = Query::new("DescribeInternetGateways");
        self.found(query, which, "InternetGatewayId", "internetGatewaySet", 1_000, |item| {
            let vpcs = item.items("attachmentSet").filter_map(|at| at.text("vpcId")).map(str::to_owned);
            Ok(Gateway { id: item.need("internetGatewayId")?.to_owned(), vpcs: vpcs.collect() })
        })
        .await
    }

    /// `CreateInternetGateway`: another one each time.
    pub async fn create_gateway(&self, tags: &[Tag]) -> Answer<String> {
        let query = Query::once("CreateInternetGateway").tags(1, "internet-gateway", tags);
        self.made(&query, "internetGateway", "internetGatewayId").await
    }

    /// `AttachInternetGateway`.
    pub async fn attach_gateway(&self, id: &str, vpc: &str) -> Answer<()> {
        self.done(&Query::new("AttachInternetGateway").fresh().set("InternetGatewayId", id).set("VpcId", vpc))
            .await
    }

    /// `DetachInternetGateway`.
    pub async fn detach_gateway(&self, id: &str, vpc: &str) -> Answer<()> {
        self.done(&Query::new("DetachInternetGateway").set("InternetGatewayId", id).set("VpcId", vpc)).await
    }

    /// `DeleteInternetGateway`.
    pub async fn delete_gateway(&self, id: &str) -> Answer<()> {
        self.done(&Query::new("DeleteInternetGateway").set("InternetGatewayId", id)).await
    }

    /// `DescribeRouteTables`.
    pub async fn route_tables(&self, which: Which<'_>) -> Answer<Vec<RouteTable>> {
        self.found(
            Query::new("DescribeRouteTables"),
            which,
            "RouteTableId",
            "routeTableSet",
            100,
            route_table,
        )
        .await
    }

    /// `CreateRouteTable`: another one each time.
    pub async fn create_route_table(&self, vpc: &str, tags: &[Tag]) -> Answer<String> {
        let query = Query::once("CreateRouteTable").fresh().set("VpcId", vpc).tags(1, "route-table", tags);
        self.made(&query, "routeTable", "routeTableId").await
    }

    /// `CreateRoute`: the way to everywhere leads through this gateway.
    pub async fn open_route_table(&self, id: &str, gateway: &str) -> Answer<()> {
        let query =
            Query::new("CreateRoute").fresh().set("RouteTableId", id).set("DestinationCidrBlock", WORLD);
        self.done(&query.set("GatewayId", gateway)).await
    }

    /// `AssociateRouteTable`: a subnet goes by it.
    pub async fn associate(&self, table: &str, subnet: &str) -> Answer<()> {
        self.done(
            &Query::new("AssociateRouteTable").fresh().set("RouteTableId", table).set("SubnetId", subnet),
        )
        .await
    }

    /// `DisassociateRouteTable`.
    pub async fn disassociate(&self, association: &str) -> Answer<()> {
        self.done(&Query::new("DisassociateRouteTable").set("AssociationId", association)).await
    }

    /// `DeleteRouteTable`.
    pub async fn delete_route_table(&self, id: &str) -> Answer<()> {
        self.done(&Query::new("DeleteRouteTable").set("RouteTableId", id)).await
    }
}

/// What most actions have in common.
impl Client {
    /// Things of a list. Lists by ids have no pages.
    pub(super) async fn found<T>(
        &self,
        query: Query,
        which: Which<'_>,
        ids: &str,
        list: &str,
        per_page: u32,
        read: impl Fn(&Element) -> Result<T, String>,
    ) -> Answer<Vec<T>> {
        let (action, query) = (query.action, which.put(query, ids));
        let items = match which {
            Which::Filters(_) => self.pages(query, list, per_page).await?,
            Which::Ids(_) => self.call(&query).await?.items(list).cloned().collect(),
        };
        items.iter().map(|item| read(item).map_err(garbled(action))).collect()
    }

    /// The id of what was made; `within` is empty where the answer itself has it.
    pub(super) async fn made(&self, query: &Query, within: &str, id: &str) -> Answer<String> {
        let answer = self.call(query).await?;
        let thing = answer.child(within).unwrap_or(&answer);
        thing.need(id).map(str::to_owned).map_err(garbled(query.action))
    }

    pub(super) async fn done(&self, query: &Query) -> Answer<()> {
        self.call(query).await.map(drop)
    }
}

fn route_table(item: &Element) -> Result<RouteTable, String> {
    let world = item.items("routeSet").filter(|route| route.text("destinationCidrBlock") == Some(WORLD));
    let associations = item.items("associationSet").filter_map(|at| {
        let id = at.text("routeTableAssociationId")?;
        Some((at.text("subnetId")?.to_owned(), id.to_owned()))
    });
    Ok(RouteTable {
        id: item.need("routeTableId")?.to_owned(),
        vpc: item.need("vpcId")?.to_owned(),
        world: world.into_iter().find_map(|route| route.text("gatewayId")).map(str::to_owned),
        subnets: associations.collect(),
    })
}

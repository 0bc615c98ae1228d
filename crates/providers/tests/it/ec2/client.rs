//! Questions: signed, asked again where that is safe, bounded; answers and errors as EC2 writes them.

use super::fake::{Fake, Reply};
use lace_providers::ec2::{Chain, Client, Credentials, Fault, Patience, Place, Rule, Vpc, Which};
use lace_providers::provider::Error;
use std::time::{Duration, Instant};

const VPCS: &str = "<DescribeVpcsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
                    <vpcSet><item><vpcId>vpc-1</vpcId><state>available</state><cidrBlock>10.80.0.0/16</cidrBlock>\
                    </item></vpcSet></DescribeVpcsResponse>";
const OURS: Which<'static> = Which::Filters(&[("tag:lace-key", &["net"])]);

#[tokio::test]
async fn questions_are_signed_and_answers_typed() {
    let fake = Fake::start([Reply::ok(VPCS)]).await;
    let found = fake.client().vpcs(OURS).await.expect("answered");
    assert_eq!(found, [Vpc { id: "vpc-1".into(), range: "10.80.0.0/16".into() }]);
    let asked = fake.asked().remove(0);
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/"));
    assert_eq!(
        asked.body,
        "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=tag%3Alace-key&Filter.1.Value.1=net&MaxResults=1000"
    );
    let header = |name: &str| asked.headers[name].to_str().expect(name).to_owned();
    let scope = format!("Credential=AKID/{}/eu-west-1/ec2/aws4_request", &header("x-amz-date")[..8]);
    assert!(header("authorization").contains(&scope), "{}", header("authorization"));
    assert_eq!(header("x-amz-content-sha256").len(), 64);
    assert!(!format!("{asked:?}").contains("secret"));
}

#[tokio::test]
async fn who_was_turned_away_comes_back_and_at_last_gives_up() {
    let busy = Reply::error(503, "RequestLimitExceeded");
    let fake = Fake::start([busy.clone(), Reply::error(500, "InternalError"), Reply::ok(VPCS)]).await;
    assert_eq!(fake.client().vpcs(OURS).await.expect("at last").len(), 1);
    assert_eq!(fake.asked().len(), 3);
    let fake = Fake::start([busy]).await;
    let fault = fake.client().vpcs(OURS).await.expect_err("never");
    assert!(matches!(Error::from(fault), Error::Throttled { .. }));
    assert_eq!(fake.asked().len(), 4, "as often as patience says");
}

#[tokio::test]
async fn what_makes_another_one_each_time_is_not_asked_again_blindly() {
    let made = "<CreateVpcResponse><vpc><vpcId>vpc-2</vpcId></vpc></CreateVpcResponse>";
    for lost in [Reply::Hangs, Reply::error(500, "InternalError"), Reply::Says(500, "<html>oops".into())] {
        let fake = Fake::start([lost, Reply::ok(made)]).await;
        let fault = fake.client().create_vpc("10.80.0.0/16", &[]).await.expect_err("lost");
        assert!(matches!(Error::from(fault), Error::Temporary { .. }));
        assert_eq!(fake.asked().len(), 1);
    }
    let fake = Fake::start([Reply::error(503, "RequestLimitExceeded"), Reply::ok(made)]).await;
    assert_eq!(
        fake.client().create_vpc("10.80.0.0/16", &[]).await.expect("nothing was done before").id,
        "vpc-2"
    );
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_left_within_the_time() {
    let fake = Fake::start([Reply::Hangs]).await;
    let ms = Duration::from_millis;
    let patience = Patience { answer: ms(100), call: ms(300), tries: 99, pause: ms(1), pause_max: ms(1) };
    let began = Instant::now();
    let client = fake.client_with(Chain::only(Credentials::given("AKID", "secret", None)), patience);
    let fault = client.vpcs(OURS).await.expect_err("silent");
    assert!(matches!(&fault, Fault::Silent { action: "DescribeVpcs", .. }), "{fault}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!((2..=4).contains(&fake.asked().len()), "{}", fake.asked().len());
}

#[tokio::test]
async fn lists_are_read_to_their_end_but_not_in_circles() {
    let page = |id: &str, next: &str| {
        let item = format!("<item><vpcId>{id}</vpcId><cidrBlock>10.0.0.0/16</cidrBlock></item>");
        Reply::ok(&format!(
            "<DescribeVpcsResponse><vpcSet>{item}</vpcSet><nextToken>{next}</nextToken></DescribeVpcsResponse>"
        ))
    };
    let fake = Fake::start([page("vpc-1", "p2"), page("vpc-2", "p3"), page("vpc-3", "")]).await;
    let found = fake.client().vpcs(OURS).await.expect("all");
    assert_eq!(found.iter().map(|vpc| vpc.id.as_str()).collect::<Vec<_>>(), ["vpc-1", "vpc-2", "vpc-3"]);
    assert!(fake.asked()[2].body.ends_with("&NextToken=p3"));
    let fake = Fake::start([page("vpc-1", "again")]).await;
    let fault = fake.client().vpcs(OURS).await.expect_err("a circle");
    assert!(fault.to_string().contains("circle"), "{fault}");
}

#[tokio::test]
async fn answers_that_cannot_be_used_are_told_with_their_beginning() {
    let huge = format!("<a>{}</a>", "x".repeat(33 << 20));
    for (body, told) in [
        ("<!doctype html><br><title>500 Internal Server Error</title>", "500 Internal Server Error"),
        ("<html><title>welcome</title></html>", "it was answered by html"),
        (
            "<DescribeVpcsResponse><vpcSet><item><state>on</state></item></vpcSet></DescribeVpcsResponse>",
            "item has no vpcId",
        ),
        (huge.as_str(), "longer than"),
    ] {
        let fake = Fake::start([Reply::ok(body)]).await;
        let ms = Duration::from_millis;
        let patience =
            Patience { answer: ms(20_000), call: ms(20_000), tries: 1, pause: ms(1), pause_max: ms(1) };
        let client = fake.client_with(Chain::only(Credentials::given("AKID", "secret", None)), patience);
        let fault = client.vpcs(OURS).await.expect_err(told);
        assert!(fault.to_string().contains(told), "{fault}");
        assert!(Error::from(fault).may_pass());
    }
}

#[tokio::test]
async fn refusals_of_both_services_are_read() {
    let sts = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>The security token \
               included in the request is invalid.</Message></Error></ErrorResponse>";
    let fake = Fake::start([Reply::Says(403, sts.into())]).await;
    let error = Error::from(fake.client().caller().await.expect_err("refused"));
    assert!(
        matches!(&error, Error::Refused { what, .. } if what.contains("InvalidClientTokenId")),
        "{error:?}"
    );
    assert!(fake.asked()[0].body.starts_with("Action=GetCallerIdentity&Version=2011-06-15"));
    let fake = Fake::start([Reply::error(403, "UnauthorizedOperation")]).await;
    let error = Error::from(fake.client().vpcs(OURS).await.expect_err("refused"));
    assert!(error.hint().is_some_and(|hint| hint.contains("IAM")), "{error:?}");
    assert_eq!(fake.asked().len(), 1, "asking again does not help");
}

#[tokio::test]
async fn rules_of_groups_are_read_and_written() {
    let answer = "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-1</groupId><vpcId>vpc-1</vpcId><ipPermissions>\
        <item><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort><ipRanges><item>\
        <cidrIp>192.0.2.0/24</cidrIp></item><item><cidrIp>198.51.100.0/24</cidrIp></item></ipRanges><groups/></item>\
        <item><ipProtocol>-1</ipProtocol><groups><item><groupId>sg-1</groupId></item></groups><ipRanges/></item>\
        <item><ipProtocol>icmp</ipProtocol><fromPort>-1</fromPort><toPort>-1</toPort><ipRanges><item>\
        <cidrIp>0.0.0.0/0</cidrIp></item></ipRanges></item></ipPermissions></item></securityGroupInfo></DescribeSecurityGroupsResponse>";
    let done = "<AuthorizeSecurityGroupIngressResponse/>";
    let fake = Fake::start([Reply::ok(answer), Reply::ok(done)]).await;
    let group = fake.client().groups(Which::Ids(&["sg-1"])).await.expect("found").remove(0);
    let ssh = |range: &str| Rule::Range { protocol: "tcp".into(), from: 22, to: 22, range: range.into() };
    let inside = Rule::Group("sg-1".into());
    assert_eq!(group.rules, [ssh("192.0.2.0/24"), ssh("198.51.100.0/24"), inside.clone(), Rule::Other]);
    fake.client().let_in("sg-1", &[inside, ssh("192.0.2.0/24")]).await.expect("done");
    let body = &fake.asked()[1].body;
    assert!(body.contains("IpPermissions.1.IpProtocol=-1&IpPermissions.1.Groups.1.GroupId=sg-1"), "{body}");
    assert!(body.contains("IpPermissions.2.FromPort=22") && body.contains("CidrIp=192.0.2.0%2F24"), "{body}");
}

#[tokio::test]
async fn the_role_of_the_machine_is_asked_for_once_and_its_end_is_known() {
    let role = |ends: &str| {
        format!(
            r#"{{"Code":"Success","AccessKeyId":"ASIA","SecretAccessKey":"s","Token":"t-1","Expiration":"{ends}"}}"#
        )
    };
    let said = |text: &str| Reply::Says(200, text.to_owned());
    let machine =
        Fake::start([said("session-1"), said("lace-role\n"), said(&role("2999-01-01T00:00:00Z"))]).await;
    let fake = Fake::start([Reply::ok(VPCS)]).await;
    let client = fake.client_with(of_machine(&machine.at), Patience::default());
    client.vpcs(OURS).await.expect("answered");
    client.vpcs(OURS).await.expect("answered");
    let asked = machine.asked();
    assert_eq!(asked.len(), 3, "fetched once");
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("PUT", "/latest/api/token"));
    assert_eq!(asked[2].path, "/latest/meta-data/iam/security-credentials/lace-role");
    assert_eq!(asked[2].headers["x-aws-ec2-metadata-token"], "session-1");
    assert_eq!(fake.asked()[0].headers["x-amz-security-token"], "t-1");
}

#[tokio::test]
async fn credentials_that_ended_are_fetched_anew() {
    let role = r#"{"AccessKeyId":"A","SecretAccessKey":"s","Token":"t","Expiration":"2999-01-01T00:00:00Z"}"#;
    let said = |text: &str| Reply::Says(200, text.to_owned());
    let thrice = [said("session"), said("role"), said(role)];
    let machine = Fake::start(thrice.iter().chain(&thrice).cloned()).await;
    let fake = Fake::start([Reply::error(400, "ExpiredToken"), Reply::ok(VPCS)]).await;
    fake.client_with(of_machine(&machine.at), Patience::default()).vpcs(OURS).await.expect("with new ones");
    assert_eq!((machine.asked().len(), fake.asked().len()), (6, 2));
}

#[tokio::test]
async fn a_machine_without_a_role_is_not_waited_for() {
    let machine = Fake::start([Reply::Hangs]).await;
    let fake = Fake::start([Reply::ok(VPCS)]).await;
    let began = Instant::now();
    let client = fake.client_with(of_machine(&machine.at), Patience::default());
    let error = Error::from(client.vpcs(OURS).await.expect_err("no credentials"));
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("within a second"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(fake.asked().is_empty());
}

fn of_machine(at: &str) -> Chain {
    let machine = Some(at.to_owned());
    Chain { given: None, variables: Box::new(|_| None), file: None, profile: None, machine }
}

#[test]
fn places_are_checked() {
    let open = |region: &str, endpoint: Option<&str>| {
        let place = Place { region: region.into(), endpoint: endpoint.map(str::to_owned) };
        Client::new(&place, Chain::only(Credentials::given("A", "s", None)), Patience::default())
    };
    for (region, endpoint) in [
        ("eu-west-1", None),
        ("cn-north-1", Some("https://ec2.example.com")),
        ("eu-west-1", Some("http://127.0.0.1:5005/")),
    ] {
        assert!(open(region, endpoint).is_ok(), "{region} {endpoint:?}");
    }
    for (region, endpoint) in [
        ("", None),
        ("EU", None),
        ("eu-west-1.evil.example/", None),
        ("eu-west-1", Some("http://ec2.example.com")),
        ("eu-west-1", Some("https://user@ec2.example.com")),
        ("eu-west-1", Some("https://ec2.example.com/path")),
        ("eu-west-1", Some("ftp://127.0.0.1")),
        ("eu-west-1", Some("no address")),
    ] {
        let Err(error) = open(region, endpoint) else { panic!("{region} {endpoint:?} was taken") };
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    }
}

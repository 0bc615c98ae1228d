//! moto's server: one for each test, on a loopback port of its own, with signatures and rights checked. The tests of whole
//! installations (`tests/real/pools.rs`) start theirs with this file, too.

use lace_providers::ec2::{Chain, Client, Credentials, Ec2, Patience, Place, Which};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// It loads the whole of Python's AWS there is.
const UP_WITHIN: Duration = Duration::from_secs(90);
pub const REGION: &str = "us-east-1";
pub const IMAGE: &str = "ami-11111111";

/// One image: moto's own list has 1,300.
const IMAGES: &str = r#"[{"ami_id":"ami-11111111","name":"base","description":"d","owner_id":"123456789012","public":true,
"virtualization_type":"hvm","architecture":"x86_64","state":"available","platform":null,"image_type":"machine",
"hypervisor":"xen","root_device_name":"/dev/sda1","root_device_type":"ebs","sriov":"simple",
"creation_date":"2024-01-01T00:00:00.000Z"}]"#;

/// What a user of Lace may do, as decisions/0035 says it: nothing else is allowed in these tests.
const POLICY: &str = include_str!("policy.json");

pub struct Moto {
    child: Child,
    pub at: String,
    pub who: Credentials,
    _dir: tempfile::TempDir,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let images = dir.path().join("images.json");
        std::fs::write(&images, IMAGES).expect("written");
        let said = dir.path().join("said");
        let log = std::fs::File::create(&said).expect("log");
        let child = Command::new("moto_server")
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("MOTO_AMIS_PATH", &images)
            .envs(["AMI", "KEYPAIR"].map(|what| (format!("MOTO_ENABLE_{what}_VALIDATION"), "1")))
            .env("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "1")
            .env("INITIAL_NO_AUTH_ACTION_COUNT", "3")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("moto_server (scripts/install.sh --for test)");
        let nobody = Credentials::given("nobody", "nothing", None);
        let mut moto = Self { child, at: String::new(), who: nobody, _dir: dir };
        moto.at = moto.port(&said).await;
        moto.who = user(&moto.at).await;
        moto
    }

    /// It says where it is.
    async fn port(&mut self, said: &Path) -> String {
        let began = Instant::now();
        loop {
            let text = std::fs::read_to_string(said).expect("log");
            let at = text.split_once("Running on ").and_then(|(_, rest)| rest.split_whitespace().next());
            if let Some(at) = at {
                return at.to_owned();
            }
            let ended = self.child.try_wait().expect("moto");
            assert!(ended.is_none() && began.elapsed() < UP_WITHIN, "moto did not come up: {ended:?} {text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn client(&self) -> Client {
        Client::new(&place(&self.at), Chain::only(self.who.clone()), Patience::default()).expect("client")
    }

    /// A provider that asks at another address (a proxy's), with credentials that may differ.
    pub fn open(&self, at: &str, installation: &str, who: &Credentials) -> Ec2 {
        let ms = Duration::from_millis;
        let patience =
            Patience { answer: ms(60_000), call: ms(120_000), tries: 4, pause: ms(5), pause_max: ms(20) };
        let chain = Chain::only(who.clone());
        Ec2::new(&place(at), chain, patience, installation, BTreeMap::new()).expect("a provider")
    }

    /// Everything that there is, anybody's, but moto's own.
    pub async fn things(&self) -> BTreeSet<String> {
        let (client, all) = (self.client(), Which::Filters(&[]));
        let alive: [&str; 4] = ["pending", "running", "stopping", "stopped"];
        let machines = client.machines(Which::Filters(&[("instance-state-name", &alive)])).await;
        let mut things: BTreeSet<String> = machines.expect("machines").into_iter().map(|m| m.id).collect();
        things.extend(client.vpcs(all).await.expect("vpcs").into_iter().map(|vpc| vpc.id));
        things.extend(client.subnets(all).await.expect("subnets").into_iter().map(|subnet| subnet.id));
        things.extend(client.gateways(all).await.expect("gateways").into_iter().map(|gateway| gateway.id));
        things.extend(client.route_tables(all).await.expect("tables").into_iter().map(|table| table.id));
        things.extend(client.groups(all).await.expect("groups").into_iter().map(|group| group.id));
        things.extend(client.logins(all).await.expect("logins").into_iter().map(|login| login.name));
        things.extend(client.addresses(all, "").await.expect("addresses").into_iter().map(|a| a.id));
        things.extend(client.volumes(all, "").await.expect("volumes").into_iter().map(|volume| volume.id));
        things
    }
}

fn place(at: &str) -> Place {
    Place { region: REGION.into(), endpoint: Some(at.to_owned()) }
}

/// Makes a user with the rights of [`POLICY`], with the three calls that need no signature.
async fn user(at: &str) -> Credentials {
    let made = iam(at, &[("Action", "CreateUser"), ("UserName", "lace")]).await;
    assert!(made.contains("<UserName>lace</UserName>"), "{made}");
    let policy =
        [("Action", "PutUserPolicy"), ("UserName", "lace"), ("PolicyName", "p"), ("PolicyDocument", POLICY)];
    iam(at, &policy).await;
    let keys = iam(at, &[("Action", "CreateAccessKey"), ("UserName", "lace")]).await;
    let value = |name: &str| {
        let (_, rest) = keys.split_once(&format!("<{name}>")).expect(name);
        rest.split('<').next().expect(name).to_owned()
    };
    Credentials::given(value("AccessKeyId"), value("SecretAccessKey"), None)
}

async fn iam(at: &str, pairs: &[(&str, &str)]) -> String {
    let http = http();
    let scope =
        "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0";
    let mut url = reqwest::Url::parse(at).expect("address");
    url.query_pairs_mut().append_pair("Version", "2010-05-08").extend_pairs(pairs);
    let body = url.query().expect("pairs").to_owned();
    let request = http.post(at).header("authorization", scope);
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let answer = request.send().await.expect("moto");
    let status = answer.status();
    let text = answer.text().await.expect("moto");
    assert!(status.is_success(), "{status} {text}");
    text
}

/// For loopback, without anything around it.
pub fn http() -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = tls.expect("tls").with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().expect("client")
}

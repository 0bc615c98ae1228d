//! The proxies, and the back end behind all of them: nginx with one worker.

use lace_edge::{GivenCertificate, NetClient, NetConfig, serve_until};
use lace_model::document::{Doors, Member, Topic};
use lace_model::route::RouteSpec;
use lace_model::{Generation, NodeId};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The host name of every request.
pub const NAME: &str = "bench.example.com";
/// The word that makes this program the door.
pub const DOOR: &str = "--door";
const UP_WITHIN: Duration = Duration::from_secs(20);

/// A proxy that runs.
pub struct Rival {
    pub name: &'static str,
    pub plain: u16,
    pub tls: u16,
    child: Child,
}

impl Drop for Rival {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Asks for the end, so that workers go with their master; then insists.
fn end(child: &mut Child) {
    let id = rustix::process::Pid::from_child(child);
    let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}

impl Rival {
    /// Memory of the process and its workers, shared pages counted in part (proc(5), `smaps_rollup`).
    pub fn pss_kib(&self) -> u64 {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let all = std::iter::once(id.to_string()).chain(children.split_whitespace().map(str::to_owned));
        all.filter_map(|id| {
            let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum()
    }
}

/// Everything but the proxies.
pub struct Stage {
    dir: PathBuf,
    back: u16,
    pem: String,
    back_end: Child,
}

impl Drop for Stage {
    fn drop(&mut self) {
        end(&mut self.back_end);
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn start(command: &mut Command, dir: &Path, name: &str) -> io::Result<Child> {
    let log = fs::File::create(dir.join(format!("{name}.out")))?;
    let errors = log.try_clone()?;
    let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
    child.map_err(|e| io::Error::new(e.kind(), format!("{name}: {e}: scripts/install.sh --for bench")))
}

fn wait_for(port: u16) -> io::Result<()> {
    let until = Instant::now() + UP_WITHIN;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() >= until {
            return Err(io::Error::other(format!("nobody listens at port {port}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn nginx(dir: &Path, name: &str, workers: u32, http: &str) -> io::Result<Child> {
    let own = dir.join(name);
    fs::create_dir_all(&own)?;
    let own = own.display();
    let text = format!(
        "daemon off; worker_processes {workers}; pid {own}/pid; error_log {own}/error.log crit; user root;\n\
         worker_rlimit_nofile 40000; events {{ worker_connections 20000; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600; sendfile on; tcp_nopush on;\n\
         client_body_temp_path {own}/a; proxy_temp_path {own}/b; fastcgi_temp_path {own}/c; uwsgi_temp_path {own}/d;\n\
         scgi_temp_path {own}/e; {http} }}\n"
    );
    let file = dir.join(format!("{name}.conf"));
    fs::write(&file, text)?;
    start(
        Command::new("/usr/sbin/nginx").arg("-c").arg(&file).arg("-e").arg(dir.join("nginx.error")),
        dir,
        name,
    )
}

impl Stage {
    /// Starts the back end and makes a certificate.
    pub fn set(dir: &Path) -> io::Result<Self> {
        let back = free_port()?;
        let files = dir.join("files");
        fs::create_dir_all(&files)?;
        fs::write(files.join("big"), vec![b'x'; 1 << 20])?;
        fs::write(
            files.join("small"),
            b"a small answer of a back end: about a hundred bytes, as many an API gives it ............\n",
        )?;
        let http = format!("server {{ listen 127.0.0.1:{back} reuseport; root {}; }}", files.display());
        let back_end = nginx(dir, "back", 1, &http)?;
        wait_for(back)?;
        let key = rcgen::KeyPair::generate().map_err(io::Error::other)?;
        let params = rcgen::CertificateParams::new(vec![NAME.to_owned()]).map_err(io::Error::other)?;
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
        fs::write(dir.join("chain.pem"), &pem)?;
        Ok(Self { dir: dir.to_owned(), back, pem, back_end })
    }

    /// Starts all of them.
    pub fn rivals(&self) -> io::Result<Vec<Rival>> {
        let rivals = vec![self.lace()?, self.haproxy()?, self.nginx()?];
        rivals.iter().try_for_each(|rival| wait_for(rival.plain).and_then(|()| wait_for(rival.tls)))?;
        Ok(rivals)
    }

    fn haproxy(&self) -> io::Result<Rival> {
        let (plain, tls) = (free_port()?, free_port()?);
        let text = format!(
            "global\n maxconn 10100\n no strict-limits\n nbthread 2\n ssl-server-verify none\n\
             defaults\n mode http\n option forwardfor\n http-reuse always\n timeout connect 2s\n timeout client 600s\n\
             \x20timeout server 60s\n timeout http-keep-alive 600s\n\
             frontend f\n bind 127.0.0.1:{plain}\n bind 127.0.0.1:{tls} ssl crt {}\n default_backend b\n\
             backend b\n server s 127.0.0.1:{}\n",
            self.dir.join("chain.pem").display(),
            self.back
        );
        let file = self.dir.join("haproxy.cfg");
        fs::write(&file, text)?;
        let child =
            start(Command::new("/usr/sbin/haproxy").args(["-db", "-f"]).arg(&file), &self.dir, "haproxy")?;
        Ok(Rival { name: "haproxy", plain, tls, child })
    }

    fn nginx(&self) -> io::Result<Rival> {
        let (plain, tls, chain) = (free_port()?, free_port()?, self.dir.join("chain.pem"));
        let chain = chain.display();
        let http = format!(
            "upstream u {{ server 127.0.0.1:{}; keepalive 256; keepalive_requests 1000000000; }}\n\
             server {{ listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl; ssl_certificate {chain};\n\
             ssl_certificate_key {chain}; location / {{ proxy_pass http://u; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
             proxy_set_header X-Forwarded-For $remote_addr; }} }}",
            self.back
        );
        Ok(Rival { name: "nginx", plain, tls, child: nginx(&self.dir, "front", 2, &http)? })
    }

    fn lace(&self) -> io::Result<Rival> {
        let (plain, tls) = (free_port()?, free_port()?);
        let dir = self.dir.join("door");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("ports"), format!("{plain} {tls}"))?;
        let child = start(Command::new(std::env::current_exe()?).arg(DOOR).arg(&dir), &self.dir, "door")?;
        let rival = Rival { name: "lace", plain, tls, child };
        wait_for(plain)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.tell(&dir)).map_err(io::Error::other)?;
        Ok(rival)
    }

    /// One route to one node: the back end.
    async fn tell(&self, dir: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut client = NetClient::new(&config(dir)?.control);
        let pem = self.pem.clone();
        let name = format!("shop/tls:{NAME}@1");
        client
            .certificate(GivenCertificate { name, hosts: vec![NAME.into(), "localhost".into()], pem })
            .await?;
        let route = RouteSpec {
            host: Some(NAME.into()),
            tls: lace_model::route::RouteTls::Off,
            ..RouteSpec::new(self.back)
        };
        let member = Member {
            node: NodeId::derive(&[0; 32], "one"),
            path: "shop/web/1".parse()?,
            address: Ipv4Addr::LOCALHOST,
            up: true,
            ready: true,
            openings: Vec::new(),
            revision: 1,
            mesh: 0,
            joined: false,
        };
        let doors = Doors { routes: vec![route], ..Doors::default() };
        client
            .put(Topic {
                app: "shop".parse()?,
                generation: Generation { epoch: 1, number: 1 },
                members: vec![member],
                ports: Default::default(),
                doors: [("shop/web".parse()?, doors)].into(),
                shares: Default::default(),
                certificates: Vec::new(),
                challenges: Vec::new(),
                runtimes: Default::default(),
            })
            .await?;
        Ok(())
    }
}

fn config(dir: &Path) -> io::Result<NetConfig> {
    let text = fs::read_to_string(dir.join("ports"))?;
    let ports: Vec<u16> = text.split(' ').filter_map(|port| port.parse().ok()).collect();
    let mut config = NetConfig::new(dir.join("state"), Vec::new());
    if let [plain, tls] = ports[..] {
        config.proxy.listen = vec![SocketAddr::from(([127, 0, 0, 1], plain))];
        config.proxy.listen_tls = vec![SocketAddr::from(([127, 0, 0, 1], tls))];
    }
    config.proxy.limits.head_within = Duration::from_secs(600);
    Ok(config)
}

/// The role `net` as a host has it, in a process of its own.
pub fn serve_door(dir: &Path) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let served = runtime.and_then(|runtime| {
        let config = config(dir)?;
        runtime.block_on(serve_until(config, std::future::pending())).map_err(io::Error::other)
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("door: {error}");
            ExitCode::FAILURE
        }
    }
}

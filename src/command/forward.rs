//! `lace forward`: a port of this machine leads to a node.

use super::exec::nodes_of;
use super::{Exit, Outcome, Session};
use bytes::Bytes;
use clap::Args;
use lace_model::{Code, Problem, TargetPath};
use lace_wire::api::{StreamAction, StreamOpen};
use lace_wire::client::Client;
use lace_wire::stream::{STREAM_FRAME_BYTES_MAX, StreamFrame, StreamPair};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// `lace forward`.
#[derive(Args, Debug)]
#[command(after_help = "\
Each connection goes to the first ready node of the target. It ends with Ctrl-C.

Example:
  lace forward shop/web 8080:80 9090")]
pub struct ForwardArgs {
    /// A target, or one node
    pub target: TargetPath,
    /// Ports of the node, each with that of this machine where it is another (0: any that is free)
    #[arg(value_name = "[LOCAL:]PORT", value_parser = ports, required = true)]
    pub ports: Vec<(u16, u16)>,
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    let (local, remote) = text.split_once(':').unwrap_or((text, text));
    let bad = |_| format!("{text:?} is not a port or LOCAL:PORT");
    let ports = (local.parse().map_err(bad)?, remote.parse().map_err(bad)?);
    if ports.1 == 0 { Err("port 0 leads nowhere".into()) } else { Ok(ports) }
}

/// Runs `lace forward`.
pub async fn run(args: ForwardArgs, s: &mut Session) -> Outcome {
    let client = s.client()?;
    nodes_of(&client, &args.target, true).await?;
    let mut doors = JoinSet::new();
    for (local, port) in args.ports {
        let listener = TcpListener::bind(("127.0.0.1", local)).await.map_err(|e| {
            Problem::new(Code::Error, format!("cannot listen on 127.0.0.1:{local}: {e}"))
                .hint(format!("choose another port: lace forward {} LOCAL:{port}", args.target))
        })?;
        let at = listener.local_addr().map(|a| a.to_string()).unwrap_or_default();
        s.out.say(format!("{at} leads to port {port} of {}", args.target));
        doors.spawn(accept(listener, client.clone(), args.target.clone(), port));
    }
    let end = s.global.timeout.map_or(Duration::MAX, |t| Duration::from_millis(t.ms()));
    tokio::select! {
        Some(_) = doors.join_next() => {}
        () = tokio::time::sleep(end) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(Exit::DONE)
}

async fn accept(listener: TcpListener, client: Client, target: TargetPath, port: u16) {
    while let Ok((socket, _)) = listener.accept().await {
        let (client, target) = (client.clone(), target.clone());
        tokio::spawn(async move {
            if let Ok(stream) = open(&client, &target, port).await {
                carry(socket, stream).await;
            }
        });
    }
}

async fn open(client: &Client, target: &TargetPath, port: u16) -> Result<StreamPair, Problem> {
    let (_, nodes) = nodes_of(client, target, false).await?;
    let node = nodes.iter().find(|node| node.status.ready).or(nodes.first());
    let node = node.ok_or_else(|| Problem::not_found(target))?;
    let open = StreamOpen { target: node.status.path.to_string(), action: StreamAction::Forward { port } };
    client.open(&open).await
}

async fn carry(socket: TcpStream, mut stream: StreamPair) {
    let (mut read, mut write) = socket.into_split();
    let to = stream.to.clone();
    let towards = async move {
        let mut buffer = vec![0; STREAM_FRAME_BYTES_MAX];
        while let Ok(n @ 1..) = read.read(&mut buffer).await {
            let bytes = Bytes::copy_from_slice(&buffer[..n]);
            if to.send(StreamFrame::Stdin(bytes)).await.is_err() {
                return;
            }
        }
        let _ = to.send(StreamFrame::StdinEnd).await;
    };
    let back = async {
        while let Some(StreamFrame::Stdout(bytes)) = stream.from.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = write.shutdown().await;
    };
    tokio::join!(towards, back);
}

//! Bytes to a TCP port of a node.

use super::exec::pump;
use super::{In, Out};
use lace_model::{Code, Problem};
use lace_wire::stream::StreamFrame;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A node that does not answer within this time is taken for closed.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Carries bytes both ways until the node closes its side, or the stream is closed.
pub async fn serve(address: Ipv4Addr, port: u16, from: &mut In, out: &Out) -> Result<(), Problem> {
    let no = |cause: String| {
        Problem::new(Code::NodeUnreachable, format!("port {port} of the node: {cause}"))
            .hint("is the process listening on all addresses of the node?")
    };
    let connected = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect((address, port))).await;
    let stream = connected.map_err(|_| no("no answer".to_owned()))?.map_err(|e| no(e.to_string()))?;
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = stream.into_split();
    let sending = async {
        while let Some(bytes) = from.stdin().await {
            if writer.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = writer.shutdown().await;
        from.closed().await;
    };
    tokio::select! {
        () = pump(reader, out.clone(), StreamFrame::Stdout) => drop(out.send(StreamFrame::Exit(0)).await),
        () = sending => {}
    }
    Ok(())
}

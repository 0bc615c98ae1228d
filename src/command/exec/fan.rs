//! Many streams at once, their frames in one queue.

use lace_wire::api::StreamOpen;
use lace_wire::client::Client;
use lace_wire::stream::{STREAM_FRAMES_WAITING, StreamFrame};
use std::io::Read;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

/// Bytes read from the input at a time.
const INPUT_BYTES: usize = 16 * 1024;

/// What comes from one of the streams.
pub type From = StreamFrame;

/// Opens the streams, at most so many at a time; each frame comes with the number of its stream.
pub fn open_all(
    client: &Client,
    opens: Vec<StreamOpen>,
    parallel: usize,
    input: Option<Box<dyn Read + Send>>,
) -> mpsc::Receiver<(usize, From)> {
    let (frames, receiver) = mpsc::channel(STREAM_FRAMES_WAITING);
    let room = Arc::new(Semaphore::new(parallel));
    let mut input = input;
    for (index, open) in opens.into_iter().enumerate() {
        let (client, frames, room) = (client.clone(), frames.clone(), Arc::clone(&room));
        let input = input.take();
        tokio::spawn(async move {
            let Ok(_place) = room.acquire().await else { return };
            one(&client, &open, index, &frames, input).await;
        });
    }
    receiver
}

async fn one(
    client: &Client,
    open: &StreamOpen,
    index: usize,
    frames: &mpsc::Sender<(usize, From)>,
    input: Option<Box<dyn Read + Send>>,
) {
    let mut stream = match client.open(open).await {
        Ok(stream) => stream,
        Err(problem) => {
            let _ = frames.send((index, StreamFrame::Failed(problem))).await;
            return;
        }
    };
    if let Some(input) = input {
        pass(input, stream.to.clone());
    }
    while let Some(frame) = stream.from.recv().await {
        let last = matches!(frame, StreamFrame::Exit(_) | StreamFrame::Failed(_));
        if frames.send((index, frame)).await.is_err() || last {
            return;
        }
    }
}

/// Passes an input on, in a thread of its own: it may block for ever.
pub fn pass(mut input: Box<dyn Read + Send>, to: mpsc::Sender<StreamFrame>) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; INPUT_BYTES];
        while let Ok(n @ 1..) = input.read(&mut buffer) {
            let bytes = bytes::Bytes::copy_from_slice(&buffer[..n]);
            if to.blocking_send(StreamFrame::Stdin(bytes)).is_err() {
                return;
            }
        }
        let _ = to.blocking_send(StreamFrame::StdinEnd);
    });
}

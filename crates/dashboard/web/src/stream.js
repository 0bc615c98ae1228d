// A stream to a node: one binary message is one frame, its first byte is the channel.

export const STDIN = 0, STDOUT = 1, STDERR = 2, RESIZE = 3, EXIT = 4, LINE = 6, FAILED = 7;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Opens a stream; `on` has a function for each channel, and `closed`. */
export function open(request, on) {
  const url = new URL("/v1/stream", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("request", JSON.stringify(request));
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => on.opened?.();
  socket.onclose = () => on.closed?.();
  socket.onmessage = ({ data }) => {
    const bytes = new Uint8Array(data);
    on[bytes[0]]?.(bytes.subarray(1));
  };
  return {
    send(channel, payload) {
      if (socket.readyState !== WebSocket.OPEN) return;
      const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
      // The API takes frames of 64 KiB: what is pasted may be more.
      for (let at = 0; at < Math.max(1, bytes.length); at += 32768) {
        const part = bytes.subarray(at, at + 32768);
        const frame = new Uint8Array(part.length + 1);
        frame[0] = channel;
        frame.set(part, 1);
        socket.send(frame);
      }
    },
    close: () => socket.close(),
  };
}

/** JSON of a frame. */
export const json = (bytes) => JSON.parse(decoder.decode(bytes));

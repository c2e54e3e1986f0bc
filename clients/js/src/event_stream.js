// Server-sent events: the bytes of a stream to events, as the HTML standard has it.

/**
 * @param {(type: string, data: string, id: string) => void} tell
 * @param {(ms: number) => void} wait told how long to wait before coming back
 * @returns {(bytes: Uint8Array) => void} takes the stream in pieces of any size
 */
export function eventStream(tell, wait) {
  const decoder = new TextDecoder(); // takes away the byte order mark, too
  let rest = "";
  let type = "";
  let data = "";
  let id = "";
  const take = (line) => {
    const [, name, value] = /^([^:]*):? ?(.*)/s.exec(line);
    if (!line) {
      if (data) tell(type || "message", data.slice(0, -1), id);
      type = data = "";
    } else if (name === "data") data += value + "\n";
    else if (name === "event") type = value;
    else if (name === "id" && !/\0/.test(value)) id = value;
    else if (name === "retry" && /^\d+$/.test(value)) wait(+value);
  };
  return (bytes) => {
    // A carriage return at the end may be half of a line's end, and waits for what follows.
    const lines = (rest + decoder.decode(bytes, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(take);
  };
}

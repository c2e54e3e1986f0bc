// Server-sent events: the bytes of a stream to events, as the HTML standard has it.

/**
 * @param {(type: string, data: string, id: string) => void} tell
 * @param {(ms: number) => void} wait told how long to wait before coming back
 * @returns {(bytes: Uint8Array) => void} takes the stream in pieces of any size
 */
export function eventStream(tell, wait) {
  const decoder = new TextDecoder(); // takes away the byte order mark, too
  let [rest, type, id, data, isAfterCr] = ["", "", "", "", false];
  const take = (line) => {
    const [, name, value] = /^([^:]*):? ?([^]*)/.exec(line);
    if (name === "data") data += value + "\n";
    else if (name === "event") type = value;
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "retry" && /^\d+$/.test(value)) wait(+value);
    else if (!line) {
      if (data) tell(type || "message", data.slice(0, -1), id);
      type = data = "";
    }
  };
  return (bytes) => {
    const text = decoder.decode(bytes, { stream: true });
    if (!text) return;
    // A line feed behind a carriage return ends no line of its own, and may come later.
    const lines = text.slice(isAfterCr && text[0] === "\n").split(/\r\n|\n|\r/);
    isAfterCr = text.endsWith("\r");
    lines[0] = rest + lines[0];
    rest = lines.pop();
    lines.forEach(take);
  };
}

// Framed bytes: a header in JSON and samples as int16, as docs/reading.md describes them.

const MAGIC = 0x46474345; // "ECGF", little-endian

/** {header, trace(t) → Float32Array} of a message of the channel; an Error on bytes that are no frame. */
export const readFrame = (buffer) => {
  const view = new DataView(buffer);
  if (buffer.byteLength < 8 || view.getUint32(0, true) !== MAGIC) throw new Error("The server sent no frame.");
  const length = view.getUint32(4, true);
  if (8 + length > buffer.byteLength) throw new Error("The server sent half a frame.");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const start = 8 + length;
  const samples = start % 2 === 0
    ? new Int16Array(buffer, start, (buffer.byteLength - start) >> 1)
    : new Int16Array(buffer.slice(start, start + ((buffer.byteLength - start) & ~1)));
  const trace = (t) => {
    const values = new Float32Array(t.count);
    for (let i = 0; i < t.count; i += 1) values[i] = t.zero + t.scale * samples[t.offset + i];
    return values;
  };
  return { header, trace };
};
